"""Data sets and loaders of torch as rows and labels."""

import numpy as np
import pytest
import torch
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
)

from skda.adaptation import DeepCORALClassifier
from skda.exceptions import NoTargetWarning
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier
from skda.rows import RowReader, labels_of

rng = np.random.default_rng(0)
X = rng.normal(size=(24, 6)).astype(np.float32)
Y = np.arange(24) % 3


class Pairs(Dataset):
    """Rows and labels, counted when they are read."""

    def __init__(self, X=X, y=Y):
        self.X, self.y, self.n_reads = X, y, 0

    def __len__(self):
        return len(self.X)

    def __getitem__(self, number):
        self.n_reads += 1
        return torch.as_tensor(self.X[number]), int(self.y[number])


class Changed(TensorDataset):
    """A data set of tensors that changes them on their way."""

    def __getitem__(self, number):
        row, label = super().__getitem__(number)
        return 2 * row, 1 - label


class Stream(IterableDataset):
    def __iter__(self):
        yield from zip(X, Y, strict=True)


def quick(cls=DeepCORALClassifier, **params):
    return cls(max_epochs=2, batch_size=8, random_state=0, **params)


DATA = {
    "tensors": TensorDataset(torch.as_tensor(X), torch.as_tensor(Y)),
    "subset": Subset(
        TensorDataset(torch.as_tensor(np.repeat(X, 2, axis=0)), torch.as_tensor(np.repeat(Y, 2))),
        range(0, 48, 2),
    ),
    "pairs": Pairs(),
    "subset of pairs": Subset(Pairs(X[::-1].copy(), Y[::-1].copy()), range(23, -1, -1)),
    "parts": ConcatDataset([Pairs(X[:10], Y[:10]), Pairs(X[10:], Y[10:])]),
    "loader": DataLoader(TensorDataset(torch.as_tensor(X), torch.as_tensor(Y)), shuffle=True),
}


@pytest.mark.parametrize("name", DATA)
def test_a_data_set_trains_like_its_arrays(name):
    expected = quick().fit(X, Y, X_target=X + 1)
    target = TensorDataset(torch.as_tensor(X + 1), torch.full((24,), 99))
    clf = quick().fit(DATA[name], None, X_target=target)
    np.testing.assert_array_equal(clf.predict_proba(X), expected.predict_proba(X))
    np.testing.assert_array_equal(clf.predict_proba(DATA[name]), expected.predict_proba(X))


def test_labels_of_the_target_are_never_read():
    class Sealed(Pairs):
        def __getitem__(self, number):
            return torch.as_tensor(self.X[number]), pytest.fail

    clf = quick().fit(X, Y, X_target=Sealed())
    np.testing.assert_array_equal(clf.classes_, [0, 1, 2])


def test_labels_are_asked_for_where_there_are_none():
    with pytest.raises(ValueError, match=r"y is None, .* it has none"):
        quick(FineTuneClassifier).fit(TensorDataset(torch.as_tensor(X)), None)


def test_labels_given_beside_a_data_set_count():
    clf = quick(FineTuneClassifier).fit(Pairs(), np.where(Y == 0, "a", "b"))
    assert set(clf.predict(Pairs())) <= {"a", "b"}


def test_labels_of_targets_attribute_need_no_rows():
    data = Pairs()
    data.targets = Y.tolist()
    np.testing.assert_array_equal(labels_of(data), Y)
    assert data.n_reads == 2  # its ends, to see that they agree


def test_labels_that_items_change_are_those_of_the_items(tmp_path):
    data = Pairs()
    data.targets = (Y + 1).tolist()
    np.testing.assert_array_equal(labels_of(data), Y)
    data.targets, data.target_transform = Y.tolist(), str
    assert labels_of(data).tolist() == Y.tolist() and data.n_reads > 26


def test_rows_are_read_when_they_are_needed():
    data = Pairs()
    rows = RowReader().read(data).values
    assert data.n_reads == 1
    np.testing.assert_array_equal(rows[np.array([3, 0])], X[[3, 0]])
    assert data.n_reads == 3


def test_threads_read_the_same_rows():
    rows = RowReader(n_jobs=3).read(Pairs()).values
    np.testing.assert_array_equal(rows[:], X)


