"""How two domains differ, as a picture."""

from typing import TYPE_CHECKING, Any

import numpy as np

from skda._naming import shortened
from skda._optional import import_optional
from skda.diagnosis import Diagnosis
from skda.inspection._looks import BLUE, VERMILION, name_rows

if TYPE_CHECKING:
    from typing_extensions import Self


class DiagnosisDisplay:
    """What is left of a difference when each kind of shift is undone, and where it is.

    Above are the A-distances with their intervals, of the domains as they are and after each kind
    is undone; the kind that was named is filled and bold. Below are the columns that differ most;
    those with a p-value below 1 - level are filled.

    Parameters
    ----------
    diagnosis : Diagnosis
        What :func:`skda.diagnose` has returned, of one target.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (2,)
        The panels. Set by :meth:`plot`, like the others.

    figure_ : matplotlib Figure
        The figure.

    bars_ : dict of str to BarContainer
        The bars ``"distances"`` and ``"columns"``.

    Examples
    --------
    >>> import numpy as np
    >>> import skda
    >>> from skda.inspection import DiagnosisDisplay
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> diagnosis = skda.diagnose(X[:100], None, 2 * X[100:] + 1, random_state=0)
    >>> display = DiagnosisDisplay.from_diagnosis(diagnosis)  # doctest: +SKIP
    """

    def __init__(self, diagnosis: Any):
        if not isinstance(diagnosis, Diagnosis):
            held = ", one of its list" if isinstance(diagnosis, list) else ""
            raise TypeError(
                f"diagnosis must be what skda.diagnose returns{held}, got "
                f"{shortened(repr(diagnosis), 60)}."
            )
        self.diagnosis = diagnosis

    @classmethod
    def from_diagnosis(cls, diagnosis: Any, *, ax: Any = None, max_columns: int = 10) -> "Self":
        """Plot a diagnosis.

        Parameters
        ----------
        diagnosis : Diagnosis
            Of one target.

        ax : sequence of two matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        max_columns : int, default=10
            Most columns that are shown.

        Returns
        -------
        display : DiagnosisDisplay
            The plotted figure.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        return cls(diagnosis).plot(ax=ax, max_columns=max_columns)

    def plot(self, ax: Any = None, *, max_columns: int = 10) -> "Self":
        """Plot both panels.

        Parameters
        ----------
        ax : sequence of two matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        max_columns : int, default=10
            Most columns that are shown.

        Returns
        -------
        self : DiagnosisDisplay
            With ``axes_``, ``figure_`` and ``bars_``.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        ValueError
            If there are not two axes.
        """
        if max_columns < 1:
            raise ValueError(f"max_columns must be 1 or more, got {max_columns!r}.")
        ax = _new_axes(self._heights(max_columns)) if ax is None else ax
        self.axes_ = np.ravel(np.asarray(ax, dtype=object))
        if len(self.axes_) != 2:
            raise ValueError(f"ax must hold two axes, one for each panel, got {len(self.axes_)}.")
        self.figure_ = self.axes_[0].figure
        self.bars_ = {
            "distances": self._plot_distances(self.axes_[0]),
            "columns": self._plot_columns(self.axes_[1], max_columns),
        }
        return self

    def _heights(self, max_columns):
        return [len(self.diagnosis.explanations["kind"]), self._order(max_columns).size]

    def _order(self, max_columns):
        columns = self.diagnosis.columns
        return np.lexsort((-columns["statistic"], columns["p_value"]))[:max_columns]

    def _plot_distances(self, ax):
        diagnosis, table = self.diagnosis, self.diagnosis.explanations
        named = "class shares" if diagnosis.kind == "missing classes" else diagnosis.kind
        values = table["distance"]
        bounds = np.abs(np.stack([values - table["lower"], table["upper"] - values]))
        colors = [VERMILION if kind == named else "white" for kind in table["kind"]]
        names = [f"{kind} undone" if number else kind for number, kind in enumerate(table["kind"])]
        bars = _bars(ax, names, values, colors, VERMILION)
        for label, kind in zip(ax.get_yticklabels(), table["kind"], strict=True):
            label.set_fontweight("bold" if kind == named else "normal")
        ax.errorbar(values, np.arange(len(values)), xerr=bounds, fmt="none", ecolor="black")
        ax.set(xlim=(0, 2.05), xlabel="proxy A-distance that is left")
        ax.set_title(f"kind of shift: {diagnosis.kind} (p = {diagnosis.p_value:.2g})")
        return bars

    def _plot_columns(self, ax, max_columns):
        columns, order = self.diagnosis.columns, self._order(max_columns)
        is_shifted = columns["p_value"][order] < 1 - self.diagnosis.level
        colors = [BLUE if shifted else "white" for shifted in is_shifted]
        names = [shortened(name, 24) for name in columns["column"][order]]
        bars = _bars(ax, names, columns["statistic"][order], colors, BLUE)
        ax.set(xlim=(0, 1.02), xlabel="difference of the distributions")
        return bars


def _new_axes(heights):
    plt = import_optional("matplotlib.pyplot", "examples")
    size = (6.4, 1.8 + 0.3 * sum(heights))
    return plt.subplots(2, figsize=size, layout="constrained", height_ratios=heights)[1]


def _bars(ax, names, values, colors, edge):
    bars = ax.barh(np.arange(len(values)), values, color=colors, edgecolor=edge, linewidth=1.3)
    name_rows(ax, names)
    return bars
