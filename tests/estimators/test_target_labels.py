"""Labels of unlabeled target rows: whatever stands there is not learned."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from kinds import one_of_each_kind

import skda.adaptation
from skda import stack_domains
from skda.base import DeepAdaptationClassifier

METHODS = [
    cls
    for cls in map(vars(skda.adaptation).get, skda.adaptation.__all__)
    if issubclass(cls, DeepAdaptationClassifier)
]
if find_spec("ot") is None:  # needs an extra
    METHODS.remove(skda.adaptation.DeepJDOTClassifier)
CLASSIFIERS = [DeepAdaptationClassifier, *METHODS]
# AdaBN refuses labels of target rows.
LABELLED = [cls for cls in CLASSIFIERS if cls is not skda.adaptation.AdaBNClassifier]


@pytest.fixture(scope="module")
def some(few):
    return few["X"][:80], few["y"][:80], few["X_target"][:60], few["y_target"][:60]


def _fit(cls, X, y, **target):
    return cls(max_epochs=2, random_state=0).fit(X, y, **target)


def _assert_same(first, second):
    np.testing.assert_array_equal(first.classes_, second.classes_)
    first, second = (clf.net_.module_.state_dict() for clf in (first, second))
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.parametrize("cls", one_of_each_kind(CLASSIFIERS))
def test_labels_of_target_rows_among_those_of_the_source_are_not_learned(cls, some):
    X, y, X_target, _ = some
    rows, labels, sample_domain = stack_domains(X, y, X_target)
    wrong = labels.copy()
    wrong[sample_domain < 0] = np.arange(60) % 10
    first, second = (_fit(cls, rows, y, sample_domain=sample_domain) for y in (labels, wrong))
    _assert_same(first, second)


@pytest.mark.parametrize("cls", one_of_each_kind(CLASSIFIERS))
def test_target_rows_among_those_of_the_source_are_those_apart(cls, some):
    X, y, X_target, _ = some
    rows, labels, sample_domain = stack_domains(X, y, X_target)
    order = np.random.default_rng(0).permutation(len(rows))
    # Mixed, each domain in its own order.
    order[np.flatnonzero(sample_domain[order] > 0)] = np.arange(80)
    order[np.flatnonzero(sample_domain[order] < 0)] = np.arange(80, 140)
    mixed = _fit(cls, rows[order], labels[order], sample_domain=sample_domain[order])
    _assert_same(mixed, _fit(cls, X, y, X_target=X_target))


@pytest.mark.parametrize("cls", one_of_each_kind(LABELLED))
def test_every_mark_of_an_unlabeled_row_is_the_same(cls, some):
    X, y, X_target, y_target = some
    fits = []
    for mark in (-1, None, np.nan):
        labels = y_target.astype(float if mark != mark else object)
        labels[np.arange(60) % 3 > 0] = mark
        fits.append(_fit(cls, X, y, X_target=X_target, y_target=labels))
    for other in fits[1:]:
        _assert_same(fits[0], other)


@pytest.mark.parametrize("cls", one_of_each_kind(LABELLED))
def test_without_a_labelled_row_the_weights_are_those_without_labels(cls, some):
    X, y, X_target, _ = some
    without = _fit(cls, X, y, X_target=X_target)
    unlabeled = _fit(cls, X, y, X_target=X_target, y_target=np.full(60, -1))
    first, second = (dict(clf.net_.module_.named_parameters()) for clf in (without, unlabeled))
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("cls", one_of_each_kind(LABELLED))
def test_labels_of_labelled_target_rows_are_learned(cls, some):
    X, y, X_target, y_target = some
    fits = []
    for shift in (0, 1):
        labels = np.where(np.arange(60) % 3 > 0, -1, (y_target + shift) % 10)
        fits.append(_fit(cls, X, y, X_target=X_target, y_target=labels))
    first, second = (clf.net_.module_.head.weight for clf in fits)
    assert first.shape == second.shape and not torch.allclose(first, second, atol=1e-5)
