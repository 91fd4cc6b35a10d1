"""Arrays and tensors of images in the two forms of the package."""

import warnings

import numpy as np
import pytest
import torch

from skda.images import (
    LAYOUTS,
    arrange_images,
)

RNG = np.random.RandomState(0)
ERROR = "error"
FIRST, LAST = "channels_first", "channels_last"


def pixels(*shape):
    return RNG.randint(256, size=(2, *shape)).astype(np.uint8)


# Shape, number of channels of the network, what is taken.
SHAPES = [
    # one side can be channels
    ((3, 16, 12), None, FIRST),
    ((16, 12, 3), None, LAST),
    ((1, 16, 12), None, FIRST),
    ((16, 12, 1), None, LAST),
    ((4, 16, 12), None, FIRST),
    ((16, 12, 4), None, LAST),
    # and a square agrees
    ((3, 16, 16), None, FIRST),
    ((16, 16, 4), None, LAST),
    # a square against it
    ((4, 4, 16), None, ERROR),
    ((16, 4, 4), None, ERROR),
    ((4, 4, 16), 4, FIRST),
    ((16, 4, 4), 4, LAST),
    # both sides or none of them, and a square
    ((3, 4, 4), None, FIRST),
    ((4, 4, 3), None, LAST),
    ((13, 16, 16), None, FIRST),
    ((16, 16, 13), None, LAST),
    ((2, 16, 16), None, FIRST),
    # nothing decides
    ((3, 16, 4), None, ERROR),
    ((2, 16, 12), None, ERROR),
    ((16, 16, 16), None, ERROR),
    ((3, 3, 3), None, ERROR),
    ((1, 1, 1), None, ERROR),
    # the network does
    ((3, 16, 4), 3, FIRST),
    ((3, 16, 4), 4, LAST),
    ((2, 16, 12), 2, FIRST),
    ((16, 12, 13), 13, LAST),
    ((16, 16, 16), 16, ERROR),
    ((16, 20, 3), 16, FIRST),
    ((16, 16, 3), 16, ERROR),
    # it takes another number, as for pictures with alpha
    ((16, 12, 4), 3, LAST),
    ((4, 16, 12), 3, FIRST),
]


@pytest.mark.parametrize("kind", ["uint8", "float32", "tensor"])
@pytest.mark.parametrize(("shape", "n_channels", "wanted"), SHAPES, ids=str)
def test_layouts(shape, n_channels, wanted, kind):
    X = pixels(*shape)
    first, last = X, X.transpose(0, 2, 3, 1)  # of the reading with channels first
    if wanted == LAST:
        first, last = X.transpose(0, 3, 1, 2), X
    given = torch.from_numpy(X) if kind == "tensor" else X.astype(kind)
    if wanted == ERROR:
        message = (
            rf"X holds images of shape .*{shape[0]} channels of {shape[1]} x {shape[2]} pixels"
        )
        with pytest.raises(ValueError, match=message + r".*image_layout='channels_first'"):
            arrange_images(given, "X", n_channels=n_channels)
        return
    result = arrange_images(given, "X", n_channels=n_channels)
    np.testing.assert_array_equal(result, first if kind == "float32" else last)
    assert str(result.dtype).removeprefix("torch.") == ("float32" if kind == "float32" else "uint8")


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_layout_of_the_user(dtype):
    X = pixels(3, 16, 4).astype(dtype)
    first, last = (arrange_images(X, "X", layout=layout) for layout in (FIRST, LAST))
    if dtype == np.uint8:
        first, last = first.transpose(0, 3, 1, 2), last.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(first, X)
    np.testing.assert_array_equal(last, X.transpose(0, 3, 1, 2))


def test_unknown_layout():
    assert LAYOUTS == ("auto", FIRST, LAST)
    with pytest.raises(ValueError, match=r"image_layout must be one of .* got 'NCHW'"):
        arrange_images(pixels(3, 8, 8), "X", layout="NCHW")


# -- types --------------------------------------------------------------------------------------


def test_grey_stack():
    X = pixels(16, 12)
    np.testing.assert_array_equal(arrange_images(X, "X"), X[..., None])
    np.testing.assert_array_equal(arrange_images(X / 256, "X"), (X / 256)[:, None])
    np.testing.assert_array_equal(arrange_images(torch.from_numpy(X), "X"), X[..., None])


def test_bool():
    X = pixels(16, 12, 3) > 99
    np.testing.assert_array_equal(arrange_images(X, "X"), X * 255)
    np.testing.assert_array_equal(arrange_images(torch.from_numpy(X), "X"), X * 255)


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bits(order):
    X = np.arange(65536).reshape(4, 128, 128).astype(f"{order}u2")
    wanted = np.rint(X / 257).astype(np.uint8)
    result = arrange_images(X[:, None], "X")
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, wanted[..., None])
    if hasattr(torch, "uint16"):
        tensor = torch.from_numpy(X.astype(np.uint16))
        result = arrange_images(tensor, "X")
        assert result.dtype == torch.uint8
        np.testing.assert_array_equal(result, wanted[..., None])


@pytest.mark.parametrize("as_given", [np.asarray, torch.from_numpy])
def test_few_of_16_bits_warn(as_given):
    X = pixels(3, 8, 8).astype(np.uint16)
    with pytest.warns(UserWarning, match="X_target holds images of 16 bits with no value above"):
        arrange_images(as_given(X), "X_target")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X[0, 0, 0, 0] = 5000  # one bright pixel in one picture
        arrange_images(as_given(X), "X_target")


