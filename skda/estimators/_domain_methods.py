"""Rows of a domain that is named: features of source rows as such, of target rows as such."""

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skda._checks import check_domain, check_domain_numbers
from skda._torch import as_given
from skda.domains import split_domains
from skda.estimators._parts import EstimatorPart

if TYPE_CHECKING:
    import torch


class DomainMethodsMixin(TransformerMixin, EstimatorPart):
    """What an estimator of several domains makes of rows, by their domain; goes before its base."""

    if TYPE_CHECKING:

        def fit(self, X: Any, y: Any, **domains: Any) -> Any: ...

    # pipe.transform(X, domain="source") reaches the step, as do searches' fit(..., domain=).
    __metadata_request__transform = {"domain": True}

    def transform(self, X: Any, domain: Any = "target") -> np.ndarray:
        """Return the features: the output of the module.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        domain : {"source", "target"} or int, default="target"
            Whose rows they are, and under whose statistics they are normalised; a number is that
            of one of several target domains.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out)
            In float32.
        """
        return self._features_of(X, domain)

    def fit_transform(
        self,
        X: Any,
        y: Any = None,
        *,
        X_target: Any = None,
        y_target: Any = None,
        sample_domain: Any = None,
    ) -> np.ndarray:
        """Train, and return the features of the rows of X.

        What a pipeline gives the next step to learn from: source rows are normalised by the
        statistics of the source, as the network's own head has seen them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Source rows.

        y : array-like of shape (n_samples,)
            Their labels. None takes those that a data set holds.

        X_target : array-like, or tuple or list of array-likes, default=None
            Unlabeled target rows, see :meth:`fit`.

        y_target : array-like or tuple of array-likes, default=None
            The labels of a few target rows, see :meth:`fit`.

        sample_domain : array-like of shape (n_samples,), default=None
            The alternative to `X_target`, see :meth:`fit`.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out)
            In float32, of the rows in the order given: as rows of the source, except where
            `sample_domain` is negative.
        """
        self.fit(X, y, X_target=X_target, y_target=y_target, sample_domain=sample_domain)
        if sample_domain is None:
            return self._features_of(X, "source")
        numbers = check_domain_numbers(sample_domain)
        source, _, targets = split_domains(X, None, None, numbers, needs_y=False)
        features = np.empty((len(numbers), self._n_features_out), dtype=np.float32)
        features[numbers > 0] = self._features_of(source, "source")
        domains = np.unique(numbers[numbers < 0])[::-1]
        for number, (rows, mark) in enumerate(zip(targets, domains, strict=True)):
            features[numbers == mark] = self._features_of(rows, number)
        return as_given(features, X)

    def _features_of(self, X, domain):
        return as_given(self._forward(X, "features", domain=self._checked_domain(domain)), X)

    def _checked_domain(self, domain):
        """Return whose statistics are meant; None is the target, as everywhere in a net."""
        check_is_fitted(self)
        return check_domain(domain, self.net_.module_.n_targets)

    def _labelled_logits(self, logits: "torch.Tensor", domain: Any) -> "torch.Tensor":
        """Return logits of rows of a domain by the classifier of that domain."""
        if domain != "source":
            return logits
        module = self.net_.module_
        with module.rows.of(module.rows.SOURCE_ALONE):
            device = next(module.head.parameters()).device
            return module.labelled_logits(logits.to(device), len(logits)).detach().cpu()
