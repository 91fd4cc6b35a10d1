"""Scorers that weight held-out source rows by how much they look like target rows."""

from contextlib import nullcontext
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skda._naming import naming
from skda._sklearn_compat import HasMethods, Interval, StrOptions, clone
from skda.model_selection._base import TargetScorer
from skda.model_selection._inputs import predict, predict_probabilities
from skda.model_selection._representations import (
    as_table,
    features_of,
    past_steps,
    source_statistics,
)


class WeightedRiskScorer(TargetScorer):
    """Base of scorers that estimate the target risk from weighted losses of source rows."""

    _parameter_constraints = {
        "loss": [StrOptions({"zero_one", "log_loss"})],
        "domain_classifier": [HasMethods(["fit", "predict_proba"]), None],
        "n_splits": [Interval(Integral, 2, None, closed="left")],
    }
    _needs_y = True

    if TYPE_CHECKING:
        loss: str
        domain_classifier: Any
        n_splits: int

    def _weights_and_losses(self, estimator, X, y, targets, representation):
        if len(y) < self.n_splits:
            raise ValueError(
                f"X has {len(y)} held-out source rows, fewer than n_splits={self.n_splits}; hold "
                "out more rows, or take fewer splits."
            )
        if representation == "inputs":
            names = ["X", *["X_target"] * len(targets)]
            estimator, (X, *targets) = past_steps(estimator, X, *targets, names=names)
            context, represent = nullcontext(), as_table
        else:  # as training aligned the domains, each normalised by its own statistics
            context, represent = source_statistics(estimator), partial(features_of, estimator)
        with context:
            source = represent(X, "X")
            losses = row_losses(estimator, X, y, self.loss)
        with naming("X_target", "tables of the same columns"):
            target = np.concatenate([represent(rows, "X_target") for rows in targets])
        classifier = self.domain_classifier
        if classifier is None:
            classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        if source.shape[1] != target.shape[1]:
            raise ValueError(f"X_target has {target.shape[1]} columns, X has {source.shape[1]}.")
        with naming("domain_classifier", "a classifier that learns the domains of rows"):
            return importance_weights(source, y, target, classifier, self.n_splits), losses


class ImportanceWeightedScorer(WeightedRiskScorer):
    r"""Minus the importance-weighted risk of held-out source rows (IWCV); greater is better.

    .. math:: -\frac{1}{n_s} \sum_i w(x_i)\, \ell(y_i, f(x_i)), \quad
              w(x) = \frac{p_t(x)}{p_s(x)}

    The loss on source rows, in which those count most that look like target rows. It estimates
    the risk on the target if both domains differ in the distribution of inputs only, and if the
    source has rows wherever the target has. Where a classifier tells the domains apart almost
    always, all weights are near 0, and the score is near 0 whatever the model; with weights on
    inputs they are at least the same for every model.

    It looks at held-out source rows, their labels and target rows. The weights come from a domain
    classifier, :math:`w = \frac{n_s}{n_t} P(t|x) / P(s|x)`. The training rows are not known to a
    scorer: the classifier is trained on the held-out source rows and the target rows, in
    `n_splits` parts of the source rows, so that no weight is from a classifier that has seen its
    row. The paper takes the densities as given. In a pipeline whose first steps make numbers of
    text and categories, inputs are what they make. The target arrives as in
    :class:`TargetEntropyScorer`.

    Parameters
    ----------
    loss : {"zero_one", "log_loss"}, default="zero_one"
        Of a row. The logarithmic loss needs ``predict_proba``.

    representation : {"inputs", "features"}, default="inputs"
        What the domains are compared by: the rows as they are before the steps of a pipeline,
        or what the classifier decides by. That is the output of ``transform`` of a deep
        estimator, and of the steps before the last one in a pipeline with a plain classifier. With
        ``"features"`` an adapted network sees source rows with the statistics of the source, as
        in training; with ``"inputs"`` it predicts them as it predicts target rows.

    domain_classifier : classifier with predict_proba, default=None
        Cloned. None is a logistic regression on standardised columns.

    n_splits : int, default=5
        Parts of the held-out source rows, stratified by class.

    See Also
    --------
    DeepEmbeddedValidationScorer : With less variance, on features.

    References
    ----------
    M. Sugiyama, M. Krauledat, K.-R. Mueller. Covariate Shift Adaptation by Importance Weighted
    Cross Validation. JMLR 8, 2007, section 3.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.model_selection import ImportanceWeightedScorer
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = LogisticRegression().fit(digits.X[::2], digits.y[::2])
    >>> scorer = ImportanceWeightedScorer()
    >>> scorer(clf, digits.X[1::2], digits.y[1::2], X_target=digits.X_target) <= 0
    True
    """

    _parameter_constraints = {
        **WeightedRiskScorer._parameter_constraints,
        "representation": [StrOptions({"inputs", "features"})],
    }

    def __init__(
        self,
        loss: str = "zero_one",
        representation: str = "inputs",
        domain_classifier: Any = None,
        n_splits: int = 5,
    ):
        self.loss = loss
        self.representation = representation
        self.domain_classifier = domain_classifier
        self.n_splits = n_splits

    def _score(self, estimator, X, y, targets):
        weights, losses = self._weights_and_losses(estimator, X, y, targets, self.representation)
        return -np.mean(weights * losses)


