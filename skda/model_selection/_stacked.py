"""Searches that train candidates, folds and random states as one network."""

from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from skda._sklearn_compat import Interval
from skda.model_selection._stacked_backend import stacked_fits

if TYPE_CHECKING:
    from typing_extensions import Self

_CONSTRAINTS: dict[str, Any] = {"stack_size": [Interval(Integral, 1, None, closed="left")]}


class _StackingMixin:
    """A search whose fits run under :func:`stacked_fits`."""

    stack_size: int
    verbose: int

    def fit(self, X: Any, y: Any = None, **params: Any) -> "Self":
        """Run fit with all sets of parameters, those of alike networks at once.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or rows as the estimator takes them
            Training rows.

        y : array-like of shape (n_samples,), default=None
            Labels.

        **params : dict
            What goes to `fit`, the splitter and the scorer, by scikit-learn's metadata routing;
            `X_target` as a tuple.

        Returns
        -------
        self : object
            The fitted search.
        """
        with stacked_fits(self.stack_size) as report:
            super().fit(X, y, **params)  # pyright: ignore[reportAttributeAccessIssue]
        if self.verbose:
            print(report)
        return self


class StackedSearchCV(_StackingMixin, GridSearchCV):
    """Search over a grid, in which candidates and folds of alike networks train as one.

    A :class:`~sklearn.model_selection.GridSearchCV` with the same attributes, scorers, routing and
    results, but for the rounding of sums in another order: scores of 24 settings of DANN differed
    by 2e-6 in the median, and by up to 0.02 where training is unstable (a large learning rate and
    trade-off), as they do when inputs move by their last bit. Networks are alike if they have the
    same layers of the same shapes, batches of the same sizes, and the same optimiser: what may
    differ is the trade-off, learning rate, weight decay and other numbers of the optimiser,
    schedules, rates of dropout, smooth labels, and random states; of alignments without weights
    of their own everything. Every candidate is a fitted estimator that scorers judge as always.
    Networks that differ train in stacks of their own, and what cannot be computed together by
    themselves: methods whose networks learn in turns, modules, losses and callbacks of the
    user's, convolutional networks, other devices than the CPU.
    ``verbose=1`` tells how many epochs that were, and why.

    Parameters
    ----------
    estimator : estimator
        An estimator of this package, or a pipeline that ends with one.

    param_grid : dict or list of dict
        Values by the name of the parameter.

    scoring, refit, cv, verbose, pre_dispatch, error_score, return_train_score
        As in :class:`~sklearn.model_selection.GridSearchCV`.

    n_jobs : int, default=None
        Number of processes, this one among them, each of which trains stacks of its own. None means
        1. The others take some seconds to begin, in which this one is at work.

    stack_size : int, default=32
        Fits that are under way at a time in every process. Memory holds the rows, weights and
        moments of so many fits.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, \
            refit_time_, multimetric_
        As in :class:`~sklearn.model_selection.GridSearchCV`. ``mean_fit_time`` is that of a whole
        stack.

    See Also
    --------
    StackedRandomizedSearchCV : The same with candidates that are drawn.
    stacked_fits : The same for any other search, or ``cross_validate``.

    Examples
    --------
    >>> import sklearn
    >>> from skda.adaptation import DeepCORALClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.model_selection import InformationMaximizationScorer, StackedSearchCV
    >>> digits = load_shifted_digits(random_state=0)
    >>> search = StackedSearchCV(
    ...     DeepCORALClassifier(max_epochs=3, random_state=0),
    ...     {"trade_off": [0.1, 10], "lr": [1e-4, 1e-3]},
    ...     scoring=InformationMaximizationScorer(),
    ...     cv=2,
    ... )
    >>> with sklearn.config_context(enable_metadata_routing=True):
    ...     search = search.fit(digits.X, digits.y, X_target=(digits.X_target,))
    >>> search.best_params_["lr"]
    0.001
    """

    _parameter_constraints: ClassVar[dict] = {**GridSearchCV._parameter_constraints, **_CONSTRAINTS}

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        error_score: Any = np.nan,
        return_train_score: bool = False,
        stack_size: int = 32,
    ):
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.stack_size = stack_size


class StackedRandomizedSearchCV(_StackingMixin, RandomizedSearchCV):
    """Search over candidates that are drawn, in which those of alike networks train as one.

    As :class:`StackedSearchCV`, with the parameters of
    :class:`~sklearn.model_selection.RandomizedSearchCV`.

    Parameters
    ----------
    estimator : estimator
        An estimator of this package, or a pipeline that ends with one.

    param_distributions : dict or list of dict
        Values or distributions by the name of the parameter.

    n_iter, scoring, refit, cv, verbose, pre_dispatch, random_state, error_score, return_train_score
        As in :class:`~sklearn.model_selection.RandomizedSearchCV`.

    n_jobs : int, default=None
        Number of processes, each of which trains stacks of its own. None means 1.

    stack_size : int, default=32
        As in :class:`StackedSearchCV`.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, \
            refit_time_, multimetric_
        As in :class:`StackedSearchCV`.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from skda.adaptation import DANNClassifier
    >>> from skda.model_selection import StackedRandomizedSearchCV
    >>> search = StackedRandomizedSearchCV(
    ...     DANNClassifier(), {"trade_off": loguniform(0.01, 100)}, n_iter=20, random_state=0
    ... )
    """

    _parameter_constraints: ClassVar[dict] = {
        **RandomizedSearchCV._parameter_constraints,
        **_CONSTRAINTS,
    }

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_iter: int = 10,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        stack_size: int = 32,
    ):
        super().__init__(
            estimator,
            param_distributions,
            n_iter=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.stack_size = stack_size
