"""Source rows that are drawn by the class shares of the target."""

import pickle
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import skda
from skda.adaptation import (
    AdaBNClassifier,
    ADDAClassifier,
    CoGANClassifier,
    DANClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    LabelEfficientClassifier,
    MCDClassifier,
    SDAEClassifier,
    ShallowDANNClassifier,
    TLDAClassifier,
)
from skda.base import DeepAdaptationClassifier
from skda.label_shift import black_box_shares, class_shares, maximum_likelihood_shares
from skda.training import PairedBatches

RANDOM = np.random.RandomState(0)
# Column 0 tells the class, and so does column 1 of the rows of a batch.
Y = np.repeat(["a", "b", "c"], [40, 30, 20])
X = (np.eye(3)[np.searchsorted(["a", "b", "c"], Y)] + 0.1 * RANDOM.randn(90, 3)).astype("float32")
X_TARGET = X[50:] + 0.2
SHARES = [0.1, 0.0, 0.9]
SHORT = {"max_epochs": 3, "batch_size": 16, "random_state": 0}


class Watched(PairedBatches):
    """Batches that note the labels of the source rows of every epoch."""

    epochs = []

    def draw_epoch(self):
        indices = super().draw_epoch()
        labels = self.dataset.class_numbers[indices[:, : self.sizes[0]].flatten()]
        Watched.epochs.append(np.bincount(labels, minlength=3) / len(labels))
        return indices


def fit(cls=DANNClassifier, X_target=X_TARGET, **params):
    Watched.epochs = []
    short = {name: value for name, value in SHORT.items() if name in cls._get_param_names()}
    return cls(**{**short, **params}).fit(X, Y, X_target=X_target)


def weights_of(clf):
    return np.concatenate([p.detach().numpy().ravel() for p in clf.net_.module_.parameters()])


class WatchedClassifier(DeepAdaptationClassifier):
    iterator_class = Watched


class Counted(PairedBatches):
    """Batches that note which source rows every epoch learns from."""

    epochs = []

    def draw_epoch(self):
        indices = super().draw_epoch()
        Counted.epochs.append(len(indices[:, : self.sizes[0]].unique()))
        return indices


class CountedClassifier(DeepAdaptationClassifier):
    iterator_class = Counted


def mean_prediction(target_probabilities, source_shares):
    return target_probabilities.mean(axis=0)


# -- shares that are given ----------------------------------------------------------------------


@pytest.mark.parametrize("given", [SHARES, np.array(SHARES), {"c": 0.9, "a": 0.1}, [SHARES]])
def test_source_rows_have_the_shares_that_are_given(given):
    clf = fit(WatchedClassifier, target_shares=given)
    assert len(Watched.epochs) == 3
    assert np.allclose(Watched.epochs, SHARES, atol=0.02)
    assert np.array_equal(clf.target_shares_, SHARES)
    assert clf.history_[:, "target_shares"] == [SHARES] * 3


def test_without_there_are_no_shares():
    clf = fit()
    assert not hasattr(clf, "target_shares_")
    assert "target_shares" not in clf.history_[-1]


def test_shares_of_the_source_train_as_without():
    counts = np.array([40, 30, 20])
    assert np.array_equal(weights_of(fit()), weights_of(fit(target_shares=counts / 90)))
    assert not np.array_equal(weights_of(fit()), weights_of(fit(target_shares=SHARES)))


def test_a_class_that_the_target_lacks_is_not_predicted():
    clf = fit(target_shares=SHARES, max_epochs=20)
    assert "b" not in clf.predict(X_TARGET)


def test_probabilities_are_those_of_the_given_shares():
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1], [300, 300])
    rows = (y + rng.randn(600))[:, None].astype("float32")
    params = {"max_epochs": 20, "trade_off": 0, "random_state": 0, "module__batch_norm": False}
    clf = DANClassifier(target_shares=[0.9, 0.1], **params).fit(rows, y, X_target=rows)
    # Bayes' posterior at the middle, where both classes are as likely.
    assert abs(clf.predict_proba([[0.5]])[0, 0] - 0.9) < 0.05


