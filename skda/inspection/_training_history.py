"""The figures of a training, epoch by epoch."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from skda._naming import shortened
from skda.inspection._inputs import history_of
from skda.inspection._looks import COLORS, LINES, MARKERS, new_panels

if TYPE_CHECKING:
    from typing_extensions import Self

# Histories of what estimators with several networks learned before the last one.
_EARLIER = {"source_history_": "source", "pretrain_history_": "pretraining"}
# In a history, but no figures of a training.
_BOOKKEEPING = ("epoch", "dur", "batches")
_ENDINGS = ("_best", "_count", "_size")
_KINDS = ("loss", "accuracy", "score")
_TITLES = {
    "train_loss": "loss that is minimised",
    "classification_loss": "classification loss (source)",
    "alignment_loss": "alignment loss",
    "adversary_loss": "loss of the adversary",
    "valid_loss": "loss on held-out rows",
    "valid_accuracy": "accuracy on held-out rows",
    "domain_accuracy": "accuracy of the domain discriminator",
    "real_accuracy": "accuracy of the discriminator of images",
    "trade_off": "trade-off (weight of the alignment)",
    "encoder_gradient_norm": "gradient norm of the encoder",
    "adversary_gradient_norm": "gradient norm of the adversary",
    "target_classes": "classes among predictions for the target",
    "target_score": "score without target labels",
}


class TrainingHistoryDisplay:
    """What a training recorded in every epoch, a panel for each figure.

    Make it with :meth:`from_estimator`. The constructor's parameters are kept as attributes. Every
    figure has a scale of its own, for losses may differ by orders of magnitude. Dotted lines are
    the beginnings of stages, a dashed one is the accuracy of a guess between two domains.

    Parameters
    ----------
    figures : dict of str to array-like of shape (n_epochs,)
        Figures by their names in the history; NaN where an epoch has none.

    stages : sequence of tuple of (str, int), default=()
        Names of stages, and the epoch that each begins with, counted from 1.

    Attributes
    ----------
    ax_ : matplotlib Axes or None
        What bounds the panels; None if an array of axes was given.

    axes_ : ndarray of matplotlib Axes of shape (n_panels,)
        The panels.

    figure_ : matplotlib Figure
        The figure.

    lines_ : dict of str to matplotlib Line2D
        By the name of the figure.

    Examples
    --------
    >>> from skda.adaptation import DANNClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.inspection import TrainingHistoryDisplay
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = DANNClassifier(max_epochs=2, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> list(TrainingHistoryDisplay.from_estimator(clf).lines_)
    ['train_loss', 'classification_loss', 'alignment_loss', 'domain_accuracy', 'trade_off']
    """

    def __init__(self, *, figures: Mapping[str, Any], stages: Sequence[tuple[str, int]] = ()):
        if not isinstance(figures, Mapping) or not figures:
            raise TypeError(
                "figures must be a dict of names to a number for each epoch, got "
                f"{shortened(repr(figures), 60)}."
            )
        self.figures = {name: np.asarray(v, dtype=np.float64) for name, v in figures.items()}
        lengths = {name: values.shape for name, values in self.figures.items()}
        if len(set(lengths.values())) > 1 or len(next(iter(lengths.values()))) != 1:
            raise ValueError(
                f"figures must all have one number for each epoch, got the shapes {lengths}; NaN "
                "stands where an epoch has none."
            )
        self.stages = list(stages)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        names: Iterable[str] | None = None,
        ax: Any = None,
        **params: Any,
    ) -> "Self":
        """Plot what the training of an estimator recorded.

        Parameters
        ----------
        estimator : estimator, Pipeline or search
            A fitted deep estimator, or a pipeline or search that ends in one.

        names : iterable of str, default=None
            Which figures; None is all losses, accuracies, scores and the trade-off.

        ax : matplotlib Axes or array of such, default=None
            Where to plot, see :meth:`plot`.

        **params : keywords
            Of :meth:`plot`.

        Returns
        -------
        display : TrainingHistoryDisplay
            The plotted figure. All figures of the history are in ``figures``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        ValueError
            If it has no history, or no figure of a name.
        """
        history, last = history_of(estimator)
        parts = [*_earlier_histories(last, history), ("training", history)]
        rows, stages = [], []
        for name, part in parts:
            own = _declared_stages(last, len(part)) if part is history else []
            named = own if len(own) > 1 else [(name, 1)]
            stages += [(stage, first + len(rows)) for stage, first in named]
            rows += list(part)
        kept = dict.fromkeys(name for row in rows for name in row if _is_figure(name, row[name]))
        figures = {name: [_number(row.get(name)) for row in rows] for name in kept}
        display = cls(figures=figures, stages=stages if len(stages) > 1 else [])
        return display.plot(ax=ax, names=names, **params)

    def plot(
        self,
        ax: Any = None,
        *,
        names: Iterable[str] | None = None,
        label: str | None = None,
        number: int = 0,
        **line_kw: Any,
    ) -> "Self":
        """Plot a panel for each figure.

        Parameters
        ----------
        ax : matplotlib Axes or array of such, default=None
            Axes are filled with the panels; an array has one for each, such as the ``axes_`` of
            another display, whose training is compared; None makes a new figure.

        names : iterable of str, default=None
            Which figures; None is all losses, accuracies, scores and the trade-off. One that this
            training has not leaves its panel as it is if another one has it.

        label : str, default=None
            What a legend calls this training.

        number : int, default=0
            Which of the colours, markers and kinds of line is taken.

        **line_kw : keywords
            Of :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        self : TrainingHistoryDisplay
            With ``ax_``, ``axes_``, ``figure_`` and ``lines_``.

        Raises
        ------
        ValueError
            If there is no figure of a name, or no panel for one.

        ImportError
            If matplotlib is not installed.
        """
        names = self._check_names(names, may_lack=isinstance(ax, np.ndarray | list | tuple))
        self.ax_, self.axes_ = new_panels(ax, len(names), n_columns=3, size=(4.0, 2.7))
        self.figure_, self.lines_ = self.axes_[0].figure, {}
        n_epochs = len(next(iter(self.figures.values())))
        style = {
            "color": COLORS[number % len(COLORS)],
            "marker": MARKERS[number % len(MARKERS)],
            "linestyle": LINES[number % len(LINES)],
            "markersize": 4,
            "markevery": max(1, n_epochs // 8),
            **line_kw,
        }
        epochs = np.arange(1, n_epochs + 1)
        for panel, name in zip(self.axes_, names, strict=True):
            if name in self.figures:
                values = self.figures[name]
                (self.lines_[name],) = panel.plot(epochs, values, label=label, **style)
            panel.set_title(_TITLES.get(name, name.replace("_", " ")), fontsize="medium")
            panel.set_xlabel("epoch")
            panel.grid(color="0.92")
            if name == "domain_accuracy":
                panel.axhline(0.5, color="0.35", linestyle="--", linewidth=0.9, zorder=0)
                panel.set_ylim(0, 1.03)
            panel.set_xlim(0.4 - 0.02 * n_epochs, 0.6 + 1.02 * n_epochs)
            if name.endswith("gradient_norm"):
                panel.set_yscale("symlog", linthresh=1e-2)
            self._mark_stages(panel)
        return self

    def _check_names(self, names, may_lack):
        """Return the names of the panels."""
        if names is None:
            shown = [name for name in self.figures if _is_shown(name)] or list(self.figures)
            return sorted(shown, key=_place)
        if isinstance(names, str):
            raise TypeError(f"names must be a list of names, got {names!r}; write [{names!r}].")
        names = list(names)
        lacking = [name for name in names if name not in self.figures]
        if not names or (lacking and not may_lack):
            which = f"has {lacking[0]!r}" if lacking else "is empty"
            raise ValueError(f"names {which}, but the training recorded {list(self.figures)}.")
        return names

    def _mark_stages(self, panel):
        """Draw a line where a stage begins, with its name."""
        for stage, first in self.stages:
            if first > 1:
                panel.axvline(first - 0.5, color="0.35", linestyle=":", linewidth=1.1, zorder=0)
            panel.annotate(
                stage,
                (first - 0.5, 0),
                xycoords=("data", "axes fraction"),
                xytext=(3, 4),
                textcoords="offset points",
                rotation=90,
                va="bottom",
                size="small",
                color="0.35",
                zorder=0,
            )


def _earlier_histories(estimator, history):
    """Return the names and histories of the networks that learned before the last one."""
    parts = []
    for attribute, name in _EARLIER.items():
        value = getattr(estimator, attribute, None)
        if isinstance(value, list) and value and not isinstance(value[0], dict):
            parts += [(f"{name} {k}", part) for k, part in enumerate(value, 1)]
        elif value is not None and value is not history:
            parts.append((name, value))
    return parts


def _declared_stages(estimator, n_epochs):
    """Return the stages of the last network, with the epoch that each begins with."""
    stages = [stage for stage in getattr(estimator.net_, "stages", ()) if stage.max_epochs != 0]
    firsts = [1, *accumulate((stage.max_epochs or n_epochs for stage in stages), initial=1)][1:]
    pairs = zip([stage.name for stage in stages], firsts, strict=False)
    return [(name, first) for name, first in pairs if first <= n_epochs]


def _is_figure(name, value):
    return (
        name not in _BOOKKEEPING
        and not name.endswith(_ENDINGS)
        and isinstance(value, Real)
        and not isinstance(value, bool)
    )


def _is_shown(name):
    return name == "trade_off" or name.endswith(_KINDS)


def _place(name):
    """Return what orders panels: losses, accuracies, scores, the rest."""
    kind = next((k for k, kind in enumerate(_KINDS) if name.endswith(kind)), len(_KINDS))
    known = list(_TITLES)
    return kind, known.index(name) if name in known else len(known)


def _number(value):
    return float("nan") if value is None else float(value)
