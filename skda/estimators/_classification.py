"""Predictions that are classes."""

from typing import TYPE_CHECKING, Any, ClassVar

from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score

from skda._checks import as_array, check_column, check_lengths
from skda._naming import naming, shortened
from skda._torch import as_given
from skda.estimators._task import ClassificationTask

if TYPE_CHECKING:
    import numpy as np


class ClassificationMixin(ClassifierMixin):
    """What an estimator has whose task is to tell classes apart; goes before the estimator."""

    task_class: ClassVar[type] = ClassificationTask

    if TYPE_CHECKING:  # of the estimator
        classes_: np.ndarray
        _task: Any

        @staticmethod
        def _labels_of(X: Any, y: Any) -> Any: ...

        def _forward(
            self, X: Any, layer: str = ..., finish: Any = ..., domain: Any = ...
        ) -> np.ndarray: ...

    def predict(self, X: Any) -> "np.ndarray":
        """Predict the class of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Classes.
        """
        return self._predicted(X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of rows whose class is predicted.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        y : array-like of shape (n_samples,)
            Their labels. None takes those that a data set holds.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        accuracy : float
            From 0 to 1.
        """
        return self._accuracy(X, y, sample_weight)

    def predict_proba(self, X: Any) -> "np.ndarray":
        """Predict the probability of every class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        return self._probabilities(X)

    def predict_log_proba(self, X: Any) -> "np.ndarray":
        """Predict the logarithm of the probability of every class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``; finite also where a probability rounds to 0.
        """
        return self._log_probabilities(X)

    def decision_function(self, X: Any) -> "np.ndarray":
        """Return the logits of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Logits; for two classes their difference, positive for ``classes_[1]``.
        """
        return self._decisions(X)

    # -- of rows of any domain ----------------------------------------------------------------

    def _predicted(self, X, domain=None):
        return as_given(self._forward(X, finish=self._decoded, domain=domain), X)

    def _decoded(self, logits):
        return self._task.decode(logits)

    def _probabilities(self, X, domain=None):
        return as_given(self._forward(X, finish=_probabilities, domain=domain), X)

    def _log_probabilities(self, X, domain=None):
        return as_given(self._forward(X, finish=_log_probabilities, domain=domain), X)

    def _decisions(self, X, domain=None):
        scores = self._forward(X, domain=domain)
        return as_given(scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores, X)

    def _accuracy(self, X, y, sample_weight, **domain):
        labels = check_column(self._labels_of(X, y), "y", warn=True)
        # By way of predict, which a subclass may write anew.
        predicted = as_array(self.predict(X, **domain), "X")
        check_lengths("X", predicted, "y", labels)
        with naming("y", f"classes such as those of fit, {shortened(self.classes_[:5].tolist())}"):
            kinds = {column.dtype.kind in "US" for column in (labels, predicted)}
            if len(kinds) == 2 and "O" not in labels.dtype.kind + predicted.dtype.kind:
                # numpy before 1.25 compares text with numbers, and finds no row right.
                raise ValueError(f"got {labels.dtype}.")
            accuracy = accuracy_score(labels, predicted)
        if sample_weight is None:
            return float(accuracy)
        check_lengths("X", predicted, "sample_weight", sample_weight)
        return float(accuracy_score(labels, predicted, sample_weight=sample_weight))


def _probabilities(logits):
    return logits.double().softmax(dim=1).numpy()


def _log_probabilities(logits):
    return logits.double().log_softmax(dim=1).numpy()
