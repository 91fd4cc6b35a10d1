"""Rows of a domain that is named, where the network is one that was adapted."""

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import TransformerMixin

from skda._checks import check_domain, check_domain_numbers, check_lengths
from skda._sklearn_compat import safe_indexing
from skda.feature_extraction._parts import ExtractorPart
from skda.nn import DomainRows
from skda.training import AdaptationModule


class DomainRowsMixin(TransformerMixin, ExtractorPart):
    """Features that something learns from are those of source rows, others of target rows."""

    # A pipeline's transform(X, domain="source") and fit(..., sample_domain=) reach the extractor.
    __metadata_request__fit = {"sample_domain": True}
    __metadata_request__transform = {"domain": True}

    if TYPE_CHECKING:

        def fit(self, X: Any, y: Any = None, *, sample_domain: Any = None) -> Any: ...
        def transform(self, X: Any, out: Any = None, domain: Any = "target") -> Any: ...

    def fit_transform(self, X: Any, y: Any = None, *, sample_domain: Any = None) -> Any:
        """Build the network, and return the features of rows that something is to learn from.

        With a fitted estimator of :mod:`skda.adaptation` as `module` they are normalised by the
        statistics of its source, as its own head has seen them; :meth:`transform` takes those of
        the target. Labelled rows of the target are told by ``sample_domain``, -1 for every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows, of the source unless `sample_domain` says otherwise.

        y : None
            Ignored.

        sample_domain : array-like of shape (n_samples,), default=None
            Positive for source rows, negative for target rows; of several target domains the
            numbers, from the largest on, are those of the domains in their order.

        Returns
        -------
        features : ndarray, torch.Tensor or dask array of shape (n_samples, n_features_out)
            As :meth:`transform` returns them.
        """
        self.fit(X, y)
        # Not by way of the methods themselves, which put features into a data frame.
        if sample_domain is None or not self._knows_domains():
            return self._transform(X, None, "source")
        numbers = check_domain_numbers(sample_domain)
        check_lengths("X", X, "sample_domain", numbers)
        features = np.empty((len(numbers), self._n_features_out), dtype=np.float32)
        targets = np.unique(numbers[numbers < 0])[::-1]
        # Of one domain among several it is not known which one that is.
        several = len(targets) > 1
        for domain, chosen in (
            ("source", numbers > 0),
            *((n if several else "target", numbers == mark) for n, mark in enumerate(targets)),
        ):
            if chosen.any():
                rows = safe_indexing(X, np.flatnonzero(chosen))
                features[chosen] = np.asarray(self._transform(rows, None, domain))
        return features

    def _knows_domains(self):
        return isinstance(self.module_, AdaptationModule) and self.module_.n_targets > 0

    def _domain_sizes(self, domain):
        """Return the sizes of a batch of a domain, None for the target and where there is none."""
        n_targets = self.module_.n_targets if self._knows_domains() else 0
        domain = check_domain(domain, n_targets)
        if domain is None or not n_targets:
            return None
        return DomainRows.SOURCE_ALONE if domain == "source" else DomainRows.target_alone(domain)
