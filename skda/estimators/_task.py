"""What the labels are: the one place that knows that y holds classes.

An estimator asks its task whenever labels or outputs have a meaning. For other targets than
classes write a class with the methods and attributes of :class:`Task`, and name it in
``task_class`` of an estimator.
"""

from typing import Any, Protocol

import numpy as np
import torch
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.utils import assert_all_finite, check_consistent_length
from sklearn.utils.multiclass import check_classification_targets
from torch import nn

from skda._sklearn_compat import column_or_1d
from skda.domains import encode_target_labels
from skda.training import accuracy


class Task(Protocol):
    """What an estimator asks of its labels.

    Attributes
    ----------
    n_outputs : int
        Width of the head, once `encode` has seen the labels.

    criterion : type
        The loss of outputs and encoded labels; ``criterion__*`` keywords reach it.

    metric : callable
        From outputs and encoded labels of held-out rows to a scalar tensor, for the history.
    """

    n_outputs: int
    criterion: type[nn.Module]
    metric: Any

    def __init__(self, name: str) -> None:
        """Get the name of the estimator, for messages."""

    def encode(self, y: Any, X: Any) -> np.ndarray:
        """Return the labels of source rows as the criterion takes them; learn what they are."""
        ...

    def encode_target(self, y_target: Any, targets: tuple) -> tuple[np.ndarray, ...]:
        """Return the labels of partly labelled target rows, by domain, and what marks no label."""
        ...

    def recode(self, codes: np.ndarray) -> np.ndarray:
        """Return encoded labels of the source again, after `encode_target` met new ones."""
        ...

    def fitted_attributes(self) -> dict[str, Any]:
        """Return what the estimator has of it after ``fit``, by name."""
        ...

    def split(self, codes: np.ndarray, fraction: float, random_state: int) -> tuple:
        """Return the numbers of the rows that train, and of those that are held out."""
        ...

    def outputs(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return outputs of the head as predictions are made from them."""
        ...

    def decode(self, outputs: torch.Tensor) -> np.ndarray:
        """Return predictions in the terms of y."""
        ...


class ClassificationTask:
    """Labels that are classes, any of which a row can be of.

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
        """Return labels of the rows of X as an array of classes."""
        if y is None:
            raise ValueError(
                f"This {self.name} estimator requires y to be passed, but the target y is None."
            )
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_consistent_length(X, y)
        check_classification_targets(y)
        return y

    def set_classes(self, classes):
        """Take these sorted classes, of which there must be two."""
        self.classes = classes
        if len(classes) < 2:
            raise ValueError(
                f"y holds one class, {classes[0]!r}; {self.name} needs rows of at least two "
                "classes."
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
        splitter = StratifiedShuffleSplit(n_splits=1, test_size=fraction, random_state=random_state)
        return next(splitter.split(np.zeros(len(codes)), codes))

    def outputs(self, outputs):
        """Return logits as they are."""
        return outputs

    def decode(self, outputs):
        """Return the class with the largest logit."""
        return self.classes[outputs.argmax(dim=1).numpy()]
