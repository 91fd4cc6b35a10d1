"""Scorers of the features of target rows."""

import numpy as np
from scipy.special import entr

from skda.model_selection._base import TargetScorer
from skda.model_selection._representations import features_of


class RankMeScorer(TargetScorer):
    r"""Effective rank of the features of target rows; greater is better.

    .. math:: \exp\Big(-\sum_k q_k \log q_k\Big), \quad q_k = \sigma_k / \sum_l \sigma_l

    with the singular values :math:`\sigma` of the n_target_samples x n_features matrix. From 1, if
    all features are multiples of one vector, to ``min(n_target_samples, n_features)``, if all
    directions are used alike; 0 if all features are 0. It tells collapsed features from rich
    ones and knows nothing of the task: noise has full rank.

    Features are the output of ``transform`` of a deep estimator; in a pipeline with a plain
    classifier that of the steps before it. The number of rows and features enters the score:
    compare scores on the same rows and of features of the same width. The paper adds 1e-7 to q,
    to have no logarithm of 0; here 0 log 0 is 0.

    It looks at target rows only, and gets them as :class:`TargetEntropyScorer` does. It needs no
    ``predict_proba``.

    References
    ----------
    Q. Garrido, R. Balestriero, L. Najman, Y. LeCun. RankMe: Assessing the Downstream Performance
    of Pretrained Self-Supervised Representations by Their Rank. ICML 2023, section 3.

    Examples
    --------
    >>> from skda.adaptation import DeepCORALClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.model_selection import RankMeScorer
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = DeepCORALClassifier(max_epochs=2, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> 1 < RankMeScorer()(clf, digits.X, X_target=digits.X_target) <= 64
    True
    """

    def _score(self, estimator, X, y, targets):
        features = np.concatenate([features_of(estimator, rows, "X_target") for rows in targets])
        values = np.linalg.svd(features, compute_uv=False)
        if not values.any():
            return 0.0
        return np.exp(entr(values / values.sum()).sum())
