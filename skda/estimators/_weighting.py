"""How much rows count in the loss: by their own weights, and by those of their classes."""

from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch

from skda._checks import as_column, as_float, check_domain_numbers, check_lengths
from skda._naming import naming, shortened
from skda._sklearn_compat import StrOptions
from skda.domains import UNLABELED
from skda.estimators._parts import EstimatorPart

# What the parameter class_weight may be.
CLASS_WEIGHTS: list = [StrOptions({"balanced"}), dict, None]
# Of a class of no weight, whose logarithm would be infinite.
_SMALLEST_SHARE = 1e-8
_WANTED = "finite numbers of 0 or more, of shape (n_samples,)"


class WeightingMixin(EstimatorPart):
    """An estimator whose rows may count more or less than others in the classification loss."""

    class_weight: ClassVar[Any] = None  # which estimators of classes make a parameter

    def _source_weights(self, sample_weight, sample_domain=None):
        """Return the weights of source rows, as they were given with or without target rows."""
        if sample_weight is None:
            return None
        weights = as_column(sample_weight, "sample_weight", wanted=_WANTED)
        if sample_domain is not None:
            domains = check_domain_numbers(sample_domain)
            check_lengths("X", domains, "sample_weight", weights)
            weights = weights[domains > 0]
        with naming("sample_weight", _WANTED):
            if weights.dtype.kind not in "biufO":
                raise TypeError(f"got {weights.dtype}.")
            weights = weights.astype(np.float64)
            is_usable = np.isfinite(weights) & (weights >= 0)
            if not is_usable.all():
                raise ValueError(f"got {weights[~is_usable][0]}.")
        return weights

    def _weights_of(self, weights, codes, target_labels=None, *, is_whole=True):
        """Return the weights of all rows that may have a label, None if they count alike.

        Parameters
        ----------
        weights : ndarray of shape (n_samples,) or None
            Of the source rows that `fit` was given, also of those that could not be read.

        codes : ndarray of int64 of shape (n_source,)
            Class numbers of those that train.

        target_labels : tuple of ndarrays of int64, default=None
            Class numbers of the target rows. A labelled one counts as much as the source row of
            mean weight.

        is_whole : bool, default=True
            Whether these are all rows of the training, so that several classes must count.
        """
        if weights is None and self.class_weight is None:
            return None
        weights = np.ones(len(codes)) if weights is None else self._kept_weights(weights, codes)
        if not weights.any():
            raise ValueError("sample_weight holds zeros alone; give some row a weight above 0.")
        weights = weights / weights.max()  # a sum of weights may be beyond float64
        if target_labels is not None:
            labels = np.concatenate([codes, *target_labels])
            weights = np.append(weights, np.full(len(labels) - len(codes), weights.mean()))
        else:
            labels = codes
        if labels.ndim == 1 and labels.dtype.kind in "iu":
            is_labelled = labels != UNLABELED
        else:  # of a task that knows no classes
            is_labelled = np.ones(len(labels), dtype=bool)
        if self.class_weight is not None:
            by_class = self._class_weights(labels[is_labelled], weights[is_labelled])
            weights = weights * by_class[np.where(is_labelled, labels, 0)]
        if is_whole:
            self._check_classes_count(labels[is_labelled], weights[is_labelled])
        counted = weights[is_labelled]
        return None if (counted == counted[0]).all() else np.where(is_labelled, weights, 0)

    def _kept_weights(self, weights, codes):
        """Return the weights of the images that could be read, and of all other rows."""
        n_rows, kept = self._kept.get("X", (len(codes), slice(None)))
        if len(weights) != n_rows:
            raise ValueError(
                f"sample_weight has {len(weights)} entries for {n_rows} rows of X; give one for "
                "each."
            )
        return weights[kept]

    def _class_weights(self, codes, weights):
        """Return the weights of classes, in the order of their numbers."""
        classes = self._task.classes
        if isinstance(self.class_weight, dict):
            return _chosen_weights(self.class_weight, classes)
        # As if every row were there as often as it counts.
        counts = np.bincount(codes, weights, minlength=len(classes))
        return np.divide(counts.sum(), len(classes) * counts, where=counts > 0, out=0 * counts)

    def _start_head(self, head, dataset):
        """Let a head begin at the shares of classes that class weights make.

        Weights of 1000 against 1e-4 move logits by 16: without, 40 steps of a rate of 1e-3 do not
        get there, and two thirds of the rows are said to be of a class that hardly counts.
        """
        bias = getattr(head, "bias", None)
        if self.class_weight is None or dataset.weights is None or bias is None:
            return
        is_labelled = dataset.labels != UNLABELED
        labels, weights = dataset.labels[is_labelled], dataset.weights[is_labelled]
        shares = torch.bincount(labels, weights.double(), minlength=len(bias)) / weights.sum()
        logs = shares.clamp(min=_SMALLEST_SHARE).log()
        has_rows = torch.bincount(labels, minlength=len(bias)) > 0
        shift = torch.where(has_rows, logs - logs[has_rows].mean(), 0)
        with torch.no_grad():
            bias += shift.to(bias)

    def _check_classes_count(self, codes, weights):
        """Raise if the rows that count are of one class."""
        if not hasattr(self._task, "classes"):
            return
        counted = np.unique(codes[weights > 0])
        if len(counted) < 2:
            given = "class_weight" if self.class_weight is not None else "sample_weight"
            which = (
                f"one class, {self._task.classes.tolist()[counted[0]]!r}"
                if len(counted)
                else ("no class")
            )
            raise ValueError(
                f"{given} leaves a weight above zero to rows of {which}; "
                f"{type(self).__name__} needs rows of at least two classes that count."
            )


def _chosen_weights(class_weight, classes):
    """Return the weights of a dict in the order of the classes; 1 for those that it lacks."""
    numbers = {label: number for number, label in enumerate(classes.tolist())}
    weights = np.ones(len(classes))
    for label, weight in class_weight.items():
        if label not in numbers:
            raise ValueError(
                f"class_weight has an entry {label!r}, which is no class of y: "
                f"{shortened(classes.tolist())}; leave it out."
            )
        if not isinstance(weight, Real) or not 0 <= as_float(weight) < np.inf:
            raise ValueError(
                f"class_weight[{label!r}] must be a finite number of 0 or more, got "
                f"{shortened(repr(weight))}."
            )
        weights[numbers[label]] = weight
    return weights
