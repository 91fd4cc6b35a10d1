"""Scorers that look at target rows and never at target labels."""

from scipy.special import entr
from sklearn.base import BaseEstimator

from skda.domains import as_target_tuple


class TargetEntropyScorer(BaseEstimator):
    r"""Minus the mean entropy of the predictions on target rows; greater is better.

    .. math:: -\frac{1}{n_t} \sum_j H(p_j), \quad H(p) = -\sum_c p_c \log p_c

    A network whose decision boundaries cross dense parts of the target is unsure of many rows.
    A model that predicts one class everywhere with certainty scores best too: compare the
    predicted classes with what you expect of the target.

    It works with every classifier that has ``predict_proba``. In a search it gets the target by
    metadata routing, the same ``X_target`` as ``fit``, transformed by the steps of a pipeline.
    With routing off, bind the target:
    ``scoring=lambda estimator, X, y: TargetEntropyScorer()(estimator, X, X_target=Xt)``.

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

    # In a search the target reaches the scorer without a set_score_request.
    __metadata_request__score = {"X_target": True}

    def score(self, estimator, X, y=None, X_target=None):
        """Score a fitted classifier.

        Parameters
        ----------
        estimator : object
            A fitted classifier with ``predict_proba``.

        X : array-like
            Ignored, as is y: held-out source rows.

        y : array-like, default=None
            Ignored.

        X_target : array-like or tuple of array-likes
            Target rows.

        Returns
        -------
        score : float
            In [-log(n_classes), 0], in nats.

        Raises
        ------
        ValueError
            If no target rows arrive.

        TypeError
            If the estimator has no ``predict_proba``.
        """
        targets = as_target_tuple(X_target)
        if not targets:
            raise ValueError(
                "TargetEntropyScorer got no X_target. In a search, enable metadata routing "
                "(sklearn.set_config(enable_metadata_routing=True)) and pass X_target=(Xt,) to "
                "fit; otherwise call it as scorer(estimator, X, X_target=Xt)."
            )
        if not hasattr(estimator, "predict_proba"):
            raise TypeError(
                f"estimator: {type(estimator).__name__} has no predict_proba, from which the "
                "entropy is computed; wrap it in sklearn.calibration.CalibratedClassifierCV."
            )
        entropies = [entr(estimator.predict_proba(rows)).sum(axis=1) for rows in targets]
        n_rows = sum(len(entropy) for entropy in entropies)
        return -float(sum(entropy.sum() for entropy in entropies)) / n_rows

    __call__ = score
