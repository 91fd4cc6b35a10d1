"""The figure of transferability."""

from typing import TYPE_CHECKING, Any

import numpy as np

from skda._optional import import_optional
from skda.fine_tuning._transferability import TREATMENTS, transferability_curve

if TYPE_CHECKING:
    from typing_extensions import Self

# Colours of Okabe and Ito. Circles are of B, diamonds of A; hollow ones learn on.
_STYLES = {
    "BnB": {"color": "#0072B2", "marker": "o"},
    "BnB+": {"color": "#56B4E9", "marker": "o", "markerfacecolor": "white", "linestyle": "--"},
    "AnB": {"color": "#D55E00", "marker": "D"},
    "AnB+": {"color": "#E69F00", "marker": "D", "markerfacecolor": "white", "linestyle": "--"},
    "random": {"color": "#6E6E6E", "marker": "x", "linestyle": ":"},
}
_WORDS = {
    "base": "base: all new, for B",
    "BnB": "BnB: n blocks of B, frozen",
    "BnB+": "BnB+: n blocks of B, learning",
    "AnB": "AnB: n blocks of A, frozen",
    "AnB+": "AnB+: n blocks of A, learning",
    "random": "random: n random blocks, frozen",
}


class TransferabilityDisplay:
    """Figure of a transferability curve: the score by the number of copied blocks.

    Make it with :meth:`from_estimator` or :meth:`from_curve`. The constructor's parameters are
    kept as attributes.

    Parameters
    ----------
    treatment : ndarray of shape (n_trainings,)
        ``"base"``, ``"BnB"``, ``"BnB+"``, ``"AnB"``, ``"AnB+"`` or ``"random"``.

    n_layers : ndarray of shape (n_trainings,)
        Number of copied blocks.

    score : ndarray of shape (n_trainings,)
        Score of every training; those of one treatment and number are averaged.

    score_name : str, default="Accuracy"
        Label of the vertical axis.

    epoch_scores : sequence of ndarray of shape (n_epochs,), default=None
        Scores by epoch of every training, for :meth:`plot_epochs`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.

    figure_ : matplotlib Figure
        The figure.

    lines_ : dict of str to matplotlib Line2D
        The mean of every treatment.

    See Also
    --------
    transferability_curve : Computes the scores.

    Examples
    --------
    >>> from skda.fine_tuning import TransferabilityDisplay
    >>> display = TransferabilityDisplay(
    ...     treatment=["base", "AnB", "AnB"], n_layers=[0, 1, 2], score=[0.9, 0.8, 0.7]
    ... )
    >>> sorted(display.plot().lines_)
    ['AnB', 'base']
    """

    def __init__(
        self,
        *,
        treatment: Any,
        n_layers: Any,
        score: Any,
        score_name: str = "Accuracy",
        epoch_scores: Any = None,
    ):
        self.epoch_scores = None if epoch_scores is None else list(epoch_scores)
        self.treatment = np.asarray(treatment)
        self.n_layers = np.asarray(n_layers)
        self.score = np.asarray(score)
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X_a: Any,
        y_a: Any,
        X_b: Any,
        y_b: Any,
        *,
        score_name: str = "Accuracy",
        ax: Any = None,
        **params: Any,
    ) -> "Self":
        """Compute a transferability curve and plot it.

        Parameters
        ----------
        estimator : FineTuneClassifier
            The network and its training.

        X_a, y_a : array-likes or None
            Rows and labels of task A, see :func:`transferability_curve`.

        X_b, y_b : array-likes
            Rows and labels of task B.

        score_name : str, default="Accuracy"
            Label of the vertical axis.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        **params : keywords
            Of :func:`transferability_curve`.

        Returns
        -------
        display : TransferabilityDisplay
            The plotted figure.
        """
        curve = transferability_curve(estimator, X_a, y_a, X_b, y_b, **params)
        return cls.from_curve(curve, score_name=score_name, ax=ax)

    @classmethod
    def from_curve(cls, curve: Any, *, score_name: str = "Accuracy", ax: Any = None) -> "Self":
        """Plot what :func:`transferability_curve` returned.

        Parameters
        ----------
        curve : Bunch, dict or DataFrame
            With the columns ``treatment``, ``n_layers`` and ``score``, and ``epoch_scores`` if
            there is one.

        score_name : str, default="Accuracy"
            Label of the vertical axis.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : TransferabilityDisplay
            The plotted figure.
        """
        columns = {name: curve[name] for name in ("treatment", "n_layers", "score")}
        if "epoch_scores" in curve:
            columns["epoch_scores"] = curve["epoch_scores"]
        return cls(**columns, score_name=score_name).plot(ax=ax)

    def plot(self, ax: Any = None) -> "Self":
        """Plot the mean of every treatment, and its standard deviation as a band.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        self : TransferabilityDisplay
            With ``ax_``, ``figure_`` and ``lines_``.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        if ax is None:
            ax = _new_axes()
        self.ax_, self.figure_, self.lines_ = ax, ax.figure, {}
        _, base, spread = self._summary("base")
        if len(base):
            line = ax.axhline(
                base[0], color="black", linestyle="--", label=_WORDS["base"], zorder=1
            )
            ax.axhspan(*(base[0] + side * spread[0] for side in (-1, 1)), color="black", alpha=0.08)
        for treatment in TREATMENTS:
            numbers, mean, spread = self._summary(treatment)
            if not len(numbers):
                continue
            style = _STYLES[treatment]
            (self.lines_[treatment],) = ax.plot(numbers, mean, label=_WORDS[treatment], **style)
            ax.fill_between(
                numbers, mean - spread, mean + spread, color=style["color"], alpha=0.12, linewidth=0
            )
        ax.set(
            xlabel="Number n of copied blocks",
            ylabel=self.score_name,
            xticks=np.unique(self.n_layers[self.n_layers > 0]),
        )
        _explain(ax)
        return self

    def plot_epochs(self, n_layers: int, ax: Any = None) -> "Self":
        """Plot how fast the treatments with one number of copied blocks learn, beside ``"base"``.

        Parameters
        ----------
        n_layers : int
            Number of copied blocks.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        self : TransferabilityDisplay
            With ``ax_``, ``figure_`` and ``lines_``, the mean score after every epoch. Where
            trainings stop early, epochs count that all of them have.

        Raises
        ------
        ValueError
            If there are no scores by epoch, or no training with this number of blocks.

        ImportError
            If matplotlib is not installed.
        """
        if self.epoch_scores is None:
            raise ValueError(
                "There are no scores by epoch; pass by_epoch=True to transferability_curve."
            )
        if not np.any(self.n_layers == n_layers) or n_layers == 0:
            known = np.unique(self.n_layers[self.n_layers > 0]).tolist()
            raise ValueError(f"n_layers={n_layers!r}, but the curve has {known}.")
        if ax is None:
            ax = _new_axes()
        self.ax_, self.figure_, self.lines_ = ax, ax.figure, {}
        base = {"color": "black", "linestyle": "--"}
        for treatment, number in (("base", 0), *((name, n_layers) for name in TREATMENTS)):
            chosen = np.flatnonzero((self.treatment == treatment) & (self.n_layers == number))
            scores = [self.epoch_scores[row] for row in chosen]
            if scores:
                mean = np.mean([part[: min(map(len, scores))] for part in scores], axis=0)
                (self.lines_[treatment],) = ax.plot(
                    np.arange(1, len(mean) + 1),
                    mean,
                    label=_WORDS[treatment],
                    **_STYLES.get(treatment, base),
                )
        ax.set(xlabel="Epoch", ylabel=self.score_name)
        _explain(ax)
        return self

    def _summary(self, treatment):
        """Return numbers of layers, means and standard deviations."""
        chosen = self.treatment == treatment
        numbers = np.unique(self.n_layers[chosen])
        scores = [self.score[chosen & (self.n_layers == number)] for number in numbers]
        return numbers, *(np.array([f(s) for s in scores]) for f in (np.mean, np.std))


def _new_axes():
    """Return axes of a new figure, which leaves room for a legend beside them."""
    plt = import_optional("matplotlib.pyplot", "examples")
    return plt.subplots(figsize=(8.2, 4.4), layout="constrained")[1]


def _explain(ax):
    """Put a legend to the right of axes, where it covers nothing."""
    place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1), "borderaxespad": 0}
    ax.legend(frameon=False, **place)