def test_several_targets_have_shares_each():
    targets = X_TARGET, X_TARGET + 0.1
    shares = np.array([SHARES, [0.5, 0.5, 0.0]])
    clf = fit(WatchedClassifier, targets, target_shares=shares)
    assert np.allclose(Watched.epochs, shares.mean(axis=0), atol=0.04)
    assert np.array_equal(clf.target_shares_, shares)
    by_label = [{"a": 0.1, "c": 0.9}, {"a": 0.5, "b": 0.5}]
    assert np.array_equal(
        weights_of(clf), weights_of(fit(WatchedClassifier, targets, target_shares=by_label))
    )


def test_one_entry_is_for_all_targets():
    clf = fit(X_target=(X_TARGET, X_TARGET), target_shares=SHARES)
    assert np.array_equal(clf.target_shares_, [SHARES, SHARES])


@pytest.mark.parametrize(
    "given, said",
    [
        ([0.5, 0.5], "3 numbers"),
        ([0.5, 0.5, 0.5], "sum of 1"),
        ([1.5, -0.5, 0.0], "0 or more"),
        ([np.nan, 0.5, 0.5], "0 or more"),
        ({"a": 0.5, "z": 0.5}, "'z'"),
        ([SHARES, SHARES], "2 of them for 1"),
        ([[["x"]]], "3 numbers"),
        ("estimates", "target_shares"),
        (lambda p, q: [1.0], "3 numbers"),
        (lambda p, q: None, "3 numbers"),
    ],
)
def test_other_shares_are_refused_by_name(given, said):
    with pytest.raises((ValueError, TypeError), match="target_shares") as error:
        fit(target_shares=given)
    assert said in str(error.value)


def test_batches_that_pass_over_the_shares_are_refused():
    class Own(PairedBatches):
        def draw_epoch(self):
            weights, self.source_weights = self.source_weights, None
            indices = super().draw_epoch()
            self.source_weights = weights
            return indices

    class OwnClassifier(DeepAdaptationClassifier):
        iterator_class = Own

    fit(OwnClassifier)
    with pytest.raises(ValueError, match="target_shares: draw_epoch of Own"):
        fit(OwnClassifier, target_shares=SHARES)


# -- shares that a function gives ---------------------------------------------------------------


def test_a_function_is_asked_before_every_epoch_but_the_first():
    asked = []

    def shares(target_probabilities, source_shares):
        asked.append((target_probabilities, source_shares))
        return SHARES

    clf = fit(WatchedClassifier, target_shares=shares)
    assert [p.shape for p, _ in asked] == [(40, 3)] * 2
    assert np.allclose([p.sum(axis=1) for p, _ in asked], 1)
    assert np.allclose([q for _, q in asked], [np.array([40, 30, 20]) / 90, SHARES])
    assert np.allclose(Watched.epochs[0], np.array([40, 30, 20]) / 90, atol=0.02)
    assert np.allclose(Watched.epochs[1:], SHARES, atol=0.02)
    assert np.array_equal(clf.target_shares_, SHARES)


@pytest.mark.parametrize(
    "function",
    [
        maximum_likelihood_shares,
        partial(maximum_likelihood_shares, prior_rows=5),
        black_box_shares,
        class_shares,
    ],
)
def test_raw_estimates_of_label_shift_are_refused(function):
    with pytest.raises(ValueError, match="run away to few classes; use target_shares='estimate'"):
        fit(target_shares=function)


def test_what_a_function_says_is_read_by_label():
    pd = pytest.importorskip("pandas")
    by_label = {"c": 0.7, "a": 0.1, "b": 0.2}
    for shares in (by_label, pd.Series(by_label)):
        clf = fit(target_shares=lambda p, q, shares=shares: shares)
        assert np.allclose(clf.target_shares_, [0.1, 0.2, 0.7])
    with pytest.raises(ValueError, match=r"target_shares must be a function .* the label 'z'"):
        fit(target_shares=lambda p, q: {"z": 1.0})


def test_estimates_find_a_target_of_some_classes():
    params = {"max_epochs": 20, "module__batch_norm": False}
    clf = fit(X_target=X[70:], target_shares="estimate", **params)
    assert clf.target_shares_[2] > 0.9
    assert np.allclose(clf.history_[0, "target_shares"], np.array([40, 30, 20]) / 90)


