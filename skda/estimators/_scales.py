"""Whether source and target rows can have gone through the same steps."""

import warnings
from typing import Any

import numpy as np
import torch
from scipy import sparse

from skda._callers import level_of_user
from skda.exceptions import DomainScaleWarning
from skda.rows import SparseRows

# Looked at of a domain, in rows that are evenly spread over it: a millisecond of a small table.
_N_VALUES, _LEAST_ROWS = 2**17, 32
# On the benchmarks' pairs of domains, scaled alike or raw, a typical column's spread changes by a
# factor of 1.9 at most, and by 3.7 where noise of the data's own range is added.
_OTHER_UNITS = np.log(4)
_OTHER_UNITS_OF_EITHER_SIGN = np.log(6)
# Where one domain bears the marks of a scaler.
_OTHER_THAN_SCALED = np.log(2.3)
_NEARLY_ALL = 0.9
# As many columns bear the marks of a scaler as were scaled: all, but for odd ones.
_MARKED = 0.99
_FEW_COLUMNS, _SOME_COLUMNS = 3, 8
# Of fewer rows moments tell too little.
_FEW_ROWS = 8


def warn_of_scales(
    X: Any, targets: Any, names: Any, *, standardized: bool = False
) -> "DomainLook | None":
    """Warn if source and target are on other scales, which a real shift of domains is not.

    Parameters
    ----------
    X : array or sparse matrix of shape (n_samples, ...), or DomainLook
        Source rows: a table, images or series; or what was seen of them before. Of anything else
        nothing is looked at.

    targets : sequence of arrays
        The rows of every target domain.

    names : sequence of str
        What messages call them.

    standardized : bool, default=False
        Whether columns are brought to one scale afterwards. Then only what is done to whole rows
        does harm.

    Returns
    -------
    source : DomainLook or None
        What was seen of X.

    Warns
    -----
    DomainScaleWarning
        At most once for every target.
    """
    with np.errstate(all="ignore"):
        source = X if isinstance(X, DomainLook) else DomainLook.at(X)
        looks = [None if source is None else DomainLook.at(rows) for rows in targets]
        found = [
            _difference(source, look, name, standardized)
            for look, name in zip(looks, names, strict=True)
        ]
    for difference in filter(None, found):
        warnings.warn(
            f"{difference}: has only one of the two been transformed? In a pipeline the steps "
            "before an estimator transform the target too if it is built with "
            "skda.make_domain_pipeline, and fitted with X_target= and metadata routing; "
            "elsewhere transform both alike. If the scales are part of the shift, filter "
            "skda.exceptions.DomainScaleWarning.",
            DomainScaleWarning,
            stacklevel=level_of_user(),
        )
    return source


