"""Cross-validation of source rows with the target rows at hand."""

from collections.abc import Iterator
from itertools import chain
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator, StratifiedShuffleSplit, check_cv
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import type_of_target

from skda._checks import (
    LABELS,
    as_column,
    check_column,
    check_domain_numbers,
    check_lengths,
    count_rows,
)
from skda._naming import naming
from skda._sklearn_compat import (
    Interval,
    safe_indexing,
    validate_parameter_constraints,
)

_CV = "a number of folds that the source rows are enough for, or a cross-validator"


class SourceSplit(BaseCrossValidator):
    """Cross-validator for stacked domains: all target rows train, source rows are tested in turn.

    For ``X, y, sample_domain`` as :func:`skda.stack_domains` makes them. Every training fold
    holds the target rows, unlabeled as they are, and a part of the source rows; every test fold
    holds the other source rows only.

    Parameters
    ----------
    cv : int or cross-validator, default=5
        How the source rows are split; a number of folds is stratified by class.

    Examples
    --------
    >>> import numpy as np
    >>> from skda.model_selection import SourceSplit
    >>> y = [0, 0, 1, 1, -1, -1]
    >>> sample_domain = [1, 1, 1, 1, -1, -1]
    >>> for train, test in SourceSplit(2).split(np.zeros((6, 1)), y, sample_domain=sample_domain):
    ...     print(train, test)
    [1 3 4 5] [0 2]
    [0 2 4 5] [1 3]
    """

    # In a search the domains reach the splitter without a set_split_request.
    __metadata_request__split = {"sample_domain": True}

    def __init__(self, cv: Any = 5):
        self.cv = cv

    def split(
        self, X: Any, y: Any = None, groups: Any = None, sample_domain: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield training and test row numbers.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Rows of both domains.

        y : array-like of shape (n_samples,)
            Labels; those of target rows are ignored.

        groups : array-like of shape (n_samples,), default=None
            The domains where metadata routing is off, for then a search passes nothing else to
            its splitter: ``search.fit(X, y, sample_domain=domain, groups=domain)``. With
            `sample_domain` given, the groups of an inner cross-validator that needs some.

        sample_domain : array-like of shape (n_samples,), default=None
            Positive for source rows, negative for target rows.

        Yields
        ------
        train : ndarray of int
            Rows to fit on, target rows among them.

        test : ndarray of int
            Source rows to test on.

        Raises
        ------
        ValueError
            If the domains are missing or mark no source row.
        """
        domains, groups = find_domains(self, X, y, groups, sample_domain)
        source, target = np.flatnonzero(domains > 0), np.flatnonzero(domains <= 0)
        labels = source_labels(y, source)
        inner_groups = None if groups is None else safe_indexing(groups, source)
        with naming("cv", _CV):
            inner: Any = check_cv(self.cv, labels, classifier=labels is not None)
            splits = list(inner.split(np.zeros(len(source)), labels, inner_groups))
        for train, test in splits:
            yield np.sort(np.concatenate([source[train], target])), source[test]

    def get_n_splits(
        self, X: Any = None, y: Any = None, groups: Any = None, sample_domain: Any = None
    ) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups, sample_domain : object, default=None
            Only for inner cross-validators whose number of folds depends on the data.

        Returns
        -------
        n_splits : int
            The number.
        """
        with naming("cv", _CV):
            inner: Any = check_cv(self.cv)
            return inner.get_n_splits(X, y, groups)


class StratifiedDomainShuffleSplit(BaseCrossValidator):
    """Random splits of stacked domains: source rows stratified by class, target rows by domain.

    For ``X, y, sample_domain`` as :func:`skda.stack_domains` makes them. A test fold holds source
    rows, as many of each class as their share, and none of the target unless
    `target_test_size` says so; all other rows train.

    Held-out target rows have no labels: score them with a scorer of
    :mod:`skda.model_selection`, which tells them by ``sample_domain``, and not with an accuracy.

    Parameters
    ----------
    n_splits : int, default=10
        Number of splits.

    test_size : float or int, default=0.1
        Share or number of the source rows that are held out.

    target_test_size : float, default=0.0
        Share of the rows of every target domain that are held out, less than 1; at least one row
        of a domain stays in training.

    random_state : int, RandomState instance or None, default=None
        Draws the rows.

    See Also
    --------
    SourceSplit : Every source row is tested once.

    Examples
    --------
    >>> import numpy as np
    >>> from skda.model_selection import StratifiedDomainShuffleSplit
    >>> y = [0, 0, 1, 1, -1, -1]
    >>> sample_domain = [1, 1, 1, 1, -1, -1]
    >>> cv = StratifiedDomainShuffleSplit(2, test_size=0.5, random_state=0)
    >>> for train, test in cv.split(np.zeros((6, 1)), y, sample_domain=sample_domain):
    ...     print(len(train), np.take(y, test))
    4 [0 1]
    4 [0 1]
    """

    # In a search the domains reach the splitter without a set_split_request.
    __metadata_request__split = {"sample_domain": True}

    _parameter_constraints = {
        "n_splits": [Interval(Integral, 1, None, closed="left")],
        "test_size": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0, 1, closed="neither"),
        ],
        "target_test_size": [Interval(Real, 0, 1, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_splits: int = 10,
        *,
        test_size: float = 0.1,
        target_test_size: float = 0.0,
        random_state: Any = None,
    ):
        self.n_splits = n_splits
        self.test_size = test_size
        self.target_test_size = target_test_size
        self.random_state = random_state

    def split(
        self, X: Any, y: Any = None, groups: Any = None, sample_domain: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield training and test row numbers.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Rows of both domains.

        y : array-like of shape (n_samples,)
            Labels; those of target rows are ignored.

        groups : array-like of shape (n_samples,), default=None
            The domains where metadata routing is off, for then a search passes nothing else to
            its splitter: ``search.fit(X, y, sample_domain=domain, groups=domain)``. Ignored if
            `sample_domain` is given.

        sample_domain : array-like of shape (n_samples,), default=None
            Positive for source rows, negative for target rows; each negative value is a target
            domain of its own.

        Yields
        ------
        train : ndarray of int
            Rows to fit on, of both domains.

        test : ndarray of int
            Rows to test on.

        Raises
        ------
        ValueError
            If the domains or labels are missing, if no source row is marked, or if a parameter is
            out of range.
        """
        settings = {name: getattr(self, name) for name in self._parameter_constraints}
        validate_parameter_constraints(self._parameter_constraints, settings, type(self).__name__)
        domains, _ = find_domains(self, X, y, groups, sample_domain)
        if y is None:
            raise ValueError(f"{type(self).__name__} needs y, by which source rows are stratified.")
        source = np.flatnonzero(domains > 0)
        targets = [np.flatnonzero(domains == number) for number in np.unique(domains[domains <= 0])]
        random_state = check_random_state(self.random_state)
        inner = StratifiedShuffleSplit(
            self.n_splits, test_size=self.test_size, random_state=random_state
        )
        labels = source_labels(y, source)
        with naming("test_size", "a share or number of the source rows, with all classes in it"):
            splits = inner.split(np.zeros(len(source)), labels)
            first = next(splits)
        for _, test in chain([first], splits):
            parts = [source[test]]
            for rows in targets:
                n_held_out = min(int(np.ceil(self.target_test_size * len(rows))), len(rows) - 1)
                parts.append(random_state.permutation(rows)[:n_held_out])
            test = np.sort(np.concatenate(parts))
            yield np.setdiff1d(np.arange(len(domains)), test), test

    def get_n_splits(
        self, X: Any = None, y: Any = None, groups: Any = None, sample_domain: Any = None
    ) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X, y, groups, sample_domain : object, default=None
            Ignored.

        Returns
        -------
        n_splits : int
            The number.
        """
        return self.n_splits


def find_domains(splitter, X, y, groups, sample_domain):
    """Return the domains of rows, and groups unless these were the domains.

    Parameters
    ----------
    splitter : object
        Whose name is in messages.

    X : array-like of shape (n_samples, ...)
        Rows.

    y, groups, sample_domain : array-like of shape (n_samples,) or None
        What a search passes to its splitter.

    Returns
    -------
    domains : ndarray of shape (n_samples,)
        Positive for source rows, and there are some.

    groups : array-like of shape (n_samples,) or None
        Groups proper.

    Raises
    ------
    ValueError
        If the domains are missing or mark no source row.
    """
    if sample_domain is None:
        sample_domain, groups = groups, None
    if sample_domain is None:
        raise ValueError(
            f"{type(splitter).__name__} got no sample_domain. In a search, enable metadata routing "
            "and pass sample_domain to fit, or pass it as groups where routing is off."
        )
    domains = check_domain_numbers(sample_domain)
    check_lengths("X", range(count_rows(X, "X")), "sample_domain", domains)
    for name, values in (("y", y), ("groups", groups)):
        if values is not None:
            check_lengths("X", domains, name, range(count_rows(values, name)))
    if not (domains > 0).any():
        raise ValueError("sample_domain marks no source row; source rows are positive.")
    return domains, groups


def source_labels(y, source):
    """Return the labels of source rows as a list, or None without labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or None
        Labels of all rows.

    source : ndarray of int
        Row numbers.

    Returns
    -------
    labels : list or None
        Of the source labels' own type, whatever stands in target rows.
    """
    if y is None:
        return None
    labels = check_column(as_column(y)[source], of_classes=False).tolist()
    with naming("y", LABELS):
        type_of_target(labels)
    return labels
