"""Predictions of rows of a domain that is named."""

from typing import TYPE_CHECKING, Any

from skda.estimators._classification import ClassificationMixin

if TYPE_CHECKING:
    import numpy as np


class DomainClassificationMixin(ClassificationMixin):
    """Classes of rows that are of the target, or of the domain that is named."""

    if TYPE_CHECKING:

        def _checked_domain(self, domain: Any) -> Any: ...

    # pipe.predict(X, domain="source") and the like reach the step. A search passes it to score
    # alone: held-out rows of the source are then judged as such.
    __metadata_request__predict = {"domain": True}
    __metadata_request__predict_proba = {"domain": True}
    __metadata_request__predict_log_proba = {"domain": True}
    __metadata_request__decision_function = {"domain": True}
    __metadata_request__score = {"domain": True}

    def predict(self, X: Any, domain: Any = "target") -> "np.ndarray":
        """Predict the class of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        domain : {"source", "target"} or int, default="target"
            Whose rows they are; a number is that of one of several target domains.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Classes.
        """
        return self._predicted(X, self._checked_domain(domain))

    def score(self, X: Any, y: Any, sample_weight: Any = None, domain: Any = "target") -> float:
        """Return the share of rows whose class is predicted.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        y : array-like of shape (n_samples,)
            Their labels. None takes those that a data set holds.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        domain : {"source", "target"} or int, default="target"
            Whose rows they are. In a cross-validation held-out rows are of the source:
            ``search.fit(X, y, X_target=(Xt,), domain="source")`` with metadata routing.

        Returns
        -------
        accuracy : float
            From 0 to 1.
        """
        is_target = isinstance(domain, str) and domain == "target"  # what predict takes it for
        return self._accuracy(X, y, sample_weight, **({} if is_target else {"domain": domain}))

    def predict_proba(self, X: Any, domain: Any = "target") -> "np.ndarray":
        """Predict the probability of every class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        domain : {"source", "target"} or int, default="target"
            Whose rows they are; a number is that of one of several target domains.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        return self._probabilities(X, self._checked_domain(domain))

    def predict_log_proba(self, X: Any, domain: Any = "target") -> "np.ndarray":
        """Predict the logarithm of the probability of every class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        domain : {"source", "target"} or int, default="target"
            Whose rows they are; a number is that of one of several target domains.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``; finite also where a probability rounds to 0.
        """
        return self._log_probabilities(X, self._checked_domain(domain))

    def decision_function(self, X: Any, domain: Any = "target") -> "np.ndarray":
        """Return the logits of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        domain : {"source", "target"} or int, default="target"
            Whose rows they are; a number is that of one of several target domains.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Logits; for two classes their difference, positive for ``classes_[1]``.
        """
        return self._decisions(X, self._checked_domain(domain))
