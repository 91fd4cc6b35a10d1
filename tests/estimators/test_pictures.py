"""Pictures on their way into a training: read rightly, decoded once, left out where unreadable."""

import numpy as np
import pytest
import torch

from skda.adaptation import DANNClassifier, DeepCORALClassifier
from skda.exceptions import NoTargetWarning
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier

Image = pytest.importorskip("PIL.Image")

rng = np.random.default_rng(0)
PIXELS = rng.integers(256, size=(24, 12, 12, 3)).astype(np.uint8)
Y = np.arange(24) % 2
TARGET = 255 - PIXELS


def quick(cls=DeepCORALClassifier, **params):
    return cls(**{"max_epochs": 3, "batch_size": 8, "random_state": 0, **params})


def write(folder, pixels, suffix="png"):
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number:02}.{suffix}" for number in range(len(pixels))]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image).save(path)
    return paths


@pytest.fixture
def paths(tmp_path):
    return write(tmp_path / "source", PIXELS)


@pytest.fixture
def target_paths(tmp_path):
    return write(tmp_path / "target", TARGET)


@pytest.fixture
def n_decoded(monkeypatch):
    import skda.images._rows as rows

    read, counts = rows.read_image, {}

    def spy(item, *args, **kwargs):
        counts[str(item)] = counts.get(str(item), 0) + 1
        return read(item, *args, **kwargs)

    monkeypatch.setattr(rows, "read_image", spy)
    return counts


@pytest.mark.parametrize("cls", [DeepCORALClassifier, DANNClassifier])
def test_every_file_is_decoded_once_in_a_training(cls, paths, target_paths, n_decoded):
    quick(cls, max_epochs=5).fit(paths, Y, X_target=target_paths)
    assert set(n_decoded) == {*map(str, paths), *map(str, target_paths)}
    assert max(n_decoded.values()) == 1


def test_the_store_changes_no_result(paths, target_paths, tmp_path):
    fitted = [
        quick(image_store=store, n_jobs=n_jobs).fit(paths, Y, X_target=target_paths)
        for store, n_jobs in (("auto", None), (None, None), (tmp_path / "store", 2))
    ]
    first, *others = (clf.predict_proba(target_paths) for clf in fitted)
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_files_in_a_store_are_not_decoded_by_another_fit(paths, tmp_path, n_decoded):
    for _ in range(2):
        with pytest.warns(NoTargetWarning):
            quick(image_store=tmp_path / "store").fit(paths, Y)
    # The first one tells the shape of all.
    assert sorted(n_decoded.values())[:-1] == [1] * 23


def test_a_source_of_files_and_a_target_of_pixels(paths, target_paths):
    clf = quick().fit(paths, Y, X_target=TARGET)
    expected = quick().fit(paths, Y, X_target=target_paths)
    np.testing.assert_array_equal(clf.predict_proba(TARGET), expected.predict_proba(target_paths))


def test_unreadable_files_stop_a_training_with_their_name(paths):
    paths[5].write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"X\[5\].*05\.png"):
        quick().fit(paths, Y, X_target=TARGET)


def test_unreadable_files_are_left_out_with_their_labels(paths, target_paths):
    paths[0].write_bytes(b"no picture")
    paths[5].unlink()
    target_paths[3].write_bytes(target_paths[3].read_bytes()[:60])
    with pytest.warns(UserWarning) as warnings:
        clf = quick(on_error="drop").fit(paths, list(map(str, Y)), X_target=target_paths)
    messages = [str(warning.message) for warning in warnings]
    assert any(message.startswith("2 of 24 images of X could not be read") for message in messages)
    assert any(message.startswith("1 of 24 images of X_target could") for message in messages)
    kept = np.setdiff1d(np.arange(24), [0, 5])
    expected = quick().fit(
        [paths[number] for number in kept],
        [str(Y[number]) for number in kept],
        X_target=[path for number, path in enumerate(target_paths) if number != 3],
    )
    rest = [paths[number] for number in kept]
    np.testing.assert_array_equal(clf.predict_proba(rest), expected.predict_proba(rest))