class DomainLook:
    """What is seen of a domain: moments of its columns, norms of its rows, marks of scalers."""

    def __init__(self, rows, columns, is_complete, is_table):
        self.is_table = is_table
        self.mean = columns.mean(axis=1)
        deviations = columns - self.mean[:, None]
        self.std = np.sqrt(np.einsum("ij,ij->i", deviations, deviations) / columns.shape[1])
        self.low, self.high = columns.min(axis=1), columns.max(axis=1)
        self.spread = _spread_of(columns, self.high - self.low)
        self.varies = self.std > 1e-12 * (1 + np.abs(self.mean))
        norms = np.stack([np.abs(rows).sum(axis=1), np.sqrt(np.einsum("ij,ij->i", rows, rows))])
        self.typical_norms = np.median(norms, axis=1)
        self.has_unit_rows = np.mean(np.abs(norms - 1) < 1e-4, axis=1) > 0.99
        self.has_other_rows = np.mean(np.abs(norms - 1) > 0.01, axis=1) > 0.5
        slack = 1e-3 if is_complete else 6 / np.sqrt(columns.shape[1])
        self.is_scaled = bool(is_table and self.varies.any() and self._is_scaled(columns, slack))

    @classmethod
    def at(cls, X: Any) -> "DomainLook | None":
        """Return a look at some rows, None if they are no numbers to compare."""
        shape = getattr(X, "shape", ())
        dtype = str(getattr(X, "dtype", ""))
        is_numeric = any(kind in dtype for kind in ("float", "int"))
        if len(shape) < 2 or shape[0] < _FEW_ROWS or 0 in shape or not is_numeric:
            return None
        if not (sparse.issparse(X) or isinstance(X, np.ndarray | torch.Tensor | SparseRows)):
            return None
        n_rows = max(_N_VALUES // max(int(np.prod(shape[1:])), 1), _LEAST_ROWS)
        step = -(-shape[0] // n_rows)
        rows: Any = X[::step]
        if sparse.issparse(rows):
            rows = rows.toarray()
        elif isinstance(rows, torch.Tensor):
            rows = rows.detach().cpu().float().numpy()
        if len(shape) == 4 and dtype.endswith("uint8"):
            rows = np.moveaxis(rows, 3, 1)
        rows = np.asarray(rows, dtype=np.float64)
        columns = np.moveaxis(rows, 1, 0).reshape(rows.shape[1], -1)  # or channels
        return cls(rows.reshape(len(rows), -1), columns, step == 1, len(shape) == 2)

    def _is_scaled(self, columns, slack):
        """Whether columns bear the marks of a scaler that was fitted on these very rows."""
        varies = self.varies
        low, mean, std, high = (part[varies] for part in (self.low, self.mean, self.std, self.high))
        is_standard = (np.abs(mean) < slack) & (np.abs(std - 1) < slack)
        largest = np.maximum(-low, high)
        is_in_range = (np.abs(largest - 1) < 1e-6) & (np.abs(low * (low + 1)) < 1e-6)
        if max(is_standard.mean(), is_in_range.mean()) >= _MARKED:
            return True
        # Quartiles take longest, so first of a few columns.
        numbers = np.flatnonzero(varies)
        few = numbers[:: -(-len(numbers) // _SOME_COLUMNS)]
        return all(
            _share_of_robustly_scaled(columns[part], slack) >= least
            for part, least in ((few, 0.5), (numbers, _MARKED))
        )


def _spread_of(columns, ranges):
    """Return ranges without the outermost hundredth, so without typing errors, if any is left."""
    last = columns.shape[1] - 1
    cut = max(1, last // 100)
    if last < 2 * cut:
        return ranges
    ordered = np.partition(columns, [cut, last - cut], axis=1)
    spread = ordered[:, last - cut] - ordered[:, cut]
    return np.where(spread > 0, spread, ranges)


def _share_of_robustly_scaled(columns, slack):
    quarter, half, three = np.quantile(columns, [0.25, 0.5, 0.75], axis=1)
    return np.mean((np.abs(half) < slack) & (np.abs(three - quarter - 1) < slack))


def _difference(source, target, name, standardized):
    """Return what is different between two domains that have gone through other steps, or None."""
    if source is None or target is None:
        return None
    found = _difference_of_rows(source, target, name)
    if found is None and not standardized:
        found = _difference_of_columns(source, target, name)
    return found


def _difference_of_rows(source, target, name):
    for first, other, words in ((source, target, ("X", name)), (target, source, (name, "X"))):
        for number in np.flatnonzero(first.has_unit_rows & other.has_other_rows):
            norm = other.typical_norms[number]
            return f"{words[0]} has rows of norm 1, and {words[1]} has rows of norm {norm:.3g}"
    return None


def _difference_of_columns(source, target, name):
    both = source.varies & target.varies
    if not both.any():
        return None
    ratios = np.log(target.std[both] / source.std[both])
    typical = float(np.median(ratios))
    total = np.log(np.square(target.std[both]).sum() / np.square(source.std[both]).sum()) / 2
    is_other = abs(typical) > _OTHER_UNITS
    is_other |= float(np.median(np.abs(ratios))) > _OTHER_UNITS_OF_EITHER_SIGN
    if is_other and abs(total) > _OTHER_UNITS:
        factor = np.exp(abs(typical))
        more = "more" if typical > 0 else "less"
        return f"{name} spreads {factor:.3g} times {more} than X in a typical column"
    if abs(typical) > _OTHER_THAN_SCALED:
        for scaled, which in ((source, "X"), (target, name)):
            if scaled.is_scaled:
                return (
                    f"the columns of {which} are scaled to one range or variance, and those of "
                    f"the other spread {np.exp(abs(typical)):.2g} times "
                    f"{'more' if (typical > 0) == (scaled is source) else 'less'}"
                )
    for signed, other, words in ((source, target, ("X", name)), (target, source, (name, "X"))):
        if _has_lost_its_zero(signed, other):
            return f"the columns of {words[0]} are of both signs, and {words[1]} is never negative"
    return None


def _has_lost_its_zero(signed, other):
    """Whether nearly all columns of one are centred, or below, and those of the other positive."""
    varies = signed.varies & other.varies
    if signed.is_table and varies.sum() < _FEW_COLUMNS:
        return False
    # Noise on an image makes it negative too, around its background.
    above = 0.5 if signed.is_table else 0.2
    is_signed = (signed.low < 0) & (signed.high > 0) & (signed.mean < above * signed.std)
    return np.mean((is_signed & (other.low >= 0))[varies]) >= _NEARLY_ALL
