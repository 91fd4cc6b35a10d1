"""Figures that are not finite: an error or a finite model, and no ordinary score."""

import warnings

import numpy as np
import pytest
import torch
from cuts import CLASSIFIERS, fit_args, make
from kinds import representatives
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, cross_validate
from torch import nn

from skda.adaptation import (
    AdaBNClassifier,
    BNMClassifier,
    CoGANClassifier,
    DALNClassifier,
    DeepCORALClassifier,
    SDAEClassifier,
    ShallowDANNClassifier,
    TLDAClassifier,
)
from skda.base import DeepAdaptationClassifier
from skda.exceptions import DivergenceError, IncompleteFitWarning
from skda.fine_tuning import FineTuneClassifier
from skda.nn import MLP
from skda.training import DomainDataset

NAN = float("nan")
# They bring columns to [0, 1], or saturate: no input is too large for them.
BOUNDED = (ShallowDANNClassifier, TLDAClassifier)
OUTPUTS = ["predict_proba", "predict_log_proba", "decision_function", "transform"]


def broken_module():
    """Return a network that holds NaN."""
    module = MLP(64)
    next(module.parameters()).data[0] = NAN
    return module


class LateNaN(nn.Module):
    """An alignment whose loss is NaN from a step on."""

    def __init__(self, width, at=4, value=NAN):
        super().__init__()
        self.at, self.value, self.calls = at, value, 0

    def forward(self, source, target):
        self.calls += 1
        factor = self.value if self.calls >= self.at else 1.0
        return factor * (source.mean(dim=0) - target.mean(dim=0)).square().sum()


def few_with(few, rows=1.0, target_rows=1.0):
    """Return the data with factors for rows of both domains."""
    return {
        **few,
        "X": few["X"] * np.resize(rows, (len(few["X"]), 1)),
        "X_target": few["X_target"] * np.resize(target_rows, (len(few["X_target"]), 1)),
    }


def ways(few):
    """Return what makes trainings diverge: parameters and data, by name."""
    units = 10.0 ** np.random.RandomState(0).randint(-2, 5, size=64)  # of clinical columns
    raw = {**few, "X": (few["X"] + 0.5) * units, "X_target": (few["X_target"] + 0.5) * units}
    momentum = {"optimizer": "sgd", "optimizer__momentum": 0.9, "lr": 0.1}
    return {
        "rate": ({"lr": 1e6}, few),
        "momentum": (momentum, raw),
        "large": ({}, few_with(few, 1e20, 1e20)),
        "larger": ({}, few_with(few, 1e35, 1e35)),
        "target": ({}, few_with(few, 1.0, 1e20)),
        "target row": ({}, few_with(few, 1.0, [1.0] * 149 + [1e30])),
        "module": ({"module": broken_module()}, few),
        "source row": ({"validation_fraction": 0.3}, few_with(few, [1.0] * 199 + [1e30])),
        "float16": ({"precision": "float16"}, few_with(few, 1e5, 1e5)),
        "bfloat16": ({"precision": "bfloat16"}, few_with(few, 1e20, 1e20)),
    }