def test_labels_of_unreadable_target_files_go_with_them(paths, target_paths):
    labels = np.full(24, -1)
    labels[[3, 4, 5]] = [1, 0, 1]
    target_paths[3].write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="1 of 24 images of X_target"):
        clf = quick(on_error="drop").fit(paths, Y, X_target=target_paths, y_target=labels)
    kept = np.setdiff1d(np.arange(24), [3])
    expected = quick().fit(
        paths, Y, X_target=[target_paths[number] for number in kept], y_target=labels[kept]
    )
    np.testing.assert_array_equal(clf.predict_proba(paths), expected.predict_proba(paths))


def test_fewer_labels_than_files_of_which_some_are_left_out(paths):
    paths[0].write_bytes(b"no picture")
    with (
        pytest.warns(UserWarning, match="could not be read"),
        pytest.raises(ValueError, match="y has 23 labels for the 24 images"),
    ):
        quick(FineTuneClassifier, on_error="drop").fit(paths, Y[1:])


def test_prediction_never_leaves_rows_out(paths):
    clf = quick(on_error="drop").fit(paths, Y, X_target=TARGET)
    paths[5].write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"X\[5\].*05\.png"):
        clf.predict(paths)


@pytest.mark.parametrize("n_jobs", [None, 3])
def test_threads_that_predict_change_nothing(paths, n_jobs):
    clf = quick(n_jobs=n_jobs, iterator_valid__batch_size=5).fit(PIXELS, Y, X_target=TARGET)
    np.testing.assert_allclose(clf.predict_proba(paths), clf.predict_proba(PIXELS), atol=1e-5)


def test_augmentation_of_each_domain(paths):
    seen = {"source": 0, "target": 0}

    def count(domain):
        def augment(images):
            assert images.shape[1:] == (3, 12, 12) and images.is_floating_point()
            seen[domain] += len(images)
            return images.flip(3)

        return augment

    clf = quick(max_epochs=1, augment={name: count(name) for name in seen})
    clf.fit(paths, Y, X_target=TARGET)
    assert seen == {"source": 24, "target": 24}
    clf.predict(paths)
    assert seen == {"source": 24, "target": 24}
    plain = quick(max_epochs=1).fit(paths, Y, X_target=TARGET)
    assert np.any(clf.predict_proba(paths) != plain.predict_proba(paths))


def test_transforms_of_torchvision_are_augmentations():
    v2 = pytest.importorskip("torchvision.transforms.v2")
    transform = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomCrop(12, padding=2)])
    first, second = (
        quick(augment=transform).fit(PIXELS, Y, X_target=TARGET).predict_proba(PIXELS)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    "arrange",
    [
        lambda pixels: pixels.transpose(0, 3, 1, 2),
        lambda pixels: pixels.astype(np.uint16) * 257,
        lambda pixels: pixels.astype(np.int64),
        lambda pixels: pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255,
        lambda pixels: pixels.astype(np.float16) / 255,
        lambda pixels: list(pixels),
    ],
)
def test_layouts_and_types_of_arrays(arrange):
    clf = quick().fit(PIXELS, Y, X_target=TARGET)
    np.testing.assert_allclose(
        clf.predict_proba(arrange(PIXELS)), clf.predict_proba(PIXELS), atol=5e-3
    )


def test_floats_of_another_range_than_in_fit_are_warned_of():
    clf = quick().fit(PIXELS, Y, X_target=TARGET)
    with pytest.warns(UserWarning, match=r"255.*\[?0"):
        clf.predict(PIXELS.astype(np.float32))


@pytest.mark.parametrize("cls", [FineTuneClassifier, DeepFeatureExtractor])
def test_files_before_a_network_of_one_channel(cls, paths):
    pytest.importorskip("timm")
    network = cls(module="timm/resnet10t", weights=None, module__in_chans=1, random_state=0)
    if cls is FineTuneClassifier:
        network.set_params(max_epochs=1)
    network.fit(paths[:4], Y[:4])
    assert network.input_shape_[0] == 1
    grey = [Image.open(path).convert("L") for path in paths[:4]]
    np.testing.assert_array_equal(network.transform(grey), network.transform(paths[:4]))


def test_images_that_are_far_too_large_for_the_default_network():
    with pytest.raises(ValueError, match=r"3000 x 3000.*preprocess"):
        FineTuneClassifier().fit(np.zeros((2, 3000, 3000, 3), np.uint8), [0, 1])


