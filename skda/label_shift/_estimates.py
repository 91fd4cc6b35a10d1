"""Shares of the classes among unlabelled rows, from what a classifier predicts for them."""

import warnings
from typing import Any

import numpy as np
from scipy.optimize import nnls
from sklearn.exceptions import ConvergenceWarning

from skda._callers import level_of_user
from skda.label_shift._checks import check_codes, check_probabilities, check_shares

# A probability of 0 in every class with a share would have no likelihood.
_LEAST = 1e-30
# Less is nothing: EM approaches the share of a missing class forever.
_NOTHING = 1e-12
# Of two mixtures of classes that predictions cannot tell apart, the one nearer to the source.
_TIE_BREAK = 1e-5


def maximum_likelihood_shares(
    target_probabilities: Any,
    source_shares: Any,
    *,
    prior_rows: float = 0.0,
    max_iter: int = 1000,
    tol: float = 1e-6,
) -> np.ndarray:
    r"""Find the class shares that make the target rows most likely (MLLS), by EM.

    If the domains differ in the shares of their classes alone, the density of a target row is
    proportional to :math:`\sum_k q_k\, p(k \mid x) / p_k` with the posteriors and shares of the
    source. Its mean logarithm is concave in the shares q, and EM climbs to its maximum.

    The probabilities must be calibrated for the source, see :func:`calibrate`: those of a network
    are too sure of themselves, and an estimate from them is often worse than none [2]_. With
    calibrated ones it errs less than estimates by confusions, which keep only the mean of the
    predictions [3]_.

    Parameters
    ----------
    target_probabilities : array-like of shape (n_samples, n_classes)
        Posteriors of the target rows under the shares of the source.

    source_shares : array-like of shape (n_classes,)
        Shares of the classes that the posteriors are meant for. A class without a share in the
        source gets none in the target.

    prior_rows : float, default=0.0
        How many target rows the shares of the source count for, as the mean of a Dirichlet
        distribution [4]_: with 0 the result is the maximum of the likelihood, with a large number
        it is `source_shares`.

    max_iter : int, default=1000
        Most steps of EM.

    tol : float, default=1e-6
        Stop when the mean log likelihood of a row is at most that far below its maximum, in nats.
        In n rows, noise alone makes a difference of about ``n_classes / (2 * n)``.

    Returns
    -------
    shares : ndarray of shape (n_classes,), dtype=float64
        Numbers of 0 or more with a sum of 1. A class that the target lacks has 0, or
        almost.

    Raises
    ------
    ValueError
        If probabilities or shares are not as described.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        If `max_iter` steps were not enough.

    References
    ----------
    .. [1] M. Saerens, P. Latinne, C. Decaestecker. Adjusting the Outputs of a Classifier to New a
       Priori Probabilities: A Simple Procedure. Neural Computation 2002, section 2.2.
    .. [2] A. Alexandari, A. Kundaje, A. Shrikumar. Maximum Likelihood with Bias-Corrected
       Calibration is Hard-To-Beat at Label Shift Adaptation. ICML 2020.
    .. [3] S. Garg, Y. Wu, S. Balakrishnan, Z. C. Lipton. A Unified View of Label Shift Estimation.
       NeurIPS 2020.
    .. [4] C. Ye, R. Tsuchida, L. Petersson, N. Barnes. Label Shift Estimation for Class-Imbalance
       Problem: A Bayesian Approach. WACV 2024.

    Examples
    --------
    Three rows of four look like the first class, half of the source did.

    >>> from skda.label_shift import maximum_likelihood_shares
    >>> rows = [[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]]
    >>> maximum_likelihood_shares(rows, [0.5, 0.5]).round(3)
    array([0.812, 0.188])
    """
    posteriors = check_probabilities(target_probabilities, "target_probabilities")
    source = check_shares(source_shares, "source_shares", posteriors.shape[1])
    if not prior_rows >= 0:
        raise ValueError(f"prior_rows must be a number of 0 or more, got {prior_rows!r}.")
    likelihoods = likelihoods_of_classes(posteriors, source)
    known = source > 0
    likelihoods, prior = likelihoods[:, known], prior_rows * source[known]
    shares = np.zeros_like(source)
    found, distance = _ascend(likelihoods, prior, source[known], max_iter, tol)
    shares[known] = np.where(found < _NOTHING, 0.0, found)
    shares /= shares.sum()
    if distance <= tol:
        return shares
    warnings.warn(
        f"EM has not converged in max_iter={max_iter} steps: the mean log likelihood of a row may "
        f"be up to {distance:.1g} below its maximum; allow more steps or a larger tol.",
        ConvergenceWarning,
        stacklevel=level_of_user(),
    )
    return shares