@pytest.mark.parametrize("case", ["too short", "no target"])
@pytest.mark.filterwarnings("ignore::skda.exceptions.NoTargetWarning")
def test_no_row_is_held_out_for_an_estimate_that_never_comes(case):
    params = {"max_epochs": 1} if case == "too short" else {"X_target": None}
    without, with_ = fit(**params), fit(**params, target_shares="estimate")
    assert np.array_equal(weights_of(without), weights_of(with_))


def test_rows_are_learned_from_once_no_estimate_needs_them():
    Counted.epochs = []
    rows = np.repeat(X, 4, axis=0)
    params = {"max_epochs": 10, "batch_size": 36, "random_state": 0, "target_shares": "estimate"}
    clf = CountedClassifier(**params).fit(rows, np.repeat(Y, 4), X_target=rows)
    assert set(map(tuple, clf.history_[:, "target_shares_evidence"])) == {("none",)}
    # All but 15 % of them, until the second tenth.
    assert Counted.epochs[:2] == [306] * 2
    assert min(Counted.epochs[2:]) > 340


def test_estimates_stay_in_calls_after_the_last_epoch():
    clf = DANNClassifier(max_epochs=2, batch_size=16, random_state=0, target_shares="estimate")
    for n in range(5):
        clf.partial_fit(X, Y, ["a", "b", "c"], X_target=X[50:] if n < 2 else X[:40])
    first, *rest = clf.history_[1:, "target_shares"]
    assert first != clf.history_[0, "target_shares"]
    assert rest == [first] * 3


def test_a_function_that_draws_leaves_training_reproducible():
    import torch

    def shares(target_probabilities, source_shares):
        return torch.softmax(torch.rand(3), dim=0).numpy()

    before = torch.get_rng_state()
    first = weights_of(fit(target_shares=shares))
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(1)
    assert np.array_equal(first, weights_of(fit(target_shares=shares)))


# -- with the rest ------------------------------------------------------------------------------


def test_held_out_rows_are_weighted_by_the_shares():
    clf = fit(target_shares=[0.0, 0.0, 1.0], max_epochs=30, validation_fraction=0.3)
    # Of the classes that the target lacks the loss has no bound.
    assert clf.history_[-1, "valid_loss"] < 1
    assert clf.history_[-1, "valid_accuracy"] == 1.0


def test_the_best_epoch_has_its_shares():
    given = iter([[0.1, 0.0, 0.9], [0.2, 0.0, 0.8], [0.3, 0.0, 0.7], [0.4, 0.0, 0.6]])
    scores = iter([1.0, 3.0, 2.0, 2.0])
    clf = fit(
        target_shares=lambda p, q: next(given),
        early_stopping=lambda estimator, X, y, X_target: next(scores),
        n_iter_no_change=2,
        max_epochs=10,
    )
    assert len(clf.history_) < 10
    assert clf.target_shares_.tolist() == [0.1, 0.0, 0.9]


METHODS = {
    "AdaBN": (AdaBNClassifier, {}),
    "ADDA": (ADDAClassifier, {}),
    "CoGAN": (CoGANClassifier, {}),
    "Deep CORAL": (DeepCORALClassifier, {}),
    "MCD": (MCDClassifier, {}),
    "SDAE": (SDAEClassifier, {"pretrain_epochs": 1}),
    "shallow DANN": (ShallowDANNClassifier, {}),
    "TLDA": (TLDAClassifier, {}),
    "no trade-off": (DANClassifier, {"trade_off": 0}),
}


@pytest.mark.parametrize("name", METHODS)
def test_methods_learn_by_the_shares(name):
    cls, params = METHODS[name]
    clf = fit(cls, target_shares=SHARES, **params)
    assert np.array_equal(clf.target_shares_, SHARES)
    assert not np.array_equal(weights_of(clf), weights_of(fit(cls, **params)))
    assert np.isfinite(clf.predict_proba(X_TARGET)).all()


def test_labelled_target_rows():
    labels = np.where(np.arange(40) < 5, Y[50:], None)
    clf = LabelEfficientClassifier(**SHORT, target_shares=SHARES)
    clf.fit(X, Y, X_target=X_TARGET, y_target=labels)
    assert np.array_equal(clf.target_shares_, SHARES)


