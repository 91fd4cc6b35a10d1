"""The accuracy of a classifier whose predictions know the domain of rows."""

from typing import TYPE_CHECKING, Any

from sklearn.metrics import accuracy_score


class DomainScoreMixin:
    """A ``score`` that hands `domain` on to ``predict``; stands before scikit-learn's mixins."""

    if TYPE_CHECKING:

        def predict(self, X: Any, domain: Any = "target") -> Any: ...

    def score(self, X: Any, y: Any, sample_weight: Any = None, domain: Any = "target") -> float:
        """Return the share of rows whose class is predicted.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or rows as in fit
            Rows.

        y : array-like of shape (n_samples,)
            Their labels.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        domain : {"source", "target"} or int, default="target"
            Whose rows they are.

        Returns
        -------
        accuracy : float
            From 0 to 1.
        """
        return float(accuracy_score(y, self.predict(X, domain=domain), sample_weight=sample_weight))