def test_a_row_of_another_shape():
    class Ragged(Pairs):
        def __getitem__(self, number):
            return torch.zeros(6 + (number == 5)), 0

    with pytest.raises(ValueError, match=r"X\[5\] has shape \(7,\), but the first row has"):
        quick(FineTuneClassifier).fit(Ragged(), Y)


def test_a_row_with_nan():
    rows = RowReader().read(Pairs(np.where(np.arange(24)[:, None] == 4, np.nan, X)), "X_target")
    with pytest.raises(ValueError, match=r"X_target\[4\] contains NaN"):
        rows.values[:]


def test_iterable_data_is_predicted_and_transformed():
    clf = quick().fit(X, Y, X_target=X + 1)
    extractor = DeepFeatureExtractor(batch_size=5, random_state=0).fit(X)
    for data in (Stream(), DataLoader(Stream(), batch_size=3)):
        np.testing.assert_allclose(clf.predict_proba(data), clf.predict_proba(X), atol=1e-6)
        np.testing.assert_allclose(clf.transform(data), clf.transform(X), atol=1e-6)
        np.testing.assert_allclose(extractor.transform(data), extractor.transform(X), atol=1e-6)


@pytest.mark.parametrize("name", ["X", "X_target"])
def test_iterable_data_does_not_train(name):
    data = {"X": X, "X_target": X, name: Stream()}
    with pytest.raises(TypeError, match=f"{name} is a Stream, whose rows come in one order only"):
        quick().fit(data["X"], Y, X_target=data["X_target"])


def test_a_loader_with_batches_of_its_own():
    loader = DataLoader(Pairs(), collate_fn=lambda items: items)
    with pytest.raises(TypeError, match="collate_fn of its own"):
        quick().fit(loader, None, X_target=X)


def test_an_empty_data_set():
    with pytest.raises(ValueError, match="X is a TensorDataset with 0 rows"):
        quick().fit(TensorDataset(torch.zeros(0, 6), torch.zeros(0)), None, X_target=X)


def test_image_folder(tmp_path):
    torchvision = pytest.importorskip("torchvision")
    from PIL import Image

    for name, grey in (("bright", 200), ("dark", 30)):
        (tmp_path / name).mkdir()
        for number in range(6):
            pixels = np.full((12, 12, 3), grey + number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    folder = torchvision.datasets.ImageFolder(tmp_path)
    paths = [path for path, _ in folder.samples]
    with pytest.warns(NoTargetWarning):
        clf = quick().fit(folder, None)
        expected = quick().fit(paths, folder.targets)
    np.testing.assert_array_equal(clf.predict_proba(folder), expected.predict_proba(paths))
    to_tensor = torchvision.transforms.ToTensor()
    tensors = torchvision.datasets.ImageFolder(tmp_path, transform=to_tensor)
    np.testing.assert_array_equal(clf.predict_proba(tensors), expected.predict_proba(paths))


def test_hugging_face_data(tmp_path):
    pytest.importorskip("datasets.arrow_dataset")  # a folder of the tests has its short name
    import datasets

    pytest.importorskip("PIL")
    from PIL import Image

    pictures = [Image.fromarray(np.full((9, 9, 3), 20 * n, np.uint8)) for n in range(8)]
    data = datasets.Dataset.from_dict(
        {"image": pictures, "label": [0, 1] * 4},
        features=datasets.Features(
            {"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])}
        ),
    )
    clf = quick(FineTuneClassifier).fit(data, None)
    expected = quick(FineTuneClassifier).fit(pictures, [0, 1] * 4)
    np.testing.assert_array_equal(clf.predict_proba(data), expected.predict_proba(pictures))
    ambiguous = datasets.Dataset.from_dict({"a": ["x"] * 4, "b": ["y"] * 4})
    with pytest.raises(TypeError, match="select_columns"):
        quick(FineTuneClassifier).fit(ambiguous, [0, 1] * 2)


def test_pixels_of_a_data_set_may_have_channels_first():
    pytest.importorskip("PIL")
    pixels = rng.integers(256, size=(8, 3, 10, 12)).astype(np.uint8)
    clf = quick(FineTuneClassifier).fit(Pairs(pixels, Y[:8]), None)
    expected = quick(FineTuneClassifier).fit(pixels, Y[:8])
    assert clf.input_shape_ == (3, 10, 12)
    np.testing.assert_allclose(clf.predict_proba(pixels), expected.predict_proba(pixels), atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"sampler": SubsetRandomSampler(range(5))},
        {"sampler": RandomSampler(range(24), replacement=True)},
        {"batch_sampler": [[0, 1], [2, 3]]},
    ],
)
def test_a_loader_that_does_not_draw_every_row_once(options):
    loader = DataLoader(Pairs(), **options)
    for X_given, X_target in ((loader, X), (X, loader)):
        with pytest.raises(TypeError, match=r"DataLoader with a sampler of its own .*Subset"):
            quick().fit(X_given, Y, X_target=X_target)