def test_stacked_rows():
    rows, labels = np.concatenate([X, X_TARGET]), np.concatenate([Y, np.full(40, None)])
    domain = np.repeat([1, -1], [90, 40])
    stacked = DANNClassifier(**SHORT, target_shares=SHARES).fit(rows, labels, sample_domain=domain)
    assert np.array_equal(weights_of(stacked), weights_of(fit(target_shares=SHARES)))


def test_without_a_target_the_shares_are_those_of_the_user():
    with pytest.warns(skda.exceptions.NoTargetWarning):
        clf = fit(WatchedClassifier, None, target_shares=SHARES)
    assert np.allclose(Watched.epochs, SHARES, atol=0.02)
    assert np.array_equal(clf.target_shares_, SHARES)


@pytest.mark.parametrize("shares", [SHARES, mean_prediction])
def test_calls_that_go_on_are_one_fit(shares):
    clf = DANNClassifier(**SHORT, target_shares=shares)
    for _ in range(3):
        clf.partial_fit(X, Y, ["a", "b", "c"], X_target=X_TARGET)
    whole = fit(target_shares=shares)
    assert np.array_equal(weights_of(clf), weights_of(whole))
    assert np.array_equal(clf.target_shares_, whole.target_shares_)


def test_rows_of_a_call_may_lack_a_class():
    clf = DANNClassifier(**SHORT, target_shares=[0.2, 0.2, 0.6])
    clf.partial_fit(X, Y, ["a", "b", "c"], X_target=X_TARGET)
    clf.partial_fit(X[:70], Y[:70], X_target=X_TARGET)
    assert np.array_equal(clf.target_shares_, [0.2, 0.2, 0.6])


def test_a_warm_start_begins_with_the_source(few):
    clf = fit(target_shares=mean_prediction, warm_start=True)
    clf.fit(X, Y, X_target=X_TARGET)
    assert np.allclose(clf.history_[0, "target_shares"], np.array([40, 30, 20]) / 90)


def test_shares_of_an_earlier_fit_do_not_stay():
    clf = fit(target_shares=SHARES).set_params(target_shares=None).fit(X, Y, X_target=X_TARGET)
    assert not hasattr(clf, "target_shares_")


def test_pickles_and_clones():
    clf = fit(target_shares={"c": 1.0})
    again = pickle.loads(pickle.dumps(clf))
    assert again.target_shares_.tolist() == [0.0, 0.0, 1.0]
    assert np.array_equal(again.predict_proba(X_TARGET), clf.predict_proba(X_TARGET))
    assert clone(clf).target_shares == {"c": 1.0}


def test_a_search_chooses_among_shares():
    search = GridSearchCV(DANNClassifier(**SHORT), {"target_shares": [None, SHARES]}, cv=2)
    search.fit(X, Y, X_target=(X_TARGET,))
    assert search.best_params_["target_shares"] is None  # of held-out rows of the source


def test_a_series_is_read_by_its_labels():
    pd = pytest.importorskip("pandas")
    shares = pd.Series({"c": 0.7, "b": 0.2, "a": 0.1})
    clf = fit(target_shares=shares)
    assert np.allclose(clf.target_shares_, fit(target_shares=shares.to_dict()).target_shares_)


@pytest.mark.parametrize("shares", [SHARES, "estimate"])
def test_weights_of_classes_beside_shares_are_refused(shares):
    with pytest.raises(ValueError, match="class_weight='balanced' and target_shares both"):
        fit(target_shares=shares, class_weight="balanced")


def test_few_rows_a_class_are_drawn_as_near_as_they_can_be():
    rows = np.random.RandomState(0).randn(4, 5).astype("float32")
    clf = DANNClassifier(max_epochs=1, random_state=0, target_shares=[0.62, 0.38])
    clf.fit(rows, [0, 0, 1, 1], X_target=rows)
    assert clf.target_shares_.tolist() == [0.62, 0.38]


def test_a_class_with_a_share_needs_a_row_with_a_weight():
    weights = np.where(Y == "b", 0.0, 1.0)

    def fit_by(shares):
        clf = DANNClassifier(**SHORT, target_shares=shares)
        return clf.fit(X, Y, X_target=X_TARGET, sample_weight=weights)

    with pytest.raises(ValueError, match="class 'b' a share, but sample_weight is 0 for all"):
        fit_by([0.1, 0.2, 0.7])
    assert fit_by(SHARES).target_shares_.tolist() == SHARES
