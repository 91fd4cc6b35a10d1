"""What every estimator computes, to nine digits: no default and no formula changes by accident.

All cases run in float64 on one thread, so that the values hold on other machines too. After a
change that is meant to change them,

    python tests/test_golden.py

writes them anew; the difference of the file then shows what has changed, and by how much.
"""

import json
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

import skda._torch
import skda.adaptation
import skda.subspace
from skda.base import DeepAdaptationClassifier
from skda.datasets import load_shifted_digits
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier
from skda.training import AdaptationModule

VALUES = Path(__file__).with_name("golden.json")
TRAINING = {"max_epochs": 3, "batch_size": 32, "random_state": 0}
METHODS = {
    cls.__name__: cls
    for cls in (DeepAdaptationClassifier, *map(vars(skda.adaptation).get, skda.adaptation.__all__))
    if issubclass(cls, DeepAdaptationClassifier)
}
SUBSPACES = {name: getattr(skda.subspace, name) for name in skda.subspace.__all__}
NEEDS_POT = {"DeepJDOTClassifier"}
ANY_SIGN = {"GFK", "SubspaceAlignment"}  # columns along axes, whose signs differ between LAPACKs


def rows():
    """Few rows of few columns of the digits, so that a case takes a fraction of a second."""
    digits = load_shifted_digits(random_state=0)
    some, columns = digits.y < 4, slice(16, 40)
    X, X_target = digits.X[some][:80, columns], digits.X_target[digits.y_target < 4][:70, columns]
    return X, digits.y[some][:80], X_target, digits.y_target[digits.y_target < 4][:70]


def fit_method(cls, **params):
    X, y, X_target, _ = rows()
    known = cls().get_params()  # the shallow DANN has no batches
    training = {name: value for name, value in TRAINING.items() if name in known}
    return cls(**training | params).fit(X, y, X_target=X_target), X_target


def fit_images(cls, **params):
    X, y, X_target, _ = (
        part.reshape(len(part), 1, 4, 6) if part.ndim > 1 else part for part in rows()
    )
    return cls(**TRAINING | params).fit(X, y, X_target=X_target), X_target


def fit_two_targets(cls, **params):
    X, y, X_target, _ = rows()
    targets = X_target[:30], X_target[30:]
    return cls(**TRAINING | params).fit(X, y, X_target=targets), X_target


def fit_labelled(cls, **params):
    X, y, X_target, y_target = rows()
    labels = np.where(np.arange(len(y_target)) < 12, y_target, -1)
    clf = cls(**TRAINING | params).fit(X, y, X_target=X_target, y_target=labels)
    return clf, X_target


def fit_source(cls, **params):
    X, y, X_target, _ = rows()
    return cls(**TRAINING | params).fit(X, y), X_target


def fit_fine_tuning(**params):
    X, y, X_target, y_target = rows()
    old = FineTuneClassifier(**TRAINING).fit(X, y)
    new = FineTuneClassifier(module=old, **TRAINING | params)
    return new.fit(X_target[:40], y_target[:40]), X_target


def of_classifier(fit, *args, **params):
    clf, X = fit(*args, **params)
    losses = {
        name: list(clf.history_[:, name])
        for name in clf.history_[-1]
        if name.endswith("_loss") or name in ("valid_accuracy", "domain_accuracy")
    }
    return {
        **losses,
        "probabilities": clf.predict_proba(X[:3]).tolist(),
        "features": clf.transform(X).mean(axis=0)[:5].tolist(),
    }


def of_transformer(transformer):
    X, y, X_target, _ = rows()
    with_target = {} if isinstance(transformer, DeepFeatureExtractor) else {"X_target": X_target}
    transformer.fit(X, y, **with_target)
    return {"features": np.asarray(transformer.transform(X_target))[:3, :5].tolist()}