def black_box_shares(
    target_probabilities: Any,
    source_probabilities: Any,
    source_labels: Any,
    *,
    soft: bool = True,
) -> np.ndarray:
    r"""Find the class shares under which the source's confusions give the target's predictions.

    Black box shift estimation (BBSE): with the matrix C of what is predicted for held-out source
    rows of each class, and the mean m of what is predicted for the target, it solves
    :math:`C q = m`. Predictions need not be calibrated, since their errors are in C; but there
    must be enough held-out rows for it.

    The shares are those on the simplex whose predictions are nearest to m, which is the solution
    of the equations wherever that has no negative number. Where C is singular - two classes that
    are never told apart - it is the solution that is nearest to the source's shares.

    Parameters
    ----------
    target_probabilities : array-like of shape (n_target_samples, n_classes)
        Predictions for the target rows.

    source_probabilities : array-like of shape (n_samples, n_classes)
        Predictions for source rows that the classifier has not been trained on.

    source_labels : array-like of shape (n_samples,)
        Their classes, as numbers of columns. A class without a row gets no share.

    soft : bool, default=True
        Whether predictions are probabilities or, as in the paper, 1 for the most likely class and
        0 for the others.

    Returns
    -------
    shares : ndarray of shape (n_classes,), dtype=float64
        Numbers of 0 or more with a sum of 1.

    Raises
    ------
    ValueError
        If probabilities or labels are not as described.

    References
    ----------
    Z. C. Lipton, Y.-X. Wang, A. J. Smola. Detecting and Correcting for Label Shift with Black Box
    Predictors. ICML 2018, section 4.

    Examples
    --------
    A fifth of the rows of each class is taken for the other one.

    >>> import numpy as np
    >>> from skda.label_shift import black_box_shares
    >>> predicted = np.eye(2)[[0, 0, 0, 0, 1, 1, 1, 1, 1, 0]]
    >>> true = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    >>> target = np.eye(2)[[0] * 7 + [1] * 3]
    >>> black_box_shares(target, predicted, true).round(3)
    array([0.833, 0.167])
    """
    confusion, mean, counts = _confusion(
        target_probabilities, source_probabilities, source_labels, soft
    )
    known = counts > 0
    source = counts[known] / counts.sum()
    shares = np.zeros(len(counts))
    residual = confusion - mean[:, None]  # of shares with a sum of 1
    tie_break = _TIE_BREAK * (np.eye(len(source)) - source[:, None])
    shares[known] = nearest_on_simplex(np.vstack([residual, tie_break]))
    return shares


def regularized_shares(
    target_probabilities: Any,
    source_probabilities: Any,
    source_labels: Any,
    *,
    soft: bool = True,
    regularization: float = 0.01,
    max_iter: int = 100,
) -> np.ndarray:
    r"""Find shares that explain the target's predictions, as near the source's as they can be.

    Regularised learning of label shift (RLLS): with the joint confusions :math:`\hat C` of
    held-out source rows and the ratios :math:`w = q / p` of the shares, it minimises
    :math:`\lVert \hat C w - m \rVert + \Delta \lVert w - 1 \rVert`. The bound
    :math:`\Delta` on the error of the confusions falls with the number of source rows, and the
    result goes from the source's shares, where nothing can be said, to those of
    :func:`black_box_shares`.

    Parameters
    ----------
    target_probabilities : array-like of shape (n_target_samples, n_classes)
        Predictions for the target rows.

    source_probabilities : array-like of shape (n_samples, n_classes)
        Predictions for source rows that the classifier has not been trained on.

    source_labels : array-like of shape (n_samples,)
        Their classes, as numbers of columns. A class without a row gets no share.

    soft : bool, default=True
        Whether predictions are probabilities, or 1 for the most likely class and 0 for others.

    regularization : float, default=0.01
        Factor of the bound, which is far too careful as it is in the paper; 0.01 is what its
        experiments use. The result tends to the source's shares as it grows.

    max_iter : int, default=100
        Most steps, each of which solves a problem of least squares.

    Returns
    -------
    shares : ndarray of shape (n_classes,), dtype=float64
        Numbers of 0 or more with a sum of 1.

    Raises
    ------
    ValueError
        If probabilities, labels or the regularisation are not as described.

    References
    ----------
    K. Azizzadenesheli, A. Liu, F. Yang, A. Anandkumar. Regularized Learning for Domain Adaptation
    under Label Shifts. ICLR 2019, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from skda.label_shift import regularized_shares
    >>> predicted = np.eye(2)[[0, 0, 0, 0, 1, 1, 1, 1, 1, 0]]
    >>> true = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    >>> target = np.eye(2)[[0] * 7 + [1] * 3]
    >>> regularized_shares(target, predicted, true).round(3)
    array([0.833, 0.167])
    >>> regularized_shares(target, predicted, true, regularization=10.0).round(3)
    array([0.5, 0.5])
    """
    if not regularization >= 0:
        raise ValueError(f"regularization must be a number of 0 or more, got {regularization!r}.")
    confusion, mean, counts = _confusion(
        target_probabilities, source_probabilities, source_labels, soft
    )
    known = counts > 0
    source = counts[known] / counts.sum()
    # The paper's bound at a confidence of 95 %, theorem 1.
    spread = np.log(2 * len(source) / 0.05)
    n_rows = counts.sum()
    bound = 3 * (2 * spread / (3 * n_rows) + np.sqrt(2 * spread / n_rows)) * regularization
    misfit = confusion - mean[:, None]
    change = np.diag(1 / source) - 1.0  # of shares with a sum of 1: their ratios, less 1
    weight, found = _TIE_BREAK**2, source
    for _ in range(max_iter):
        # Norms without squares, by least squares: ||r|| is at most (||r||^2 / a + a) / 2 for
        # every a, and equal for a = ||r||.
        previous = found
        found = nearest_on_simplex(np.vstack([misfit, np.sqrt(weight) * change]))
        distance = np.linalg.norm(change @ found)
        weight = bound * np.linalg.norm(misfit @ found) / max(distance, 1e-12)
        weight = min(max(weight, _TIE_BREAK**2), 1e6)
        if np.abs(found - previous).sum() < 1e-8:
            break
    shares = np.zeros(len(counts))
    shares[known] = found
    return shares


