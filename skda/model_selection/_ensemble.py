"""Networks that differ in their random state alone, and what they say together."""

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skda._checks import as_array, check_domain
from skda._naming import naming
from skda._sklearn_compat import HasMethods, Interval, fit_context
from skda.domains import as_target_tuple
from skda.label_shift import DomainScoreMixin, predict_domain
from skda.model_selection._stacked_backend import stacked_fits

if TYPE_CHECKING:
    from typing_extensions import Self


class DeepEnsembleClassifier(DomainScoreMixin, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """The mean of classifiers that differ in their random state alone.

    Networks of other initial weights, with other batches, err in other rows, so that their mean is
    right more often than one of them, and less sure where they disagree. How much one training
    tells of the next shows in their spread. Alike networks are trained as one where that can be
    done (see :func:`stacked_fits`), so that five take less time than five fits.

    Parameters
    ----------
    estimator : classifier
        Of this package, or a pipeline or search that ends with one; with a ``random_state``
        somewhere in it that its training depends on.

    n_estimators : int, default=5
        How many are trained.

    random_state : int, RandomState instance or None, default=None
        Draws the random states, which take the place of all those in `estimator`.

    n_jobs : int, default=None
        Number of processes. None means 1.

    stack_size : int, default=32
        Networks that are trained at a time in every process.

    Attributes
    ----------
    estimators_ : list of estimators
        The fitted classifiers.

    classes_ : ndarray of shape (n_classes,)
        The labels.

    n_features_in_ : int
        Number of columns, if `estimator` has it.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if `estimator` has them.

    See Also
    --------
    skda.metrics.estimate_target_accuracy : Takes such networks for judges, with ``method="gde"``.
    sklearn.ensemble.BaggingClassifier : The same with rows drawn anew for each, of tables.

    References
    ----------
    B. Lakshminarayanan, A. Pritzel, C. Blundell. Simple and Scalable Predictive Uncertainty
    Estimation using Deep Ensembles. NeurIPS 2017, section 2.4.

    Examples
    --------
    >>> from skda.adaptation import DeepCORALClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.metrics import estimate_target_accuracy
    >>> from skda.model_selection import DeepEnsembleClassifier
    >>> digits = load_shifted_digits(random_state=0)
    >>> ensemble = DeepEnsembleClassifier(
    ...     DeepCORALClassifier(max_epochs=3), n_estimators=3, random_state=0
    ... )
    >>> ensemble = ensemble.fit(digits.X[:600], digits.y[:600], X_target=digits.X_target)
    >>> ensemble.predict_proba(digits.X_target).shape
    (899, 10)

    Where they agree, says how good one of them is:

    >>> first, *others = ensemble.estimators_
    >>> result = estimate_target_accuracy(
    ...     first, digits.X[600:], digits.y[600:], digits.X_target, method="gde", others=others
    ... )
    >>> 0 < result.estimate < 1
    True
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict"])],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "stack_size": [Interval(Integral, 1, None, closed="left")],
    }

    # In a Pipeline or a search the target reaches fit, and the domain the predictions.
    __metadata_request__fit = {"X_target": True}
    __metadata_request__predict = {"domain": True}
    __metadata_request__predict_proba = {"domain": True}
    __metadata_request__score = {"domain": True}

    def __init__(
        self,
        estimator: Any,
        *,
        n_estimators: int = 5,
        random_state: Any = None,
        n_jobs: int | None = None,
        stack_size: int = 32,
    ):
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.stack_size = stack_size

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, *, X_target: Any = None, sample_weight: Any = None) -> "Self":
        """Fit all of them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or rows as the estimator takes them
            Source rows.

        y : array-like of shape (n_samples,)
            Their labels.

        X_target : array-like or tuple of array-likes, default=None
            Unlabeled target rows; a tuple for several target domains. In a cross-validation
            always pass a tuple: an array with as many rows as X would be cut into folds.

        sample_weight : array-like of shape (n_samples,), default=None
            How much every row counts.

        Returns
        -------
        self : object
            The fitted ensemble.

        Raises
        ------
        TypeError, ValueError
            If data or parameters are not as described, or nothing in `estimator` is random.

        skda.exceptions.DivergenceError
            If one of them diverges.
        """
        with naming("X_target", "rows as the estimator takes them, or a tuple of such"):
            targets = as_target_tuple(as_array(X_target, "X_target"))
        given = {"X_target": targets or None, "sample_weight": sample_weight}
        given = {name: value for name, value in given.items() if value is not None}
        members = self._members()
        with stacked_fits(self.stack_size):
            fits = (delayed(member.fit)(X, y, **given) for member in members)
            self.estimators_: list[Any] = list(Parallel(n_jobs=self.n_jobs)(fits))
        self._n_targets = len(targets)
        first = self.estimators_[0]
        self.classes_ = np.asarray(first.classes_)
        for name in ("n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)
            if hasattr(first, name):
                setattr(self, name, getattr(first, name))
        return self

    def _members(self):
        """Return clones with random states of their own."""
        states = [
            name
            for name in self.estimator.get_params(deep=True)
            if name == "random_state" or name.endswith("__random_state")
        ]
        if not states:
            raise ValueError(
                f"estimator: {type(self.estimator).__name__} has no random_state, so that all "
                "members would be the same; give one whose training is random."
            )
        rng = check_random_state(self.random_state)
        seeds = rng.randint(2**31 - 1, size=(self.n_estimators, len(states)))
        members: list[Any] = [clone(self.estimator) for _ in seeds]
        return [
            member.set_params(**dict(zip(states, row.tolist(), strict=True)))
            for member, row in zip(members, seeds, strict=True)
        ]

    def predict_proba(self, X: Any, domain: Any = "target") -> np.ndarray:
        """Return the mean of the members' class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or rows as in fit
            Rows.

        domain : {"source", "target"} or int, default="target"
            Whose rows they are; a number is that of one of several target domains.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        check_is_fitted(self)
        check_domain(domain, self._n_targets)
        rows = as_array(X, "X")
        parts = [
            predict_domain(member, rows, "X", domain, self._n_targets)
            for member in self.estimators_
        ]
        return np.mean(parts, axis=0)

    def predict(self, X: Any, domain: Any = "target") -> np.ndarray:
        """Predict the likeliest class of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or rows as in fit
            Rows.

        domain : {"source", "target"} or int, default="target"
            Whose rows they are.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Classes.
        """
        codes = self.predict_proba(X, domain).argmax(axis=1)
        return self.classes_[codes]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.classifier_tags = inner.classifier_tags or tags.classifier_tags
        return tags
