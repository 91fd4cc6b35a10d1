import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold
from sklearn.svm import LinearSVC

from skda.model_selection import SourceSplit, TargetEntropyScorer


class Constant:
    def __init__(self, probabilities):
        self.probabilities = np.array(probabilities)

    def predict_proba(self, X):
        return np.tile(self.probabilities, (len(X), 1))


def test_entropy_of_certain_predictions_is_zero():
    assert TargetEntropyScorer()(Constant([0.0, 1.0]), None, X_target=np.zeros((5, 2))) == 0


def test_entropy_of_uniform_predictions():
    score = TargetEntropyScorer()(Constant([0.25] * 4), None, X_target=np.zeros((5, 2)))
    assert score == pytest.approx(-np.log(4))


def test_rows_of_several_targets_count_alike(few):
    clf = LogisticRegression().fit(few["X"], few["y"])
    X_target = few["X_target"]
    whole = TargetEntropyScorer()(clf, None, X_target=X_target)
    parts = TargetEntropyScorer()(clf, None, X_target=(X_target[:20], X_target[20:]))
    assert whole == pytest.approx(parts)


def test_order_of_rows_does_not_matter(few):
    clf = LogisticRegression().fit(few["X"], few["y"])
    scores = [TargetEntropyScorer()(clf, None, X_target=few["X_target"][::s]) for s in (1, -1)]
    assert scores[0] == pytest.approx(scores[1])


def test_missing_target_names_the_remedy():
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        TargetEntropyScorer()(Constant([1.0]), np.zeros((3, 1)))


def test_estimator_without_probabilities(few):
    clf = LinearSVC().fit(few["X"], few["y"])
    with pytest.raises(TypeError, match="predict_proba"):
        TargetEntropyScorer()(clf, None, X_target=few["X_target"])


@pytest.fixture
def stacked():
    rng = np.random.RandomState(0)
    order = rng.permutation(50)
    y = np.array([0, 1] * 15 + [-1] * 20, dtype=object)[order]
    sample_domain = np.array([1] * 30 + [-1] * 10 + [-2] * 10)[order]
    return np.zeros((50, 2)), y, sample_domain


@pytest.mark.parametrize("cv", [3, KFold(3, shuffle=True, random_state=0), StratifiedKFold(3)])
def test_target_rows_train_in_every_fold_and_are_never_tested(stacked, cv):
    X, y, sample_domain = stacked
    tested = []
    for train, test in SourceSplit(cv).split(X, y, sample_domain=sample_domain):
        assert set(np.flatnonzero(sample_domain < 0)) <= set(train)
        assert (sample_domain[test] > 0).all()
        assert len(train) + len(test) == 50 and not set(train) & set(test)
        tested.extend(test)
    assert sorted(tested) == np.flatnonzero(sample_domain > 0).tolist()


def test_folds_are_stratified(stacked):
    X, y, sample_domain = stacked
    for _, test in SourceSplit(3).split(X, y, sample_domain=sample_domain):
        assert sum(y[test] == 0) == sum(y[test] == 1) == 5


def test_groups_stand_in_for_the_domain(stacked):
    X, y, sample_domain = stacked
    by_groups = list(SourceSplit(3).split(X, y, sample_domain))
    by_name = list(SourceSplit(3).split(X, y, sample_domain=sample_domain))
    for (a, b), (c, d) in zip(by_groups, by_name, strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)


def test_groups_reach_the_inner_splitter(stacked):
    X, y, sample_domain = stacked
    groups = np.arange(50) % 6
    splitter = SourceSplit(GroupKFold(3))
    for train, test in splitter.split(X, y, groups, sample_domain=sample_domain):
        source = train[sample_domain[train] > 0]
        assert not set(groups[source]) & set(groups[test])


def test_number_of_folds():
    assert SourceSplit().get_n_splits() == 5 and SourceSplit(KFold(4)).get_n_splits() == 4


def test_missing_domain_names_the_remedy(stacked):
    with pytest.raises(ValueError, match="sample_domain"):
        next(SourceSplit().split(*stacked[:2]))


def test_no_source_row(stacked):
    X, y, _ = stacked
    with pytest.raises(ValueError, match="no source row"):
        next(SourceSplit().split(X, y, sample_domain=-np.ones(50)))
