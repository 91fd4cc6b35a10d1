"""Scorers of the class probabilities of target rows."""

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import entr, softmax
from sklearn.utils import gen_batches

from skda._checks import as_array, check_finite
from skda._naming import naming
from skda._sklearn_compat import Interval
from skda.model_selection._base import TargetScorer
from skda.model_selection._inputs import predict_probabilities

# Similarities of as many pairs of rows are held at a time: 32 MiB.
N_PAIRS = 2**22


class PredictionScorer(TargetScorer):
    """Base of scorers of the probabilities of all target rows, in ``_score_probabilities``."""

    if TYPE_CHECKING:

        def _score_probabilities(self, probabilities: np.ndarray) -> Any: ...

    def _score(self, estimator, X, y, targets):
        return self._score_probabilities(
            np.concatenate([predict_probabilities(estimator, rows, "X_target") for rows in targets])
        )


class TargetEntropyScorer(PredictionScorer):
    r"""Minus the mean entropy of the predictions on target rows; greater is better.

    .. math:: -\frac{1}{n_t} \sum_j H(p_j), \quad H(p) = -\sum_c p_c \log p_c

    From -log(n_classes), for uniform predictions, to 0, in nats. A network whose decision
    boundaries cross dense parts of the target is unsure of many rows. A model that predicts one
    class everywhere with certainty scores best too: compare the predicted classes with what you
    expect of the target, or use :class:`InformationMaximizationScorer`.

    It looks at target rows only, and works with every classifier that has ``predict_proba``. In a
    search it gets the target by metadata routing, the same ``X_target`` as ``fit``, transformed
    by the steps of a pipeline. With routing off, bind the target:
    ``scoring=lambda estimator, X, y: TargetEntropyScorer()(estimator, X, X_target=Xt)``.

    See Also
    --------
    InformationMaximizationScorer : Sees a collapse to one class.
    SoftNeighborhoodDensityScorer : Looks at neighbours among the predictions.

    References
    ----------
    P. Morerio, J. Cavazza, V. Murino. Minimal-Entropy Correlation Alignment for Unsupervised Deep
    Domain Adaptation. ICLR 2018, section 3.3.

    Examples
    --------
    >>> import sklearn
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skda.adaptation import DeepCORALClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.model_selection import TargetEntropyScorer
    >>> digits = load_shifted_digits(random_state=0)
    >>> with sklearn.config_context(enable_metadata_routing=True):
    ...     search = GridSearchCV(
    ...         DeepCORALClassifier(max_epochs=2, random_state=0),
    ...         {"trade_off": [0.1, 1.0]},
    ...         scoring=TargetEntropyScorer(),
    ...         cv=2,
    ...     )
    ...     search = search.fit(digits.X, digits.y, X_target=(digits.X_target,))
    >>> bool(search.best_score_ < 0)
    True
    """

    def _score_probabilities(self, probabilities):
        return -entr(probabilities).sum(axis=1).mean()


class InformationMaximizationScorer(PredictionScorer):
    r"""Entropy of the mean prediction minus the mean entropy, on target rows; greater is better.

    .. math:: H\Big(\frac{1}{n_t} \sum_j p_j\Big) - \frac{1}{n_t} \sum_j H(p_j)

    The mutual information of rows and predicted classes: from 0, for predictions that do not
    depend on the row, to log(n_classes), for certain predictions, as many of each class. It asks
    for all classes in equal parts, which is wrong where the target's classes are not balanced.

    It looks at target rows only, and gets them as :class:`TargetEntropyScorer` does.

    See Also
    --------
    TargetEntropyScorer : The second term alone.

    References
    ----------
    A. Krause, P. Perona, R. Gomes. Discriminative Clustering by Regularized Information
    Maximization. NIPS 2010, section 2.

    Y. Shi, F. Sha. Information-Theoretical Learning of Discriminative Clusters for Unsupervised
    Domain Adaptation. ICML 2012.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.model_selection import InformationMaximizationScorer
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = LogisticRegression().fit(digits.X, digits.y)
    >>> scorer = InformationMaximizationScorer()
    >>> 0 < scorer(clf, digits.X, X_target=digits.X_target) < 2.303
    True
    """

    def _score_probabilities(self, probabilities):
        return entr(probabilities.mean(axis=0)).sum() - entr(probabilities).sum(axis=1).mean()


