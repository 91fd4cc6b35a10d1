import numpy as np
import pytest
from sklearn.datasets import load_digits

from skda.datasets import load_shifted_digits


def test_halves_are_disjoint_and_complete():
    digits = load_shifted_digits(angle=0, noise=0, random_state=0)
    rows = np.vstack([digits.X, digits.X_target])
    original = (load_digits().data / 16).astype(np.float32)
    np.testing.assert_array_equal(rows[np.lexsort(rows.T)], original[np.lexsort(original.T)])


def test_labels_belong_to_their_rows():
    digits = load_shifted_digits(angle=0, noise=0, random_state=3)
    data = load_digits()
    labels = {row.tobytes(): label for row, label in zip(data.data, data.target, strict=True)}
    for X, y in ((digits.X, digits.y), (digits.X_target, digits.y_target)):
        found = [labels[(row * 16).astype(np.float64).tobytes()] for row in X]
        np.testing.assert_array_equal(found, y)


def test_turned_counter_clockwise():
    upright = load_shifted_digits(angle=0, noise=0, random_state=0, as_images=True)
    turned = load_shifted_digits(angle=90, noise=0, random_state=0, as_images=True)
    np.testing.assert_allclose(turned.X_target, np.rot90(upright.X_target, axes=(2, 3)), atol=1e-6)
    np.testing.assert_array_equal(turned.X, upright.X)


def test_noise_has_its_standard_deviation():
    clean, noisy = (load_shifted_digits(noise=n, random_state=0) for n in (0, 0.2))
    assert np.std(noisy.X_target - clean.X_target) == pytest.approx(0.2, rel=0.02)


def test_images_are_the_same_rows():
    flat, images = (load_shifted_digits(random_state=0, as_images=a) for a in (False, True))
    assert images.X.shape == (898, 1, 8, 8) and images.X.dtype == np.float32
    np.testing.assert_array_equal(images.X_target.reshape(-1, 64), flat.X_target)


def test_random_state_decides():
    first, same, other = (load_shifted_digits(random_state=s).X_target for s in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
