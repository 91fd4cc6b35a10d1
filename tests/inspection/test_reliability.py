"""The figure of reliability."""

import numpy as np
import pytest

from skda.inspection import ReliabilityDisplay
from skda.metrics import target_reliability

from .looks import check_look

pyplot = pytest.importorskip("matplotlib.pyplot")

PROBABILITIES = np.array([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4], [0.4, 0.6]])


@pytest.fixture(autouse=True)
def without_window():
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


class Fixed:
    """A classifier whose rows are its probabilities."""

    classes_ = np.array(["a", "b"])

    def predict_proba(self, X):
        return np.asarray(X)


def test_lines_are_the_bins():
    display = ReliabilityDisplay.from_arrays(
        PROBABILITIES, accuracy=0.6, target_labels=[0, 0, 0, 1], n_bins=5
    )
    for name, params in {
        "estimated": {"accuracy": 0.6},
        "labels": {"target_labels": [0, 0, 0, 1]},
    }.items():
        bins = target_reliability(PROBABILITIES, **params, n_bins=5)
        np.testing.assert_allclose(display.lines_[name].get_xdata(), bins.confidence)
        np.testing.assert_allclose(display.lines_[name].get_ydata(), bins.accuracy)
    assert display.figure_ is display.ax_.figure
    assert len(display.ax_.get_legend().get_texts()) == 2


def test_it_plots_where_it_is_told_to():
    _, ax = pyplot.subplots()
    display = ReliabilityDisplay.from_arrays(PROBABILITIES, accuracy=0.7, ax=ax)
    assert display.ax_ is ax
    assert list(display.lines_) == ["estimated"]


def test_labels_of_any_kind_stand_beside_the_estimate():
    display = ReliabilityDisplay.from_estimator(
        Fixed(), PROBABILITIES, list("abaa"), PROBABILITIES, list("aaab"), method="doc"
    )
    bins = target_reliability(PROBABILITIES, target_labels=[0, 0, 0, 1])
    np.testing.assert_allclose(display.lines_["labels"].get_ydata(), bins.accuracy)
    assert "estimated" in display.lines_


def test_errors_name_the_parameter():
    args = Fixed(), PROBABILITIES, list("abab"), PROBABILITIES
    with pytest.raises(ValueError, match="y_target must be"):
        ReliabilityDisplay.from_estimator(*args, list("aacc"), method="doc")
    with pytest.raises(ValueError, match="X_target holds 2 target domains"):
        ReliabilityDisplay.from_estimator(*args[:3], (PROBABILITIES, PROBABILITIES))
    with pytest.raises(ValueError, match="accuracy and target_labels"):
        ReliabilityDisplay.from_arrays(PROBABILITIES)


def test_look():
    sure = np.linspace(0.5, 1, 200)
    display = ReliabilityDisplay.from_arrays(
        np.stack([sure, 1 - sure], axis=1),
        accuracy=0.6,
        target_labels=np.arange(200) % 7 // 5,
        n_bins=20,
    )
    check_look(display.figure_, "reliability")
