import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline as make_plain_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

from skda import make_pipeline
from skda.adaptation import DeepCORALClassifier
from skda.model_selection import RankMeScorer
from skda.model_selection._representations import features_of

SCORER = RankMeScorer()


def rank(features):
    return SCORER(LogisticRegression(), None, X_target=np.asarray(features))


@pytest.mark.parametrize("scale", [1, 1e-8])
def test_rank_of_orthonormal_rows(scale):
    rows, _ = np.linalg.qr(np.random.RandomState(0).randn(30, 6))
    assert rank(scale * rows.T) == pytest.approx(6, rel=1e-13)


def test_rank_of_multiples_of_one_row_is_one():
    assert rank(np.outer(np.arange(9.0), [1.0, 2, 3])) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("shape", [(20, 5), (5, 20)])
def test_rank_lies_within_its_bounds(shape):
    assert 1 < rank(np.random.RandomState(0).rand(*shape)) < 5


def test_no_features_at_all():
    assert rank(np.zeros((4, 3))) == 0


def test_order_of_rows_and_targets_does_not_matter():
    rows = np.random.RandomState(0).rand(20, 5)
    whole = rank(rows)
    assert rank(rows[::-1]) == pytest.approx(whole, rel=1e-12)
    assert SCORER(LogisticRegression(), None, X_target=(rows[:7], rows[7:])) == pytest.approx(
        whole, rel=1e-14
    )


def test_features_of_a_plain_classifier_are_its_inputs(few):
    clf = LinearSVC().fit(few["X"], few["y"])
    for model in (clf, make_plain_pipeline(clf)):
        np.testing.assert_array_equal(
            features_of(model, few["X_target"], "X_target"), few["X_target"]
        )


def test_features_of_a_pipeline_come_from_the_steps_before(few):
    pipe = make_plain_pipeline(StandardScaler(), PCA(5, random_state=0), LogisticRegression())
    pipe.fit(few["X"], few["y"])
    expected = pipe[:-1].transform(few["X_target"])
    np.testing.assert_array_equal(features_of(pipe, few["X_target"], "X_target"), expected)
    assert 1 < SCORER(pipe, None, X_target=few["X_target"]) <= 5


def test_features_of_a_deep_estimator_are_its_own(few, routing):
    clf = DeepCORALClassifier(max_epochs=1, random_state=0)
    pipe = make_pipeline(FunctionTransformer(), clf)
    pipe.fit(few["X"], few["y"], X_target=(few["X_target"],))
    expected = pipe[-1].transform(few["X_target"])
    for model in (pipe, pipe[-1]):
        np.testing.assert_array_equal(features_of(model, few["X_target"], "X_target"), expected)