def _ascend(likelihoods, prior, shares, max_iter, tol):
    """Return the shares after EM, and how far their mean log likelihood may be from its maximum.

    EM crawls where a class has almost no share, or is much like another one. Two steps show in
    which direction it crawls, and the next one goes there at once (SQUAREM, Varadhan and Roland
    2008), unless that is no gain. Of 5000 rows with 7 of 10 classes missing, 1000 plain steps are
    not enough.
    """
    n_rows = len(likelihoods) + prior.sum()

    def step(shares):
        totals = likelihoods @ shares
        # The rows of the prior are each of a known class.
        gradient = (likelihoods.T @ (1 / totals) + prior / shares) / n_rows
        value = np.log(totals).sum() + prior @ np.log(shares)
        after = np.maximum(shares * gradient, _LEAST)
        # The likelihood is concave: it lies below its tangent, whose maximum is at a corner.
        return after / after.sum(), value, gradient.max() - 1

    best, longest, fallback = -np.inf, 1.0, shares
    for _ in range(-(-max_iter // 2)):
        first, value, distance = step(shares)
        if value < best:  # the leap was none
            longest = max(longest / 4, 1.0)
            first, value, distance = step(fallback)
            shares = fallback
        if distance <= tol:
            break
        best = value
        second, _, _ = step(first)
        logs = np.log([shares, first, second])
        speed, bend = logs[1] - logs[0], logs[2] - 2 * logs[1] + logs[0]
        length = max(1.0, np.linalg.norm(speed) / max(np.linalg.norm(bend), 1e-12))
        if length >= longest:
            length, longest = longest, 4 * longest
        leap = logs[0] + 2 * length * speed + length**2 * bend
        leap = np.maximum(np.exp(leap - leap.max()), _LEAST)
        shares, fallback = leap / leap.sum(), second
    return first, distance


def likelihoods_of_classes(posteriors: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the likelihood of every class for every row, up to a factor per row.

    Parameters
    ----------
    posteriors : ndarray of shape (n_samples, n_classes)
        Probabilities of the classes.

    shares : ndarray of shape (n_classes,)
        The shares that they are meant for.

    Returns
    -------
    likelihoods : ndarray of shape (n_samples, n_classes)
        The ratios, 0 for a class without a share.
    """
    posteriors = np.maximum(posteriors, _LEAST)
    return np.divide(posteriors, shares, out=np.zeros_like(posteriors), where=shares > 0)


def _confusion(target_probabilities, source_probabilities, source_labels, soft):
    """Return mean predictions for each class with rows, for the target, and counts of rows."""
    target = check_probabilities(target_probabilities, "target_probabilities")
    source = check_probabilities(source_probabilities, "source_probabilities")
    n_classes = source.shape[1]
    if target.shape[1] != n_classes:
        raise ValueError(
            f"target_probabilities has {target.shape[1]} columns, source_probabilities has "
            f"{n_classes}; both must be of the same classes."
        )
    codes = check_codes(source_labels, "source_labels", source, "source_probabilities")
    if not soft:
        target, source = (np.eye(n_classes)[rows.argmax(axis=1)] for rows in (target, source))
    counts = np.bincount(codes, minlength=n_classes)
    members = np.eye(n_classes)[:, counts > 0][codes]
    return source.T @ members / counts[counts > 0], target.mean(axis=0), counts


def nearest_on_simplex(matrix: np.ndarray) -> np.ndarray:
    """Return the shares of the columns of a matrix whose mean has the least norm.

    The non-negative u that minimises ||A u||^2 + (sum(u) - 1)^2 has the optimality conditions of
    this problem, up to its sum.
    """
    rows = np.vstack([matrix, np.ones(matrix.shape[1])])
    target = np.zeros(len(rows))
    target[-1] = 1.0
    found, _ = nnls(rows, target)
    return found / found.sum()