class SoftNeighborhoodDensityScorer(PredictionScorer):
    r"""Entropy of the similarities of every target row to the others; greater is better.

    .. math:: \frac{1}{n_t} \sum_i H(q_i), \quad
              q_{ij} \propto \exp(\hat p_i^\top \hat p_j / \tau), \; j \ne i, \quad
              \hat p = p / \lVert p \rVert_2

    A row in a dense neighbourhood of equal predictions is similar to many rows. From 0 to
    log(n_t - 1), in nats, which is also what a model gets that predicts the same for all rows:
    as with the entropy, compare the predicted classes with what you expect of the target.

    It looks at target rows only, and gets them as :class:`TargetEntropyScorer` does. The number
    of rows enters the score: compare scores on the same rows.

    Parameters
    ----------
    temperature : float, default=0.05
        The :math:`\tau`.

    See Also
    --------
    TargetEntropyScorer : Looks at every row by itself.

    References
    ----------
    K. Saito, D. Kim, P. Teterwak, S. Sclaroff, T. Darrell, K. Saenko. Tune it the Right Way:
    Unsupervised Validation of Domain Adaptation via Soft Neighborhood Density. ICCV 2021,
    section 3.2.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.model_selection import SoftNeighborhoodDensityScorer
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = LogisticRegression().fit(digits.X, digits.y)
    >>> scorer = SoftNeighborhoodDensityScorer()
    >>> 0 < scorer(clf, digits.X, X_target=digits.X_target) < 6.802  # log(898)
    True
    """

    _parameter_constraints = {"temperature": [Interval(Real, 0, 1e30, closed="right")]}

    def __init__(self, temperature: float = 0.05):
        self.temperature = temperature

    def _score_probabilities(self, probabilities):
        n_rows = len(probabilities)
        if n_rows < 2:
            raise ValueError("X_target has 1 row; neighbours need at least 2.")
        directions = probabilities / np.linalg.norm(probabilities, axis=1, keepdims=True)
        total = 0.0
        for rows in gen_batches(n_rows, max(1, N_PAIRS // n_rows)):
            similarities = directions[rows] @ directions.T / self.temperature
            # No row is its own neighbour.
            np.fill_diagonal(similarities[:, rows], -np.inf)
            total += entr(softmax(similarities, axis=1)).sum()
        return check_finite(total / n_rows, "temperature and X_target")


class BatchNuclearNormScorer(PredictionScorer):
    r"""Nuclear norm of the target's predictions over its bound; greater is better.

    .. math:: \frac{\lVert P \rVert_*}{\sqrt{n_t \min(n_t, C)}}

    with the predictions of :math:`n_t` rows and C classes as the rows of P. The norm, the sum of
    singular values, grows with certainty and with the number of classes that are predicted. From
    ``1 / sqrt(C * min(n_t, C))``, for uniform predictions, to 1, for certain predictions, as many
    of each class; certain predictions of one class get ``1 / sqrt(min(n_t, C))``. Like
    :class:`InformationMaximizationScorer` it expects balanced classes.

    It looks at target rows only, and gets them as :class:`TargetEntropyScorer` does. The papers
    divide by n_t only; over the bound scores do not depend on the number of rows.

    See Also
    --------
    skda.adaptation.BNMClassifier : Training by the same norm, which this score then favours.

    References
    ----------
    S. Cui et al. Towards Discriminability and Diversity: Batch Nuclear-norm Maximization under
    Label Insufficient Situations. CVPR 2020, section 3.

    K. Musgrave, S. Belongie, S.-N. Lim. Three New Validators and a Large-Scale Benchmark Ranking
    for Unsupervised Domain Adaptation. arXiv:2208.07360, 2022.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.model_selection import BatchNuclearNormScorer
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = LogisticRegression().fit(digits.X, digits.y)
    >>> 0.1 < BatchNuclearNormScorer()(clf, digits.X, X_target=digits.X_target) < 1
    True
    """

    def _score_probabilities(self, probabilities):
        norm = np.linalg.svd(probabilities, compute_uv=False).sum()
        return norm / np.sqrt(len(probabilities) * min(probabilities.shape))


class ClassCorrelationScorer(PredictionScorer):
    r"""How close the target's class correlation is to that of perfect predictions.

    .. math:: \frac{\langle K, D \rangle}{\lVert K \rVert_F \lVert D \rVert_F}, \quad
              K = \frac{1}{n_t} P^\top P, \quad D = \mathrm{diag}(\pi)

    the cosine of the matrix that tells how often two classes are predicted together and of the one
    that certain predictions with class frequencies :math:`\pi` give. Greater is better. With
    equal frequencies it lies between ``1 / sqrt(n_classes)``, for predictions that are uniform or
    of one class, and 1.

    It looks at target rows only, and gets them as :class:`TargetEntropyScorer` does.

    Parameters
    ----------
    prior : array-like of shape (n_classes,), default=None
        Class frequencies that are expected in the target, in the order of ``classes_``; None is
        equal ones. Scores with different priors should not be compared.

    See Also
    --------
    BatchNuclearNormScorer : Another matrix measure of certain and diverse predictions.

    References
    ----------
    W. Tu, W. Deng, T. Gedeon, L. Zheng. Assessing Model Out-of-distribution Generalization with
    Softmax Prediction Probability Baselines and A Correlation Method. 2023.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.model_selection import ClassCorrelationScorer
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = LogisticRegression().fit(digits.X, digits.y)
    >>> 0.316 < ClassCorrelationScorer()(clf, digits.X, X_target=digits.X_target) < 1
    True
    """

    _parameter_constraints = {"prior": ["array-like", None]}

    def __init__(self, prior: Any = None):
        self.prior = prior

    def _score_probabilities(self, probabilities):
        prior = self._check_prior(probabilities.shape[1])
        correlation = probabilities.T @ probabilities
        cosine = correlation.diagonal() @ prior
        return cosine / np.linalg.norm(correlation) / np.linalg.norm(prior)

    def _check_prior(self, n_classes):
        with naming("prior", f"{n_classes} class frequencies"):
            given = np.ones(n_classes) if self.prior is None else as_array(self.prior, "prior")
            prior = np.asarray(given, dtype=float)
        fits = prior.shape == (n_classes,) and np.isfinite(prior).all()
        if not fits or (prior < 0).any() or not prior.sum() > 0:
            raise ValueError(
                f"prior must hold {n_classes} class frequencies, of 0 or more and not all 0; got "
                f"{self.prior!r}."
            )
        return prior
