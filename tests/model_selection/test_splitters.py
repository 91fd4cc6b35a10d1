import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from skda.model_selection import SourceSplit, StratifiedDomainShuffleSplit


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


@pytest.mark.parametrize("cls", [SourceSplit, StratifiedDomainShuffleSplit])
def test_missing_domain_names_the_remedy(stacked, cls):
    with pytest.raises(ValueError, match=f"{cls.__name__} got no sample_domain"):
        next(cls().split(*stacked[:2]))


@pytest.mark.parametrize("cls", [SourceSplit, StratifiedDomainShuffleSplit])
def test_no_source_row(stacked, cls):
    X, y, _ = stacked
    with pytest.raises(ValueError, match="no source row"):
        next(cls().split(X, y, sample_domain=-np.ones(50)))


@pytest.fixture
def shuffle_split():
    return StratifiedDomainShuffleSplit(5, test_size=0.2, target_test_size=0.3, random_state=0)


def test_shuffled_folds_are_stratified_by_class_and_domain(stacked, shuffle_split):
    X, y, sample_domain = stacked
    folds = list(shuffle_split.split(X, y, sample_domain=sample_domain))
    assert len(folds) == shuffle_split.get_n_splits() == 5
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(50))
        assert [sum(y[test] == label) for label in (0, 1)] == [3, 3]
        assert [sum(sample_domain[test] == domain) for domain in (-1, -2)] == [3, 3]


def test_shuffled_folds_differ_and_can_be_repeated(stacked, shuffle_split):
    X, y, sample_domain = stacked
    first, second = (
        [tuple(test) for _, test in shuffle_split.split(X, y, sample_domain=sample_domain)]
        for _ in range(2)
    )
    assert first == second and len(set(first)) == 5


def test_shuffled_folds_hold_out_no_target_row_by_default(stacked):
    X, y, sample_domain = stacked
    splitter = StratifiedDomainShuffleSplit(3, random_state=0)
    for _, test in splitter.split(X, y, sample_domain=sample_domain):
        assert len(test) == 3 and (sample_domain[test] > 0).all()


def test_shuffled_folds_keep_a_row_of_every_domain(shuffle_split):
    shuffle_split.target_test_size = 0.99
    y, sample_domain = [0] * 5 + [1] * 5 + [-1] * 4, np.array([1] * 10 + [-1] * 3 + [-2])
    for train, _ in shuffle_split.split(np.zeros((14, 1)), y, sample_domain=sample_domain):
        assert {-1, -2} <= set(sample_domain[train])


def test_groups_stand_in_for_the_domain_of_shuffled_folds(stacked, shuffle_split):
    X, y, sample_domain = stacked
    by_groups = [test.tolist() for _, test in shuffle_split.split(X, y, sample_domain)]
    by_name = [test.tolist() for _, test in shuffle_split.split(X, y, sample_domain=sample_domain)]
    assert by_groups == by_name


def test_shuffled_folds_need_labels(stacked, shuffle_split):
    with pytest.raises(ValueError, match="needs y"):
        next(shuffle_split.split(stacked[0], sample_domain=stacked[2]))


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_share_of_the_target_out_of_range(stacked, share):
    X, y, sample_domain = stacked
    splitter = StratifiedDomainShuffleSplit(target_test_size=share)
    with pytest.raises(ValueError, match="target_test_size"):
        next(splitter.split(X, y, sample_domain=sample_domain))