CASES = {name: (of_classifier, fit_method, cls) for name, cls in METHODS.items()}
CASES |= {
    f"{name} without trade-off": (of_classifier, fit_method, cls, {"trade_off": 0})
    for name, cls in METHODS.items()
    if name in ("DANNClassifier", "ADDAClassifier", "DANClassifier", "CoGANClassifier")
}
CASES |= {
    f"{name} on images": (of_classifier, fit_images, METHODS[name])
    for name in ("DANNClassifier", "DUCDAClassifier", "DSNClassifier", "CoGANClassifier")
}
CASES |= {
    f"{name} with two targets": (of_classifier, fit_two_targets, METHODS[name])
    for name in ("DANNClassifier", "AdaBNClassifier", "ADDAClassifier", "CoGANClassifier")
}
CASES |= {
    f"{name} with labels of the target": (of_classifier, fit_labelled, METHODS[name])
    for name in ("LabelEfficientClassifier", "DomainConfusionClassifier", "MCDClassifier")
}
CASES |= {
    "standardized": (
        of_classifier,
        fit_method,
        METHODS["DANClassifier"],
        {"standardize": "domain"},
    ),
    "early stopping": (
        of_classifier,
        fit_method,
        METHODS["DANClassifier"],
        {"early_stopping": True},
    ),
    "frozen": (of_classifier, fit_method, METHODS["DeepCORALClassifier"], {"n_frozen": 1}),
    "dropout": (of_classifier, fit_method, METHODS["DANNClassifier"], {"module__dropout": 0.3}),
    "JAN-A": (of_classifier, fit_method, METHODS["JANClassifier"], {"adversarial": True}),
    "learned kernels": (
        of_classifier,
        fit_method,
        METHODS["DANClassifier"],
        {"alignment__kernel_weights": "learned"},
    ),
    "list of alignments": (
        of_classifier,
        fit_method,
        DeepAdaptationClassifier,
        {"alignment": [("mmd", ("hidden1", "features"), 0.5), ("dann", ("features",), 1.0)]},
    ),
    "pairs without agreement": (
        of_classifier,
        fit_method,
        METHODS["CoGANClassifier"],
        {"agreement_weight": 0.0},
    ),
    "spectral penalty": (
        of_classifier,
        fit_method,
        METHODS["CDANClassifier"],
        {"spectral_weight": 0.01},
    ),
    "TLDA2": (of_classifier, fit_method, METHODS["TLDAClassifier"], {"classifier": "logistic"}),
    "source alone": (of_classifier, fit_source, DeepAdaptationClassifier),
    "fine-tuning": (of_classifier, fit_fine_tuning),
    "gradual unfreezing": (
        of_classifier,
        fit_fine_tuning,
        {"n_frozen": 2, "unfreeze_every": 1, "layer_decay": 0.5, "n_transfer": 2},
    ),
    "random features": (of_transformer, lambda: DeepFeatureExtractor(random_state=0)),
    "DNFC": (of_transformer, skda.adaptation.DNFC),
}
CASES |= {name: (of_transformer, cls) for name, cls in SUBSPACES.items() if name != "BDA"}
CASES["BDA"] = of_transformer, lambda: skda.subspace.BDA(random_state=0)


def compute(name):
    """Return the values of a case, computed in float64."""
    kind, *parts = CASES[name]
    params = parts.pop() if parts and isinstance(parts[-1], dict) else {}
    as_input = AdaptationModule.as_input
    torch.set_default_dtype(torch.float64)
    skda._torch._FLOAT = torch.float64
    # Estimators hand over float32.
    AdaptationModule.as_input = staticmethod(lambda X: as_input(X).double())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return kind(parts[0]()) if kind is of_transformer else kind(*parts, **params)
    finally:
        AdaptationModule.as_input = staticmethod(as_input)
        torch.set_default_dtype(torch.float32)
        skda._torch._FLOAT = torch.float32


def _dropout_is_of_uniform_numbers():
    """Whether torch's dropout compares uniform numbers; old releases draw from MKL."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        kept = torch.dropout(torch.ones(20, dtype=torch.float64), 0.3, train=True) > 0
        torch.manual_seed(0)
        return torch.equal(kept, torch.rand(20, dtype=torch.float64) < 0.7)


@pytest.mark.parametrize("name", CASES)
def test_golden_values(name):
    if name in NEEDS_POT:
        pytest.importorskip("ot")
    if name == "dropout" and not _dropout_is_of_uniform_numbers():
        pytest.skip("this torch draws other numbers for dropout")
    expected = json.loads(VALUES.read_text(encoding="utf-8"))[name]
    actual = compute(name)
    assert actual.keys() == expected.keys()
    for what, values in expected.items():
        if name in ANY_SIGN:
            actual[what], values = np.abs(actual[what]), np.abs(values)
        np.testing.assert_allclose(actual[what], values, rtol=1e-6, atol=1e-9, err_msg=what)


def test_golden_values_of_every_case():
    assert list(json.loads(VALUES.read_text(encoding="utf-8"))) == list(CASES)


def renew():
    """Write the values of all cases into the file."""
    torch.set_num_threads(1)
    if find_spec("ot") is None:
        raise SystemExit("needs POT: pip install POT")
    lines = [f"{json.dumps(name)}: {json.dumps(compute(name))}" for name in CASES]
    VALUES.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    renew()
