"""Distances between domains, layer by layer."""

from typing import TYPE_CHECKING, Any

from skda.inspection._inputs import as_labels, as_numbers
from skda.inspection._looks import BLUE, VERMILION, legend_beside, name_rows, new_axes
from skda.metrics import domain_report

if TYPE_CHECKING:
    from typing_extensions import Self

# A ring around a square: where both are at one place, both can be seen.
_STYLES = {
    "reference": {"marker": "o", "markersize": 12, "markerfacecolor": "none", "color": VERMILION},
    "estimator": {"marker": "s", "markersize": 6, "color": BLUE},
}
_LEGEND = {"reference": "before adaptation", "estimator": "after adaptation"}
_NAMES = {
    "proxy_a_distance": "proxy A-distance (0 alike, 2 apart)",
    "mmd": "squared MMD",
    "coral": "CORAL distance",
}


class LayerDistanceDisplay:
    """How far two domains are from each other at the layers of a network.

    Make it with :meth:`from_estimator` or :meth:`from_report`. The constructor's parameters are
    kept as attributes. Small distances alone show no good adaptation: features that are the same
    for all rows have none.

    Parameters
    ----------
    layer : array-like of shape (n_entries,)
        Names of layers.

    network : array-like of shape (n_entries,)
        ``"reference"``, before adaptation, or ``"estimator"``.

    distance : array-like of shape (n_entries,)
        Of the domains.

    distance_name : str, default="Distance"
        Label of the horizontal axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.

    figure_ : matplotlib Figure
        The figure.

    lines_ : dict of str to matplotlib Line2D
        The markers of every network.

    See Also
    --------
    skda.metrics.domain_report : Computes the distances, and says how.

    Examples
    --------
    >>> from skda.inspection import LayerDistanceDisplay
    >>> display = LayerDistanceDisplay(
    ...     layer=["features", "features"], network=["reference", "estimator"], distance=[1.6, 0.4]
    ... )
    >>> display.plot().lines_["estimator"].get_xdata().tolist()
    [0.4]
    """

    def __init__(self, *, layer: Any, network: Any, distance: Any, distance_name: str = "Distance"):
        self.distance = as_numbers(distance, "distance")
        self.layer = as_labels(layer, "layer", len(self.distance), "distance")
        self.network = as_labels(network, "network", len(self.distance), "distance")
        self.distance_name = distance_name
        if unknown := set(self.network.tolist()) - set(_STYLES):
            raise ValueError(
                f"network has {sorted(unknown)[0]!r}, but knows 'reference' and 'estimator' only."
            )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        X_target: Any,
        y: Any = None,
        *,
        distance: str = "proxy_a_distance",
        ax: Any = None,
        **params: Any,
    ) -> "Self":
        """Measure the distances at the layers of an estimator, and plot them.

        Parameters
        ----------
        estimator : estimator, Pipeline or search
            A fitted deep estimator, or a pipeline or search that ends in one.

        X, X_target : array-likes
            Rows of both domains, see :func:`skda.metrics.domain_report`.

        y : array-like of shape (n_samples,), default=None
            Labels of the source rows, which class-wise distances need.

        distance : str, default="proxy_a_distance"
            See :meth:`from_report`.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        **params : keywords
            Of :func:`skda.metrics.domain_report`: `reference`, `layers`, `random_state` and others.

        Returns
        -------
        display : LayerDistanceDisplay
            The plotted figure.
        """
        report = domain_report(estimator, X, X_target, y, **params)
        return cls.from_report(report, distance=distance, ax=ax)

    @classmethod
    def from_report(
        cls, report: Any, *, distance: str = "proxy_a_distance", ax: Any = None
    ) -> "Self":
        """Plot a distance of a report.

        Parameters
        ----------
        report : DomainReport, DataFrame or dict
            What :func:`skda.metrics.domain_report` returned.

        distance : str, default="proxy_a_distance"
            Which column: ``"proxy_a_distance"``, ``"mmd"``, ``"coral"``, or one of these with
            ``"classwise_"`` before it.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : LayerDistanceDisplay
            The plotted figure.

        Raises
        ------
        ValueError
            If the report has no such column.
        """
        columns = list(getattr(report, "columns", report))
        known = [name for name in columns if name not in ("layer", "network")]
        if distance not in known:
            raise ValueError(
                f"distance={distance!r} is none of the columns {known}; class-wise distances need "
                "y in domain_report."
            )
        plain = distance.removeprefix("classwise_")
        name = _NAMES.get(plain, plain)
        display = cls(
            layer=report["layer"],
            network=report["network"],
            distance=report[distance],
            distance_name=name if plain == distance else f"mean over classes: {name}",
        )
        return display.plot(ax=ax)

    def plot(self, ax: Any = None) -> "Self":
        """Plot a row for each layer, from the inputs downwards to the logits.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        self : LayerDistanceDisplay
            With ``ax_``, ``figure_`` and ``lines_``.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        layers = list(dict.fromkeys(self.layer.tolist()))
        self.ax_ = ax = new_axes(ax, size=(6.4, 1.4 + 0.45 * len(layers)))
        self.figure_, self.lines_ = ax.figure, {}
        for row, layer in enumerate(layers):
            ends = self.distance[self.layer == layer]
            ax.hlines(row, ends.min(), ends.max(), color="0.6", linewidth=1.5, zorder=1)
        for network, style in _STYLES.items():
            chosen = self.network == network
            if chosen.any():
                rows = [layers.index(layer) for layer in self.layer[chosen].tolist()]
                label = _LEGEND[network]
                (self.lines_[network],) = ax.plot(
                    self.distance[chosen],
                    rows,
                    linestyle="none",
                    markeredgewidth=1.8,
                    label=label,
                    zorder=2,
                    **style,
                )
        name_rows(ax, layers)
        ax.set(xlabel=self.distance_name, ylabel="layer")
        ax.margins(x=0.06)
        ax.set_xlim(left=min(ax.get_xlim()[0], -0.04 * ax.get_xlim()[1]))
        if len(self.lines_) > 1:
            legend_beside(ax)
        return self
