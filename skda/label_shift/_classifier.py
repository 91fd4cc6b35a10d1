"""Any classifier, whose predictions follow the shares of the classes in the target."""

import warnings
from collections.abc import Callable
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.model_selection import check_cv
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skda._callers import level_of_user
from skda._checks import as_array, check_column, check_domain
from skda._naming import naming
from skda._sklearn_compat import HasMethods, StrOptions, clone, fit_context, safe_indexing
from skda.domains import as_target_tuple, name_of
from skda.exceptions import LabelShiftWarning, NoTargetWarning
from skda.label_shift._calibration import calibrate
from skda.label_shift._consistency import is_one_class_alone, label_shift_test
from skda.label_shift._methods import METHODS, estimate_of
from skda.label_shift._posteriors import reweight_probabilities
from skda.label_shift._predictions import class_numbers, predict_domain
from skda.label_shift._scoring import DomainScoreMixin

if TYPE_CHECKING:
    from typing_extensions import Self

# Where p-values are below the first the domains differ in more than shares; where two estimates
# differ by more than the second (in L1), it matters. Digits turned by 5 degrees have 0.13 to 0.29,
# those that are not turned 0.02 to 0.14.
_REJECTED, _DISAGREE = 0.01, 0.1
_TARGET = "rows as the estimator takes them, or a tuple of such"


