"""The judge itself: what it must not let pass."""

import numpy as np
import pytest

from ._judge import Kind, Subject, judge
from ._kinds import DOMAINS, LABELS, NUMBERS, TABLES
from ._tensor_kinds import BATCHES, CLASS_NUMBERS, LAYERS

GOOD = np.arange(6.0).reshape(3, 2)


def outcome(call, kind=None, **options):
    """Judge a function of X."""
    kind = kind or Kind("as it is", lambda good: good.copy())
    subject = Subject("call", call, lambda: {"X": GOOD.copy()}, {"X": [kind]}, **options)
    return judge(subject, "X", kind, reference=6.0).outcome


def raise_(error):
    """Return a function that raises."""

    def call(X):
        raise error

    return call


@pytest.mark.parametrize(
    "kinds", [TABLES, LABELS, DOMAINS, NUMBERS, BATCHES, CLASS_NUMBERS, LAYERS]
)
def test_there_are_32_kinds_of_everything(kinds):
    assert len({kind.name for kind in kinds}) == len(kinds) >= 32


@pytest.mark.parametrize("error", [RuntimeError("X"), IndexError("X"), AttributeError("X")])
def test_an_error_of_another_type_is_bare(error):
    assert outcome(raise_(error)) == "bare"


def test_an_error_must_name_the_parameter():
    assert outcome(raise_(ValueError("X must be a table"))) == "clear"
    assert outcome(raise_(ValueError("must be a table"))) == "bare"
    assert outcome(raise_(ValueError("X_target must be a table"))) == "bare"
    assert outcome(raise_(ValueError("X" + " 1" * 1000))) == "bare"


def test_nan_is_silent():
    assert outcome(lambda X: float("nan")) == "silent"
    assert outcome(lambda X: {"scores": np.array([1.0, np.inf])}) == "silent"


def test_what_must_be_refused_may_not_return():
    kind = Kind("masked", lambda good: np.ma.masked_array(good, mask=True), refused=True)
    assert outcome(lambda X: 1.0, kind) == "silent"


def test_the_same_values_must_give_the_same_result():
    kind = Kind("list", lambda good: good.tolist(), same=True)
    assert outcome(lambda X: 6.0, kind) == "right"
    assert outcome(lambda X: 7.0, kind) == "wrong"


def test_two_calls_must_agree():
    results = iter([1.0, 2.0])
    assert outcome(lambda X: next(results)) == "wrong"


def test_arguments_may_not_change():
    assert outcome(lambda X: X.fill(0) or 1.0) == "mutation"
