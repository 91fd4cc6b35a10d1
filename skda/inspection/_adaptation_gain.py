"""What adaptation gained and lost, class by class."""

from typing import TYPE_CHECKING, Any

import numpy as np

from skda._naming import naming
from skda.inspection._inputs import as_labels, as_numbers
from skda.inspection._looks import BLUE, VERMILION, legend_beside, name_rows, new_axes

if TYPE_CHECKING:
    from typing_extensions import Self


class AdaptationGainDisplay:
    """Share of the rows of every class that is predicted right, before and after adaptation.

    Make it with :meth:`from_estimator` or :meth:`from_predictions`. The constructor's parameters
    are kept as attributes. A mean accuracy can rise while a class is lost, which this shows. Hollow
    circles are before, filled squares after adaptation; a class that lost has a dashed line. The
    last row is the accuracy over all rows.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
        Labels.

    before, after : array-likes of shape (n_classes,)
        Recall of every class, in [0, 1].

    n_samples : array-like of shape (n_classes,)
        Number of rows of every class.

    Attributes
    ----------
    gain_ : ndarray of shape (n_classes,)
        Of every class, in percentage points. Set by :meth:`plot`, like the others.

    ax_ : matplotlib Axes
        The axes.

    figure_ : matplotlib Figure
        The figure.

    lines_ : dict of str to matplotlib Line2D
        The markers ``"before"`` and ``"after"``; the last of each is the accuracy.

    Examples
    --------
    >>> from skda.inspection import AdaptationGainDisplay
    >>> display = AdaptationGainDisplay.from_predictions(
    ...     ["cat", "cat", "dog", "dog"],
    ...     before=["cat", "dog", "dog", "dog"],
    ...     after=["cat", "cat", "cat", "dog"],
    ... )
    >>> display.gain_.tolist()
    [50.0, -50.0]
    """

    def __init__(self, *, classes: Any, before: Any, after: Any, n_samples: Any):
        self.before = as_numbers(before, "before")
        self.after = as_numbers(after, "after", self.before.shape)
        self.n_samples = as_numbers(n_samples, "n_samples", self.before.shape)
        self.classes = as_labels(classes, "classes", len(self.before), "before")
        for name, values in (("before", self.before), ("after", self.after)):
            if ((values < 0) | (values > 1)).any():
                raise ValueError(f"{name} must be recalls in [0, 1], got {values.tolist()}.")
        if not (self.n_samples > 0).all():
            raise ValueError("n_samples must be positive; leave classes without rows out.")

    @classmethod
    def from_estimator(
        cls, estimator: Any, X_target: Any, y_target: Any, *, reference: Any, ax: Any = None
    ) -> "Self":
        """Predict labelled target rows before and after adaptation, and plot the gain.

        Parameters
        ----------
        estimator : classifier
            A fitted classifier that was adapted.

        X_target : array-like
            Target rows.

        y_target : array-like of shape (n_samples,)
            Their labels.

        reference : classifier
            A fitted classifier that was not adapted. An honest one is trained alike but for the
            alignment: ``clone(estimator).set_params(trade_off=0)`` fitted with the target is
            AdaBN where there are batch norms, and fitted without it the source alone.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : AdaptationGainDisplay
            The plotted figure.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If a classifier is not fitted.
        """
        predictions = {}
        for key, name, classifier in (
            ("before", "reference", reference),
            ("after", "estimator", estimator),
        ):
            if not hasattr(classifier, "predict"):
                raise TypeError(f"{name}: {type(classifier).__name__} has no predict.")
            with naming("X_target", f"rows as the {name} takes them"):
                predictions[key] = classifier.predict(X_target)
        return cls.from_predictions(y_target, **predictions, ax=ax, _name="y_target")

    @classmethod
    def from_predictions(
        cls, y_true: Any, *, before: Any, after: Any, ax: Any = None, _name: str = "y_true"
    ) -> "Self":
        """Compare predictions, and plot the gain.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            Labels of target rows.

        before, after : array-likes of shape (n_samples,)
            Predictions for them, without and with adaptation.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : AdaptationGainDisplay
            The plotted figure, of the classes that have rows.

        Raises
        ------
        ValueError
            If there are not as many predictions as labels.
        """
        y_true = np.asarray(y_true)
        y_true = as_labels(y_true, _name, y_true.size, "predictions")
        if not len(y_true):
            raise ValueError(f"{_name} has no labels.")
        before = as_labels(before, "before", len(y_true), _name)
        after = as_labels(after, "after", len(y_true), _name)
        classes, codes, n_samples = np.unique(y_true, return_inverse=True, return_counts=True)
        recalls = [np.bincount(codes, y_true == part) / n_samples for part in (before, after)]
        display = cls(classes=classes, before=recalls[0], after=recalls[1], n_samples=n_samples)
        return display.plot(ax=ax)

    def plot(self, ax: Any = None) -> "Self":
        """Plot a row for each class, and one for all rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        self : AdaptationGainDisplay
            With ``gain_``, ``ax_``, ``figure_`` and ``lines_``.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.gain_ = 100 * (self.after - self.before)
        both = [
            100 * np.append(values, np.average(values, weights=self.n_samples))
            for values in (self.before, self.after)
        ]
        rows = np.arange(len(self.classes) + 1)
        self.ax_ = ax = new_axes(ax, size=(6.8, 1.5 + 0.36 * len(rows)))
        self.figure_, self.lines_ = ax.figure, {}
        for row, start, end in zip(rows, *both, strict=True):
            lost = end < start
            color, line = (VERMILION, (0, (2, 1))) if lost else (BLUE, "-")
            ax.plot([start, end], [row, row], color=color, linestyle=line, linewidth=2.2, zorder=1)
            place = {"xycoords": ("axes fraction", "data"), "annotation_clip": False}
            text = f"{round(end - start):+d}" if round(end - start) else "0"
            ax.annotate(text, (1.01, row), va="center", color=color, weight="bold", **place)
        # A ring around a square: where both are at one place, both can be seen.
        common = {"linestyle": "none", "markeredgewidth": 1.5, "color": "black", "zorder": 2}
        styles = {
            "before": {"marker": "o", "markersize": 11, "markerfacecolor": "none"},
            "after": {"marker": "s", "markersize": 5},
        }
        for (name, style), values in zip(styles.items(), both, strict=True):
            (self.lines_[name],) = ax.plot(values, rows, label=name, **common, **style)
        name_rows(ax, [*self.classes.tolist(), "all rows"])
        ax.axhline(len(self.classes) - 0.5, color="0.4", linewidth=0.8)
        ax.set(xlim=(-3, 103), xlabel="predicted right, in %", ylabel="class")
        title = ax.annotate("gain", (1.01, 1.01), xycoords="axes fraction", annotation_clip=False)
        title.set(size="small", va="bottom")
        legend_beside(ax).set_bbox_to_anchor((1.09, 1), ax.transAxes)
        return self
