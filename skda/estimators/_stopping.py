"""What ends training early: held-out rows, or a score of the target rows that needs no label."""

from typing import Any

import numpy as np
from skorch.callbacks import (
    BatchScoring,
    Callback,
    EarlyStopping,
    EpochScoring,
    PassthroughScoring,
)

from skda._naming import shortened
from skda.training import say


class TargetScore(Callback):
    """Records the score of a label-free scorer on the target rows after every epoch.

    Parameters
    ----------
    scorer : callable
        As those of :mod:`skda.model_selection`: from an estimator, held-out source rows and
        labels (None without), and ``X_target`` to a number; greater is better.

    estimator : DeepEstimator
        Which is fitted.
    """

    def __init__(self, scorer, estimator):
        self.scorer, self.estimator = scorer, estimator

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Begin without a best score."""
        self.best_ = -float("inf")

    def on_epoch_end(self, net, dataset_train: Any = None, dataset_valid=None, **kwargs):
        """Score the network as it is."""
        view: Any = _view(self.estimator, net)
        X = y = None
        if dataset_valid is not None:
            X, y = dataset_valid.X, view.classes_[dataset_valid.y]
        score = float(self.scorer(view, X, y, X_target=tuple(dataset_train.targets)))
        net.history.record("target_score", score)
        net.history.record("target_score_best", score > self.best_)
        self.best_ = max(self.best_, score)

    def state_dict(self):
        """Return what a checkpoint holds of it."""
        return {"best": self.best_}

    def load_state_dict(self, state):
        """Go on with the best score so far."""
        self.best_ = state["best"]

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Let go of the estimator, which will hold the net and with it this callback."""
        self.estimator = None


def _view(estimator, net):
    """Return an estimator that predicts by a net in training, from rows as the net takes them."""
    view = object.__new__(type(estimator))
    vars(view).update(vars(estimator))
    vars(view).update(net_=net, interruption_=None, _validate_X=lambda X, reset: X)
    return view


def stopping_callbacks(estimator: Any, training: Any, *, of_target: bool = False) -> list:
    """Return what ends the training of a net early, as `early_stopping` says.

    Parameters
    ----------
    estimator : DeepEstimator
        Whose parameters say it.

    training : skda.training.Training
        What is known so far.

    of_target : bool, default=False
        Whether only a score of the target ends the stage, which has no rows held out.

    Returns
    -------
    callbacks : list of (str, skorch.callbacks.Callback)
        Empty for a stage that sees no target, if a score of the target is to end training.

    Raises
    ------
    ValueError
        If a score of the target is to end a training without target rows.

    TypeError
        If the scorer is a class.
    """
    scorer = estimator.early_stopping
    is_switch = isinstance(scorer, bool | np.bool_)
    if is_switch and (not scorer or of_target):
        return []
    options = {
        "patience": estimator.n_iter_no_change,
        "load_best": True,
        "sink": say if estimator.verbose else _silence,
    }
    if is_switch:
        return [("early_stopping", EarlyStopping(monitor="valid_loss", **options))]
    if isinstance(scorer, type):
        raise TypeError(f"early_stopping is the class {scorer.__name__}; pass an instance of it.")
    if not training.dataset.targets:
        raise ValueError(
            f"early_stopping={scorer!r} scores target rows, but {type(estimator).__name__} trains "
            "without any here; pass X_target, or take early_stopping=True, which holds rows out."
        )
    if not training.rows.targets:
        return []
    options.update(lower_is_better=False, threshold=0, threshold_mode="abs")
    return [
        ("target_score", TargetScore(scorer, estimator)),
        ("early_stopping", EarlyStopping(monitor="target_score", **options)),
    ]


def without_stopping(callbacks: list) -> list:
    """Return callbacks without those of :func:`stopping_callbacks`: a call trains one epoch.

    Parameters
    ----------
    callbacks : list of (str, skorch.callbacks.Callback)
        Of a net.

    Returns
    -------
    callbacks : list of (str, skorch.callbacks.Callback)
        Those that need neither held-out rows nor the scores that a fit had.
    """

    def stops(callback):
        monitors = isinstance(callback, EarlyStopping) and callback.monitor
        return isinstance(callback, TargetScore) or monitors in ("valid_loss", "target_score")

    return [(name, callback) for name, callback in callbacks if not stops(callback)]


def check_callbacks(callbacks: Any) -> None:
    """Raise if something among callbacks is none.

    Parameters
    ----------
    callbacks : list
        Callbacks, classes of such, or tuples of a name and either.

    Raises
    ------
    TypeError
        If an entry is something else.
    """
    for entry in callbacks:
        part = entry[1] if isinstance(entry, tuple) and len(entry) == 2 else entry
        is_class = isinstance(part, type) and issubclass(part, Callback)
        if not (part is None or is_class or isinstance(part, Callback)):  # None switches one off
            raise TypeError(
                "callbacks must be a list of skorch callbacks, such as "
                "[skorch.callbacks.EarlyStopping()], or of (name, callback), got "
                f"{shortened(repr(entry))} in it."
            )


def check_monitors(callbacks: list) -> None:
    """Raise if a callback looks at held-out rows, of which there are none.

    Parameters
    ----------
    callbacks : list
        Callbacks, or tuples of a name and a callback.

    Raises
    ------
    ValueError
        If one does.
    """
    for entry in callbacks:
        callback = entry[1] if isinstance(entry, tuple) else entry
        name = type(callback).__name__
        monitor = getattr(callback, "monitor", None)
        if isinstance(monitor, str) and monitor.startswith("valid_"):
            other = "train_loss_best" if monitor.endswith("_best") else "train_loss"
            raise ValueError(
                f"callbacks: {name} monitors {monitor!r}, but no rows are held out; set "
                f"validation_fraction=0.1, or monitor={other!r}."
            )
        is_scoring = isinstance(callback, BatchScoring | EpochScoring | PassthroughScoring)
        if is_scoring and not callback.on_train:
            raise ValueError(
                f"callbacks: {name} scores held-out rows, but none are held out; set "
                "validation_fraction=0.1, or on_train=True of the callback."
            )


def _silence(*args):
    pass
