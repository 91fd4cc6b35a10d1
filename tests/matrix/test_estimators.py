"""Deep estimators against tables, labels, targets and domains of every kind."""

import warnings
from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest
from kinds import representatives

import skda.adaptation
from skda.base import DeepAdaptationClassifier
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier

from ._judge import Kind, Subject, bad_cells
from ._kinds import DOMAINS, LABELS, TABLES, domains, labels, rows
from .test_metrics import TARGETS

CLASSES = [vars(skda.adaptation)[name] for name in skda.adaptation.__all__]
if find_spec("ot") is None:
    CLASSES.remove(skda.adaptation.DeepJDOTClassifier)
CLASSES = [DeepAdaptationClassifier, *CLASSES, FineTuneClassifier]
# There are 32 estimators with the same checks of input.
SHARE = 24
PARTLY_LABELLED = [
    *LABELS,
    Kind("one unlabeled", lambda good: np.where(good > 1, -1, good)),
    Kind("all unlabeled", lambda good: np.full_like(good, -1)),
]
PARTLY_LABELLED = [
    # In these a row without a label is what it says.
    kind._replace(refused=False)
    if kind.name in ("NaN", "objects with None", "Series, pd.NA")
    else kind
    for kind in PARTLY_LABELLED
]


def _make(cls):
    options = {"random_state": 0, "device": "cpu", "verbose": 0}
    options |= {"max_epochs": 1, "batch_size": 8}
    known = cls().get_params()
    # What has stages of its own has epochs of its own.
    epochs = {key: 1 for key in known if key.endswith("_epochs")}
    return cls(**{key: value for key, value in {**options, **epochs}.items() if key in known})


def _is_supervised(cls):
    return hasattr(cls, "predict")


def _weights(fitted):
    net = getattr(fitted, "net_", None)
    module = getattr(net, "module_", None)
    if module is None:
        return {key: value for key, value in vars(fitted).items() if key.endswith("_")}
    return dict(module.named_parameters())


def _fit(cls):
    takes_target = cls is not FineTuneClassifier

    def call(**given):
        return _weights(_make(cls).fit(**given))

    def arguments():
        given = {"X": rows(18), "y": labels(18)}
        return {**given, "X_target": rows(12, seed=1) + 0.5} if takes_target else given

    kinds = {"X": TABLES, "y": LABELS} if _is_supervised(cls) else {"X": TABLES}
    if takes_target:
        kinds["X_target"] = [kind for kind in TARGETS if kind.name != "None"]
    # Of targets in a tuple a message says which.
    return Subject(f"{cls.__name__}.fit", call, arguments, kinds, twice=False)


def _fit_stacked(cls):
    def call(**given):
        return _weights(_make(cls).fit(**given))

    def arguments():
        return {"X": rows(30), "y": labels(30), "sample_domain": domains(18, 12)}

    name = f"{cls.__name__}.fit, stacked"
    return Subject(name, call, arguments, {"sample_domain": DOMAINS}, twice=False)


def _fit_partly_labelled(cls):
    def call(**given):
        return _weights(_make(cls).fit(rows(18), labels(18), **given))

    def arguments():
        return {"X_target": rows(12, seed=1), "y_target": labels(12)}

    name = f"{cls.__name__}.fit, partly labelled"
    return Subject(name, call, arguments, {"y_target": PARTLY_LABELLED}, twice=False)


@cache
def _fitted(cls):
    target = {} if cls is FineTuneClassifier else {"X_target": rows(12, seed=1)}
    labelled = (labels(18),) if _is_supervised(cls) else ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _make(cls).fit(rows(18), *labelled, **target)


def _apply(cls, method, y=False):
    def call(**given):
        return getattr(_fitted(cls), method)(**given)

    def check(result):
        if method != "score" and (not isinstance(result, np.ndarray) or not len(result)):
            return f"no rows: {type(result).__name__}"

    def arguments():
        return {"X": rows(9), "y": labels(9)} if y else {"X": rows(9)}

    kinds = {"X": TABLES, "y": LABELS} if y else {"X": TABLES}
    return Subject(f"{cls.__name__}.{method}", call, arguments, kinds, check)


def _subjects(cls):
    yield _fit(cls)
    if cls is not FineTuneClassifier:
        yield _fit_stacked(cls)
    if "y_target" in cls.fit.__annotations__ and cls is not skda.adaptation.AdaBNClassifier:
        yield _fit_partly_labelled(cls)
    for method in ("predict", "predict_proba", "transform"):
        if hasattr(cls, method):
            yield _apply(cls, method)
    if hasattr(cls, "score"):
        yield _apply(cls, "score", y=True)


def _extractor():
    """A network that is not trained: what it says of rows is all that is tested."""
    import torch

    def arguments():
        return {"X": rows(9).astype(np.float32)}

    def make():
        torch.manual_seed(0)
        return DeepFeatureExtractor(torch.nn.Linear(4, 3), device="cpu", engine="eager")

    fitted = cache(lambda: make().fit(rows(9).astype(np.float32)))
    name = "DeepFeatureExtractor"
    yield Subject(
        f"{name}.fit_transform", lambda X: make().fit_transform(X), arguments, {"X": TABLES}
    )
    yield Subject(f"{name}.transform", lambda X: fitted().transform(X), arguments, {"X": TABLES})


SUBJECTS = [*(subject for cls in CLASSES for subject in _subjects(cls)), *_extractor()]
# The room of estimators checks what comes in, for all methods of a kind.
SAMPLE = [
    *(subject for cls in representatives(CLASSES) for subject in _subjects(cls)),
    *_extractor(),
]


@pytest.mark.parametrize("subject", SAMPLE, ids=lambda subject: subject.name)
def test_cells_are_right_or_clear_errors(subject):
    bad = bad_cells(subject, SHARE)
    assert not bad, "\n" + "\n".join(bad)


@pytest.mark.exhaustive
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_every_cell_is_right_or_a_clear_error(subject):
    bad = bad_cells(subject)
    assert not bad, "\n" + "\n".join(bad)
