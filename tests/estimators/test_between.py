"""What one way to train leaves for another one: cut, stopped early, stored, or failed."""

import contextlib
import pickle
import warnings

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

import skda
from skda.adaptation import (
    AdaBNClassifier,
    CoGANClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    DSNClassifier,
)
from skda.base import DeepAdaptationClassifier
from skda.exceptions import DivergenceError, IncompleteFitWarning
from skda.model_selection import InformationMaximizationScorer
from skda.training import Stage

X = np.random.RandomState(0).randn(40, 5).astype("float32")
Y = (X[:, 0] > 0).astype(int)
X_TARGET = X[:32] + 0.5
DATA = {"X": X, "y": Y, "X_target": X_TARGET}
SHORT = {"max_epochs": 3, "batch_size": 16, "random_state": 0}
STOPPERS = [True, InformationMaximizationScorer()]


class Cut(Callback):
    """Presses Ctrl-C before an epoch, counted over all nets of a training."""

    at: int | None = None
    n_begun = 0

    def on_epoch_begin(self, net, **kwargs):
        Cut.n_begun += 1
        if Cut.n_begun == Cut.at:
            raise KeyboardInterrupt


@pytest.fixture
def cut_fit(monkeypatch):
    """Fit with Ctrl-C in the n-th epoch, and keep what there is."""

    def cut(clf, at):
        monkeypatch.setattr(Cut, "at", at)
        monkeypatch.setattr(Cut, "n_begun", 0)
        clf.set_params(callbacks=[Cut()])
        with contextlib.suppress(KeyboardInterrupt):
            clf.fit(**DATA)
        monkeypatch.setattr(Cut, "at", None)
        return clf

    return cut


class TwoNets(DeepAdaptationClassifier):
    """A training of two nets, both of which predict."""

    def make_stages(self, training):
        return [
            Stage(name="first", batches="source", max_epochs=3, make_net=self.build_net),
            Stage(name="second", max_epochs=2, make_net=lambda known: known.net.successor()),
        ]


def _network(in_features):
    return nn.Sequential(nn.Linear(in_features, 8), nn.BatchNorm1d(8), nn.ReLU())


@pytest.mark.parametrize(("at", "stages"), [(3, ["first", "second"]), (4, ["second"] * 2)])
def test_a_cut_training_goes_on_in_the_stage_that_it_was_in(at, stages, cut_fit):
    clf = cut_fit(TwoNets(**SHORT), at)
    for n_calls, stage in enumerate(stages, 1):
        clf.partial_fit(**DATA)
        assert clf._position.name == stage
        assert clf.n_iter_ == (3 if stage == "first" else n_calls - stages.count("first"))


def test_adabn_goes_on_from_a_cut_before_its_statistics(cut_fit):
    clf = cut_fit(AdaBNClassifier(module=_network, **SHORT), 2)
    assert clf.net_.module_.n_targets == 0
    clf.partial_fit(**DATA)
    assert (clf.net_.module_.n_targets, clf.n_iter_) == (1, 2)


@pytest.mark.parametrize("scorer", STOPPERS)
def test_after_early_stopping_partial_fit_needs_neither_scores_nor_held_out_rows(scorer):
    clf = DeepCORALClassifier(early_stopping=scorer, **SHORT).fit(**DATA)
    clf.set_params(early_stopping=False).partial_fit(**DATA)
    assert clf.n_iter_ == 4 and "target_score" not in clf.history_[-1]


@pytest.mark.parametrize("scorer", STOPPERS)
def test_a_training_that_stops_early_goes_on_from_its_checkpoint(scorer, cut_fit, tmp_path):
    params = {**SHORT, "max_epochs": 5, "early_stopping": scorer, "n_iter_no_change": 4}
    whole = DeepCORALClassifier(callbacks=[Cut()], **params).fit(**DATA)
    clf = cut_fit(DeepCORALClassifier(checkpoint=tmp_path, **params), 3)
    clf.fit(**DATA, resume=True)
    name = "valid_loss_best" if scorer is True else "target_score_best"
    assert clf.history_[:, name] == whole.history_[:, name]
    assert np.array_equal(clf.predict_proba(X), whole.predict_proba(X))


@pytest.mark.parametrize(
    ("cls", "params"),
    [(DeepCORALClassifier, {"early_stopping": s}) for s in STOPPERS]
    + [(CoGANClassifier, {}), (DSNClassifier, {})],
)
def test_what_training_leaves_in_a_net_can_be_loaded(cls, params, tmp_path):
    clf = cls(**params, **SHORT).fit(**DATA)
    skda.save(clf, tmp_path / "clf.skda")
    loaded = skda.load(tmp_path / "clf.skda")
    assert np.array_equal(loaded.predict_proba(X), clf.predict_proba(X))


def test_a_call_that_fails_leaves_the_domains_as_they_were():
    clf = DeepCORALClassifier(module=_network, **SHORT).fit(**DATA)
    before = clf.predict_proba(X)
    too_large = np.where(np.arange(40)[:, None] == 3, 1e38, X).astype("float32")
    with pytest.raises(DivergenceError):
        clf.partial_fit(too_large, Y, X_target=(X[:20], X[20:]))
    assert clf.net_.module_.n_targets == 1 and np.array_equal(clf.predict_proba(X), before)
    _assert_that_it_learns(clf)


def test_adabn_learns_after_statistics_that_were_refused():
    clf = AdaBNClassifier(module=_network, **SHORT).fit(**DATA)
    signs = np.where(np.arange(len(X)) % 2, 1, -1)[:, None]
    with pytest.raises(DivergenceError):  # of a variance that no float32 holds
        clf.adapt((3e38 * signs * np.ones_like(X)).astype("float32"))
    _assert_that_it_learns(clf)


def test_moments_of_images_are_restored_where_they_belong(tmp_path):
    images = X.reshape(10, -1)[:, :16].reshape(-1, 1, 4, 4).repeat(2, axis=2).repeat(2, axis=3)
    data = {"X": images, "y": np.arange(10) % 2, "X_target": images}
    clfs = [DeepCORALClassifier(checkpoint=tmp_path, **SHORT) for _ in range(2)]
    for clf, resume in zip(clfs, (False, True), strict=True):
        clf.fit(**data, resume=resume).partial_fit(**data)
    assert np.array_equal(*(clf.predict_proba(images) for clf in clfs))


def test_a_warm_start_tells_what_a_pickle_left_out():
    clf = DANNClassifier(warm_start=True, **SHORT).fit(**DATA)
    with pytest.warns(IncompleteFitWarning, match="new alignment"):
        pickle.loads(pickle.dumps(clf)).fit(**DATA)
    with warnings.catch_warnings():
        warnings.simplefilter("error", IncompleteFitWarning)
        clf.fit(**DATA)
        AdaBNClassifier(module=_network, warm_start=True, **SHORT).fit(**DATA).fit(**DATA)


def _assert_that_it_learns(clf):
    weights = [p.detach().clone() for p in clf.net_.module_.parameters()]
    clf.partial_fit(**DATA)
    after = clf.net_.module_.parameters()
    assert not any(torch.equal(*pair) for pair in zip(weights, after, strict=True))
