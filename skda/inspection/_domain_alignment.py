"""Both domains in the plane, before and after adaptation."""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.utils import check_random_state

from skda._naming import naming, shortened
from skda._optional import import_optional
from skda.inspection._inputs import (
    as_labels,
    as_numbers,
    choose_rows,
    domain_features,
    plain_features,
)
from skda.inspection._looks import GREY, class_colors, new_panels

if TYPE_CHECKING:
    from typing_extensions import Self

# More names than these in the plane cover each other.
_MOST_NAMES = 20


class DomainAlignmentDisplay:
    """Both domains in the plane: colours are classes, markers are domains.

    Make it with :meth:`from_estimator` or :meth:`from_features`. The constructor's parameters are
    kept as attributes. Hollow circles are rows of the source and filled triangles those of the
    target. The name of a class stands at the median of its source rows.

    Where the domains lie apart, a classifier of the source says little about the target. That
    they lie together is no proof of the contrary: a class may have come to lie upon another one,
    which colours show where `y_target` is known.

    Parameters
    ----------
    source : dict of str to ndarray of shape (n_source, 2)
        Places of the source rows, by the title of the panel.

    target : dict of str to ndarray of shape (n_target, 2)
        Places of the target rows, by the same titles.

    y : ndarray of shape (n_source,), default=None
        Labels of the source rows; None gives all of them one colour.

    y_target : ndarray of shape (n_target,), default=None
        Labels of the target rows where they are known, as in a benchmark; None draws them grey.

    Attributes
    ----------
    ax_ : matplotlib Axes or None
        What bounds the panels; None if an array of axes was given.

    axes_ : ndarray of matplotlib Axes of shape (n_panels,)
        The panels.

    figure_ : matplotlib Figure
        The figure.

    points_ : list of dict of str to matplotlib PathCollection
        Of every panel the ``"source"`` and the ``"target"``.

    See Also
    --------
    skda.metrics.domain_report : Distances of the domains in numbers, in all dimensions.

    Notes
    -----
    Two dimensions are never all of it. The principal components show where the rows differ most;
    t-SNE and UMAP show who is whose neighbour, and sizes of clusters or distances between them mean
    nothing.

    Examples
    --------
    >>> from sklearn.base import clone
    >>> from skda.adaptation import DANNClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.inspection import DomainAlignmentDisplay
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = DANNClassifier(max_epochs=2, random_state=0)
    >>> before = clone(clf).set_params(trade_off=0)
    >>> for network in (clf, before):
    ...     network = network.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> display = DomainAlignmentDisplay.from_estimator(
    ...     clf, digits.X, digits.X_target, y=digits.y, reference=before, random_state=0
    ... )
    >>> list(display.source)
    ['before', 'after']
    """

    def __init__(self, *, source: Any, target: Any, y: Any = None, y_target: Any = None):
        if not isinstance(source, Mapping) or not isinstance(target, Mapping) or not source:
            raise TypeError("source and target must be dicts of titles to places in the plane.")
        if list(source) != list(target):
            raise ValueError(
                f"source has the panels {list(source)}, target has {list(target)}; give both the "
                "same ones, in the same order."
            )
        self.source = _checked_places(source, "source")
        self.target = _checked_places(target, "target")
        n_source, n_target = (len(next(iter(d.values()))) for d in (self.source, self.target))
        self.y = None if y is None else as_labels(y, "y", n_source, "source")
        self.y_target = (
            None if y_target is None else as_labels(y_target, "y_target", n_target, "target")
        )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        X_target: Any,
        *,
        y: Any = None,
        y_target: Any = None,
        reference: Any = None,
        method: Any = "pca",
        n_samples: int | None = 400,
        random_state: Any = None,
        ax: Any = None,
    ) -> "Self":
        """Take the features of both domains, and plot them.

        Every domain passes the network under its own statistics, as in training.

        Parameters
        ----------
        estimator : estimator, Pipeline or search
            A fitted deep estimator, a transformer of :mod:`skda.subspace`, or a pipeline or search
            that ends in one.

        X, X_target : array-likes
            Rows of the source and of one target.

        y, y_target : array-likes, default=None
            Their labels; see the constructor.

        reference : estimator, Pipeline or search, default=None
            What shows the domains before adaptation. An honest one is trained alike but for the
            alignment: ``clone(estimator).set_params(trade_off=0)`` with the same `random_state`.
            None shows the rows as the estimator gets them.

        method : {"pca", "tsne", "umap"} or transformer, default="pca"
            What brings features into the plane, fitted to both domains of a panel together.
            ``"umap"`` needs umap-learn. A transformer has ``fit_transform`` and two components.

        n_samples : int or None, default=400
            How many rows of each domain are drawn, at most; None shows all.

        random_state : int, RandomState instance or None, default=None
            Draws rows, and seeds t-SNE and UMAP.

        ax : matplotlib Axes or array of such, default=None
            Where to plot, see :meth:`plot`.

        Returns
        -------
        display : DomainAlignmentDisplay
            The plotted figure, with the panels ``"before"`` and ``"after"``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If an estimator is not fitted.

        TypeError, ValueError
            If rows are not as described, or a parameter is none of those named.
        """
        if isinstance(X_target, tuple):
            raise TypeError("X_target must be rows of one target domain; plot each by itself.")
        domains = {"source": ("X", X), "target": ("X_target", X_target)}
        panels = {"before": {}, "after": {}}
        for domain, (name, rows) in domains.items():
            panels["before"][domain] = (
                plain_features(rows, name, estimator)
                if reference is None
                else domain_features(reference, rows, domain, name)
            )
            panels["after"][domain] = domain_features(estimator, rows, domain, name)
        return cls.from_features(
            {title: tuple(parts.values()) for title, parts in panels.items()},
            y=y,
            y_target=y_target,
            method=method,
            n_samples=n_samples,
            random_state=random_state,
            ax=ax,
        )

    @classmethod
    def from_features(
        cls,
        features: Mapping[str, tuple[Any, Any]],
        *,
        y: Any = None,
        y_target: Any = None,
        method: Any = "pca",
        n_samples: int | None = 400,
        random_state: Any = None,
        ax: Any = None,
    ) -> "Self":
        """Bring features into the plane, and plot them.

        Parameters
        ----------
        features : dict of str to tuple of array-likes of shape (n_samples, n_features)
            Features of the source and of the target by the title of the panel. All panels have the
            same rows.

        y, y_target : array-likes, default=None
            As in :meth:`from_estimator`.

        method : {"pca", "tsne", "umap"} or transformer, default="pca"
            As in :meth:`from_estimator`.

        n_samples : int or None, default=400
            As in :meth:`from_estimator`.

        random_state : int, RandomState instance or None, default=None
            As in :meth:`from_estimator`.

        ax : matplotlib Axes or array of such, default=None
            As in :meth:`from_estimator`.

        Returns
        -------
        display : DomainAlignmentDisplay
            The plotted figure.

        Raises
        ------
        TypeError, ValueError
            If features are not as described, or a parameter is none of those named.
        """
        if not isinstance(features, Mapping) or not features:
            raise TypeError(
                "features must be a dict of titles to (source, target), got "
                f"{shortened(repr(features), 60)}."
            )
        tables = _tables(features)
        n_source, n_target = map(len, next(iter(tables.values())))
        rng = check_random_state(random_state)
        rows = choose_rows(n_source, n_samples, rng), choose_rows(n_target, n_samples, rng)
        seed = rng.randint(np.iinfo(np.int32).max)
        source, target = {}, {}
        for title, pair in tables.items():
            source[title], target[title] = _places(pair[0][rows[0]], pair[1][rows[1]], method, seed)
        labels: dict[str, Any] = {"y": None, "y_target": None}
        if y is not None:
            labels["y"] = as_labels(y, "y", n_source, "the source")[rows[0]]
        if y_target is not None:
            labels["y_target"] = as_labels(y_target, "y_target", n_target, "the target")[rows[1]]
        return cls(source=source, target=target, **labels).plot(ax=ax)

    def plot(self, ax: Any = None, *, marker_size: float = 16) -> "Self":
        """Plot a panel for each pair of domains.

        Parameters
        ----------
        ax : matplotlib Axes or array of such, default=None
            Axes are filled with the panels, an array has one for each; None makes a new figure.

        marker_size : float, default=16
            Area of a marker, in square points.

        Returns
        -------
        self : DomainAlignmentDisplay
            With ``ax_``, ``axes_``, ``figure_`` and ``points_``.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.ax_, self.axes_ = new_panels(ax, len(self.source), n_columns=3, size=(4.2, 4.2))
        self.figure_, self.points_ = self.axes_[0].figure, []
        labels = [part for part in (self.y, self.y_target) if part is not None]
        classes = np.unique(np.concatenate(labels)) if labels else np.array([])
        colors = dict(zip(classes.tolist(), class_colors(len(classes)), strict=True))
        for panel, title in zip(self.axes_, self.source, strict=True):
            source = _colors(self.y, colors, len(self.source[title]))
            target = _colors(self.y_target, colors, len(self.target[title]))
            style = {"s": marker_size, "linewidths": 0.9}
            hollow = panel.scatter(
                *self.source[title].T, marker="o", facecolors="none", edgecolors=source, **style
            )
            filled = panel.scatter(
                *self.target[title].T, marker="^", c=target, edgecolors="white", **style
            )
            filled.set_linewidth(0.3)
            self.points_.append({"source": hollow, "target": filled})
            self._name_classes(panel, self.source[title], colors)
            panel.set(title=title, xticks=[], yticks=[])
        self._explain(self.axes_[0])
        return self

    def _name_classes(self, panel, places, colors):
        """Write the name of every class at the median of its source rows."""
        if self.y is None or len(colors) > _MOST_NAMES:
            return
        for label, color in colors.items():
            rows = places[self.y == label]
            if len(rows):
                panel.annotate(
                    str(label),
                    np.median(rows, axis=0),
                    ha="center",
                    va="center",
                    size=9,
                    weight="bold",
                    bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": color, "alpha": 0.85},
                )

    def _explain(self, panel):
        """Say below the first panel which marker is which domain."""
        lines = import_optional("matplotlib.lines", "examples")
        style = {"linestyle": "none", "markeredgecolor": "black", "color": "black"}
        handles = [
            lines.Line2D([], [], marker="o", markerfacecolor="none", label="source", **style),
            lines.Line2D([], [], marker="^", label="target", **style),
        ]
        place = {"loc": "upper left", "bbox_to_anchor": (0, -0.01), "borderaxespad": 0}
        panel.legend(handles=handles, ncols=2, frameon=False, **place)


def _tables(features):
    """Return the features of both domains by panel, all of the same rows."""
    tables, shown = {}, None
    for title, pair in features.items():
        with naming(f"features[{title!r}]", "a pair of tables, of source and target"):
            source, target = pair
        source = as_numbers(source, f"features[{title!r}][0]", (None, None))
        target = as_numbers(target, f"features[{title!r}][1]", (None, source.shape[1]))
        shown = shown or (len(source), len(target))
        if (len(source), len(target)) != shown:
            raise ValueError(
                f"features[{title!r}] has {len(source)} and {len(target)} rows, the first panel "
                f"has {shown[0]} and {shown[1]}; all panels must show the same rows."
            )
        tables[title] = source, target
    return tables


def _checked_places(places, name):
    """Return the places of all panels, which have the same number of rows."""
    checked, n_rows = {}, None
    for title, rows in places.items():
        checked[title] = as_numbers(rows, f"{name}[{title!r}]", (n_rows, 2))
        n_rows = len(checked[title])
    return checked


def _colors(labels, colors, n_rows):
    return [GREY] * n_rows if labels is None else [colors[label] for label in labels.tolist()]


def _places(source, target, method, seed):
    """Return the places of both domains in the plane of both."""
    both = np.concatenate([source, target])
    with naming("method", "'pca', 'tsne', 'umap' or a transformer with two components"):
        places = np.asarray(_transformer(method, seed, len(both)).fit_transform(both))
        if places.shape != (len(both), 2):
            raise ValueError(f"it gave the shape {places.shape}.")
    return places[: len(source)], places[len(source) :]


def _transformer(method, seed, n_rows):
    if hasattr(method, "fit_transform") and not isinstance(method, type):
        return method
    if method == "pca":
        return PCA(2, random_state=seed)
    if method == "tsne":
        return TSNE(perplexity=min(30.0, (n_rows - 1) / 3), random_state=seed)
    if method == "umap":
        try:
            umap = import_module("umap")
        except ImportError as error:
            raise ImportError(
                f"method='umap' needs umap-learn, which cannot be imported ({error}); install it "
                "with: pip install umap-learn"
            ) from error
        return umap.UMAP(random_state=seed)
    raise ValueError(f"got {shortened(repr(method), 60)}.")
