import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skda.adaptation import DANNClassifier
from skda.inspection import ClassSharesDisplay
from skda.metrics import class_shares

from .looks import check_look

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def arguments(digits):
    X, y = digits.X, digits.y
    clf = LogisticRegression(max_iter=200).fit(X[:300], y[:300])
    return clf, X[300:600], y[300:600], (X[600:700], X[700:800])


def test_bars_markers_and_intervals_are_the_shares(arguments):
    clf, X, y, (target, _) = arguments
    result = class_shares(clf, X, y, target, n_bootstraps=10, random_state=0)
    truth = np.full(10, 0.1)
    display = ClassSharesDisplay.from_estimator(
        clf, X, y, target, n_bootstraps=10, random_state=0, true_shares=truth
    )
    bars = [bar.get_width() for bar in display.lines_["source"]]
    np.testing.assert_allclose(bars, result.source_shares)
    line, _, (intervals,) = display.lines_["target"]
    np.testing.assert_allclose(line.get_xdata(), result.shares)
    ends = np.array([segment[:, 0] for segment in intervals.get_segments()])
    np.testing.assert_allclose(ends[:, 0], np.minimum(result.lower, result.shares))
    np.testing.assert_allclose(ends[:, 1], np.maximum(result.upper, result.shares))
    assert np.asarray(display.lines_["truth"].get_offsets())[:, 0].tolist() == truth.tolist()


def test_several_targets(arguments):
    result = class_shares(*arguments, n_bootstraps=None)
    display = ClassSharesDisplay.from_shares(result)
    for number in (0, 1):
        line = display.lines_[f"target {number}"][0]
        assert line.get_xdata().tolist() == result.shares[number].tolist()
    rows = [display.lines_[f"target {n}"][0].get_ydata()[0] for n in (0, 1)]
    assert rows[0] != rows[1]
    assert len({display.lines_[f"target {n}"][0].get_marker() for n in (0, 1)}) == 2


def test_history_of_a_training(few):
    clf = DANNClassifier(max_epochs=2, target_shares="estimate", random_state=0)
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    display = ClassSharesDisplay.from_history(clf)
    assert list(display.lines_) == clf.classes_.tolist()
    lines = np.array([line.get_ydata() for line in display.lines_.values()])
    np.testing.assert_array_equal(lines.T, clf.history_[:, "target_shares"])


def test_target_of_the_epochs():
    epochs = np.array([[[0.5, 0.5], [0.9, 0.1]], [[0.4, 0.6], [0.8, 0.2]]])
    display = ClassSharesDisplay(classes=["a", "b"], shares=epochs[-1], epoch_shares=epochs)
    assert display.plot_epochs(target=1).lines_["a"].get_ydata().tolist() == [0.9, 0.8]
    with pytest.raises(ValueError, match="target=2, but there are the targets 0 to 1"):
        display.plot_epochs(target=2)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"classes": ["a"]}, "classes must have one entry for each of the 2 rows of shares"),
        ({"lower": [0, 0]}, "lower and upper: give both"),
        ({"lower": [0, 0], "upper": [1]}, r"upper must be a list of numbers of the shape \(2\)"),
        ({"source_shares": [1.0]}, "source_shares must be"),
        ({"true_shares": [[0.5, 0.5]]}, "true_shares must be"),
        ({"epoch_shares": [[1.0]]}, "epoch_shares must be shares for each epoch"),
        ({"shares": 0.5}, "shares must have the shape"),
    ],
    ids=str,
)
def test_bad_input(change, message):
    with pytest.raises(ValueError, match=message):
        ClassSharesDisplay(**{"classes": ["a", "b"], "shares": [0.3, 0.7], **change})


def test_nothing_to_show(few):
    clf = DANNClassifier(max_epochs=1).fit(few["X"], few["y"], X_target=few["X_target"])
    with pytest.raises(ValueError, match="estimator was fitted without target_shares"):
        ClassSharesDisplay.from_history(clf)
    with pytest.raises(ValueError, match="no shares by epoch"):
        ClassSharesDisplay(classes=["a"], shares=[1.0]).plot_epochs()
    with pytest.raises(TypeError, match="result must be what skda"):
        ClassSharesDisplay.from_shares([0.3, 0.7])


SHARES = {
    "classes": ["cat", "dog", "cow"],
    "shares": [0.6, 0.3, 0.1],
    "lower": [0.5, 0.2, 0.02],
    "upper": [0.7, 0.4, 0.2],
    "source_shares": [0.3, 0.3, 0.4],
    "true_shares": [0.55, 0.35, 0.1],
}


def test_look():
    check_look(ClassSharesDisplay(**SHARES).plot().figure_, "class_shares")


def test_look_by_epoch():
    steps = np.linspace(0, 1, 12)[:, None]
    epochs = (1 - steps) / 3 + steps * np.array(SHARES["shares"])
    display = ClassSharesDisplay(**SHARES, epoch_shares=epochs)
    check_look(display.plot_epochs().figure_, "class_shares_by_epoch")
