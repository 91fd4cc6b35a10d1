"""Ctrl-C in the middle of a training: whole epochs stay, and the caller is told."""

import copy
import warnings

import numpy as np
import pytest
import torch
from cuts import CLASSIFIERS, Watch, fit_args, make, press_ctrl_c, state_of
from kinds import representatives
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from torch import nn

from skda.adaptation import (
    AdaBNClassifier,
    ADDAClassifier,
    DeepCORALClassifier,
    MCDClassifier,
    ShallowDANNClassifier,
)
from skda.base import DeepAdaptationClassifier
from skda.exceptions import IncompleteFitWarning
from skda.nn import MLP


@pytest.fixture(autouse=True)
def _reset():
    Watch.reset()


HOOKS = ["epoch_begin", "gradient", "batch_end", "epoch_end"]


def interrupted(cls, few, hook="batch_end", at=3, **params):
    """Return an estimator whose fit was interrupted, and the state of its last whole epoch."""
    Watch.reset()
    clf = make(cls, callbacks=[Watch(hook, at)], **params)
    args, metadata = fit_args(cls, few)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*args, **metadata)
    return clf, Watch.epochs[-1] if Watch.epochs else None


def assert_whole(clf, state, few):
    """Compare an interrupted estimator with what it was at the end of its last whole epoch."""
    kept = state_of(clf.net_)
    assert kept.keys() == state.keys()
    for name, value in state.items():
        if isinstance(clf, MCDClassifier) and name.startswith("module.head"):
            continue  # the mean of both classifiers takes its place
        if clf.net_.stages[0].batches == "source" and ".norms.1." in name:
            continue  # the statistics of the target come after training
        if name.endswith(".alpha"):  # of AutoDIAL, which a forward brings into its bounds
            value = value.clamp(0.5, 1)
        assert torch.equal(kept[name], value), name
    rows = {frozenset(row) for row in clf.history_ if row}
    assert len(rows) == 1
    assert clf.n_iter_ == len(clf.history_) == len(clf.net_.history) >= 1
    (X, _), _ = fit_args(type(clf), few)
    with pytest.warns(IncompleteFitWarning, match=f"was {clf.interruption_}"):
        assert np.isfinite(clf.predict_proba(X)).all()


# -- all estimators ---------------------------------------------------------------------------


@pytest.mark.parametrize("cls", representatives(CLASSIFIERS))
def test_last_whole_epoch_is_kept(cls, few):
    at = 2 if cls is ShallowDANNClassifier else 3  # that has one batch in an epoch
    clf, state = interrupted(cls, few, at=at)
    assert clf.n_iter_ == 1
    assert "after 1 whole epoch" in clf.interruption_
    assert_whole(clf, state, few)


@pytest.mark.exhaustive
@pytest.mark.parametrize("at", range(1, 13))
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_last_whole_epoch_is_kept_wherever_it_is_cut(cls, hook, at, few):
    Watch.reset()
    clf = make(cls, callbacks=[Watch(hook, at)], max_epochs=2)
    args, metadata = fit_args(cls, few)
    try:
        clf.fit(*args, **metadata)
    except KeyboardInterrupt:
        if Watch.epochs:
            assert_whole(clf, Watch.epochs[-1], few)
        else:
            assert not hasattr(clf, "net_")
    else:  # less calls than that
        assert clf.interruption_ is None and (at > 2 or hook == "gradient")


# -- where the signal comes -------------------------------------------------------------------


class InForward(MLP):
    """Is interrupted in a forward of training."""

    def __init__(self, in_features):
        super().__init__(in_features)
        self.calls = 0

    def forward(self, x):
        self.calls += self.training
        if self.training and self.calls == 4:
            press_ctrl_c()
        return super().forward(x)


