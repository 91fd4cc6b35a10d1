"""A classifier whose probabilities are as sure as it is estimated to be right on the target."""

from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.utils.validation import check_is_fitted

from skda._checks import as_array, check_domain
from skda._naming import naming
from skda._sklearn_compat import HasMethods, StrOptions, fit_context
from skda.domains import as_target_tuple
from skda.label_shift import class_numbers, predict_domain
from skda.target_accuracy._estimate import estimate_target_accuracy
from skda.target_accuracy._methods import METHODS
from skda.target_accuracy._temperature import (
    likeliest_temperature,
    logarithms,
    match_temperature,
)

if TYPE_CHECKING:
    from typing_extensions import Self


class TargetCalibratedClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A fitted classifier, with probabilities calibrated for a target without labels.

    A temperature that is fitted to labels of the source does not hold where rows look
    different: a classifier is right less often there, and as sure. Here the target has a
    temperature of its own, under which the mean confidence is the accuracy that
    :func:`~skda.metrics.estimate_target_accuracy` estimates. Predictions stay as they are.

    What can be known without labels is the mean. Whether sure rows are right more often than
    others by as much as they say cannot, and a wrong estimate is a wrong calibration.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier with ``predict_proba`` or ``decision_function``, a pipeline that ends in
        one, or a search over such. It is not fitted again, and not copied.

    method : str, default="combined"
        How the accuracy is estimated, of :func:`~skda.metrics.estimate_target_accuracy`.

    class_shares : None, "estimate" or array-like of shape (n_classes,), default=None
        Shares of the classes in the target, for the estimate.

    random_state : int, RandomState instance or None, default=None
        Of the estimate.

    Attributes
    ----------
    estimator_ : estimator
        The fitted classifier.

    classes_ : ndarray of shape (n_classes,)
        Its labels.

    temperature_ : float
        Of the target, by which logarithms of probabilities are divided. Of several targets it is
        that of all their rows.

    temperatures_ : ndarray of shape (n_targets,)
        Of each target.

    source_temperature_ : float
        Of the source, the likeliest one.

    target_accuracy_ : ndarray of shape (n_targets,)
        Estimated accuracies.

    n_features_in_ : int
        Number of columns, if `estimator` has it.

    See Also
    --------
    skda.label_shift.calibrate : Calibration on labels of the source.
    skda.metrics.target_reliability : Whether they are as sure as they are right, by bins.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger. On Calibration of Modern Neural Networks.
    ICML 2017, for the temperature; that it is fitted to an estimated accuracy is the package's own.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skda.target_accuracy import TargetCalibratedClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X / 16
    >>> noisy = X[1200:] + np.random.default_rng(0).normal(scale=0.5, size=X[1200:].shape)
    >>> sure = LogisticRegression(C=100, max_iter=500).fit(X[:600], y[:600])
    >>> clf = TargetCalibratedClassifier(sure, random_state=0)
    >>> clf = clf.fit(X[600:1200], y[600:1200], X_target=noisy)
    >>> def gap(model):
    ...     return abs(model.predict_proba(noisy).max(axis=1).mean() - sure.score(noisy, y[1200:]))
    >>> bool(gap(clf) < 0.5 * gap(sure))
    True
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["predict"])],
        "method": [StrOptions(set(METHODS) - {"gde"})],
        "class_shares": [StrOptions({"estimate"}), "array-like", None],
        "random_state": ["random_state"],
    }

    # In a Pipeline or a search the target reaches fit, and the domain the predictions.
    __metadata_request__fit = {"X_target": True}
    __metadata_request__predict = {"domain": True}
    __metadata_request__predict_proba = {"domain": True}

    def __init__(
        self,
        estimator: Any,
        *,
        method: str = "combined",
        class_shares: Any = None,
        random_state: Any = None,
    ):
        self.estimator = estimator
        self.method = method
        self.class_shares = class_shares
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, *, X_target: Any) -> "Self":
        """Find the temperatures.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or rows as `estimator` takes them
            Source rows that `estimator` has **not** been trained on.

        y : array-like of shape (n_samples,)
            Their labels.

        X_target : array-like or tuple of array-likes
            Unlabeled target rows; a tuple for several target domains.

        Returns
        -------
        self : object
            The calibrated classifier.

        Raises
        ------
        TypeError, ValueError
            If data or parameters are not as described.
        """
        with naming("X_target", "rows as the estimator takes them, or a tuple of such"):
            targets = as_target_tuple(as_array(X_target, "X_target"))
        estimate = estimate_target_accuracy(
            self.estimator,
            X,
            y,
            targets,
            method=self.method,
            class_shares=self.class_shares,
            n_bootstraps=None,
            random_state=self.random_state,
        )
        self.estimator_ = self.estimator
        self.classes_ = np.asarray(self.estimator.classes_)
        vars(self).pop("n_features_in_", None)
        if hasattr(self.estimator, "n_features_in_"):
            self.n_features_in_ = self.estimator.n_features_in_
        self._n_targets = len(targets)
        self.target_accuracy_ = np.atleast_1d(estimate.accuracy)
        predicted = [
            predict_domain(self.estimator_, rows, "X_target", self._place(number), self._n_targets)
            for number, rows in enumerate(targets)
        ]
        self.temperatures_ = np.array(
            [
                match_temperature(rows, accuracy)
                for rows, accuracy in zip(predicted, self.target_accuracy_, strict=True)
            ]
        )
        n_rows = [len(rows) for rows in predicted]
        mean = float(np.average(self.target_accuracy_, weights=n_rows))
        self.temperature_ = match_temperature(np.vstack(predicted), mean)
        source = predict_domain(self.estimator_, X, "X", "source", self._n_targets)
        codes = class_numbers(y, self.classes_, source)
        self.source_temperature_ = likeliest_temperature(source, codes, np.ones(len(codes)))
        return self

    def predict(self, X: Any, domain: Any = "target") -> np.ndarray:
        """Predict the class of every row, as `estimator` does.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or rows as in fit
            Rows.

        domain : {"source", "target"} or int, default="target"
            Whose rows they are; a number is that of one of several target domains.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Classes.
        """
        check_is_fitted(self)
        self._temperature_of(domain)
        if "domain" in signature(self.estimator_.predict).parameters:
            return self.estimator_.predict(X, domain=domain)
        if domain == "target":
            return self.estimator_.predict(X)
        return self.classes_[self.predict_proba(X, domain).argmax(axis=1)]

    def predict_proba(self, X: Any, domain: Any = "target") -> np.ndarray:
        """Predict the probability of every class, calibrated for a domain.

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
        temperature = self._temperature_of(domain)
        rows = predict_domain(self.estimator_, as_array(X, "X"), "X", domain, self._n_targets)
        return softmax(logarithms(rows) / temperature, axis=1)

    def _place(self, number):
        return "target" if self._n_targets == 1 else number

    def _temperature_of(self, domain):
        if isinstance(check_domain(domain, self._n_targets), int):
            return self.temperatures_[domain]
        return self.source_temperature_ if domain == "source" else self.temperature_
