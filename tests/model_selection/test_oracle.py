import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skda.exceptions import TargetLabelWarning
from skda.model_selection import TargetAccuracyScorer


@pytest.fixture
def clf(few):
    return LogisticRegression().fit(few["X"], few["y"])


def test_it_is_the_accuracy_and_says_that_it_cheats(clf, few):
    scorer = TargetAccuracyScorer(few["y_target"])
    with pytest.warns(TargetLabelWarning, match="for benchmarks only"):
        score = scorer(clf, None, X_target=few["X_target"])
    assert score == clf.score(few["X_target"], few["y_target"])


@pytest.mark.filterwarnings("ignore::skda.exceptions.TargetLabelWarning")
def test_several_targets(clf, few):
    cuts = slice(None, 30), slice(30, None)
    X_target, y_target = (tuple(few[f"{n}_target"][cut] for cut in cuts) for n in "Xy")
    score = TargetAccuracyScorer(y_target)(clf, None, X_target=X_target)
    assert score == clf.score(few["X_target"], few["y_target"])


@pytest.mark.filterwarnings("ignore::skda.exceptions.TargetLabelWarning")
@pytest.mark.parametrize("y_target", [np.zeros(3), (np.zeros(75), np.zeros(75))])
def test_labels_of_other_rows(clf, few, y_target):
    with pytest.raises(ValueError, match=r"y_target holds .* labels for domains of"):
        TargetAccuracyScorer(y_target)(clf, None, X_target=few["X_target"])