@pytest.mark.parametrize("dtype", ["int64", "int32", "int16", "uint32", "uint64"])
def test_integers_are_pixels(dtype):
    X = pixels(16, 12, 3)
    result = arrange_images(X.astype(dtype), "X")
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, X)
    np.testing.assert_array_equal(arrange_images(X.tolist(), "X"), X)
    with pytest.raises(ValueError, match=r"X holds images of .* values from \d+ to 1256"):
        arrange_images(X.astype(dtype) + 1256 - X.max(), "X")


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16])
def test_integer_tensors_are_pixels(dtype):
    X = torch.from_numpy(pixels(16, 12, 3))
    result = arrange_images(X.to(dtype), "X")
    assert result.dtype == torch.uint8 and torch.equal(result, X)
    with pytest.raises(ValueError, match=r"X holds images of torch\.int\d+ with values from -"):
        arrange_images(X.to(dtype) - 1 - X.min(), "X")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", ">f8"])
def test_floats(dtype):
    X = RNG.uniform(size=(2, 16, 12, 3)).astype(dtype)
    result = arrange_images(X, "X")
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, X.transpose(0, 3, 1, 2).astype(np.float32))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_float_tensors(dtype):
    X = torch.rand(2, 16, 12, 3).to(dtype).requires_grad_()
    result = arrange_images(X, "X")
    assert result.dtype == torch.float32 and not result.requires_grad
    assert torch.equal(result, X.detach().float().permute(0, 3, 1, 2))


def test_tensors_stay_on_their_device():
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for X in (torch.rand(2, 3, 8, 8), torch.zeros(2, 3, 8, 8, dtype=torch.int64)):
        result = arrange_images(X.to(device), "X")
        assert isinstance(result, torch.Tensor) and result.device.type == device


def test_list_of_tensors():
    X = list(torch.rand(2, 3, 8, 8).requires_grad_())
    assert torch.equal(arrange_images(X, "X"), torch.stack(X).detach())


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_not_finite(value):
    X = RNG.uniform(size=(2, 3, 8, 8))
    X[1, 2, 3, 4] = value
    for given in (X, torch.from_numpy(X)):
        with pytest.raises(ValueError, match=r"Input X_target contains (NaN|infinity)"):
            arrange_images(given, "X_target")


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((2, 3, 8, 8), dtype=complex),
        torch.zeros((2, 3, 8, 8), dtype=torch.complex64),
        np.zeros((2, 3, 8, 8), dtype=object),
        np.zeros((2, 3, 8, 8), dtype=str),
        np.zeros((2, 3, 8, 8), dtype="datetime64[s]"),
    ],
    ids=lambda X: str(X.dtype),
)
def test_other_types(X):
    with pytest.raises(ValueError, match=r"X is an array of images of type .*; pass uint8"):
        arrange_images(X, "X")


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((2, 3)), "X has 2 dimensions, but images are"),
        (torch.zeros(2, 3, 4, 5, 6), "X has 5 dimensions, but images are"),
        (np.zeros((0, 3, 8, 8)), "X holds no images"),
        (torch.zeros(0, 3, 8, 8), "X holds no images"),
        (np.zeros((2, 3, 0, 8)), "X holds images without pixels"),
        (np.zeros((64, 48, 3)), r"looks like one picture of 3 channels; pass X\[None\]"),
        ([np.zeros((3, 8, 8)), np.zeros((3, 8, 9))], "X is no array of images of one shape"),
        ([torch.zeros(3, 8, 8), torch.zeros(3, 8, 9)], "X is no array of images of one shape"),
        (np.ma.masked_equal(np.zeros((2, 3, 8, 8)), 0), "some values are masked"),
        (torch.zeros(2, 3, 8, 8).to_sparse(), "X is a sparse tensor"),
    ],
    ids=lambda value: None if isinstance(value, str) else "X",
)
def test_no_images(X, message):
    with pytest.raises(ValueError, match=message):
        arrange_images(X, "X")


# -- memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(3, 16, 12), (16, 12, 3)], ids=str)
def test_memory_maps_stay_memory_maps(tmp_path, dtype, shape):
    X = pixels(*shape).astype(dtype)
    np.save(tmp_path / "images.npy", X)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    result = arrange_images(mapped, "X")
    assert isinstance(result, np.memmap) and np.shares_memory(result, mapped)
    np.testing.assert_array_equal(result, arrange_images(X, "X"))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_arrays_are_not_copied(dtype):
    for shape in [(3, 16, 12), (16, 12, 3), (16, 12)]:
        X = pixels(*shape).astype(dtype)
        assert np.shares_memory(arrange_images(X, "X"), X)
        tensor = torch.from_numpy(X)
        assert arrange_images(tensor, "X").data_ptr() == tensor.data_ptr()


def test_map_of_16_bits(tmp_path):
    X = RNG.randint(65536, size=(2, 16, 12, 3)).astype(np.uint16)
    np.save(tmp_path / "images.npy", X)
    result = arrange_images(np.load(tmp_path / "images.npy", mmap_mode="r"), "X")
    np.testing.assert_array_equal(result, np.rint(X / 257))
