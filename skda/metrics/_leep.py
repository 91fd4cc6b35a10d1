"""Transferability from what a classifier of another task predicts."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from skda._checks import check_column, check_lengths
from skda._naming import naming, shortened
from skda.label_shift import check_probabilities
from skda.metrics._checks import check_draws, check_features, check_labels


def nce_score(y_source: Any, y: Any) -> float:
    r"""Negative conditional entropy of the labels, given those of a source classifier.

    .. math:: \sum_{y, z} P(y, z) \log P(y \mid z) = -H(Y \mid Z)

    Parameters
    ----------
    y_source : array-like of shape (n_samples,)
        Labels of another task for the same rows, such as the predictions of its classifier.

    y : array-like of shape (n_samples,)
        Labels of the task.

    Returns
    -------
    score : float
        Zero or less, in nats; greater is better.

    Raises
    ------
    ValueError
        If lengths differ, or if y holds one class only.

    See Also
    --------
    leep_score : The same with probabilities.

    References
    ----------
    A. T. Tran, C. V. Nguyen, T. Hassner. Transferability and Hardness of Supervised Classification
    Tasks. ICCV 2019.

    Examples
    --------
    >>> from skda.metrics import nce_score
    >>> nce_score(["cat", "dog", "car", "car"], ["animal", "animal", "thing", "thing"])
    0.0
    """
    y_source = check_column(y_source, "y_source")
    check_lengths("y_source", y_source, "y", check_labels(y)[0])
    with naming("y_source", "labels of one type"):
        sources, numbers = np.unique(y_source, return_inverse=True)
    return leep_score(np.eye(len(sources))[numbers], y)


def leep_score(probabilities: Any, y: Any) -> float:
    r"""Log expected empirical prediction (LEEP) of a classifier of another task.

    .. math:: \frac{1}{n} \sum_i \log \sum_z P(y_i \mid z)\, \theta(x_i)_z, \quad
              P(y, z) = \frac{1}{n} \sum_{i : y_i = y} \theta(x_i)_z

    with the probabilities :math:`\theta(x_i)_z` of the classes z of the other task: the mean log
    likelihood of the labels, if a class z is drawn from the classifier's prediction and then a
    label from those that go with z. The network runs once and nothing is trained.

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_source_classes)
        What ``predict_proba`` of the classifier gives for the rows. Classes that never have any
        probability are left out.

    y : array-like of shape (n_samples,)
        Labels of the task.

    Returns
    -------
    score : float
        Zero or less, in nats; greater is better.

    Raises
    ------
    ValueError
        If rows are no probabilities, if lengths differ, or if y holds one class only.

    References
    ----------
    C. V. Nguyen, T. Hassner, M. Seeger, C. Archambeau. LEEP: A New Measure to Evaluate
    Transferability of Learned Representations. ICML 2020.

    Examples
    --------
    >>> from skda.metrics import leep_score
    >>> y = ["animal", "animal", "thing", "thing"]
    >>> round(leep_score([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]], y), 3)
    -0.295
    >>> round(leep_score([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.1, 0.9]], y), 3)
    -0.693
    """
    theta = check_probabilities(probabilities, "probabilities")
    codes, n_classes = check_labels(y)
    check_lengths("probabilities", theta, "y", codes)
    theta = theta[:, theta.any(axis=0)]
    given = np.stack([theta[codes == number].sum(axis=0) for number in range(n_classes)])
    given /= given.sum(axis=0)
    expected = (theta * given[codes]).sum(axis=1)
    # A rounding above one would make the score of a perfect prediction positive.
    return min(float(np.log(expected).mean()), 0.0)


def n_leep_score(
    X: Any, y: Any, *, n_components: int | None = None, random_state: Any = None
) -> float:
    """LEEP of features instead of a classifier's predictions.

    The features are brought to the principal components that hold 80 % of their variance, and a
    mixture of Gaussians with diagonal covariances is fitted to these. :func:`leep_score` of the
    probabilities of its components is the score. Works without a source classifier. The idea is the
    paper's; the diagonal covariances and the bound on the number of Gaussians are choices of this
    package.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Features of the rows of the task.

    y : array-like of shape (n_samples,)
        Labels of the task.

    n_components : int, default=None
        Number of Gaussians; None is five per class, and at most one per four rows. The score
        grows with it, and reaches zero with a Gaussian for every row, so that compared features
        must have the same number.

    random_state : int, RandomState instance or None, default=None
        Starts the mixture.

    Returns
    -------
    score : float
        Zero or less, in nats; greater is better.

    Raises
    ------
    ValueError
        If lengths differ, or if y holds one class only.

    References
    ----------
    Y. Li et al. Ranking Neural Checkpoints. CVPR 2021.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skda.metrics import n_leep_score
    >>> X, y = load_iris(return_X_y=True)
    >>> n_leep_score(X, y, random_state=0) > n_leep_score(X[:, :2], y, random_state=0)
    True
    """
    X, codes, n_classes = check_features(X, y)
    rng = check_draws(random_state)
    if n_components is None:
        n_components = min(5 * n_classes, max(len(X) // 4, 1))
    is_count = isinstance(n_components, Integral) and not isinstance(n_components, bool)
    if not is_count or not 1 <= n_components <= len(X):
        raise ValueError(
            f"n_components must be a whole number from 1 to the {len(X)} rows of X, got "
            f"{shortened(repr(n_components))}."
        )
    if X.std(axis=0).any():  # a PCA of constant features divides by their variance
        X = PCA(0.8, svd_solver="full").fit_transform(X)
    # Their unit must not decide how much the covariances are regularised.
    scale = X.std() or 1.0
    mixture = GaussianMixture(
        n_components, covariance_type="diag", reg_covar=1e-3, random_state=rng
    )
    return leep_score(mixture.fit(X / scale).predict_proba(X / scale), codes)