def test_a_data_set_of_tensors_that_changes_them():
    data = Changed(torch.as_tensor(X), torch.as_tensor(Y % 2))
    np.testing.assert_array_equal(RowReader().read(data).values[:], 2 * X)
    np.testing.assert_array_equal(labels_of(data), 1 - Y % 2)


PIXELS = rng.integers(256, size=(8, 10, 12, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        lambda pixels: pixels.transpose(0, 3, 1, 2).astype(np.int64),
        lambda pixels: pixels.astype(np.uint16) * 257,
        lambda pixels: pixels.astype(np.float32) / 255,
        lambda pixels: pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255,
    ],
)
def test_images_of_a_data_set_are_read_as_those_of_an_array(change):
    pytest.importorskip("PIL")
    clf = quick(FineTuneClassifier).fit(PIXELS, Y[:8])
    items, array = Pairs(change(PIXELS), Y[:8]), change(PIXELS)
    np.testing.assert_allclose(clf.predict_proba(items), clf.predict_proba(array), atol=1e-5)


def test_floats_of_a_data_set_that_are_out_of_range():
    pytest.importorskip("PIL")
    clf = quick(FineTuneClassifier).fit(PIXELS, Y[:8])
    with pytest.warns(UserWarning, match="float images with values"):
        clf.predict(Pairs(PIXELS.astype(np.float32), Y[:8]))


def test_items_of_two_types():
    class Mixed(Pairs):
        def __getitem__(self, number):
            row = torch.zeros(6) if number == 0 else torch.zeros(6, dtype=torch.uint8)
            return row, 0

    with pytest.raises(ValueError, match=r"X\[\d+\] holds torch.uint8, but the first row"):
        quick(FineTuneClassifier).fit(Mixed(), Y)


def test_items_of_three_things():
    data = TensorDataset(torch.as_tensor(X), torch.as_tensor(X), torch.as_tensor(Y))
    with pytest.raises(ValueError, match="it holds 3 tensors"):
        quick(FineTuneClassifier).fit(data, None)


def test_transforms_of_hugging_face_data():
    pytest.importorskip("datasets.arrow_dataset")  # a folder of the tests has its short name
    import datasets

    def double(batch):
        return {"x": [2 * np.asarray(row) for row in batch["x"]], "label": batch["label"]}

    data = datasets.Dataset.from_dict({"x": X.tolist(), "label": Y.tolist()}).with_transform(double)
    np.testing.assert_allclose(RowReader().read(data).values[:], 2 * X, rtol=1e-6)


def test_labels_of_iterable_data_are_to_be_passed():
    clf = quick().fit(X, Y, X_target=X)
    with pytest.raises(TypeError, match="its labels would be gone"):
        clf.score(Stream(), None)


def test_items_by_name_of_iterable_data():
    class Named(IterableDataset):
        def __iter__(self):
            for row, label in zip(X, Y, strict=True):
                yield {"x": row, "label": label}

    class TwoNames(IterableDataset):
        def __iter__(self):
            yield {"x": X[0], "z": X[0]}

    clf = quick().fit(X, Y, X_target=X)
    np.testing.assert_allclose(clf.predict_proba(Named()), clf.predict_proba(X), atol=1e-6)
    with pytest.raises(TypeError, match="select_columns"):
        clf.predict(TwoNames())