def test_pixels_after_a_fit_on_floats_of_another_range_are_warned_of(paths):
    floats = PIXELS.astype(np.float32)
    clf = quick().fit(floats, Y, X_target=floats)
    for pictures in (PIXELS, paths):
        with pytest.warns(
            UserWarning, match=r"come to the network in \[0, 1\], but fit had floats"
        ):
            clf.predict(pictures)
    with pytest.warns(UserWarning, match="X_target holds pixels"):
        quick().fit(floats, Y, X_target=paths)


def test_floats_that_were_never_normalised_are_warned_of():
    extractor = DeepFeatureExtractor(preprocess={"size": 12}, random_state=0).fit(list(PIXELS))
    with pytest.warns(UserWarning, match="float images with values from 0"):
        extractor.transform(PIXELS / 255)


def test_a_range_of_values_holds_for_arrays_as_for_files(tmp_path):
    deep = rng.integers(4096, size=(24, 12, 12)).astype(np.uint16)
    options = {"image_reading": {"value_range": (0, 4095), "n_channels": 1}}
    clf = quick(**options).fit(deep, Y, X_target=deep)
    files = [Image.fromarray(picture) for picture in deep]
    np.testing.assert_allclose(clf.predict_proba(files), clf.predict_proba(deep), atol=1e-5)
    assert clf.predict_proba(deep).std() > 0


def test_a_fitted_estimator_passes_on_how_it_reads_pictures():
    clear = np.concatenate([PIXELS, np.full((24, 12, 12, 1), 90, np.uint8)], axis=3)
    pictures = [Image.fromarray(picture) for picture in clear]
    clf = quick(image_reading={"background": 0}).fit(pictures, Y, X_target=pictures)
    features = DeepFeatureExtractor(clf).fit(pictures).transform(pictures)
    np.testing.assert_allclose(features, clf.transform(pictures), atol=1e-5)


def test_pixels_as_source_and_files_as_target(paths, target_paths):
    clf = quick().fit(PIXELS, Y, X_target=target_paths)
    expected = quick().fit(PIXELS, Y, X_target=TARGET)
    np.testing.assert_array_equal(clf.predict_proba(PIXELS), expected.predict_proba(PIXELS))


def test_grey_pixels_for_a_network_of_colours(paths):
    grey = rng.integers(256, size=(24, 12, 12)).astype(np.uint8)
    clf = quick().fit(paths, Y, X_target=grey)
    pictures = [Image.fromarray(picture) for picture in grey]
    np.testing.assert_array_equal(clf.predict_proba(grey), clf.predict_proba(pictures))


def test_the_options_of_reading_hold_when_nothing_is_kept(tmp_path):
    frames = [Image.fromarray(picture) for picture in PIXELS[:2]]
    path = tmp_path / "two.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    options = {"on_error": "drop", "image_store": None, "image_reading": {"frame": 0}}
    clf = quick(FineTuneClassifier, **options)
    clf.fit([path, *frames, path], [0, 1, 0, 1])


def test_unreadable_files_of_the_target_are_called_so(paths, target_paths):
    target_paths[4].write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"X_target\[4\].*04\.png"):
        quick().fit(paths, Y, X_target=target_paths)


def test_unreadable_files_are_left_out_of_a_partial_fit(paths):
    paths[5].write_bytes(b"no picture")
    clf = quick(FineTuneClassifier, on_error="drop")
    for _ in range(2):
        with pytest.warns(UserWarning, match="1 of 24 images"):
            clf.partial_fit(paths, Y, classes=[0, 1])


def test_files_after_a_fit_on_grey_arrays():
    grey = rng.integers(256, size=(24, 12, 12)).astype(np.uint8)
    clf = quick().fit(grey, Y, X_target=255 - grey)
    pictures = [Image.fromarray(picture) for picture in grey]
    np.testing.assert_allclose(clf.predict_proba(pictures), clf.predict_proba(grey), atol=1e-5)


def test_tensors_of_pixels_are_not_warned_of(recwarn):
    extractor = DeepFeatureExtractor(random_state=0).fit(torch.as_tensor(PIXELS))
    extractor.transform(torch.as_tensor(PIXELS))
    assert not [warning for warning in recwarn if "pixels" in str(warning.message)]