class DeepEmbeddedValidationScorer(WeightedRiskScorer):
    r"""Minus the deep embedded validation risk (DEV); greater is better.

    .. math:: -\Big( \frac{1}{n_s} \sum_i w_i \ell_i
              + \eta \frac{1}{n_s} \sum_i w_i - \eta \Big), \quad
              \eta = - \frac{\mathrm{Cov}(w \ell, w)}{\mathrm{Var}(w)}

    the importance-weighted risk with the weights' mean, which is 1 in expectation, as a control
    variate: it has less variance, at a small bias, since :math:`\eta` is estimated from the same
    rows. The weights are those of :class:`ImportanceWeightedScorer` on features: the output of
    ``transform`` of a deep estimator, of source rows with the statistics of the source, or of the
    steps before the last one in a pipeline with a plain classifier. Features that tell the
    domains apart make the score unreliable; the estimated risk may then even be negative.

    It looks at held-out source rows, their labels and target rows. The paper trains the domain
    classifier on the training rows of the source, which a scorer does not know; here it is
    trained on the held-out ones and the target rows, in `n_splits` parts of the source rows, so
    that no weight is from a classifier that has seen its row. The target arrives as in
    :class:`TargetEntropyScorer`.

    Parameters
    ----------
    loss : {"zero_one", "log_loss"}, default="zero_one"
        Of a row. The logarithmic loss needs ``predict_proba``.

    domain_classifier : classifier with predict_proba, default=None
        Cloned. None is a logistic regression on standardised columns.

    n_splits : int, default=5
        Parts of the held-out source rows, stratified by class.

    See Also
    --------
    ImportanceWeightedScorer : Without the control variate.

    References
    ----------
    K. You, X. Wang, M. Long, M. I. Jordan. Towards Accurate Model Selection in Deep Unsupervised
    Domain Adaptation. ICML 2019, section 4.

    Examples
    --------
    >>> from skda.adaptation import DeepCORALClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.model_selection import DeepEmbeddedValidationScorer
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = DeepCORALClassifier(max_epochs=2, random_state=0)
    >>> clf = clf.fit(digits.X[::2], digits.y[::2], X_target=digits.X_target)
    >>> scorer = DeepEmbeddedValidationScorer()
    >>> type(scorer(clf, digits.X[1::2], digits.y[1::2], X_target=digits.X_target))
    <class 'float'>
    """

    def __init__(self, loss: str = "zero_one", domain_classifier: Any = None, n_splits: int = 5):
        self.loss = loss
        self.domain_classifier = domain_classifier
        self.n_splits = n_splits

    def _score(self, estimator, X, y, targets):
        return -control_variate_risk(
            *self._weights_and_losses(estimator, X, y, targets, "features")
        )


def row_losses(estimator, X, y, loss):
    """Return the loss of every row.

    Parameters
    ----------
    estimator : object
        A fitted classifier.

    X : array-like of shape (n_samples, ...)
        Rows.

    y : ndarray of shape (n_samples,)
        Their labels.

    loss : {"zero_one", "log_loss"}
        The loss; a label that is none of the classifier's has probability 0.

    Returns
    -------
    losses : ndarray of shape (n_samples,)
        Of 0 or more.
    """
    if loss == "zero_one":
        return (predict(estimator, X, "X") != y).astype(np.float64)
    probabilities = predict_probabilities(estimator, X, "X")
    of_label = (probabilities * (y[:, None] == estimator.classes_)).sum(axis=1)
    return -np.log(of_label.clip(np.finfo(np.float64).eps))


def importance_weights(source, y, target, classifier, n_splits):
    """Return how much more likely each source row is in the target than in the source.

    Parameters
    ----------
    source : ndarray of shape (n_samples, n_features)
        Source rows.

    y : ndarray of shape (n_samples,)
        Their labels, by which the parts are stratified.

    target : ndarray of shape (n_target_samples, n_features)
        Target rows.

    classifier : object
        A classifier of domains; copies are fitted, to all parts of the source but one at a time.

    n_splits : int
        Number of parts.

    Returns
    -------
    weights : ndarray of shape (n_samples,)
        Of 0 or more, and of mean 1 in expectation.
    """
    part = np.empty(len(source), dtype=int)
    _, codes = np.unique(y, return_inverse=True)
    part[np.argsort(codes, kind="stable")] = np.arange(len(source)) % n_splits
    weights = np.empty(len(source))
    for number in range(n_splits):
        held_out = part == number
        seen = source[~held_out]
        rows, domains = np.concatenate([seen, target]), np.repeat([0, 1], [len(seen), len(target)])
        probabilities = clone(classifier).fit(rows, domains).predict_proba(source[held_out])
        odds = probabilities[:, 1] / probabilities[:, 0].clip(np.finfo(np.float64).eps)
        weights[held_out] = len(seen) / len(target) * odds
    return weights


def control_variate_risk(weights, losses):
    """Return the weighted risk with the mean of the weights as a control variate.

    Parameters
    ----------
    weights : ndarray of shape (n_samples,)
        Importance weights.

    losses : ndarray of shape (n_samples,)
        Losses of the same rows.

    Returns
    -------
    risk : float
        The estimate; with equal weights the weighted risk itself.
    """
    weighted = weights * losses
    if np.ptp(weights) <= 1e-9 * weights.max():  # nothing varies, but for rounding
        return weighted.mean()
    covariance = np.cov(weighted, weights)
    eta = -covariance[0, 1] / covariance[1, 1]
    return weighted.mean() + eta * (weights.mean() - 1)
