"""Floats far from what a network was trained on."""

import warnings

import numpy as np
import pytest
import torch

from skda.images import ImagePreprocess, ImageRows, expected_range, warn_of_range


def test_expected_ranges():
    assert expected_range(None) == (0, 1)
    assert expected_range(lambda image: image) is None
    low, high = expected_range(ImagePreprocess())
    # The darkest and the brightest that a channel of ImageNet's can be.
    assert low == pytest.approx(-0.485 / 0.229) and high == pytest.approx((1 - 0.406) / 0.225)


def test_expected_range_holds_what_preprocessing_yields():
    pillow = pytest.importorskip("PIL.Image")
    preprocess = ImagePreprocess(size=8, mean=(0.1, 0.5, 0.9), std=(0.2, 0.3, 0.4))
    values = [preprocess(pillow.new("RGB", (8, 8), colour)) for colour in ("black", "white")]
    low, high = expected_range(preprocess)
    assert min(v.min() for v in values) == pytest.approx(low, abs=1e-6)
    assert max(v.max() for v in values) == pytest.approx(high, abs=1e-6)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize(("low", "high"), [(0, 255), (-1, 1), (0, 1.2), (-0.2, 0)])
def test_values_outside_warn(kind, low, high):
    X = np.linspace(low, high, 2 * 3 * 64, dtype=np.float32).reshape(2, 3, 8, 8)
    message = rf"X_target holds float images with values from {low:g} to {high:g}, but .* 0 to 1"
    with pytest.warns(UserWarning, match=message) as caught:
        warn_of_range(kind(X), (0, 1), "X_target")
    assert len(caught) == 1


@pytest.mark.parametrize(
    "X",
    [
        np.linspace(-0.05, 1.05, 192, dtype=np.float32).reshape(1, 3, 8, 8),
        np.full((1, 8, 8, 3), 200, dtype=np.uint8),
        torch.full((1, 8, 8, 3), 200, dtype=torch.uint8),
        ImageRows([], None, (3, 8, 8)),
        np.zeros((0, 3, 8, 8), dtype=np.float32),
    ],
    ids=["near", "uint8", "tensor", "rows", "empty"],
)
def test_nothing_to_say(X):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_range(X, (0, 1), "X")
        warn_of_range(np.full((1, 3, 8, 8), 200.0), None, "X")


def test_large_arrays_are_sampled():
    read = []

    class Spy(np.ndarray):
        def __getitem__(self, rows):
            result = super().__getitem__(rows)
            read.append(result.nbytes)
            return result

    # One picture that is there 300 times, 225 MiB in all.
    X = np.broadcast_to(np.full((1, 3, 256, 256), 200, np.float32), (300, 3, 256, 256)).view(Spy)
    with pytest.warns(UserWarning, match="200 to 200"):
        warn_of_range(X, (0, 1), "X")
    assert 0 < sum(read) <= 64 * 2**20
