"""What every scorer that looks at target rows has in common."""

from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator

from skda._checks import check_column, check_finite, check_lengths
from skda._sklearn_compat import validate_parameter_constraints
from skda.model_selection._inputs import (
    check_estimator,
    check_known,
    count_rows,
    separate,
)


class TargetScorer(BaseEstimator):
    """Base of scorers of a fitted estimator, held-out source rows and target rows.

    A subclass gives ``_score(estimator, X, y, targets)``, with the held-out source rows, their
    labels and a tuple of target domains, and says by ``_needs_y`` whether it uses the labels.
    """

    # In a search the target reaches the scorer without a set_score_request.
    __metadata_request__score = {"X_target": True, "sample_domain": True}

    _parameter_constraints = {}
    _needs_y = False

    if TYPE_CHECKING:

        def _score(self, estimator: Any, X: Any, y: Any, targets: tuple[Any, ...]) -> Any: ...

    def score(
        self, estimator: Any, X: Any, y: Any = None, X_target: Any = None, sample_domain: Any = None
    ) -> float:
        """Score a fitted estimator; greater is better.

        Parameters
        ----------
        estimator : object
            A fitted classifier, or a pipeline that ends in one.

        X : array-like
            Held-out source rows.

        y : array-like of shape (n_samples,), default=None
            Labels of the source rows, for the scorers that use them.

        X_target : array-like or tuple of array-likes, default=None
            Target rows, as they are before the steps of a pipeline.

        sample_domain : array-like of shape (n_samples,), default=None
            The alternative to `X_target`: X and y hold rows of both domains, positive numbers
            mark source rows, negative ones target rows, whose labels are ignored.

        Returns
        -------
        score : float
            The score.

        Raises
        ------
        ValueError
            If no target rows arrive, or no y where it is used, if the estimator cannot take an
            argument, or if the score or the outputs that it is computed from are not finite. In a
            search such a candidate gets the search's ``error_score``, which is NaN.

        skda.exceptions.DivergenceError
            If the parameters of a network are not finite.

        TypeError
            If the estimator lacks a method that the score is computed from.
        """
        validate_parameter_constraints(
            self._parameter_constraints, self.get_params(deep=False), type(self).__name__
        )
        X, y, targets = separate(X, y, X_target, sample_domain)
        if not targets:
            raise ValueError(f"{type(self).__name__} got no {self._missing_target(sample_domain)}")
        if self._needs_y:
            if X is None or y is None:
                raise ValueError(
                    f"{type(self).__name__} needs X and y, held-out source rows and their labels."
                )
            y = check_column(y)
            check_lengths("X", range(count_rows(X, "X")), "y", y)
        check_estimator(estimator)
        if self._needs_y:
            check_known(estimator, y, "y")
        try:
            return float(check_finite(self._score(estimator, X, y, targets), "X and X_target"))
        except (ValueError, TypeError) as error:
            if sample_domain is None or not str(error).startswith("X_target"):
                raise
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"X, whose target rows are called X_target here: {error}") from error

    __call__ = score

    @staticmethod
    def _missing_target(sample_domain):
        if sample_domain is None:
            return (
                "X_target. In a search, enable metadata routing "
                "(sklearn.set_config(enable_metadata_routing=True)) and pass X_target=(Xt,) to "
                "fit; otherwise call it as scorer(estimator, X, y, X_target=Xt). A fitted search "
                "scores with search.score(X, y, X_target=(Xt,)), and its accuracy is "
                "search.best_estimator_.score(X, y)."
            )
        return (
            "target row: sample_domain marks none. To have some in every test fold use "
            "StratifiedDomainShuffleSplit(target_test_size=0.2)."
        )
