"""partial_fit of every estimator, and fits that begin with the last network."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from kinds import one_of_each_kind
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from skorch.callbacks import LRScheduler

import skda.adaptation
from skda.adaptation import (
    AdaBNClassifier,
    ADDAClassifier,
    AutoDIALClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    DSNClassifier,
    LabelEfficientClassifier,
    MCDClassifier,
    SDAEClassifier,
    ShallowDANNClassifier,
    TLDAClassifier,
)
from skda.base import DeepAdaptationClassifier
from skda.exceptions import IncompleteFitWarning, NoTargetWarning
from skda.fine_tuning import FineTuneClassifier

X = np.random.RandomState(0).randn(40, 5).astype("float32")
Y = np.where(X[:, 0] > 0, "b", "a")
X_TARGET = X[:32] + 0.5
DATA = {"X": X, "y": Y, "X_target": X_TARGET}
LABELLED = {**DATA, "y_target": np.where(np.arange(32) < 5, Y[:32], None)}
SHORT = {"max_epochs": 3, "random_state": 0}
BATCHED = {**SHORT, "batch_size": 16}
METHODS = [
    cls
    for cls in map(vars(skda.adaptation).get, skda.adaptation.__all__)
    if issubclass(cls, DeepAdaptationClassifier)
]
STAGED = [ADDAClassifier, SDAEClassifier]
CLASSES = ["a", "b"]


def _assert_same(first, second):
    mine, theirs = (dict(clf.net_._tensors()) for clf in (first, second))
    assert {n for n in mine if not torch.equal(mine[n], theirs[n])} == set()
    assert list(mine) == list(theirs) and _rows(first) == _rows(second)


def _rows(clf):
    return [{k: v for k, v in row.items() if k != "dur"} for row in clf.history_]


def _params(cls):
    return SHORT if cls is ShallowDANNClassifier else BATCHED


def _calls(clf, data=DATA, n_calls=3):
    for _ in range(n_calls):
        clf.partial_fit(**data, classes=CLASSES)
    return clf


@pytest.mark.parametrize("cls", one_of_each_kind([cls for cls in METHODS if cls not in STAGED]))
def test_as_many_calls_as_epochs_are_one_fit(cls):
    pytest.importorskip("ot") if cls.__name__ == "DeepJDOTClassifier" else None
    clf = _calls(cls(**_params(cls)))
    whole = cls(**_params(cls)).fit(**DATA)
    _assert_same(clf, whole)
    np.testing.assert_array_equal(clf.predict_proba(X), whole.predict_proba(X))


@pytest.mark.parametrize(
    "cls, params, data",
    [
        (DANNClassifier, {"callbacks": [LRScheduler("StepLR", step_size=1)]}, DATA),
        (DANNClassifier, {"module__dropout": 0.5, "trade_off": 0.0}, DATA),
        (LabelEfficientClassifier, {}, LABELLED),
        (AutoDIALClassifier, {}, {**DATA, "X_target": (X[:16], X[16:])}),
        (TLDAClassifier, {"classifier": "logistic"}, DATA),
        (FineTuneClassifier, {"lr_schedule": "constant"}, {"X": X, "y": Y}),
        (
            FineTuneClassifier,
            {"lr_schedule": "constant", "n_frozen": 2, "unfreeze_every": 1},
            {"X": X, "y": Y},
        ),
    ],
)
def test_as_many_calls_as_epochs_are_one_fit_of_other_settings(cls, params, data):
    params = {**BATCHED, **params}
    _assert_same(_calls(cls(**params), data), cls(**params).fit(**data))


def test_schedules_stay_at_their_end():
    clf = _calls(DANNClassifier(**BATCHED), n_calls=5)
    trade_offs = clf.history_[:, "trade_off"]
    assert trade_offs[:3] == DANNClassifier(**BATCHED).fit(**DATA).history_[:, "trade_off"]
    assert trade_offs[2:] == [trade_offs[2]] * 3


def test_progress_counts_the_steps_of_all_calls():
    clf = _calls(DANNClassifier(**BATCHED), n_calls=1)
    assert (clf.net_._step, clf.net_._n_steps) == (3, 9)
    clf.partial_fit(X[:7], Y[:7], X_target=X[:7])
    assert (clf.net_._step, clf.net_._n_steps) == (4, 9)


@pytest.mark.parametrize("cls", [DANNClassifier, MCDClassifier, AdaBNClassifier])
def test_a_fitted_estimator_goes_on(cls):
    first, second = cls(**BATCHED).fit(**DATA), _calls(cls(**BATCHED))
    for clf in (first, second):
        clf.partial_fit(**DATA)
    _assert_same(first, second)


def test_stages_follow_one_another_from_call_to_call():
    clf = _calls(ADDAClassifier(**BATCHED), n_calls=3)
    assert len(clf.history_) == 3 and "adversary_loss" not in clf.history_[-1]
    _calls(clf, n_calls=2)
    assert len(clf.history_) == 2 and "adversary_loss" in clf.history_[-1]
    assert len(clf.source_history_) == 3
    _calls(clf, n_calls=1)
    _assert_same(clf, ADDAClassifier(**BATCHED).fit(**DATA))


def test_a_network_that_does_not_predict_yet_is_not_fitted():
    clf = SDAEClassifier(**BATCHED, pretrain_epochs=1)
    _calls(clf, n_calls=2)
    with pytest.raises(NotFittedError):
        clf.predict(X)
    _calls(clf, n_calls=3)
    _assert_same(clf, SDAEClassifier(**BATCHED, pretrain_epochs=1).fit(**DATA))
    assert len(clf.pretrain_history_) == 2


def test_adda_says_that_it_cannot_go_on_after_fit():
    clf = ADDAClassifier(**BATCHED).fit(**DATA)
    before = {name: tensor.clone() for name, tensor in clf.net_._tensors()}
    with pytest.raises(ValueError, match="cannot go on after fit"):
        clf.partial_fit(**DATA)
    assert all(torch.equal(before[name], tensor) for name, tensor in clf.net_._tensors())


def test_a_call_that_fails_is_made_up_for_by_the_next(monkeypatch):
    clf = _calls(ADDAClassifier(**BATCHED), n_calls=3)

    def fail(self, *args, **kwargs):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(ADDAClassifier.net_class, "run_single_epoch", fail)
        with pytest.raises(ZeroDivisionError):
            clf.partial_fit(**DATA)
    assert clf.n_iter_ == 3 and "adversary_loss" not in clf.history_[-1]
    assert "adversary_loss" in clf.partial_fit(**DATA).history_[-1]


# -- other rows -------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [DeepCORALClassifier, AutoDIALClassifier, AdaBNClassifier])
def test_another_number_of_target_domains(cls):
    clf = _calls(cls(**BATCHED), n_calls=1)
    data = {**DATA, "X_target": (X[:20] + 2, X[20:] - 2)}
    clf.partial_fit(**data)
    assert clf.net_.module_.n_targets == 2
    means = clf.net_.activations_of(torch.from_numpy(X), ("features",), domain=1)["features"]
    assert means.isfinite().all()
    assert len(clf.partial_fit(**DATA).history_) == 3 and clf.net_.module_.n_targets == 1


def test_new_optimisers_know_what_the_old_ones_knew():
    net = MCDClassifier(**BATCHED).fit(**DATA).net_
    before = [getattr(net, f"{name}_") for name in net._optimizers]
    net.renew_optimizers()
    after = [getattr(net, f"{name}_") for name in net._optimizers]
    assert len(before) == 2
    for old, new in zip(before, after, strict=True):
        assert old is not new and len(old.state) == len(new.state) > 0
        assert all(new.state[parameter] is state for parameter, state in old.state.items())


def test_without_target_a_call_learns_from_the_source_alone():
    clf = _calls(DANNClassifier(**BATCHED), n_calls=1)
    clf.partial_fit(X, Y)
    assert "alignment_loss" in clf.history_[0] and "alignment_loss" not in clf.history_[1]


def test_a_target_that_comes_too_late():
    clf = DANNClassifier(**BATCHED)
    with pytest.warns(NoTargetWarning):
        clf.partial_fit(X, Y, classes=CLASSES)
    with pytest.raises(ValueError, match="pass it from the first call on"):
        clf.partial_fit(**DATA)


def test_adda_needs_the_target_in_its_second_stage():
    clf = _calls(ADDAClassifier(**BATCHED), n_calls=4)
    with pytest.raises(ValueError, match="in the stage 'target', which there is not"):
        clf.partial_fit(X, Y)


def test_new_rows_move_the_network_and_keep_the_classes():
    clf = _calls(DANNClassifier(**BATCHED), n_calls=1)
    clf.partial_fit(X[:7] + 1, Y[:7], X_target=X[:9])
    assert clf.classes_.tolist() == CLASSES and clf.n_iter_ == 2
    with pytest.raises(ValueError, match=r"y holds \['c'\]"):
        clf.partial_fit(X, np.where(Y == "a", "c", Y), X_target=X)
    with pytest.raises(ValueError, match="not those of the first call"):
        clf.partial_fit(**DATA, classes=["a", "b", "c"])
    assert clf.n_iter_ == 2


@pytest.mark.parametrize(
    "params, kwargs, message",
    [
        ({}, {}, "classes must be passed"),
        ({}, {"classes": X}, "by name, as X_target=X_target"),
        ({"early_stopping": True}, {"classes": CLASSES}, "whole training in one call"),
        ({}, {"classes": CLASSES, "sample_domain": np.ones(40), "y_target": Y}, "y_target goes"),
    ],
)
def test_bad_calls(params, kwargs, message):
    with pytest.raises(ValueError, match=message):
        DANNClassifier(**BATCHED, **params).partial_fit(**{**DATA, **kwargs})


# -- copies -----------------------------------------------------------------------------------


def test_a_copy_goes_on_by_itself():
    clf = _calls(DANNClassifier(**BATCHED), n_calls=2)
    other = copy.deepcopy(clf)
    clf.partial_fit(**DATA)
    _assert_same(other.partial_fit(**DATA), clf)


def test_a_pickle_goes_on_without_a_word_where_nothing_is_missing():
    clf = _calls(DeepCORALClassifier(**BATCHED), n_calls=2)
    loaded = pickle.loads(pickle.dumps(clf))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IncompleteFitWarning)
        loaded.partial_fit(**DATA)
    assert loaded.n_iter_ == 3


def test_what_a_pickle_left_out_begins_anew():
    clf = _calls(DANNClassifier(**BATCHED), n_calls=2)
    loaded = pickle.loads(pickle.dumps(clf))
    net = loaded.net_
    vars(net).pop("optimizer_", None)  # as pickles that hold what predictions need
    vars(net).update(alignment=None, alignment_=torch.nn.Identity(), _lacks_alignment=True)
    with pytest.warns(IncompleteFitWarning, match="with new alignment and optimisers"):
        loaded.partial_fit(**DATA)
    assert loaded.history_[-1]["alignment_loss"] > 0
    assert loaded.history_[-1]["trade_off"] == clf.partial_fit(**DATA).history_[-1]["trade_off"]


def test_training_in_the_middle_of_its_stages_is_lost_with_a_pickle():
    clf = _calls(SDAEClassifier(**BATCHED, pretrain_epochs=2), n_calls=1)
    with pytest.raises(ValueError, match="was pickled in its stage 'denoise"):
        pickle.loads(pickle.dumps(clf)).partial_fit(**DATA)


# -- warm starts ------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [DANNClassifier, MCDClassifier, AdaBNClassifier, *STAGED])
def test_a_warm_start_begins_with_the_last_network(cls):
    still = {**BATCHED, "lr": 1e-30, "optimizer": "sgd", "warm_start": True}
    if cls is ADDAClassifier:
        still["adaptation_lr"] = 1e-30
    clf = cls(**BATCHED).fit(**DATA)
    before = {name: tensor.clone() for name, tensor in clf.net_.module_.named_parameters()}
    clf.set_params(**{**still, "random_state": 7}).fit(**DATA)
    after = dict(clf.net_.module_.named_parameters())
    learns = ("head",) if cls is MCDClassifier else ()  # by an optimiser of its own
    for name, tensor in before.items():
        if not name.startswith(learns):
            assert torch.equal(tensor, after[name]), name
    assert len(clf.history_) == 3


@pytest.mark.parametrize("cls", [DANNClassifier, DSNClassifier])
def test_a_warm_start_keeps_widths_that_were_a_default_of_another_version(cls):
    wide = {**DATA, "X": np.tile(X, 33), "X_target": np.tile(X_TARGET, 33)}
    clf = cls(**{**BATCHED, "module__hidden_layer_sizes": (12, 6)}, warm_start=True).fit(**wide)
    del clf.module__hidden_layer_sizes  # as if those were what no keyword asks for
    clf.fit(**wide)
    assert clf.net_.module_.backbone.hidden_layer_sizes == (12, 6)
    assert clone(clf).set_params(warm_start=False).fit(**wide).transform(wide["X"]).shape[1] == 128


def test_a_warm_start_takes_the_alignment_and_the_statistics():
    clf = DANNClassifier(**{**BATCHED, "lr": 0.01}, warm_start=True).fit(**DATA)
    noted = []

    class Look(skda.adaptation.DANNClassifier.net_class):
        def on_train_begin(self, *args, **kwargs):
            super().on_train_begin(*args, **kwargs)
            noted.append({name: tensor.clone() for name, tensor in self._tensors()})

    before = {name: tensor.clone() for name, tensor in clf.net_._tensors()}
    clf.__class__ = type("Looking", (DANNClassifier,), {"net_class": Look, "__module__": __name__})
    clf.fit(**DATA)
    assert {n for n, t in noted[0].items() if not torch.equal(t, before[n])} == set()
    assert any("alignment" in name for name in before)
    assert any("running_mean" in name for name in before)


def test_without_it_a_fit_begins_anew():
    clf = DANNClassifier(**BATCHED).fit(**DATA)
    _assert_same(copy.deepcopy(clf).fit(**DATA), clf)


@pytest.mark.parametrize(
    "data, params, message",
    [
        ({"y": np.where(Y == "a", "c", Y)}, {}, "needs the classes of the last fit"),
        ({"X": X[:, :4], "X_target": X[:, :4]}, {}, "needs rows of the shape of the last fit"),
        ({}, {"module__hidden_layer_sizes": (7,)}, "needs the module of the last fit"),
        ({}, {"discriminator__hidden_layer_sizes": (7,)}, "needs the alignment of the last fit"),
    ],
)
def test_another_form_is_an_error_of_a_warm_start(data, params, message):
    clf = DANNClassifier(**BATCHED, warm_start=True).fit(**DATA)
    with pytest.raises(ValueError, match=message):
        clf.set_params(**params).fit(**{**DATA, **data})
    assert clf.classes_.tolist() == CLASSES and clf.predict(X).shape == (40,)
