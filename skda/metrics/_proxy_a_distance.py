"""How well a classifier tells two domains apart."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, check_cv, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skda._checks import check_finite
from skda._naming import naming, shortened
from skda.metrics._checks import check_domains, check_draws


def proxy_a_distance(
    X: Any, X_target: Any, *, estimator: Any = None, cv: Any = 2, random_state: Any = None
) -> float:
    r"""Proxy A-distance: how well a classifier tells two domains apart.

    .. math:: d_A = 2 \, (1 - 2 \min(\epsilon, 1 - \epsilon))

    with the error :math:`\epsilon` of a domain classifier on rows that it was not trained on. 0
    means that nothing tells the domains apart, 2 that everything does. Of the larger domain as
    many rows are drawn as the smaller one has.

    The errors of training rows, which are sometimes taken instead, are near 0 for all domains as
    soon as there are as many features as rows. Since the distance is never negative, that of
    two equal domains is small and not zero: about :math:`1.6 / \sqrt{n}` for n rows of both
    domains together.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Source rows.

    X_target : array-like of shape (n_target_samples, n_features), or tuple of array-likes
        Target rows; those of several domains are put together.

    estimator : classifier, default=None
        Learns the domains; it is cloned. None is a logistic regression on standardised columns;
        a :class:`sklearn.model_selection.GridSearchCV` chooses its regularisation inside of every
        fold, where the paper takes the C with the smallest test error.

    cv : int or cross-validation splitter, default=2
        How rows are held out. With 2 each half is tested with the other half's classifier; the
        paper has one such split.

    random_state : int, RandomState instance or None, default=None
        Draws and splits the rows.

    Returns
    -------
    distance : float
        In [0, 2].

    Raises
    ------
    ValueError
        If a domain has less than two rows, or if the numbers of columns differ.

    See Also
    --------
    mmd_permutation_test : Whether the difference can be chance.

    References
    ----------
    S. Ben-David, J. Blitzer, K. Crammer, F. Pereira. Analysis of Representations for Domain
    Adaptation. NIPS 2006. Y. Ganin et al. Domain-Adversarial Training of Neural Networks. JMLR
    17(59), 2016, section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> from skda.metrics import proxy_a_distance
    >>> rng = np.random.default_rng(0)
    >>> X, same, far = rng.normal(size=(3, 200, 5)) + np.array([0, 0, 9])[:, None, None]
    >>> round(proxy_a_distance(X, same, random_state=0), 1)
    0.0
    >>> round(proxy_a_distance(X, far, random_state=0), 1)
    2.0
    """
    domains = check_domains(X, X_target)
    rng = check_draws(random_state)
    n = min(map(len, domains))
    rows = np.concatenate([domain[rng.permutation(len(domain))[:n]] for domain in domains])
    if estimator is None:
        estimator = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    if isinstance(estimator, type) or not (
        hasattr(estimator, "fit") and hasattr(estimator, "predict")
    ):
        raise TypeError(f"estimator must be a classifier, got {shortened(repr(estimator))}.")
    is_target = np.repeat([0, 1], n)
    with naming("cv", f"a number of folds, 2 to {n}, or a splitter"):
        if isinstance(cv, Integral):
            cv = StratifiedKFold(int(cv), shuffle=True, random_state=rng)
        splitter: Any = check_cv(cv, is_target, classifier=True)
        folds = list(splitter.split(rows, is_target))
        if not folds:
            raise ValueError("there is no fold.")
    with naming("estimator", "a classifier that can be fitted to the rows of both domains"):
        options: Any = {"scoring": "accuracy", "error_score": "raise"}
        accuracy = cross_val_score(estimator, rows, is_target, cv=folds, **options).mean()
    return float(check_finite(2 * abs(2 * accuracy - 1), "X and X_target"))
