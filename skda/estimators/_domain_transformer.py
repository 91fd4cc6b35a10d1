"""What transformers that learn from source and target rows share: their input."""

import warnings
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import get_tags

from skda._sklearn_compat import check_array, validate_data
from skda.domains import check_column_names, split_domains
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
        tags = get_tags(self)
        needs_y = tags.target_tags.required
        options = {
            "accept_sparse": "csr" if tags.input_tags.sparse else False,
            "dtype": FLOATS,
            "ensure_min_samples": min_samples,
        }
        # Labels that play no part need not be there: sample_domain has their length.
        X, y, targets = split_domains(X, y if needs_y else sample_domain, X_target, sample_domain)
        if needs_y:
            X, y = validate_data(self, X, y, **options)
        else:
            X, y = validate_data(self, X, **options), None
        options["dtype"] = X.dtype
        domains = []
        for number, rows in enumerate(targets):
            name = "X_target" if len(targets) == 1 else f"X_target[{number}]"
            check_column_names(rows, getattr(self, "feature_names_in_", None), name)
            rows = check_array(rows, input_name=name, estimator=self, **options)
            if rows.shape[1] != self.n_features_in_:
                raise ValueError(
                    f"{name} has {rows.shape[1]} columns, X has {self.n_features_in_}; source and "
                    "target must have the same features. In a pipeline, let skda.make_pipeline "
                    "transform the target with the source."
                )
            domains.append(rows)
        if not targets:
            warnings.warn(
                f"{type(self).__name__} was fitted without target data and {without_target}; pass "
                "rows of the target domain as X_target.",
                NoTargetWarning,
                stacklevel=4,  # past fit and its validation of parameters
            )
        return X, y, domains

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