class InStep(torch.optim.Adam):
    """Is interrupted in the middle of a step: some parameters have moved."""

    calls = 0

    def step(self, closure=None):
        InStep.calls += 1
        if InStep.calls == 4:
            self.param_groups[0]["params"][0].data.add_(1)
            press_ctrl_c()
        return super().step(closure)


class InLoss(nn.Module):
    """An alignment that is interrupted."""

    def __init__(self, width):
        super().__init__()
        self.calls = 0

    def forward(self, source, target):
        self.calls += 1
        if self.calls == 4:
            press_ctrl_c()
        return (source.mean(dim=0) - target.mean(dim=0)).square().sum()


@pytest.mark.parametrize(
    "params", [{"module": InForward}, {"optimizer": InStep}, {"alignment": InLoss}]
)
def test_signal_within_a_step_takes_back_the_step(params, few):
    InStep.calls = 0
    clf, state = interrupted(DeepAdaptationClassifier, few, hook=None, **params)
    assert clf.n_iter_ == 1
    assert_whole(clf, state, few)


@pytest.mark.parametrize("hook", HOOKS)
def test_signal_within_a_hook_takes_back_the_epoch(hook, few):
    at = 2 if hook.startswith("epoch") else 3
    clf, state = interrupted(DeepCORALClassifier, few, hook, at)
    assert clf.n_iter_ == 1
    assert_whole(clf, state, few)


def test_handler_of_the_callers_own_is_no_callback_that_stops(few, monkeypatch):
    import signal

    def handler(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handler)
    try:
        clf, state = interrupted(DeepCORALClassifier, few, "epoch_end", 2)
    finally:
        signal.signal(signal.SIGINT, before)
    assert_whole(clf, state, few)


# -- stages -----------------------------------------------------------------------------------


def test_stage_that_was_whole_is_kept_if_the_next_has_no_epoch(few):
    clf, state = interrupted(ADDAClassifier, few, at=7)  # 2 steps in each of 3 epochs
    assert clf.interruption_ == "interrupted in stage 'target' after 0 whole epochs"
    assert_whole(clf, state, few)


def test_no_stage_begins_after_an_interruption(few):
    clf, _ = interrupted(ADDAClassifier, few, at=3)
    assert "'source'" in clf.interruption_
    assert len(Watch.epochs) == 1


# -- what else stays --------------------------------------------------------------------------


def test_estimator_is_what_it_was_without_a_whole_epoch(few):
    clf = make(DeepCORALClassifier, callbacks=[Watch("batch_end", 1)])
    before = dict(vars(clf))
    args, metadata = fit_args(DeepCORALClassifier, few)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*args, **metadata)
    assert vars(clf) == before
    with pytest.raises(NotFittedError):
        clf.predict(few["X"])


def test_earlier_fit_stays_without_a_whole_epoch(few):
    clf = make(DeepCORALClassifier)
    args, metadata = fit_args(DeepCORALClassifier, few)
    clf.fit(*args, **metadata)
    before, expected = dict(vars(clf)), clf.predict_proba(few["X"])
    clf.set_params(callbacks=[Watch("batch_end", 1)])
    with pytest.raises(KeyboardInterrupt):
        clf.fit(few["X"][:, :10], few["y"], X_target=few["X_target"][:, :10])
    assert {**vars(clf), "callbacks": None} == before
    assert np.array_equal(clf.predict_proba(few["X"]), expected)


