"""The figure of reliability: what probabilities say, and how often they are right."""

from typing import TYPE_CHECKING, Any

import numpy as np

from skda._checks import as_array
from skda._naming import naming
from skda._optional import import_optional
from skda.domains import as_target_tuple
from skda.label_shift import predict_domain
from skda.target_accuracy import estimate_target_accuracy, target_reliability

if TYPE_CHECKING:
    from typing_extensions import Self

# Okabe and Ito's blue and vermilion; other markers and lines, for those who see no colours.
_LABELED = {"color": "#0072B2", "marker": "o", "linestyle": "-"}
_ESTIMATED = {"color": "#D55E00", "marker": "s", "linestyle": "--", "markerfacecolor": "white"}


class ReliabilityDisplay:
    """Figure of reliability: the share of right rows by the confidence that they have.

    A classifier that is as often right as it says is on the diagonal, one that is too sure below
    it. Make it with :meth:`from_estimator` or :meth:`from_arrays`. The constructor's parameters
    are kept as attributes.

    Parameters
    ----------
    reliability : dict of str to Bunch
        Results of :func:`~skda.metrics.target_reliability` by the name of a line.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.

    figure_ : matplotlib Figure
        The figure.

    lines_ : dict of str to matplotlib Line2D
        The lines by name.

    See Also
    --------
    skda.metrics.target_reliability : Computes the bins.

    Examples
    --------
    >>> from skda.inspection import ReliabilityDisplay
    >>> sure = [[0.9, 0.1], [0.1, 0.9], [0.6, 0.4], [0.4, 0.6]]
    >>> display = ReliabilityDisplay.from_arrays(sure, accuracy=0.6, target_labels=[0, 0, 0, 1])
    >>> sorted(display.lines_)
    ['estimated', 'labels']
    """

    def __init__(self, *, reliability: dict):
        self.reliability = reliability

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        X_target: Any,
        y_target: Any = None,
        *,
        method: str = "combined",
        n_bins: int = 10,
        random_state: Any = None,
        ax: Any = None,
    ) -> "Self":
        """Estimate the reliability on a target, and plot it, beside that of labels if there are.

        Parameters
        ----------
        estimator : object
            A fitted classifier, as for :func:`~skda.metrics.estimate_target_accuracy`.

        X : array-like of shape (n_samples, n_features), or images as the estimator takes them
            Source rows that `estimator` has **not** been trained on.

        y : array-like of shape (n_samples,)
            Their labels.

        X_target : array-like
            Unlabeled rows of one target.

        y_target : array-like, default=None
            Labels of the target rows, if the estimate is to be judged.

        method : str, default="combined"
            How the accuracy is estimated.

        n_bins : int, default=10
            Number of bins between 0 and 1.

        random_state : int, RandomState instance or None, default=None
            Of the estimate.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : ReliabilityDisplay
            With ``ax_``, ``figure_`` and ``lines_``.

        Raises
        ------
        TypeError, ValueError
            If data or parameters are not as described.

        ImportError
            If matplotlib is not installed.
        """
        with naming("X_target", "rows as the estimator takes them"):
            targets = as_target_tuple(as_array(X_target, "X_target"))
        if len(targets) != 1:
            raise ValueError(
                f"X_target holds {len(targets)} target domains; make a figure for each one."
            )
        found = estimate_target_accuracy(
            estimator,
            X,
            y,
            targets,
            method=method,
            n_bootstraps=None,
            random_state=random_state,
        )
        target = predict_domain(estimator, targets[0], "X_target", "target")
        codes = None
        if y_target is not None:
            with naming("y_target", "labels of the classes of the estimator"):
                codes = np.searchsorted(estimator.classes_, np.asarray(y_target))
                if not np.array_equal(np.take(estimator.classes_, codes, mode="clip"), y_target):
                    raise ValueError("some are no classes of the estimator.")
        return cls.from_arrays(
            target, accuracy=found.accuracy, target_labels=codes, n_bins=n_bins, ax=ax
        )

    @classmethod
    def from_arrays(
        cls,
        target_probabilities: Any,
        *,
        accuracy: float | None = None,
        target_labels: Any = None,
        n_bins: int = 10,
        ax: Any = None,
    ) -> "Self":
        """Plot the reliability of probabilities, by an estimated accuracy, by labels, or both.

        Parameters
        ----------
        target_probabilities : array-like of shape (n_samples, n_classes)
            Predictions for the target.

        accuracy : float, default=None
            Estimated accuracy.

        target_labels : array-like of shape (n_samples,), default=None
            Classes, as numbers of columns.

        n_bins : int, default=10
            Number of bins between 0 and 1.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : ReliabilityDisplay
            With ``ax_``, ``figure_`` and ``lines_``.

        Raises
        ------
        TypeError, ValueError
            If arguments are not as described, or there is neither an accuracy nor labels.

        ImportError
            If matplotlib is not installed.
        """
        lines = {}
        if accuracy is not None or target_labels is None:
            lines["estimated"] = target_reliability(target_probabilities, accuracy, n_bins=n_bins)
        if target_labels is not None:
            lines["labels"] = target_reliability(
                target_probabilities, target_labels=target_labels, n_bins=n_bins
            )
        return cls(reliability=lines).plot(ax=ax)

    def plot(self, ax: Any = None) -> "Self":
        """Plot one line for every entry; larger marks hold more rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        self : ReliabilityDisplay
            With ``ax_``, ``figure_`` and ``lines_``.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        if ax is None:
            _, ax = import_optional("matplotlib.pyplot", "examples").subplots()
        self.ax_, self.figure_, self.lines_ = ax, ax.figure, {}
        ax.plot([0, 1], [0, 1], color="0.6", linestyle=":", zorder=0)
        for name, bins in self.reliability.items():
            style = _ESTIMATED if bins.is_estimated else _LABELED
            label = f"{name}: off by {100 * bins.calibration_error:.0f} points"
            (line,) = ax.plot(bins.confidence, bins.accuracy, label=label, **style)
            ax.scatter(
                bins.confidence,
                bins.accuracy,
                s=25 + 150 * bins.share,
                marker=style["marker"],
                facecolor=style.get("markerfacecolor", style["color"]),
                edgecolor=style["color"],
                zorder=3,
            )
            self.lines_[name] = line
        ax.set(
            xlabel="Confidence",
            ylabel="Share of right rows",
            xlim=(0, 1.02),
            ylim=(0, 1.02),
            aspect="equal",
        )
        # Confidence is 1 / n_classes at least, and classifiers are too sure more often than not.
        ax.legend(loc="upper left", frameon=False)
        return self