def fit(cls, way, few, **params):
    """Return an estimator that was fitted in such a way, or what it raised."""
    own, data = ways(few)[way]
    if cls is ShallowDANNClassifier:
        own = {name: value for name, value in own.items() if name == "lr"}
    if cls is CoGANClassifier and "module" in own:
        pytest.skip("a network of images")
    clf = make(cls, **{**own, "max_epochs": 2, **params})
    args, metadata = fit_args(cls, data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with np.errstate(all="ignore"):
            clf.fit(*args, **metadata)
    return clf


def assert_finite(clf, few):
    """Whatever rows come, outputs are finite or raise."""
    assert clf.net_.is_finite()
    (X, _), _ = fit_args(type(clf), few)
    for factor in (1.0, 1e10, 1e20, 1e30):
        for name in OUTPUTS:
            try:
                assert np.isfinite(getattr(clf, name)(X * X.dtype.type(factor))).all(), name
            except (ValueError, DivergenceError):
                assert factor > 1


# -- all estimators ---------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["rate", "large"])
@pytest.mark.parametrize("cls", representatives(CLASSIFIERS))
def test_training_diverges_or_gives_a_finite_model(cls, way, few):
    try:
        clf = fit(cls, way, few)
    except DivergenceError:
        return
    assert way == "rate" or cls in BOUNDED
    assert_finite(clf, few)


@pytest.mark.exhaustive
@pytest.mark.parametrize("way", ways({"X": np.ones((200, 64)), "X_target": np.ones((150, 64))}))
@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_training_diverges_or_gives_a_finite_model_whatever_the_cause(cls, way, few):
    try:
        clf = fit(cls, way, few)
    except DivergenceError:
        return
    assert_finite(clf, few)


# -- causes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [NAN, float("inf")])
def test_loss_that_is_not_finite(value, few):
    clf = make(DeepAdaptationClassifier, alignment=LateNaN, alignment__value=value)
    with pytest.raises(DivergenceError, match=r"alignment_loss was (nan|inf) in step 2 of epoch 2"):
        clf.fit(few["X"], few["y"], X_target=few["X_target"])
    assert clf.n_iter_ == 1
    assert clf.interruption_ == "stopped when it diverged, in stage 'adapt' after 1 whole epoch"
    with pytest.warns(IncompleteFitWarning):
        assert np.isfinite(clf.predict_proba(few["X"])).all()


@pytest.mark.parametrize("cls", [BNMClassifier, DALNClassifier])
def test_loss_that_looks_for_itself(cls, few):
    with pytest.raises(DivergenceError, match="was not finite in step 1 of epoch 1"):
        fit(cls, "float16", few)


@pytest.mark.parametrize("cls", [DeepCORALClassifier, SDAEClassifier, FineTuneClassifier])
def test_module_that_holds_nan(cls, few):
    with pytest.raises(DivergenceError, match="is not finite before training"):
        fit(cls, "module", few)


def test_state_dict_that_holds_nan(few):
    clf = make(DeepCORALClassifier, module=MLP, weights=broken_module().state_dict())
    with pytest.raises(ValueError, match="weights: the mapping holds NaN"):
        clf.fit(few["X"], few["y"], X_target=few["X_target"])


def test_held_out_row_that_is_too_large(few):
    clf = make(FineTuneClassifier, validation_fraction=0.3).fit(few["X"], few["y"])
    held_out = clf.net_.train_split(_dataset(few))[1]
    row = int(np.flatnonzero((few["X"].astype(np.float32) == np.asarray(held_out.X[0])).all(1))[0])
    X = few["X"].copy()
    X[row] = 3e38  # beyond float32 in the first sum
    with pytest.raises(DivergenceError, match=r"valid_loss was (nan|inf) of epoch 1"):
        clf.fit(X, few["y"])
    assert clf.interruption_ is None  # the fit before is still there


def _dataset(few):
    return DomainDataset(torch.as_tensor(few["X"].astype(np.float32)), few["y"])


def test_row_of_the_target_that_is_too_large(few):
    with pytest.raises(DivergenceError, match="rows of X_target are beyond float32"):
        fit(AdaBNClassifier, "target row", few)


def test_adapt_with_rows_that_are_too_large_leaves_the_estimator_as_it_was(few):
    clf = make(AdaBNClassifier).fit(few["X"], few["y"], X_target=few["X_target"])
    expected = clf.predict_proba(few["X"])
    with pytest.raises(DivergenceError, match="X_target"):
        clf.adapt(few["X_target"] * 1e20)
    assert np.array_equal(clf.predict_proba(few["X"]), expected)


# -- answers ----------------------------------------------------------------------------------


def test_restore_warns_and_keeps_the_last_finite_epoch(few):
    clf = make(DeepAdaptationClassifier, alignment=LateNaN, on_divergence="restore")
    with pytest.warns(IncompleteFitWarning, match="alignment_loss was nan"):
        clf.fit(few["X"], few["y"], X_target=few["X_target"])
    assert clf.n_iter_ == 1 and clf.net_.is_finite()


def test_restore_raises_without_a_finite_epoch(few):
    clf = make(DeepCORALClassifier, on_divergence="restore")
    before = dict(vars(clf))
    data = few_with(few, 1e20, 1e20)
    with pytest.raises(DivergenceError):
        clf.fit(data["X"], data["y"], X_target=data["X_target"])
    assert vars(clf) == before


@pytest.fixture
def ignorant(few):
    """An estimator whose network holds NaN."""
    clf = make(DeepAdaptationClassifier, alignment=LateNaN, on_divergence="ignore")
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


@pytest.mark.parametrize("name", ["predict", *OUTPUTS])
def test_network_that_is_not_finite_predicts_nothing(name, ignorant, few):
    with pytest.raises(DivergenceError, match="parameters or statistics that are not finite"):
        getattr(ignorant, name)(few["X"])
    with pytest.raises(DivergenceError):
        ignorant.score(few["X"], few["y"])
    with pytest.raises(DivergenceError):
        ignorant.activations_of(few["X"], ("features",))


def test_infinite_statistics_predict_nothing(few):
    data = few_with(few, 1.0, [1.0] * 149 + [1e30])
    clf = make(AdaBNClassifier, on_divergence="ignore")
    clf.fit(data["X"], data["y"], X_target=data["X_target"])
    with pytest.raises(DivergenceError):
        clf.predict(few["X"])


@pytest.mark.parametrize("name", ["predict", *OUTPUTS])
def test_rows_that_are_too_large_are_named(name, few):
    clf = make(DeepCORALClassifier).fit(few["X"], few["y"], X_target=few["X_target"])
    X = few["X"][:5].copy()
    X[3] = 3e38  # beyond float32 in the first sum
    with pytest.raises(ValueError, match="not finite, from row 3 on"):
        getattr(clf, name)(X)
    with pytest.raises(ValueError, match="row 3"):
        clf.activations_of(X, ("features",))


# -- searches ---------------------------------------------------------------------------------


def test_candidate_that_diverges_has_no_score(few):
    search = GridSearchCV(FineTuneClassifier(max_epochs=2, random_state=0), {"lr": [1e-2, 1e30]})
    with pytest.warns(FitFailedWarning, match="Training diverged"):
        search.fit(few["X"], few["y"])
    assert search.best_params_ == {"lr": 1e-2}
    assert np.isnan(search.cv_results_["mean_test_score"][1])


def test_network_that_is_not_finite_has_no_score(few):
    clf = FineTuneClassifier(max_epochs=1, random_state=0, lr=1e30, on_divergence="ignore")
    with pytest.warns(UserWarning, match="Scoring failed"):
        scores = cross_validate(clf, few["X"], few["y"], cv=2)["test_score"]
    assert np.isnan(scores).all()
