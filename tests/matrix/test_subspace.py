"""Shallow transformers against tables, labels, targets and domains of every kind."""

from functools import cache

import numpy as np
import pytest

from skda import subspace

from ._judge import SHARE, Subject, bad_cells
from ._kinds import DOMAINS, LABELS, TABLES, domains, labels, rows
from .test_metrics import TARGETS, WORDS

NEED_LABELS = {"BDA", "JDA"}
NARROW = {"GFK", "SubspaceAlignment", "TCA", "BDA", "JDA"}


def _make(name, **settings):
    if name in NARROW:
        settings = {"n_components": 2, **settings}
    if name == "BDA":  # to estimate it takes many classifiers
        settings = {"balance": 0.5, **settings}
    return getattr(subspace, name)(**settings)


def _state(fitted):
    """Return what was learned."""
    return {key: value for key, value in vars(fitted).items() if key.endswith("_")}


def _fit(name):
    def call(X, y, X_target):
        return _state(_make(name).fit(X, y, X_target=X_target))

    def arguments():
        return {"X": rows(18), "y": labels(18), "X_target": rows(12, seed=1) + 0.5}

    # Without a target a method warns, and takes the source for it.
    kinds = {"X": TABLES, "X_target": [kind for kind in TARGETS if kind.name != "None"]}
    if name in NEED_LABELS:
        kinds["y"] = LABELS
    return Subject(f"{name}.fit", call, arguments, kinds, aliases={"X_target": ("feature_names",)})


def _stacked(name):
    def call(X, y, sample_domain):
        return _make(name).fit_transform(X, y, sample_domain=sample_domain)

    def arguments():
        return {"X": rows(30), "y": labels(30), "sample_domain": domains(18, 12)}

    kinds = {"X": TABLES, "sample_domain": DOMAINS}
    return Subject(f"{name}.fit_transform, stacked", call, arguments, kinds)


@cache
def _fitted(name):
    return _make(name).fit(rows(18), labels(18), X_target=rows(12, seed=1))


def _transform(name):
    def call(X, domain):
        return _fitted(name).transform(X, domain=domain)

    def check(result):
        if not isinstance(result, np.ndarray) or result.ndim != 2:
            return "not a table"

    arguments = lambda: {"X": rows(9), "domain": "target"}  # noqa: E731
    kinds = {"X": TABLES, "domain": WORDS}
    return Subject(f"{name}.transform", call, arguments, kinds, check)


def _setting(name, key):
    def call(value):
        return _state(_make(name, **{key: value}).fit(rows(18), labels(18), X_target=rows(12)))

    default = _make(name).get_params()[key]
    return Subject(
        f"{name}({key})", call, lambda: {"value": default}, {"value": WORDS},
        aliases={"value": (key,)},
    )  # fmt: skip


# Of those that are inherited one heir is enough.
SETTINGS = {
    "BDA": ["balance", "weighted"],
    "JDA": ["marginal_weight", "n_iter", "classifier"],
}
SUBJECTS = [
    subject
    for name in subspace.__all__
    for subject in (
        _fit(name),
        _stacked(name),
        _transform(name),
        *(_setting(name, key) for key in SETTINGS.get(name, _make(name).get_params())),
    )
]


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_cells_are_right_or_clear_errors(subject):
    bad = bad_cells(subject, SHARE)
    assert not bad, "\n" + "\n".join(bad)


@pytest.mark.exhaustive
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_every_cell_is_right_or_a_clear_error(subject):
    bad = bad_cells(subject)
    assert not bad, "\n" + "\n".join(bad)
