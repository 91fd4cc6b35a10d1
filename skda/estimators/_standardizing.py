"""What is done to the columns of tables whose units differ, and with which moments."""

from typing import Any

import numpy as np

from skda.estimators._parts import EstimatorPart
from skda.estimators._scales import DomainLook
from skda.rows import DESCRIPTIONS
from skda.training import standardization

# Of the widest range of a column to a narrow one. Tables in units of their own have 1400 (wine)
# to 81000 (breast cancer), diabetes 170; of one unit, at most 38 (visual words; 30 pixels to unit
# norm, 13 word counts, 6 principal components and network features). Ranges, since a column that
# is rarely not zero varies little.
_OTHER_UNITS = 250


class StandardizingMixin(EstimatorPart):
    """The rule of ``standardize="auto"``, and the moments of every kind."""

    def _look_at_source(self, X: Any, resolver: Any) -> None:
        """Keep what is seen of the source's columns, and how they are to be standardised."""
        is_seen = self._row_kind in ("table", "image", "series")
        self._source_look = DomainLook.at(X) if is_seen else None
        if self.standardize == "auto":
            self.standardize_ = self._automatic_kind(resolver)
        else:
            self.standardize_ = self.standardize

    def _automatic_kind(self, resolver):
        if self._is_warm():  # the network goes on with the moments of the last fit
            return self._standardization_kind()
        if resolver.has_weights:  # which were learned from rows as they are
            return vars(self.module).get("standardize_") if _is_fitted(self.module) else None
        look = self._source_look
        if look is None or not look.is_table:
            return None
        return "source" if has_mixed_units(look) else None

    def _standardization_kind(self) -> str | None:
        """How the network standardises; of an earlier version's estimator as it was told to."""
        kind = vars(self).get("standardize_", self.standardize)
        return None if kind == "auto" else kind

    def _moments(self, dataset: Any) -> list | None:
        """Return mean and deviation of the columns, source first, as a network takes them."""
        kind = self._standardization_kind()
        if kind is None:
            return None
        if isinstance(self.input_shape_, dict) or self._row_kind in ("text", "tokens"):
            raise ValueError(
                f"standardize={kind!r} needs numbers, but X holds "
                f"{DESCRIPTIONS[self._row_kind]}; leave it at None."
            )
        of_source = standardization([dataset.X])
        return of_source + self._target_moments(of_source[0], dataset.targets)

    def _target_moments(self, of_source: Any, targets: Any) -> list:
        """Return the moments by which target rows are standardised, and a mixture of several."""
        if self._standardization_kind() == "domain":
            return standardization(targets)
        n_statistics = len(targets) + (len(targets) > 1)
        # Tensors of their own: a warm start puts every tensor in its place once.
        return [tuple(part.clone() for part in of_source) for _ in range(n_statistics)]

    def _new_target_moments(self, module: Any, targets: Any) -> list | None:
        """Return the moments for other targets of a network that has learned already."""
        if module.standardizer is None:
            return None
        affine = module.standardizer.affines[0]
        return self._target_moments((affine.mean, affine.scale), targets)


def has_mixed_units(look: DomainLook) -> bool:
    """Whether the columns of a table have ranges so different that their units must differ.

    Parameters
    ----------
    look : DomainLook
        What was seen of the table.

    Returns
    -------
    is_mixed : bool
        Whether the widest range is more than 250 times that of the column at the tenth percentile;
        the outermost hundredth of the values of a column does not count.
    """
    ranges = look.spread[look.varies]
    if not len(ranges):
        return False
    return bool(ranges.max() > _OTHER_UNITS * np.quantile(ranges, 0.1, method="lower"))


def _is_fitted(module):
    return hasattr(module, "net_")
