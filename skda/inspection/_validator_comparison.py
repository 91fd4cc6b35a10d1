"""Scores without target labels against the accuracy that they stand for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import kendalltau

from skda._naming import shortened
from skda.inspection._inputs import as_labels, as_numbers
from skda.inspection._looks import COLORS, MARKERS, VERMILION, new_panels

if TYPE_CHECKING:
    from typing_extensions import Self


class ValidatorComparisonDisplay:
    """Scores without target labels against the accuracy on the target, a panel for each.

    Make it with :meth:`from_estimators` or :meth:`from_cv_results`. The constructor's parameters
    are kept as attributes. Each point is a model. A validator to be trusted has its points along a
    line that rises, and its choice, the ring, near the dotted line of the best model. The title has
    Kendall's rank correlation tau of scores and accuracies: 1 for the same order, 0 for none.

    Parameters
    ----------
    scores : dict of str to array-like of shape (n_models,)
        What each validator gave, larger for better.

    accuracy : array-like of shape (n_models,)
        Of the same models on the target, in [0, 1].

    group : array-like of shape (n_models,), default=None
        What is told apart by colour and marker, such as the methods.

    Attributes
    ----------
    tau_ : dict of str to float
        Kendall's tau of every validator; NaN if all scores are the same.

    choice_ : dict of str to int
        Which model every validator takes, the first of the best; -1 if no score is a number.

    ax_ : matplotlib Axes or None
        What bounds the panels; None if an array of axes was given.

    axes_ : ndarray of matplotlib Axes of shape (n_panels,)
        The panels.

    figure_ : matplotlib Figure
        The figure.

    Examples
    --------
    >>> from skda.inspection import ValidatorComparisonDisplay
    >>> display = ValidatorComparisonDisplay(
    ...     scores={"entropy": [-0.9, -0.5, -0.1]}, accuracy=[0.5, 0.6, 0.7]
    ... )
    >>> display.choice_
    {'entropy': 2}
    """

    def __init__(self, *, scores: Mapping[str, Any], accuracy: Any, group: Any = None):
        if not isinstance(scores, Mapping) or not scores:
            raise TypeError(
                "scores must be a dict of validators to a score for each model, got "
                f"{shortened(repr(scores), 60)}."
            )
        self.accuracy = as_numbers(accuracy, "accuracy")
        n_models = len(self.accuracy)
        if not n_models:
            raise ValueError("accuracy is empty; give that of each model.")
        self.scores = {}
        for name, values in scores.items():
            # A validator may have no score for a model that has failed.
            checked = as_labels(values, f"scores[{name!r}]", n_models, "accuracy")
            self.scores[name] = checked.astype(np.float64)
        self.group = None if group is None else as_labels(group, "group", n_models, "accuracy")
        self.tau_, self.choice_ = {}, {}
        for name, values in self.scores.items():
            known = np.isfinite(values)
            self.tau_[name] = _tau(values[known], self.accuracy[known])
            best = np.argmax(np.where(known, values, -np.inf))
            self.choice_[name] = int(best) if known.any() else -1

    @classmethod
    def from_estimators(
        cls,
        estimators: Any,
        validators: Mapping[str, Any],
        X: Any,
        y: Any,
        X_target: Any,
        y_target: Any,
        *,
        group: Any = None,
        ax: Any = None,
    ) -> "Self":
        """Score fitted models by all validators, and plot.

        Parameters
        ----------
        estimators : sequence or dict of fitted classifiers
            The models.

        validators : dict of str to callable
            Scorers of :mod:`skda.model_selection`, or functions of the same parameters: an
            estimator, `X` and `y`, and the keyword `X_target`.

        X : array-like
            Source rows that the models have **not** been trained on.

        y : array-like of shape (n_samples,)
            Their labels.

        X_target : array-like
            Target rows.

        y_target : array-like of shape (n_target_samples,)
            Their labels, which give the accuracy and nothing else.

        group : array-like of shape (n_models,), default=None
            See the constructor.

        ax : matplotlib Axes or array of such, default=None
            Where to plot, see :meth:`plot`.

        Returns
        -------
        display : ValidatorComparisonDisplay
            The plotted figure.
        """
        models = list(estimators.values() if isinstance(estimators, Mapping) else estimators)
        if not isinstance(validators, Mapping):
            raise TypeError(
                "validators must be a dict of names to scorers, got "
                f"{shortened(repr(validators), 60)}."
            )
        scores = {
            name: [validator(model, X, y, X_target=X_target) for model in models]
            for name, validator in validators.items()
        }
        accuracy = [model.score(X_target, y_target) for model in models]
        return cls(scores=scores, accuracy=accuracy, group=group).plot(ax=ax)

    @classmethod
    def from_cv_results(
        cls, cv_results: Mapping[str, Any], *, accuracy: str, group: Any = None, ax: Any = None
    ) -> "Self":
        """Plot the ``cv_results_`` of a search with several scorers.

        Parameters
        ----------
        cv_results : dict
            Of a search whose `scoring` is a dict of scorers.

        accuracy : str
            Which of them is the accuracy on the target, such as that of
            :class:`skda.model_selection.TargetAccuracyScorer`.

        group : array-like of shape (n_models,), default=None
            See the constructor; a column of `cv_results` such as ``param_trade_off`` does.

        ax : matplotlib Axes or array of such, default=None
            Where to plot, see :meth:`plot`.

        Returns
        -------
        display : ValidatorComparisonDisplay
            The plotted figure.

        Raises
        ------
        ValueError
            If there is no scorer of this name, or no other one.
        """
        prefix = "mean_test_"
        scores = {
            name.removeprefix(prefix): values
            for name, values in cv_results.items()
            if name.startswith(prefix)
        }
        if accuracy not in scores or len(scores) < 2:
            raise ValueError(
                f"accuracy={accuracy!r} must be one of several scorers of the search, which has "
                f"{list(scores)}."
            )
        truth = scores.pop(accuracy)
        return cls(scores=scores, accuracy=truth, group=group).plot(ax=ax)

    def plot(self, ax: Any = None, *, n_columns: int = 3) -> "Self":
        """Plot a panel for each validator.

        Parameters
        ----------
        ax : matplotlib Axes or array of such, default=None
            Axes are filled with the panels, an array has one for each; None makes a new figure.

        n_columns : int, default=3
            The most panels side by side.

        Returns
        -------
        self : ValidatorComparisonDisplay
            With ``ax_``, ``axes_`` and ``figure_``.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        n_panels = len(self.scores)
        self.ax_, self.axes_ = new_panels(ax, n_panels, n_columns=n_columns, size=(3.7, 3.0))
        self.figure_ = self.axes_[0].figure
        accuracy = 100 * self.accuracy
        groups = [None] if self.group is None else np.unique(self.group).tolist()
        for number, (panel, (name, scores)) in enumerate(
            zip(self.axes_, self.scores.items(), strict=True)
        ):
            panel.axhline(accuracy.max(), color="0.35", linewidth=1, linestyle=":", label="best")
            for place, group in enumerate(groups):
                rows = np.full(len(scores), True) if group is None else self.group == group
                panel.scatter(
                    scores[rows],
                    accuracy[rows],
                    s=30,
                    marker=MARKERS[place % len(MARKERS)],
                    color=COLORS[place % len(COLORS)],
                    alpha=0.85,
                    linewidths=0,
                    label="model" if group is None else str(group),
                )
            if (best := self.choice_[name]) >= 0:
                style = {"s": 170, "facecolors": "none", "linewidths": 1.8, "label": "its choice"}
                panel.scatter(scores[best], accuracy[best], edgecolors=VERMILION, **style)
            panel.set_title(f"{name}, τ = {self.tau_[name]:.2f}", fontsize="medium")
            panel.grid(color="0.92")
            panel.set_axisbelow(True)
            panel.margins(0.09)
            if number == 0 or (self.ax_ is not None and number % n_columns == 0):
                panel.set_ylabel("target accuracy in %")
        self._explain(n_columns)
        return self

    def _explain(self, n_columns):
        """Put one legend for all panels beside the last one of the first row, where it is known."""
        n_first = len(self.axes_) if self.ax_ is None else min(n_columns, len(self.axes_))
        place = {"loc": "upper left", "bbox_to_anchor": (1.02, 1), "borderaxespad": 0}
        self.axes_[n_first - 1].legend(frameon=False, **place)


def _tau(scores, accuracy):
    tau: Any = kendalltau(scores, accuracy)[0]
    return float(tau)
