"""The picture of a verdict."""

from typing import TYPE_CHECKING, Any

import numpy as np

from skda._naming import shortened
from skda._optional import import_optional
from skda.inspection._looks import legend_beside

if TYPE_CHECKING:
    from typing_extensions import Self

# Okabe and Ito's colours, which those who see few colours tell apart too.
_KEPT, _OTHER, _SOURCE = "#0072B2", "#7f7f7f", "#E69F00"


class AdaptationVerdictDisplay:
    """Picture of what an :class:`~skda.model_selection.AdaptationGuard` has found.

    Make it with :meth:`from_estimator` or :meth:`from_verdict`. The constructor's parameters are
    kept as attributes.

    Parameters
    ----------
    name : ndarray of str of shape (n_models,)
        The fallback and the adaptations that could be judged.

    estimate, lower, upper : ndarrays of shape (n_models,)
        Estimated accuracies on the target, and their intervals.

    source_score : ndarray of shape (n_models,)
        Accuracies on held-out source rows.

    kept : str
        Name of what is kept.

    bound : ndarray of shape (n_models,), default=None
        Lower bounds of the accuracies, NaN where there is none.

    shares : ndarray of shape (n_models, n_classes), default=None
        Shares of the classes among the predictions for the target, for :meth:`plot_shares`.

    source_shares : ndarray of shape (n_classes,), default=None
        Shares of the classes in the source.

    classes : ndarray of shape (n_classes,), default=None
        Names of the classes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.

    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    skda.model_selection.AdaptationGuard : Makes the verdict.

    Examples
    --------
    >>> from skda.inspection import AdaptationVerdictDisplay
    >>> display = AdaptationVerdictDisplay(
    ...     name=["fallback", "adapted"], estimate=[0.6, 0.8], lower=[0.5, 0.7],
    ...     upper=[0.7, 0.9], source_score=[0.95, 0.94], kept="adapted",
    ... ).plot()
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['fallback', 'adapted (kept)']
    """

    def __init__(
        self,
        *,
        name: Any,
        estimate: Any,
        lower: Any,
        upper: Any,
        source_score: Any,
        kept: str,
        bound: Any = None,
        shares: Any = None,
        source_shares: Any = None,
        classes: Any = None,
    ):
        self.name = np.asarray(name)
        self.estimate = np.asarray(estimate, dtype=float)
        self.lower = np.asarray(lower, dtype=float)
        self.upper = np.asarray(upper, dtype=float)
        self.source_score = np.asarray(source_score, dtype=float)
        self.kept = kept
        self.bound = None if bound is None else np.asarray(bound, dtype=float)
        self.shares = None if shares is None else np.asarray(shares, dtype=float)
        self.source_shares = None if source_shares is None else np.asarray(source_shares)
        self.classes = None if classes is None else np.asarray(classes)

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> "Self":
        """Plot the verdict of a fitted guard.

        Parameters
        ----------
        estimator : AdaptationGuard, or Pipeline that ends in one
            Fitted with a target.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : AdaptationVerdictDisplay
            The plotted picture.

        Raises
        ------
        TypeError
            If the estimator has no verdict.
        """
        last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
        verdict = getattr(last, "verdict_", None)
        if verdict is None:
            raise TypeError(
                "estimator must be a fitted skda.model_selection.AdaptationGuard, or a pipeline "
                f"that ends in one, got {shortened(repr(estimator), 80)}."
            )
        return cls.from_verdict(verdict, ax=ax)

    @classmethod
    def from_verdict(cls, verdict: Any, *, ax: Any = None) -> "Self":
        """Plot a verdict.

        Parameters
        ----------
        verdict : AdaptationVerdict
            ``guard.verdict_``.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : AdaptationVerdictDisplay
            The plotted picture.

        Raises
        ------
        ValueError
            If there was no target, so that nothing was judged.
        """
        parts = [part for part in verdict.candidates if part.estimate is not None]
        if not parts:
            raise ValueError(
                "verdict: nothing was judged, for the guard was fitted without X_target."
            )

        def column(name):
            values = [np.nan if part[name] is None else part[name] for part in parts]
            return np.array(values)

        names = ("estimate", "lower", "upper", "source_score", "bound")
        return cls(
            name=[part.name for part in parts],
            kept=verdict.kept,
            shares=np.array([part.shares for part in parts]),
            source_shares=verdict.source_shares,
            classes=verdict.classes,
            **{name: column(name) for name in names},
        ).plot(ax=ax)

    def plot(self, ax: Any = None) -> "Self":
        """Plot estimated accuracies with their intervals, bounds, and accuracies on the source.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        self : AdaptationVerdictDisplay
            With ``ax_`` and ``figure_``.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self._take(ax)
        for place, name in enumerate(self.name):
            color = _KEPT if name == self.kept else _OTHER
            low, middle, high = (x[place] for x in (self.lower, self.estimate, self.upper))
            self.ax_.plot([low, high], [place, place], color=color, linewidth=3, alpha=0.5)
            self.ax_.plot(
                middle,
                place,
                "o",
                color=color,
                label="estimated, on the target" if not place else None,
            )
            self.ax_.plot(
                self.source_score[place],
                place,
                "D",
                color=_SOURCE,
                fillstyle="none",
                label="held-out source rows" if not place else None,
            )
        if self.bound is not None and not np.isnan(self.bound).all():
            places = np.arange(len(self.name))
            self.ax_.plot(self.bound, places, "k|", markersize=12, label="lower bound")
        labels = [f"{name} (kept)" if name == self.kept else str(name) for name in self.name]
        self.ax_.set_yticks(np.arange(len(labels)), labels)
        self.ax_.invert_yaxis()
        self.ax_.set(xlabel="Accuracy", xlim=(0, 1.02))
        self.ax_.margins(y=0.2)
        legend_beside(self.ax_)
        return self

    def plot_shares(self, ax: Any = None) -> "Self":
        """Plot which shares the classes have in the source and in what is predicted for the target.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        self : AdaptationVerdictDisplay
            With ``ax_`` and ``figure_``.

        Raises
        ------
        ValueError
            If there are no shares.

        ImportError
            If matplotlib is not installed.
        """
        if self.shares is None or self.source_shares is None:
            raise ValueError("There are no shares; pass shares and source_shares.")
        self._take(ax)
        places = np.arange(len(self.source_shares))
        self.ax_.bar(places, self.source_shares, color=_SOURCE, alpha=0.4, label="source")
        for number, (name, shares) in enumerate(zip(self.name, self.shares, strict=True)):
            color = _KEPT if name == self.kept else _OTHER
            label = f"{name} (kept)" if name == self.kept else str(name)
            marker = "osv^Dp*X"[number % 8]
            self.ax_.plot(places, shares, marker, color=color, label=label)
        names = places if self.classes is None else self.classes
        self.ax_.set_xticks(places, [str(name) for name in names])
        self.ax_.set(xlabel="Class", ylabel="Share of the rows")
        legend_beside(self.ax_)
        return self

    def _take(self, ax):
        if ax is None:
            _, ax = import_optional("matplotlib.pyplot", "examples").subplots()
        self.ax_, self.figure_ = ax, ax.figure
