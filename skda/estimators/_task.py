"""What the labels are: the one place that knows that y holds classes.

An estimator asks its task whenever labels or outputs have a meaning. For other targets than
classes write a class with the methods and attributes of :class:`Task`, and name it in
``task_class`` of an estimator.
"""

import math
from typing import Any, Protocol

import numpy as np
import torch
from sklearn.model_selection import StratifiedShuffleSplit
from torch import nn

from skda._checks import check_column, check_lengths
from skda.domains import encode_target_labels
from skda.training import accuracy


class Task(Protocol):
    """What an estimator asks of its labels.

    Parameters
    ----------
    name : str
        Of the estimator, for messages.

    Attributes
    ----------
    n_outputs : int
        Width of the head, once `encode` has seen the labels.

    criterion : type
        The loss of outputs and encoded labels; ``criterion__*`` keywords reach it.

    metric : callable
        From outputs and encoded labels of held-out rows to a scalar tensor, for the history; with
        weights of rows, of shape (n_rows,) and with a mean of 1, as the keyword ``weights``.
    """

    n_outputs: int
    criterion: type[nn.Module]
    metric: Any

    def __init__(self, name: str) -> None:
        """Get the name of the estimator, for messages."""

    def encode(self, y: Any, X: Any) -> np.ndarray:
        """Return the labels of source rows as the criterion takes them; learn what they are.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            The labels.

        X : array-like of n_samples rows
            What they belong to, for checks.

        Returns
        -------
        codes : ndarray of shape (n_samples,)
            Labels for the criterion.
        """
        ...

    def encode_target(self, y_target: Any, targets: tuple) -> tuple[np.ndarray, ...]:
        """Return the labels of partly labelled target rows, by domain, and what marks no label.

        Parameters
        ----------
        y_target : array-like or tuple of array-likes
            Labels of the target rows.

        targets : tuple of array-likes
            The rows, by domain.

        Returns
        -------
        codes : tuple of ndarrays
            Labels for the criterion, by domain.
        """
        ...

    def recode(self, codes: np.ndarray) -> np.ndarray:
        """Return encoded labels of the source again, after `encode_target` met new ones.

        Parameters
        ----------
        codes : ndarray of shape (n_samples,)
            Encoded labels.

        Returns
        -------
        codes : ndarray of shape (n_samples,)
            The same labels.
        """
        ...

    def fitted_attributes(self) -> dict[str, Any]:
        """Return what the estimator has of it after ``fit``, by name.

        Returns
        -------
        attributes : dict
            Values by the name of the attribute.
        """
        ...

    def split(self, codes: np.ndarray, fraction: float, random_state: int) -> tuple:
        """Return the numbers of the rows that train, and of those that are held out.

        Parameters
        ----------
        codes : ndarray of shape (n_samples,)
            Encoded labels.

        fraction : float
            Share of the rows that is held out.

        random_state : int
            Draws them.

        Returns
        -------
        numbers : tuple of ndarrays
            Of the training rows and of the held-out rows.
        """
        ...

    def outputs(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return outputs of the head as predictions are made from them.

        Parameters
        ----------
        outputs : torch.Tensor of shape (n_samples, n_outputs)
            Of the head.

        Returns
        -------
        outputs : torch.Tensor
            Of as many rows.
        """
        ...

    def decode(self, outputs: torch.Tensor) -> np.ndarray:
        """Return predictions in the terms of y.

        Parameters
        ----------
        outputs : torch.Tensor
            What `outputs` returned.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The predictions.
        """
        ...


class ClassificationTask:
    """Labels that are classes, any of which a row can be of.

    Parameters
    ----------
    name : str
        Of the estimator, for messages.

    classes : ndarray of shape (n_classes,), default=None
        Sorted; None until `encode` has seen labels.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Sorted.

    Examples
    --------
    >>> import torch
    >>> from skda.estimators import ClassificationTask
    >>> task = ClassificationTask("MyClassifier")
    >>> task.encode(["b", "a", "b"], [[0.0]] * 3).tolist(), task.n_outputs
    ([1, 0, 1], 2)
    >>> task.decode(torch.tensor([[0.0, 1.0]])).tolist()
    ['b']
    """

    criterion = nn.CrossEntropyLoss
    metric = staticmethod(accuracy)

    classes: np.ndarray

    def __init__(self, name: str, classes: Any = None):
        self.name, self.classes = name, classes

    @property
    def n_outputs(self) -> int:
        """Width of the head: a logit for every class."""
        return len(self.classes)

    def check(self, y, X):
        """Return labels of the rows of X as an array of classes.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            The labels.

        X : array-like of n_samples rows
            What they belong to.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The labels.
        """
        y = check_column(y, warn=True)
        check_lengths("X", X, "y", y)
        return y

    def set_classes(self, classes):
        """Take these sorted classes, of which there must be two.

        Parameters
        ----------
        classes : ndarray of shape (n_classes,)
            Sorted, each once.
        """
        self.classes = classes
        if len(classes) < 2:
            raise ValueError(
                f"y holds one class, {classes.tolist()[0]!r}; {self.name} needs rows of at least "
                "two classes."
            )

    def encode(self, y, X):
        """Return class numbers."""
        classes, codes = np.unique(self.check(y, X), return_inverse=True)
        self.set_classes(classes)
        return codes.astype(np.int64)

    def encode_target(self, y_target, targets):
        """Return class numbers by domain, -100 for rows without a label."""
        return encode_target_labels(y_target, targets, self.classes)

    def recode(self, codes):
        """Return the same numbers: the target's classes are those of the source."""
        return codes

    def fitted_attributes(self):
        """Return ``classes_``."""
        return {"classes_": self.classes}

    def split(self, codes, fraction, random_state):
        """Return the numbers of training and held-out rows, stratified by class."""
        counts = np.bincount(codes, minlength=len(self.classes))  # 0 of classes of the target
        n_held_out, n_classes = math.ceil(fraction * len(codes)), np.count_nonzero(counts)
        if not n_classes <= n_held_out <= len(codes) - n_classes:
            raise ValueError(
                f"validation_fraction={fraction} holds {n_held_out} of {len(codes)} rows of y out, "
                f"but {n_classes} classes need a row each on both sides; change it, or give "
                "more rows."
            )
        if 1 in counts:
            rare = self.classes.tolist()[counts.tolist().index(1)]
            raise ValueError(
                f"validation_fraction={fraction} needs two rows of every class, but y has one of "
                f"{rare!r}; leave it and early_stopping out, or give more rows."
            )
        splitter = StratifiedShuffleSplit(n_splits=1, test_size=fraction, random_state=random_state)
        return next(splitter.split(np.zeros(len(codes)), codes))

    def outputs(self, outputs):
        """Return logits as they are."""
        return outputs

    def decode(self, outputs):
        """Return the class with the largest logit."""
        return self.classes[outputs.argmax(dim=1).numpy()]
