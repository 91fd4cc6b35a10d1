"""What is asked of domains and alignments before a training begins."""

import warnings
from numbers import Real

import numpy as np

from skda._callers import level_of_user
from skda._checks import as_float
from skda.exceptions import NoTargetWarning
from skda.nn import ALIGNMENTS


def check_alignment_list(alignment):
    """Raise unless every entry of a list says what is aligned, where, and how strongly."""
    if not isinstance(alignment, list):
        return
    for number, entry in enumerate(alignment):
        if not _is_weighted_alignment(entry):
            raise ValueError(
                f"alignment[{number}] must be a tuple (alignment, layers, weight) of a name, "
                "callable or module, a tuple of names of layers, and a number of 0 or more; got "
                f"{entry!r}. Names are {', '.join(ALIGNMENTS)}."
            )


def warn_of_names(X, X_target, name):
    """Warn of a target that has probably not gone through the pipeline that the source has."""
    is_array = hasattr(X, "shape") and not hasattr(X, "columns")
    if is_array and hasattr(X_target, "columns"):
        warnings.warn(
            f"{name} has names of columns, but X has none. If X comes from the steps of a "
            f"pipeline, {name} has not gone through them: build it with "
            "skda.make_domain_pipeline, and fit it with X_target=. If both are as they should be, "
            "pass arrays for both.",
            stacklevel=level_of_user(),
        )


def warn_of_no_target(estimator):
    """Warn that there is nothing to adapt to."""
    warnings.warn(
        f"{type(estimator).__name__} was fitted without target data and trains on the source "
        "alone; pass unlabeled rows of the target domain as X_target.",
        NoTargetWarning,
        stacklevel=level_of_user(),
    )


def names_of(targets):
    """Return what messages call the target domains."""
    return ["X_target" if len(targets) == 1 else f"X_target[{n}]" for n in range(len(targets))]


def check_sample_domain(sample_domain, y_target):
    """Raise if labels of the target come beside rows that are stacked."""
    if sample_domain is not None and y_target is not None:
        raise ValueError(
            "y_target goes with X_target, not with sample_domain; pass the target rows in X_target."
        )


def _is_weighted_alignment(entry):
    if not isinstance(entry, tuple) or len(entry) != 3:
        return False
    alignment, layers, weight = entry
    known = alignment in ALIGNMENTS if isinstance(alignment, str) else callable(alignment)
    return (
        known
        and isinstance(layers, tuple)
        and isinstance(weight, Real)
        and 0 <= as_float(weight) < np.inf
    )
