"""What X is taken for."""

import numpy as np
import pandas as pd
import pytest
import torch

from skda.rows import RowReader

rng = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("shape", "dtype", "kind", "row_shape"),
    [
        ((5, 3), np.float64, "table", (3,)),
        ((5, 3, 100), np.float64, "series", (3, 100)),
        ((5, 1, 4), np.float32, "series", (1, 4)),
        ((5, 16, 64), np.float32, "series", (16, 64)),
        ((5, 8, 8), np.float64, "image", (1, 8, 8)),
        ((5, 8, 12), np.uint8, "image", (1, 8, 12)),
        ((5, 8, 12), np.uint16, "image", (1, 8, 12)),
        ((5, 3, 12, 8), np.float64, "image", (3, 12, 8)),
        ((5, 12, 8, 3), np.float64, "image", (3, 12, 8)),
        ((5, 3, 12, 8), np.uint8, "image", (3, 12, 8)),
        ((5, 12, 8, 3), np.uint8, "image", (3, 12, 8)),
        ((5, 12, 8, 1), np.uint16, "image", (1, 12, 8)),
    ],
)
def test_kind_and_shape_of_arrays(shape, dtype, kind, row_shape):
    X = (rng.random(shape) * 100).astype(dtype)
    rows = RowReader().read(X)
    assert rows.kind == kind
    assert (rows.values.shape[1:] if kind == "table" else rows.row_shape) == row_shape


@pytest.mark.parametrize("shape", [(5, 17, 100), (5, 8, 12), (5, 40, 100)])
def test_three_dimensions_that_can_be_two_things_are_asked_about(shape):
    with pytest.raises(ValueError, match="input='series' or input='image'"):
        RowReader().read(np.zeros(shape))
    assert RowReader(input="series").read(np.zeros(shape)).row_shape == shape[1:]
    assert RowReader(input="image").read(np.zeros(shape)).row_shape == (1, *shape[1:])


def test_a_network_of_images_makes_three_dimensions_images():
    assert RowReader(takes="image").read(np.zeros((5, 3, 100))).kind == "image"


def test_rows_of_another_kind_than_the_one_that_is_asked_for():
    with pytest.raises(ValueError, match="X_target holds a table, but input='series'"):
        RowReader(input="series").read(np.zeros((5, 3)), "X_target")


def test_token_ids_keep_their_type():
    ids = np.array([[3, 5, 0], [4, 4, 9]], dtype=np.int32)
    rows = RowReader(input="tokens").read(ids)
    assert rows.kind == "tokens" and rows.values.dtype == np.int64
    np.testing.assert_array_equal(rows.values, ids)


@pytest.mark.parametrize("ids", [np.zeros((2, 3)), np.zeros(3, int), np.zeros((2, 0), int)])
def test_token_ids_must_be_whole_numbers_of_two_dimensions(ids):
    with pytest.raises(ValueError, match="input='tokens' takes whole numbers"):
        RowReader(input="tokens").read(ids)


def test_texts_are_no_paths():
    with pytest.raises(ValueError, match="X\\[0\\] is 'a fine little film', which is no file"):
        RowReader().read(["a fine little film", "a bore"])


def test_texts_need_a_network_that_takes_them():
    with pytest.raises(ValueError, match="the network takes no text"):
        RowReader(input="text").read(["good", "bad"])


@pytest.mark.parametrize("X", [None, 3, 2.5, {1, 2}, iter([1])])
def test_what_holds_no_rows(X):
    with pytest.raises(ValueError, match=r"^X is .* pass rows"):
        RowReader().read(X)


def test_rows_of_different_lengths():
    with pytest.raises(ValueError, match="X is a list of rows of different shapes"):
        RowReader().read([[1.0, 2.0], [1.0]])


def test_tensors_of_different_lengths():
    with pytest.raises(ValueError, match="X is a list of tensors of different shapes"):
        RowReader().read([torch.zeros(2), torch.zeros(3)])


def test_a_list_of_tensors():
    rows = RowReader().read([torch.zeros(3, requires_grad=True), torch.ones(3)])
    np.testing.assert_array_equal(rows.values, [[0, 0, 0], [1, 1, 1]])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int32])
def test_tensors_of_every_type(dtype):
    X = torch.tensor([[1.5, 2.0], [3.0, 4.0]]).to(dtype)
    np.testing.assert_array_equal(RowReader().read(X).values, X.float().numpy())


def test_pixels_of_different_sizes_are_pictures():
    pytest.importorskip("PIL")
    pictures = [np.full((4, 6, 3), 51, np.uint8), np.full((5, 5, 3), 51, np.uint8)]
    rows = RowReader(preprocess=lambda image: np.asarray(image)[:2, :2].transpose(2, 0, 1)).read(
        pictures
    )
    assert rows.kind == "image" and rows.row_shape == (3, 2, 2)


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_a_column_of_paths(library, tmp_path):
    pytest.importorskip("PIL")
    from PIL import Image

    paths = [str(tmp_path / f"{n}.png") for n in range(3)]
    for path in paths:
        Image.new("RGB", (6, 5)).save(path)
    module = pytest.importorskip(library)
    columns = [module.table({"path": paths})] if library == "pyarrow" else []
    columns += [module.array(paths)] if library == "pyarrow" else [module.Series(paths)]
    columns += [] if library == "pyarrow" else [module.DataFrame({"path": paths})]
    for column in columns:
        rows = RowReader().read(column)
        assert rows.kind == "image" and len(rows.values) == 3 and rows.row_shape == (3, 5, 6)


def test_a_data_frame_is_a_table():
    assert RowReader().read(pd.DataFrame({"a": [1.0, 2.0], "b": [3, 4]})).kind == "table"


@pytest.mark.parametrize("dtype", [np.uint8, np.float64, np.int64])
@pytest.mark.parametrize("image_shape", [(16, 12, 3), (3, 16, 12), (16, 12)], ids=str)
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_flat_rows_are_images_of_their_shape(dtype, image_shape, kind):
    X = kind(rng.integers(256, size=(2, *image_shape)).astype(dtype))
    flat = RowReader(image_shape=image_shape).read(X.reshape(2, -1)).values
    np.testing.assert_array_equal(flat, RowReader(input="image").read(X).values)
