"""Predictions of what a guard has kept."""

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skda._checks import check_domain
from skda.label_shift import DomainScoreMixin, call_last_step
from skda.model_selection._candidates import named_candidates


def some_part_has(name):
    """Whether the estimator that is kept has a method, or before fit any that may be."""

    def check(self):
        if hasattr(self, "best_estimator_"):
            return hasattr(self.best_estimator_, name)
        parts = [part for _, part in named_candidates(self.estimator)]
        fallback = parts if self.fallback is None else [self.fallback]
        return all(hasattr(part, name) for part in (*parts, *fallback))

    return check


class KeptEstimatorMixin(DomainScoreMixin):
    """The methods of ``best_estimator_``, with the domain for those that take it."""

    if TYPE_CHECKING:
        best_estimator_: Any
        _n_targets: int

        def fit(self, X: Any, y: Any, **params: Any) -> Any: ...

    def predict(self, X: Any, domain: Any = "target") -> np.ndarray:
        """Predict the class of every row by the estimator that was kept.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or rows as in fit
            Rows.

        domain : {"source", "target"} or int, default="target"
            Whose rows they are; a number is that of one of several target domains. It matters
            to estimators that tell domains apart alone.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Classes.
        """
        return self._call("predict", X, domain)

    @available_if(some_part_has("predict_proba"))
    def predict_proba(self, X: Any, domain: Any = "target") -> np.ndarray:
        """Predict the probability of every class by the estimator that was kept.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or rows as in fit
            Rows.

        domain : {"source", "target"} or int, default="target"
            Whose rows they are.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        return self._call("predict_proba", X, domain)

    @available_if(some_part_has("decision_function"))
    def decision_function(self, X: Any, domain: Any = "target") -> np.ndarray:
        """Return what the estimator that was kept decides by.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or rows as in fit
            Rows.

        domain : {"source", "target"} or int, default="target"
            Whose rows they are.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            In the order of ``classes_``.
        """
        return self._call("decision_function", X, domain)

    @available_if(some_part_has("transform"))
    def transform(self, X: Any, domain: Any = "target") -> np.ndarray:
        """Return the features of the estimator that was kept.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or rows as in fit
            Rows.

        domain : {"source", "target"} or int, default="target"
            Whose rows they are.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out)
            Features.
        """
        return self._call("transform", X, domain)

    @available_if(some_part_has("transform"))
    def fit_transform(self, X: Any, y: Any, **params: Any) -> np.ndarray:
        """Fit, and return the features of the source rows.

        Parameters
        ----------
        X, y : array-likes
            Source rows and labels.

        **params : keywords
            Of fit, such as `X_target`.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out)
            Those of X as rows of the source.
        """
        return self.fit(X, y, **params)._call("transform", X, "source")

    def _call(self, method, X, domain):
        check_is_fitted(self)
        if check_domain(domain, self._n_targets) is None:
            return getattr(self.best_estimator_, method)(X)
        return call_last_step(self.best_estimator_, method, X, "X", domain, self._n_targets)
