"""Predictions that are classes."""

from typing import TYPE_CHECKING, Any, ClassVar

from sklearn.base import ClassifierMixin

from skda.estimators._task import ClassificationTask

if TYPE_CHECKING:
    import numpy as np
    import torch


class ClassificationMixin(ClassifierMixin):
    """What an estimator has whose task is to tell classes apart; goes before the estimator."""

    task_class: ClassVar[type] = ClassificationTask

    if TYPE_CHECKING:  # of the estimator
        classes_: np.ndarray
        _task: Any

        def _forward(self, X: Any) -> tuple[torch.Tensor, torch.Tensor]: ...

    def predict(self, X: Any) -> "np.ndarray":
        """Predict the class of every row; an adapted network takes it to be of the target.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Classes.
        """
        logits, _ = self._forward(X)
        return self._task.decode(logits)

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
        logits, _ = self._forward(X)
        return logits.double().softmax(dim=1).numpy()

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
        logits, _ = self._forward(X)
        return logits.double().log_softmax(dim=1).numpy()

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
        logits, _ = self._forward(X)
        if len(self.classes_) == 2:
            logits = logits[:, 1] - logits[:, 0]
        return logits.numpy()
