"""Evidence of a drift over time, as a picture."""

from typing import TYPE_CHECKING, Any

import numpy as np

from skda._naming import shortened
from skda._optional import import_optional
from skda.inspection._looks import BLUE, GREEN, GREY, VERMILION, legend_beside
from skda.metrics import DriftMonitor

if TYPE_CHECKING:
    from typing_extensions import Self

_LOOKS = {
    "features": {"color": BLUE, "linestyle": "--"},
    "shares": {"color": VERMILION, "linestyle": "-."},
    "confidence": {"color": GREEN, "linestyle": ":"},
}


class DriftDisplay:
    """Evidence of a drift, batch by batch, beside what an alarm needs.

    Below is the mean confidence of every batch, and the accuracy with its interval where the
    monitor estimates it.

    Parameters
    ----------
    monitor : DriftMonitor
        That has seen a batch.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One panel, or two if there is a classifier. Set by :meth:`plot`, like the others.

    figure_ : matplotlib Figure
        The figure.

    lines_ : dict of str to matplotlib Line2D
        The lines ``"evidence"``, those of the groups, ``"limit"``, and where there are any
        ``"mean confidence"`` and ``"estimated accuracy"``.

    Examples
    --------
    >>> import numpy as np
    >>> from skda.inspection import DriftDisplay
    >>> from skda.metrics import DriftMonitor
    >>> rng = np.random.default_rng(0)
    >>> monitor = DriftMonitor(None, rng.normal(size=(100, 2)), random_state=0)
    >>> for _ in range(3):
    ...     report = monitor.update(rng.normal(size=(20, 2)))
    >>> display = DriftDisplay.from_monitor(monitor)  # doctest: +SKIP
    """

    def __init__(self, monitor: Any):
        if not isinstance(monitor, DriftMonitor):
            raise TypeError(f"monitor must be a DriftMonitor, got {shortened(repr(monitor), 60)}.")
        if not monitor.history_:
            raise ValueError("monitor has seen no batch; call its update first.")
        self.monitor = monitor

    @classmethod
    def from_monitor(cls, monitor: Any, *, ax: Any = None) -> "Self":
        """Plot the history of a monitor.

        Parameters
        ----------
        monitor : DriftMonitor
            That has seen a batch.

        ax : sequence of matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : DriftDisplay
            The plotted figure.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        return cls(monitor).plot(ax=ax)

    def plot(self, ax: Any = None) -> "Self":
        """Plot the panels.

        Parameters
        ----------
        ax : sequence of matplotlib Axes, default=None
            Where to plot, one for each panel; None makes a new figure.

        Returns
        -------
        self : DriftDisplay
            With ``axes_``, ``figure_`` and ``lines_``.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        ValueError
            If there are not as many axes as panels.
        """
        history = self.monitor.history_
        n_panels = 1 if history[0].confidence is None else 2
        if ax is None:
            plt = import_optional("matplotlib.pyplot", "examples")
            size = (7.2, 1 + 2.4 * n_panels)
            ax = plt.subplots(n_panels, figsize=size, layout="constrained", sharex=True)[1]
        self.axes_ = np.ravel(np.asarray(ax, dtype=object))
        if len(self.axes_) != n_panels:
            raise ValueError(
                f"ax must hold {n_panels} axes, one for each panel, got {len(self.axes_)}."
            )
        self.figure_, self.lines_ = self.axes_[0].figure, {}
        batches = np.arange(1, len(history) + 1)
        self._plot_evidence(self.axes_[0], batches)
        if n_panels == 2:
            self._plot_predictions(self.axes_[1], batches)
        for panel in self.axes_:
            legend_beside(panel)
            panel.grid(color="0.9")
        self.axes_[-1].set_xlabel("batch")
        return self

    def _plot_evidence(self, ax, batches):
        history, lines = self.monitor.history_, self.lines_
        for group in history[0].e_values:
            values = [report.e_values[group] for report in history]
            (lines[group],) = ax.plot(batches, values, label=group, **_LOOKS[group])
        values = [report.e_value for report in history]
        (lines["evidence"],) = ax.plot(batches, values, "ko", markersize=3, label="strongest")
        limit = 1 / self.monitor.alpha
        lines["limit"] = ax.axhline(limit, color=GREY, label=f"alarm at {limit:.3g}")
        ax.set(yscale="log", ylabel="evidence (e-value)")
        if self.monitor.alarm_batch_ is not None:
            ax.axvline(self.monitor.alarm_batch_, color="black", linewidth=0.8)
            ax.set_title(f"alarm at batch {self.monitor.alarm_batch_}")

    def _plot_predictions(self, ax, batches):
        history, lines = self.monitor.history_, self.lines_
        values = [report.confidence for report in history]
        (lines["mean confidence"],) = ax.plot(
            batches, values, label="mean confidence", **_LOOKS["confidence"]
        )
        known = [number for number, report in enumerate(history) if report.accuracy is not None]
        if known:
            found = [history[number].accuracy for number in known]
            values = np.array([one.estimate for one in found])
            bounds = [values - [one.lower for one in found], [one.upper for one in found] - values]
            drawn = ax.errorbar(
                batches[known],
                values,
                yerr=np.abs(bounds),
                fmt="s",
                markersize=4,
                color="black",
                elinewidth=0.8,
                label="estimated accuracy",
            )
            lines["estimated accuracy"] = drawn.lines[0]
        ax.set_ylim(0, 1.03)