def test_fit_that_fails_leaves_the_estimator_as_it_was(few):
    class Failure(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise OSError("disk full")

    clf = make(DeepCORALClassifier, callbacks=[Failure()])
    before = dict(vars(clf))
    with pytest.raises(OSError, match="disk full"):
        clf.fit(few["X"], few["y"], X_target=few["X_target"])
    assert vars(clf) == before


def test_learning_rates_are_those_of_the_start(few):
    clf, _ = interrupted(DeepCORALClassifier, few, lr=0.01)
    assert {group["lr"] for group in clf.net_.optimizer_.param_groups} == {0.01}


def test_next_fit_is_whole(few):
    clf, _ = interrupted(DeepCORALClassifier, few)
    clf.set_params(callbacks=None).fit(few["X"], few["y"], X_target=few["X_target"])
    assert clf.interruption_ is None
    with warnings.catch_warnings():
        warnings.simplefilter("error", IncompleteFitWarning)
        clf.predict(few["X"])
    expected = make(DeepCORALClassifier).fit(few["X"], few["y"], X_target=few["X_target"])
    assert np.array_equal(clf.predict_proba(few["X"]), expected.predict_proba(few["X"]))


def test_return_gives_a_usable_estimator_with_a_warning(few):
    clf = make(DeepCORALClassifier, callbacks=[Watch("batch_end", 3)], on_interrupt="return")
    with pytest.warns(IncompleteFitWarning, match="interrupted in stage 'adapt' after 1 whole"):
        returned = clf.fit(few["X"], few["y"], X_target=few["X_target"])
    assert returned is clf and clf.n_iter_ == 1


def test_return_raises_without_a_whole_epoch(few):
    clf = make(DeepCORALClassifier, callbacks=[Watch("batch_end", 1)], on_interrupt="return")
    with pytest.raises(KeyboardInterrupt):
        clf.fit(few["X"], few["y"], X_target=few["X_target"])


def test_search_ends(few):
    fits = []

    class Count(Callback):
        def on_train_begin(self, net, **kwargs):
            fits.append(net)

    clf = make(DeepCORALClassifier, callbacks=[Count(), Watch("batch_end", 3)])
    search = GridSearchCV(clf, {"lr": [0.1, 0.01]}, cv=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(KeyboardInterrupt):
            search.fit(few["X"], few["y"])
    assert len(fits) == 1


# -- what ends training well ------------------------------------------------------------------


def test_callback_that_stops_training_ends_it_well(few):
    stop = EarlyStopping(monitor="train_loss", patience=1, threshold=1e6, load_best=True)
    clf = make(DeepCORALClassifier, callbacks=[Watch(), stop], max_epochs=9)
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    assert clf.n_iter_ < 9
    assert clf.interruption_ is None


def test_early_stopping_ends_a_stage_and_the_next_one_begins(few):
    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    clf = make(ADDAClassifier, callbacks=[Stop()])
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    assert clf.n_iter_ == 1 and len(clf.source_history_) == 1
    assert clf.interruption_ is None


def test_interrupted_adapt_leaves_the_old_statistics(few):
    clf = AdaBNClassifier(max_epochs=2, random_state=0).fit(
        few["X"], few["y"], X_target=few["X_target"]
    )
    before, expected = state_of(clf.net_), clf.predict_proba(few["X"])
    last = [part for part in clf.net_.module_.backbone.modules() if isinstance(part, nn.Linear)][-1]
    presses = []

    def press_once(*args):
        if not presses:
            presses.append(press_ctrl_c)
            press_ctrl_c()

    last.register_forward_pre_hook(press_once)  # once the first norm has the new statistics
    with pytest.raises(KeyboardInterrupt):
        clf.adapt(few["X"] * 0.5 + 0.2)
    after = state_of(clf.net_)
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert np.array_equal(clf.predict_proba(few["X"]), expected)


def test_scheduler_among_the_callbacks_may_be_interrupted(few):
    scheduler = LRScheduler("ExponentialLR", gamma=0.5)
    Watch.reset()
    clf = make(DeepCORALClassifier, callbacks=[scheduler, Watch("batch_end", 3)])
    with pytest.raises(KeyboardInterrupt):
        clf.fit(few["X"], few["y"], X_target=few["X_target"])
    assert_whole(clf, Watch.epochs[-1], few)


def test_interrupted_estimator_can_be_copied(few):
    clf, _ = interrupted(DeepCORALClassifier, few)
    assert copy.deepcopy(clf).interruption_ == clf.interruption_
