import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, recall_score
from sklearn.neighbors import KNeighborsClassifier

from skda.inspection import AdaptationGainDisplay

from .looks import check_look

pytest.importorskip("matplotlib")


@pytest.fixture
def predictions():
    rng = np.random.RandomState(0)
    y_true = rng.choice(["cat", "dog", "cow"], 90, p=[0.6, 0.3, 0.1])
    before, after = (
        np.where(rng.rand(90) < p, y_true, rng.choice(["cat", "dog", "cow", "other"], 90))
        for p in (0.3, 0.7)
    )
    return y_true, before, after


def test_markers_are_recalls_and_the_accuracy(predictions):
    y_true, before, after = predictions
    display = AdaptationGainDisplay.from_predictions(y_true, before=before, after=after)
    assert display.classes.tolist() == ["cat", "cow", "dog"]
    for name, guess in (("before", before), ("after", after)):
        shown = display.lines_[name].get_xdata()
        wanted = recall_score(y_true, guess, labels=display.classes, average=None)
        np.testing.assert_allclose(shown[:-1], 100 * wanted)
        np.testing.assert_allclose(shown[-1], 100 * accuracy_score(y_true, guess))
    gained = display.lines_["after"].get_xdata() - display.lines_["before"].get_xdata()
    np.testing.assert_allclose(display.gain_, gained[:-1])


def test_names_and_gains_stand_at_the_rows(predictions):
    y_true, _, _ = predictions
    after = np.where(y_true == "cat", "dog", y_true)
    display = AdaptationGainDisplay.from_predictions(y_true, before=y_true, after=after)
    names = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert names == ["cat", "cow", "dog", "all rows"]
    share = round(100 * np.mean(y_true == "cat"))
    assert [text.get_text() for text in display.ax_.texts][:4] == ["-100", "0", "0", f"-{share}"]


def test_from_estimator(few):
    X, y = few["X"], few["y"]
    clf, reference = KNeighborsClassifier(1).fit(X, y), DummyClassifier().fit(X, y)
    display = AdaptationGainDisplay.from_estimator(clf, X, y, reference=reference)
    assert (display.after == 1).all() and display.before.sum() == 1


def test_into_given_axes(predictions):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    y_true, before, after = predictions
    display = AdaptationGainDisplay.from_predictions(y_true, before=before, after=after, ax=ax)
    assert display.ax_ is ax and display.plot() is display and display.ax_ is not ax


def test_bad_input(predictions, few):
    y_true, before, after = predictions
    with pytest.raises(ValueError, match="after must have one entry for each of the 90 rows"):
        AdaptationGainDisplay.from_predictions(y_true, before=before, after=after[:3])
    with pytest.raises(ValueError, match=r"before must be recalls in \[0, 1\]"):
        AdaptationGainDisplay(classes=["a"], before=[70.0], after=[0.8], n_samples=[3])
    clf = DummyClassifier().fit(few["X"], few["y"])
    with pytest.raises(TypeError, match="reference: str has no predict"):
        AdaptationGainDisplay.from_estimator(clf, few["X"], few["y"], reference="source only")
    with pytest.raises(ValueError, match="one entry for each of the 9 rows of y_target"):
        AdaptationGainDisplay.from_estimator(clf, few["X"], few["y"][:9], reference=clf)


def test_look():
    display = AdaptationGainDisplay(
        classes=["cat", "dog", "cow"],
        before=[0.4, 0.9, 0.5],
        after=[0.8, 0.7, 0.5],
        n_samples=[10, 10, 20],
    )
    check_look(display.plot().figure_, "adaptation_gain")
