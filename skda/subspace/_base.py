"""The class behind the shallow methods: transformers with a map per domain."""

from abc import ABCMeta, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils.validation import check_is_fitted

from skda._checks import check_domain_numbers
from skda._sklearn_compat import fit_context
from skda.estimators import DomainTransformer

if TYPE_CHECKING:
    from typing_extensions import Self


class SubspaceTransformer(ClassNamePrefixFeaturesOutMixin, DomainTransformer, metaclass=ABCMeta):
    """Base of transformers that bring source and target rows into one space.

    A method writes :meth:`_fit_domains` and :meth:`_map_target`; :meth:`_map_source` too where
    source rows take another way. ``_n_features_out`` is the width of the result.
    """

    # pipe.transform(X, domain="source") and pipe.score(X, y, domain="source") reach the step.
    __metadata_request__transform = {"domain": True}

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any = None, *, X_target: Any = None, sample_domain: Any = None
    ) -> "Self":
        """Learn the maps of both domains.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Source rows.

        y : array-like of shape (n_samples,), default=None
            Labels of the source rows, for the methods that use them.

        X_target : array-like or tuple of array-likes, default=None
            Target rows; the rows of a tuple count as one target domain. In a cross-validation
            always pass a tuple: an array with as many rows as X would be cut into folds.

        sample_domain : array-like of shape (n_samples,), default=None
            The alternative to `X_target`: X holds rows of both domains, positive numbers mark
            source rows, negative ones target rows.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        ValueError
            If data or parameters are not as described.
        """
        source, y, targets = self._validate_domains(
            X, y, X_target, sample_domain, "takes the source for the target", min_samples=2
        )
        source = source.astype(np.float64, copy=False)
        target = np.vstack(targets).astype(np.float64, copy=False) if targets else source
        self._fit_domains(source, target, y)
        return self

    def fit_transform(
        self, X: Any, y: Any = None, *, X_target: Any = None, sample_domain: Any = None
    ) -> np.ndarray:
        """Learn the maps of both domains, and map the rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Source rows.

        y : array-like of shape (n_samples,), default=None
            Labels of the source rows, for the methods that use them.

        X_target : array-like or tuple of array-likes, default=None
            Target rows.

        sample_domain : array-like of shape (n_samples,), default=None
            The alternative to `X_target`, see :meth:`fit`.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_features_out)
            The rows of X in the common space: mapped as source rows, except where
            `sample_domain` is negative.
        """
        self.fit(X, y, X_target=X_target, sample_domain=sample_domain)
        X = self._validate_rows(X, reset=False)
        if sample_domain is None:
            return self._map(X, is_source=True)
        is_source = check_domain_numbers(sample_domain) > 0
        X_new = np.empty((X.shape[0], self._n_features_out), dtype=X.dtype)
        for domain in (True, False):
            chosen = is_source == domain
            if chosen.any():
                X_new[chosen] = self._map(X[chosen], is_source=domain)
        return X_new

    def transform(self, X: Any, domain: str = "target") -> np.ndarray:
        """Map rows into the common space.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, of the target domain unless `domain` says otherwise.

        domain : {"source", "target"}, default="target"
            Whose rows they are.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_features_out)
            The rows in the common space; float32 if X is, else float64.
        """
        check_is_fitted(self)
        if not isinstance(domain, str) or domain not in ("source", "target"):
            raise ValueError(f'domain must be "source" or "target", got {domain!r}.')
        X = self._validate_rows(X, reset=False)
        return self._map(X, is_source=domain == "source")

    def _map(self, X, is_source):
        rows = self._map_source(X) if is_source else self._map_target(X)
        return rows.astype(X.dtype, copy=False)

    @abstractmethod
    def _fit_domains(self, source, target, y):
        """Learn from float64 rows; y is None unless the tags say that it is required.

        Without target data `target` is `source`, and both maps must then be the same.
        """

    @abstractmethod
    def _map_target(self, X: Any) -> np.ndarray:
        """Return target rows in the common space."""

    def _map_source(self, X: Any) -> np.ndarray:
        """Return source rows in the common space; here, as target rows."""
        return self._map_target(X)
