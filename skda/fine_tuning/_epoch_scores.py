"""The score on rows that training does not see, after every epoch."""

from collections.abc import Callable
from typing import Any

from skorch.callbacks import Callback


class EpochScores(Callback):
    """Scores an estimator after every epoch of its training.

    Parameters
    ----------
    score : callable
        From an estimator, rows and labels to a number.

    X, y : array-like
        Rows and labels of which training sees none.
    """

    def __init__(self, score: Callable, X: Any, y: Any):
        self.score, self.X, self.y = score, X, y
        self.estimator: Any = None
        self.scores: list[float] = []

    def __deepcopy__(self, memo):
        return self  # not of a copy are the scores asked

    def fit(self, estimator: Any, X: Any, y: Any) -> list[float]:
        """Fit an estimator, and return its scores by epoch.

        Parameters
        ----------
        estimator : DeepEstimator
            To be fitted, in place.

        X, y : array-like
            Of training.

        Returns
        -------
        scores : list of float
            One per epoch.
        """
        callbacks, self.estimator = estimator.callbacks, estimator
        estimator.callbacks = [*(callbacks or ()), ("epoch_scores", self)]
        try:
            estimator.fit(X, y)
        finally:
            estimator.callbacks = callbacks
            self.estimator = self.X = self.y = None  # what is fitted holds the callback
        return self.scores

    def on_epoch_end(self, net, **kwargs):
        """Score the network as it is."""
        view: Any = object.__new__(type(self.estimator))
        vars(view).update(vars(self.estimator))
        vars(view).update(net_=net, interruption_=None)
        self.scores.append(float(self.score(view, self.X, self.y)))
