"""Cross-validation of source rows with the target rows always at hand."""

import numpy as np
from sklearn.model_selection import BaseCrossValidator, check_cv
from sklearn.utils import _safe_indexing, check_consistent_length, column_or_1d


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

    def __init__(self, cv=5):
        self.cv = cv

    def split(self, X, y=None, groups=None, sample_domain=None):
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
        if sample_domain is None:
            sample_domain, groups = groups, None
        if sample_domain is None:
            raise ValueError(
                "SourceSplit got no sample_domain. In a search, enable metadata routing and pass "
                "sample_domain to fit, or pass it as groups where routing is off."
            )
        sample_domain = column_or_1d(sample_domain)
        check_consistent_length(X, y, groups, sample_domain)
        source = np.flatnonzero(sample_domain > 0)
        target = np.flatnonzero(sample_domain <= 0)
        if not len(source):
            raise ValueError("sample_domain marks no source row; source rows are positive.")
        # As a list, so that the type is the source labels' own, whatever stands in target rows.
        labels = None if y is None else np.asarray(y, dtype=object)[source].tolist()
        inner_groups = None if groups is None else _safe_indexing(groups, source)
        inner = check_cv(self.cv, labels, classifier=labels is not None)
        for train, test in inner.split(np.zeros(len(source)), labels, inner_groups):
            yield np.sort(np.concatenate([source[train], target])), source[test]

    def get_n_splits(self, X=None, y=None, groups=None, sample_domain=None):
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
        return check_cv(self.cv).get_n_splits(X, y, groups)
