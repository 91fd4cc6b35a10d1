"""What transformers that learn from source and target rows share: their input."""

import warnings
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import get_tags

from skda._callers import level_of_user
from skda._checks import TABLE, as_array, check_column, check_lengths, check_size
from skda._naming import naming
from skda._sklearn_compat import check_array, validate_data
from skda.domains import check_column_names, name_of, split_domains
from skda.estimators._scales import warn_of_scales
from skda.exceptions import NoTargetWarning

FLOATS = [np.float64, np.float32]


class DomainTransformer(TransformerMixin, BaseEstimator):
    """Base of transformers whose ``fit`` takes target rows."""

    if TYPE_CHECKING:  # set by validate_data and by subclasses
        n_features_in_: int
        _n_features_out: int

    # In a Pipeline or a search the target reaches fit without a set_fit_request.
    __metadata_request__fit = {"X_target": True, "sample_domain": True}

    def _validate_domains(self, X, y, X_target, sample_domain, without_target, min_samples=1):
        """Return validated source rows, their labels (None unless required) and target domains.

        `without_target` says in the warning what the fit does instead.
        """
        needs_y = get_tags(self).target_tags.required
        X = as_array(X, "X")
        X, y, targets = split_domains(X, y, X_target, sample_domain, needs_y=needs_y)
        X = self._validate_rows(X, ensure_min_samples=min_samples, reset=True)
        if needs_y:
            y = check_column(y)
            check_lengths("X", X, "y", y)
        domains = [
            self._validate_target(rows, X, name_of("X_target", number, targets), min_samples)
            for number, rows in enumerate(targets)
        ]
        names = [name_of("X_target", number, targets) for number in range(len(targets))]
        warn_of_scales(X, domains, names)
        if not targets:
            warnings.warn(
                f"{type(self).__name__} was fitted without target data and {without_target}; pass "
                "rows of the target domain as X_target.",
                NoTargetWarning,
                stacklevel=level_of_user(),
            )
        return X, y if needs_y else None, domains

    def _validate_target(self, rows, X, name, min_samples):
        """Return the rows of a target domain, which have the columns and the type of X."""
        rows = as_array(rows, name)
        check_column_names(rows, getattr(self, "feature_names_in_", None), name)
        with naming(name, TABLE):
            rows = check_array(
                rows,
                accept_sparse=self._accepts_sparse,
                dtype=X.dtype,
                ensure_min_samples=min_samples,
                input_name=name,
                estimator=self,
            )
        check_size(rows, name)
        if rows.shape[1] != self.n_features_in_:
            raise ValueError(
                f"{name} has {rows.shape[1]} columns, X has {self.n_features_in_}; source and "
                "target must have the same features. In a pipeline, let skda.make_pipeline "
                "transform the target with the source."
            )
        return rows

    def _validate_rows(self, X, **options):
        """Return a table of the columns that fit saw, or sees."""
        X = as_array(X, "X")
        with naming("X", TABLE):
            X = validate_data(self, X, dtype=FLOATS, accept_sparse=self._accepts_sparse, **options)
        check_size(X, "X")
        return X

    @property
    def _accepts_sparse(self):
        return "csr" if get_tags(self).input_tags.sparse else False

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
