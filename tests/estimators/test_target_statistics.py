"""Predictions are made under the statistics of the target, never under those of the source."""

import copy
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from devices import on_cpu
from kinds import one_of_each_kind

import skda.adaptation
from skda.base import DeepAdaptationClassifier
from skda.nn import DomainBatchNorm

METHODS = [
    cls
    for cls in map(vars(skda.adaptation).get, skda.adaptation.__all__)
    if issubclass(cls, DeepAdaptationClassifier)
]
if find_spec("ot") is None:  # needs an extra
    METHODS.remove(skda.adaptation.DeepJDOTClassifier)
PER_DOMAIN = [cls for cls in METHODS if cls().get_params().get("batch_norm") == "domain"]
PER_DOMAIN.remove(skda.adaptation.TLDAClassifier)  # whose network has no batch norm

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 5))
Y = (X[:, 0] > 0).astype(int)
TARGETS = 3 * RNG.standard_normal((50, 5)) + 7, 2 * RNG.standard_normal((40, 5)) - 4


def _fit(cls=DeepAdaptationClassifier, n_targets=1, **params):
    params = {"max_epochs": 2, "random_state": 0, "module__hidden_layer_sizes": (8,), **params}
    return cls(**params).fit(X, Y, X_target=TARGETS[:n_targets])


def _linear(layer, x):
    return x @ on_cpu(layer.weight).double().numpy().T + (
        0 if layer.bias is None else on_cpu(layer.bias).double().numpy()
    )


def _moments(targets):
    """Return mean and standard deviation of the mixture of targets, in equal parts."""
    means = np.stack([rows.mean(axis=0) for rows in targets])
    variances = np.stack([rows.var(axis=0) for rows in targets])
    return means.mean(axis=0), np.sqrt(variances.mean(axis=0) + means.var(axis=0))


@pytest.mark.parametrize("trade_off", [0, 1.0])
@pytest.mark.parametrize("n_targets", [1, 2])
def test_rows_are_standardised_by_the_moments_of_the_target(n_targets, trade_off):
    clf = _fit(
        n_targets=n_targets,
        standardize="domain",
        module__batch_norm=False,
        trade_off=trade_off,
        validation_fraction=0.2,
    )
    mean, scale = _moments(TARGETS[:n_targets])
    hidden = _linear(clf.net_.module_.backbone.hidden1[0], (TARGETS[0] - mean) / scale)
    features = np.maximum(hidden, 0)
    np.testing.assert_allclose(clf.transform(TARGETS[0]), features, rtol=1e-4, atol=1e-4)
    logits = _linear(clf.net_.module_.head, features)
    scores = clf.decision_function(TARGETS[0])
    np.testing.assert_allclose(scores, logits[:, 1] - logits[:, 0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n_targets", [1, 2])
def test_without_a_trade_off_batch_norms_normalise_by_the_moments_of_the_target(n_targets):
    clf = _fit(n_targets=n_targets, trade_off=0, validation_fraction=0.2)
    linear, norm = clf.net_.module_.backbone.hidden1[:2]
    mean, scale = _moments([_linear(linear, rows) for rows in TARGETS[:n_targets]])
    weight, bias = (on_cpu(p).double().numpy() for p in (norm.norms[0].weight, norm.norms[0].bias))
    normalised = (_linear(linear, TARGETS[0]) - mean) / np.sqrt(scale**2 + norm.norms[0].eps)
    features = np.maximum(weight * normalised + bias, 0)
    np.testing.assert_allclose(clf.transform(TARGETS[0]), features, rtol=1e-4, atol=1e-4)


def _logits(clf, rows, number):
    """Return the logits of the network with plain batch norms, which have one domain's moments."""
    module = copy.deepcopy(clf.net_.module_).eval()
    for parent in list(module.modules()):
        for name, part in parent._modules.items():
            if isinstance(part, DomainBatchNorm):
                parent._modules[name] = part.norms[number]
    with torch.no_grad():
        return module(torch.from_numpy(rows).float())[0]


@pytest.mark.parametrize("trade_off", [0, 1.0])
@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("cls", one_of_each_kind(PER_DOMAIN))
def test_every_classifier_predicts_with_the_last_statistics(cls, n_targets, trade_off):
    params = {"trade_off": trade_off} if "trade_off" in cls().get_params() else {}
    clf = _fit(cls, n_targets, **params)
    of_source, of_target = (_logits(clf, TARGETS[0], n).softmax(dim=1) for n in (0, -1))
    probabilities = clf.predict_proba(TARGETS[0])
    np.testing.assert_allclose(probabilities, of_target, rtol=1e-4, atol=1e-5)
    assert not np.allclose(probabilities, of_source, atol=1e-3)
