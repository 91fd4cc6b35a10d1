"""Class shares of the targets as users give them."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from skda._checks import as_array
from skda._naming import naming, shortened
from skda.label_shift import (
    black_box_shares,
    check_shares,
    class_shares,
    maximum_likelihood_shares,
    regularized_shares,
    shrink_shares,
)

# What they take is calibrated, or of held-out rows. Asked between epochs by what a network that
# adapts to their answers says, they run away: on digits with turned shares to one class of ten,
# in six trainings of six.
_RAW = (
    black_box_shares,
    class_shares,
    maximum_likelihood_shares,
    regularized_shares,
    shrink_shares,
)


def shares_of_targets(estimator, training):
    """Return `target_shares` of an estimator as its nets take it.

    Parameters
    ----------
    estimator : DeepEstimator
        Whose parameter it is, if it has one.

    training : skda.training.Training
        Of what there are targets, and source rows.

    Returns
    -------
    shares : ndarray of shape (n_targets, n_classes), callable, str or None
        Shares by target, of one if there is none.

    Raises
    ------
    TypeError, ValueError
        If it is something else, or does not fit the labels or the targets.
    """
    given = getattr(estimator, "target_shares", None)
    if given is not None and estimator.class_weight is not None:
        raise ValueError(
            f"class_weight={estimator.class_weight!r} and target_shares both say how much classes "
            "count; leave class_weight at None, or target_shares."
        )
    if given is None:
        return None
    if not hasattr(estimator, "classes_"):
        raise TypeError(
            f"target_shares are of classes, but {type(estimator).__name__} has none; leave it at "
            "None."
        )
    if isinstance(given, str):
        return given
    classes = estimator.classes_.tolist()
    if callable(given):
        _check_not_raw(given)
        return AnswersByClass(given, classes)
    n_targets = len(training.dataset.targets)
    shares = _by_target(given, classes, n_targets)
    _check_known(shares, training.dataset.class_numbers, classes)
    _check_weights(shares, training.dataset, classes)
    return shares


def _check_not_raw(function):
    """Raise for an estimate of label shift, which is made for other predictions."""
    while isinstance(function, partial):
        function = function.func
    if any(function is raw for raw in _RAW):
        name = function.__name__
        raise ValueError(
            f"target_shares={name} would be asked by what a network says that is neither "
            "calibrated nor independent of the last answer, and run away to few classes; use "
            f"target_shares='estimate', or shares that {name} finds by another classifier."
        )


class AnswersByClass:
    """A user's function from probabilities and shares to shares, as nets ask it.

    Parameters
    ----------
    function : callable
        Its Series and dicts are read by label, like those that are given outright.

    classes : list
        The labels, in the order that nets have them in.
    """

    def __init__(self, function, classes):
        self.function, self.classes = function, classes

    def __call__(self, target_probabilities, source_shares):
        """Return what the function says, in the order of classes."""
        shares = _by_label(self.function(target_probabilities, source_shares))
        with naming("target_shares", "a function that gives shares, in a Series or dict by class"):
            return _values(shares, self.classes)


def _by_target(given, classes, n_targets):
    """Return an array with the shares of every target in a row."""
    wanted = (
        f"{len(classes)} numbers of 0 or more with a sum of 1, in the order of classes_, or a dict "
        "of such by class"
    )
    if n_targets > 1:
        wanted += f"; of {n_targets} targets a list with such an entry for each, or one for all"
    given = _by_label(given)
    with naming("target_shares", f"{wanted}; of numbers of rows by class counts / counts.sum()"):
        if isinstance(given, Mapping):
            entries = [given]
        elif any(isinstance(_by_label(entry), Mapping) for entry in given):
            entries = [_by_label(entry) for entry in given]
        else:
            values = as_array(given, "target_shares")
            entries = list(values) if np.ndim(values) == 2 else [values]
        if len(entries) not in (1, max(1, n_targets)):
            raise ValueError(f"got {len(entries)} of them for {n_targets} targets")
        shares = [
            check_shares(_values(entry, classes), "target_shares", len(classes))
            for entry in entries
        ]
    return np.stack(shares * (max(1, n_targets) if len(shares) == 1 else 1))


def _by_label(entry):
    """Return a Series as a dict, such as of ``value_counts``, which sorts classes by their rows."""
    is_series = hasattr(entry, "index") and hasattr(entry, "items") and hasattr(entry, "to_dict")
    return dict(entry.items()) if is_series and np.ndim(entry) == 1 else entry


def _values(entry, classes):
    """Return shares in the order of classes; a class that a dict leaves out has none."""
    if not isinstance(entry, Mapping):
        return entry
    if strangers := [label for label in entry if label not in classes]:
        raise ValueError(
            f"got the label {strangers[0]!r}, but the classes are {shortened(classes, 100)}"
        )
    return [entry.get(label, 0.0) for label in classes]


def _check_weights(shares, dataset, classes):
    """Raise for a class with a share all of whose source rows have a weight of zero."""
    weights = dataset.source_weights()
    if weights is None:
        return
    codes = dataset.class_numbers
    counts = np.bincount(codes, minlength=len(classes))
    n_weighted = np.bincount(codes[weights.numpy() > 0], minlength=len(classes))
    lost = (counts > 0) & (n_weighted == 0) & (shares > 0).any(axis=0)
    if lost.any():
        names = [label for label, is_lost in zip(classes, lost, strict=True) if is_lost]
        raise ValueError(
            f"target_shares gives the class {names[0]!r} a share, but sample_weight is 0 for all "
            "of its source rows, so that nothing would be learned of it; give some a weight, or "
            "the class no share."
        )


def _check_known(shares, codes, classes):
    """Raise for a target all of whose rows would be of classes that the source lacks."""
    has_rows = np.bincount(codes, minlength=len(classes)) > 0
    if not (shares * has_rows).sum(axis=1).all():
        raise ValueError(
            "target_shares has shares of classes alone that no source row is of; source rows are "
            f"of the classes {shortened([c for c, k in zip(classes, has_rows, strict=True) if k])}."
        )
