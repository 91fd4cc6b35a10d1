"""How much of an estimate is noise."""

from typing import Any

import numpy as np

from skda.label_shift._checks import check_probabilities, check_shares
from skda.label_shift._estimates import likelihoods_of_classes


def shrink_shares(shares: Any, target_probabilities: Any, source_shares: Any) -> np.ndarray:
    r"""Draw shares to those of the source by as much as chance alone would have moved them.

    Where the target has the shares of the source, twice the gain in log likelihood by the most
    likely shares is about a chi-squared variable with ``n_classes - 1`` degrees of freedom. The
    difference is multiplied by :math:`\max(0, 1 - (K - 1) / G)` with that gain G, as James and
    Stein shrink a mean: by nothing where it is plain, to nothing where it is no more than noise.

    Parameters
    ----------
    shares : array-like of shape (n_classes,)
        Estimated shares of the target, of :func:`maximum_likelihood_shares` or another estimate.

    target_probabilities : array-like of shape (n_samples, n_classes)
        Calibrated posteriors of the target rows under the shares of the source.

    source_shares : array-like of shape (n_classes,)
        Shares of the classes that the posteriors are meant for.

    Returns
    -------
    shares : ndarray of shape (n_classes,), dtype=float64
        Between `source_shares` and `shares`. Shares that are less likely than those of the source
        become these.

    Raises
    ------
    ValueError
        If arguments are not as described.

    References
    ----------
    W. James, C. Stein. Estimation with Quadratic Loss. Berkeley Symposium 1961; here with a
    likelihood ratio for the squared length, and the positive part.

    Examples
    --------
    Six rows of ten are no sign of other shares than one half, six hundred of a thousand are.

    >>> import numpy as np
    >>> from skda.label_shift import shrink_shares
    >>> few, many = np.eye(2)[[0] * 6 + [1] * 4], np.eye(2)[[0] * 600 + [1] * 400]
    >>> shrink_shares([0.6, 0.4], few, [0.5, 0.5])
    array([0.5, 0.5])
    >>> shrink_shares([0.6, 0.4], many, [0.5, 0.5]).round(3)
    array([0.598, 0.402])
    """
    posteriors = check_probabilities(target_probabilities, "target_probabilities")
    source = check_shares(source_shares, "source_shares", posteriors.shape[1])
    target = check_shares(shares, "shares", posteriors.shape[1])
    likelihoods = likelihoods_of_classes(posteriors, source)
    # The smallest number keeps a row that has no class with a share from being infinitely unlikely.
    of_target, of_source = (
        np.log(np.maximum(likelihoods @ part, np.finfo(np.float64).tiny))
        for part in (target, source)
    )
    gain = 2 * (of_target - of_source).sum()
    n_free = np.count_nonzero(source) - 1
    return source + max(0.0, 1 - n_free / gain if gain > 0 else 0.0) * (target - source)
