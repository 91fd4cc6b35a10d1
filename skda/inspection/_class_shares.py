"""Class shares of both domains, with intervals, and as a training estimated them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from skda._naming import naming
from skda.inspection._inputs import as_labels, as_numbers, history_of
from skda.inspection._looks import (
    LINES,
    MARKERS,
    class_colors,
    legend_beside,
    name_rows,
    new_axes,
)
from skda.metrics import class_shares

if TYPE_CHECKING:
    from typing_extensions import Self


class ClassSharesDisplay:
    """How frequent the classes are in the source and in the targets.

    Make it with :meth:`from_estimator`, :meth:`from_shares` or :meth:`from_history`. The
    constructor's parameters are kept as attributes.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
        Labels.

    shares : array-like of shape (n_classes,) or (n_targets, n_classes)
        Shares of the target, with a sum of 1.

    lower, upper : array-likes of the shape of shares, default=None
        Bounds of intervals.

    source_shares : array-like of shape (n_classes,), default=None
        Shares of the source.

    true_shares : array-like of the shape of shares, default=None
        Shares of the target where they are known, as in a benchmark.

    epoch_shares : array-like of shape (n_epochs, n_classes) or (n_epochs, n_targets, n_classes), \
default=None
        What a training estimated in every epoch, for :meth:`plot_epochs`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.

    figure_ : matplotlib Figure
        The figure.

    lines_ : dict of str to matplotlib artist
        Of :meth:`plot`: ``"source"``, ``"target"`` (or ``"target 0"`` and so on) and ``"truth"``;
        of :meth:`plot_epochs` a line for each class, by its label.

    See Also
    --------
    skda.metrics.class_shares : Computes shares and intervals, and says when to trust them.

    Examples
    --------
    >>> from skda.inspection import ClassSharesDisplay
    >>> display = ClassSharesDisplay(
    ...     classes=["cat", "dog"], shares=[0.8, 0.2], source_shares=[0.5, 0.5]
    ... )
    >>> sorted(display.plot().lines_)
    ['source', 'target']
    """

    def __init__(
        self,
        *,
        classes: Any,
        shares: Any,
        lower: Any = None,
        upper: Any = None,
        source_shares: Any = None,
        true_shares: Any = None,
        epoch_shares: Any = None,
    ):
        given = np.asarray(shares)
        if given.ndim not in (1, 2):
            raise ValueError(
                "shares must have the shape (n_classes,) or (n_targets, n_classes), got "
                f"{given.shape}."
            )
        self.shares = as_numbers(given, "shares", given.shape)
        n_classes = self.shares.shape[-1]
        self.classes = as_labels(classes, "classes", n_classes, "shares")
        if (lower is None) != (upper is None):
            raise ValueError("lower and upper: give both bounds of the intervals, or none.")
        self.lower = _as_shares(lower, "lower", given.shape)
        self.upper = _as_shares(upper, "upper", given.shape)
        self.source_shares = _as_shares(source_shares, "source_shares", (n_classes,))
        self.true_shares = _as_shares(true_shares, "true_shares", given.shape)
        self.epoch_shares = None
        if epoch_shares is not None:
            with naming("epoch_shares", "shares for each epoch"):
                epochs = np.asarray(epoch_shares, dtype=np.float64)
                if epochs.shape[1:] != given.shape:
                    raise ValueError(f"shares have the shape {given.shape}, not {epochs.shape[1:]}")
            self.epoch_shares = epochs

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        X_target: Any,
        *,
        true_shares: Any = None,
        ax: Any = None,
        **params: Any,
    ) -> "Self":
        """Estimate the shares of target rows, and plot them.

        Parameters
        ----------
        estimator : classifier
            Fitted, see :func:`skda.metrics.class_shares`.

        X : array-like
            Source rows that the classifier has **not** been trained on.

        y : array-like of shape (n_samples,)
            Their labels.

        X_target : array-like or tuple of array-likes
            Target rows.

        true_shares : array-like, default=None
            See the constructor.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        **params : keywords
            Of :func:`skda.metrics.class_shares`.

        Returns
        -------
        display : ClassSharesDisplay
            The plotted figure.
        """
        result = class_shares(estimator, X, y, X_target, **params)
        return cls.from_shares(result, true_shares=true_shares, ax=ax)

    @classmethod
    def from_shares(cls, result: Any, *, true_shares: Any = None, ax: Any = None) -> "Self":
        """Plot what :func:`skda.metrics.class_shares` returned.

        Parameters
        ----------
        result : Bunch or dict
            With ``classes`` and ``shares``, and if there are such ``lower``, ``upper`` and
            ``source_shares``.

        true_shares : array-like, default=None
            See the constructor.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : ClassSharesDisplay
            The plotted figure.

        Raises
        ------
        TypeError
            If it is no such result.
        """
        if not isinstance(result, Mapping) or not {"classes", "shares"} <= set(result):
            raise TypeError(
                f"result must be what skda.metrics.class_shares returns, got a "
                f"{type(result).__name__} without 'classes' and 'shares'."
            )
        names = ("classes", "shares", "lower", "upper", "source_shares")
        columns = {name: result.get(name) for name in names}
        return cls(**columns, true_shares=true_shares).plot(ax=ax)

    @classmethod
    def from_history(cls, estimator: Any, *, true_shares: Any = None, ax: Any = None) -> "Self":
        """Plot the shares that a training estimated, epoch by epoch.

        Parameters
        ----------
        estimator : estimator, Pipeline or search
            A deep estimator that was fitted with `target_shares`, or a pipeline or search that ends
            in one.

        true_shares : array-like, default=None
            See the constructor.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : ClassSharesDisplay
            The plotted figure, of :meth:`plot_epochs`.

        Raises
        ------
        ValueError
            If the training knew nothing of target shares.
        """
        history, last = history_of(estimator)
        if "target_shares" not in history[-1]:
            raise ValueError(
                "estimator was fitted without target_shares, so its history has none; set "
                "target_shares='estimate', or take from_estimator."
            )
        epochs = np.array([row["target_shares"] for row in history])
        display = cls(
            classes=last.classes_,
            shares=epochs[-1],
            epoch_shares=epochs,
            true_shares=true_shares,
        )
        return display.plot_epochs(ax=ax)

    def plot(self, ax: Any = None) -> "Self":
        """Plot a row for each class: the source as a bar, the target as markers with intervals.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        self : ClassSharesDisplay
            With ``ax_``, ``figure_`` and ``lines_``.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        shares = np.atleast_2d(self.shares)
        rows = np.arange(len(self.classes))
        self.ax_ = ax = new_axes(ax, size=(6.8, 1.4 + (0.3 + 0.12 * len(shares)) * len(rows)))
        self.figure_, self.lines_ = ax.figure, {}
        if self.source_shares is not None:
            self.lines_["source"] = ax.barh(
                rows, self.source_shares, height=0.8, color="0.86", edgecolor="0.6", label="source"
            )
        offsets = np.linspace(-0.25, 0.25, len(shares)) if len(shares) > 1 else [0.0]
        colors = class_colors(len(shares))
        for number, (offset, part) in enumerate(zip(offsets, shares, strict=True)):
            name = "target" if len(shares) == 1 else f"target {number}"
            bounds = None
            if self.lower is not None and self.upper is not None:
                ends = [np.atleast_2d(values)[number] for values in (self.lower, self.upper)]
                # An estimate may lie outside of the quantiles of few samples.
                bounds = np.maximum([part - ends[0], ends[1] - part], 0)
            self.lines_[name] = ax.errorbar(
                part,
                rows + offset,
                xerr=bounds,
                fmt=MARKERS[number % len(MARKERS)],
                color=colors[number],
                capsize=3,
                markersize=6,
                label=f"{name}, estimated",
            )
            if self.true_shares is not None:
                truth = np.atleast_2d(self.true_shares)[number]
                self.lines_["truth"] = ax.scatter(
                    truth,
                    rows + offset,
                    marker="|",
                    s=230 / len(shares),
                    linewidths=2.2,
                    color="black",
                    label="target, true",
                    zorder=3,
                )
        name_rows(ax, self.classes)
        ax.set(xlabel="share of the class", ylabel="class", xlim=(0, None))
        legend_beside(ax, list(self.lines_.values()))
        return self

    def plot_epochs(self, ax: Any = None, *, target: int = 0) -> "Self":
        """Plot a line for each class, by epoch.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        target : int, default=0
            Which target, if there are several.

        Returns
        -------
        self : ClassSharesDisplay
            With ``ax_``, ``figure_`` and ``lines_``. The true shares, if known, are crosses beside
            the last epoch.

        Raises
        ------
        ValueError
            If there are no shares by epoch, or no such target.

        ImportError
            If matplotlib is not installed.
        """
        if self.epoch_shares is None:
            raise ValueError("There are no shares by epoch; take from_history.")
        n_targets = len(np.atleast_2d(self.shares))
        if target not in range(n_targets):
            raise ValueError(f"target={target!r}, but there are the targets 0 to {n_targets - 1}.")
        epochs = self.epoch_shares.reshape(-1, n_targets, len(self.classes))[:, target]
        self.ax_ = ax = new_axes(ax, size=(6.8, 4.4))
        self.figure_, self.lines_ = ax.figure, {}
        steps, colors = np.arange(1, len(epochs) + 1), class_colors(len(self.classes))
        for number, label in enumerate(self.classes.tolist()):
            (self.lines_[label],) = ax.plot(
                steps,
                epochs[:, number],
                color=colors[number],
                linestyle=LINES[number % len(LINES)],
                marker=MARKERS[number % len(MARKERS)],
                markersize=5,
                markevery=max(1, len(steps) // 8),
                label=str(label),
            )
        if self.true_shares is not None:
            truth = np.atleast_2d(self.true_shares)[target]
            place = np.full(len(truth), len(steps) * 1.03 + 0.3)
            ax.scatter(place, truth, marker="x", s=40, linewidths=2, color=colors)
            ax.annotate("true", (place[0], truth.max()), (0, 6), textcoords="offset points").set(
                ha="center"
            )
        ax.set(xlabel="epoch", ylabel="share of the class in the target", ylim=(0, None))
        ax.grid(color="0.92")
        legend_beside(ax, title="class")
        return self


def _as_shares(values, name, shape):
    return None if values is None else as_numbers(values, name, shape)