class PriorShiftClassifier(DomainScoreMixin, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Any classifier, with predictions for the shares that the classes have in the target.

    A classifier has learnt how frequent the classes are in the source, and prefers the frequent
    ones. This one estimates how frequent they are in the target, from what it predicts for
    unlabeled target rows and from cross-validated predictions for source rows, and weights its
    probabilities by the ratio. Nothing is trained on the target: if rows of a class look otherwise
    there, estimates are far off and do harm. Where :func:`label_shift_test` shows that, the
    shares of the source are kept, with a warning; an adaptation method is what helps then.

    Parameters
    ----------
    estimator : estimator
        A classifier with ``predict_proba`` or ``decision_function``, or a pipeline that ends in
        one. Its `fit` gets `X_target` too if it has that parameter, and its source rows are
        predicted as such, by ``domain="source"``, if it has that. Of one that is fitted already,
        in a :class:`sklearn.frozen.FrozenEstimator`, X and y must be held-out rows.

    method : {"em", "bbse", "rlls"} or callable, default="em"
        How shares are estimated, as in :func:`skda.metrics.class_shares`.

    cv : int, cross-validator or iterable, default=5
        How source rows are held out, one part after the other: the classifier is fitted once for
        every part, and then to all rows. A number is one of stratified folds.

    fallback : bool, default=True
        Whether the shares of the source are kept, and predictions are not weighted, for a target
        whose p-value is below 0.01 and for which two estimates differ by more than 0.1 or leave one
        class alone, and for one that is left one class while others are predicted.

    Attributes
    ----------
    estimator_ : estimator
        Fitted to all source rows.

    classes_ : ndarray of shape (n_classes,)
        The labels.

    source_shares_ : ndarray of shape (n_classes,)
        Shares of the classes in y.

    target_shares_ : ndarray of shape (n_classes,) or (n_targets, n_classes)
        Estimated shares, with a row for each of several target domains; those of the source
        without a target.

    p_value_ : float, ndarray of shape (n_targets,), or None
        Of :func:`label_shift_test`, whether other shares explain what is predicted for the
        target; None without one.

    calibration_ : Calibration or None
        What makes the probabilities of `estimator_` honest before they are weighted, see
        :func:`calibrate`; None without a target.

    n_features_in_ : int
        Number of columns, if `estimator_` has it.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if `estimator_` has them.

    See Also
    --------
    skda.metrics.class_shares : Shares with intervals, of a classifier that is fitted.

    Notes
    -----
    With a target the classifier is calibrated even where shares are the same, and its predictions
    may differ from those of `estimator` a little. Without one it is `estimator`.

    In a search held-out rows are of the source, and are not to be judged by the shares of the
    target: ``search.fit(X, y, X_target=(Xt,), domain="source")`` with metadata routing.

    References
    ----------
    M. Saerens, P. Latinne, C. Decaestecker. Adjusting the Outputs of a Classifier to New a Priori
    Probabilities: A Simple Procedure. Neural Computation 2002.

    A. Alexandari, A. Kundaje, A. Shrikumar. Maximum Likelihood with Bias-Corrected Calibration is
    Hard-To-Beat at Label Shift Adaptation. ICML 2020.

    Examples
    --------
    Two classes that overlap, one half of the source each, and nine of ten target rows of one.

    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skda.label_shift import PriorShiftClassifier
    >>> rng = np.random.default_rng(0)
    >>> y, y_target = np.repeat([0, 1], 500), np.repeat([0, 1], [900, 100])
    >>> X, X_target = (rng.normal(size=(1000, 2)) + labels[:, None] for labels in (y, y_target))
    >>> clf = PriorShiftClassifier(LogisticRegression()).fit(X, y, X_target=X_target)
    >>> clf.target_shares_.round(2)
    array([0.88, 0.12])
    >>> plain = LogisticRegression().fit(X, y)
    >>> round(plain.score(X_target, y_target), 2), round(clf.score(X_target, y_target), 2)
    (0.76, 0.92)
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit"])],
        "method": [StrOptions(set(METHODS)), callable],
        "cv": ["cv_object"],
        "fallback": ["boolean"],
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
        method: str | Callable = "em",
        cv: Any = 5,
        fallback: bool = True,
    ):
        self.estimator = estimator
        self.method = method
        self.cv = cv
        self.fallback = fallback

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, *, X_target: Any = None) -> "Self":
        """Fit the classifier, and estimate the shares of the target.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or rows as `estimator` takes them
            Source rows.

        y : array-like of shape (n_samples,)
            Their labels.

        X_target : array-like or tuple of array-likes, default=None
            Unlabeled target rows; a tuple for several target domains. In a cross-validation
            always pass a tuple: an array with as many rows as X would be cut into folds.

        Returns
        -------
        self : object
            The fitted classifier.

        Raises
        ------
        ValueError
            If data or parameters are not as described.

        Warns
        -----
        skda.exceptions.NoTargetWarning
            If there are no target rows.

        skda.exceptions.LabelShiftWarning
            If rows of a class look different in the target; see `fallback`.
        """
        with naming("X_target", _TARGET):
            targets = as_target_tuple(as_array(X_target, "X_target"))
        params = {"X_target": targets} if targets and _takes_target(self.estimator) else {}
        self.estimator_ = clone(self.estimator).fit(X, y, **params)
        self.classes_ = np.asarray(self.estimator_.classes_)
        labels = check_column(y)
        codes = class_numbers(labels, self.classes_, labels)
        counts = np.bincount(codes, minlength=len(self.classes_))
        self.source_shares_ = counts / counts.sum()
        self._held_out, self.calibration_ = None, None
        for name in ("n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        if not targets:
            warnings.warn(
                f"{type(self).__name__} was fitted without target data and predicts for the "
                "shares of the source; pass unlabeled rows of the target domain as X_target.",
                NoTargetWarning,
                stacklevel=level_of_user(),
            )
            self.target_shares_, self.p_value_, self._n_rows = self.source_shares_, None, ()
            return self
        probabilities, rows = self._predict_held_out(X, y, labels, codes, params)
        self._held_out = probabilities, codes[rows]
        self.calibration_ = calibrate(probabilities, codes[rows])
        self._estimate(targets, *self._held_out)
        return self

    def adapt(self, X_target: Any) -> "Self":
        """Estimate the shares of other target rows, such as those of a new day.

        The classifier stays as it is, but for its shares: nothing is fitted again.

        Parameters
        ----------
        X_target : array-like or tuple of array-likes
            Unlabeled target rows, in place of those before.

        Returns
        -------
        self : object
            This classifier.

        Raises
        ------
        ValueError
            If it was fitted without a target: held-out predictions of the source are made with
            one alone.

        Warns
        -----
        skda.exceptions.LabelShiftWarning
            If rows of a class look different in the target; see `fallback`.
        """
        check_is_fitted(self)
        if self._held_out is None:
            raise ValueError(
                f"{type(self).__name__} was fitted without target data, and has no held-out "
                "predictions to estimate by; pass X_target to fit, and that of other times to "
                "adapt."
            )
        with naming("X_target", _TARGET):
            targets = as_target_tuple(as_array(X_target, "X_target"))
        if not targets:
            raise ValueError("X_target is None; pass the rows of the target domain.")
        self._estimate(targets, *self._held_out)
        return self

    def predict(self, X: Any, domain: Any = "target") -> np.ndarray:
        """Predict the class of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or rows as in fit
            Rows.

        domain : {"source", "target"} or int, default="target"
            Whose rows they are; a number is that of one of several target domains, of which
            ``"target"`` is the mixture.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Classes.
        """
        check_is_fitted(self)
        if self.calibration_ is None:
            check_domain(domain, 0)
            return self.estimator_.predict(X)
        return self.classes_[self._probabilities(X, domain).argmax(axis=1)]

    def predict_proba(self, X: Any, domain: Any = "target") -> np.ndarray:
        """Predict the probability of every class, where classes have the shares of a domain.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or rows as in fit
            Rows.

        domain : {"source", "target"} or int, default="target"
            Whose rows they are; a number is that of one of several target domains, of which
            ``"target"`` is the mixture. For the source probabilities are calibrated, and not
            weighted.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        check_is_fitted(self)
        return self._probabilities(X, domain)

    def _probabilities(self, X, domain):
        n_targets = len(self._n_rows)
        domain = check_domain(domain, n_targets)
        name = "target" if domain is None else domain
        probabilities = predict_domain(self.estimator_, X, "X", name, n_targets)
        if self.calibration_ is None:
            return probabilities
        probabilities = self.calibration_(probabilities)
        if domain == "source":
            return probabilities
        shares = np.atleast_2d(self.target_shares_)
        chosen = (
            np.average(shares, axis=0, weights=self._n_rows) if domain is None else shares[domain]
        )
        return reweight_probabilities(probabilities, self.source_shares_, chosen)

    def _predict_held_out(self, X, y, labels, codes, params):
        """Return probabilities of source rows by classifiers that have not seen them, and which."""
        found, rows = [], []
        splitter: Any = check_cv(self.cv, labels, classifier=True)
        for train, test in splitter.split(X, labels):
            part = clone(self.estimator)
            self._check_classes_of_part(codes, train, test)
            part.fit(safe_indexing(X, train), safe_indexing(y, train), **params)
            probabilities = predict_domain(part, safe_indexing(X, test), "X", "source")
            # A class may have no row in a part.
            full = np.zeros((len(probabilities), len(self.classes_)))
            known = self.classes_.tolist()
            full[:, [known.index(label) for label in np.asarray(part.classes_).tolist()]] = (
                probabilities
            )
            found.append(full)
            rows.append(test)
        return np.concatenate(found), np.concatenate(rows)

    def _check_classes_of_part(self, codes, train, test):
        """Raise if a part of the source is to be predicted by what has not seen its class."""
        n_rows = np.bincount(codes, minlength=len(self.classes_))
        for number in np.setdiff1d(codes[test], codes[train]):
            if n_rows[number] > 1:
                raise ValueError(
                    f"cv={self.cv!r} leaves no row of class {self.classes_[number]!r} to learn "
                    "from while it holds out some; give a stratified splitter, or shuffle."
                )

    def _estimate(self, targets, source, codes):
        """Set the shares of the targets, from held-out predictions for the source."""
        estimate, n_targets = estimate_of(self.method), len(targets)
        shares, p_values, n_rows = [], [], []
        for number, rows in enumerate(targets):
            domain = number if n_targets > 1 else "target"
            name = name_of("X_target", number, targets)
            target = predict_domain(self.estimator_, rows, name, domain, n_targets)
            n_rows.append(len(target))
            shares.append(estimate(target, source, codes))
            check = label_shift_test(target, source, codes)
            p_values.append(check.p_value)
            # Two estimates that are driven into the same corner agree, and explain nothing.
            is_doubtful = check.disagreement > _DISAGREE or np.max(shares[-1]) > 0.99
            is_rejected = check.p_value < _REJECTED and is_doubtful
            if is_rejected or is_one_class_alone(shares[-1], target):
                self._warn_of_other_look(name, check, shares[-1])
                shares[-1] = self.source_shares_ if self.fallback else shares[-1]
        self.target_shares_ = np.array(shares) if n_targets > 1 else shares[0]
        self.p_value_ = np.array(p_values) if n_targets > 1 else p_values[0]
        self._n_rows = tuple(n_rows)

    def _warn_of_other_look(self, name, check, shares):
        kept = (
            "The shares of the source are kept; fallback=False takes the estimates all the same."
            if self.fallback
            else "The estimates are used all the same, with fallback=False."
        )
        warnings.warn(
            f"Other shares of the classes do not explain what {type(self.estimator).__name__} "
            f"predicts for {name} (p = {check.p_value:.1g}; two estimates differ by "
            f"{check.disagreement:.2f} in L1; the greatest share is {np.max(shares):.2f}): rows of "
            "a class look different there, and an "
            f"adaptation method may help. {kept}",
            LabelShiftWarning,
            stacklevel=level_of_user(),
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.classifier_tags = inner.classifier_tags or tags.classifier_tags
        tags.array_api_support = False
        return tags


def _takes_target(estimator):
    """Whether fit takes target rows, as that of a pipeline does that transforms them."""
    transformed = getattr(estimator, "transform_input", None) or ()
    return "X_target" in signature(estimator.fit).parameters or "X_target" in transformed
