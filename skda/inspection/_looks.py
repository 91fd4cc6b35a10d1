"""What all displays look like: colours, markers, panels and legends."""

from typing import Any

import numpy as np

from skda._optional import import_optional

# Okabe and Ito, for people who confuse colours, but for yellow, which a projector loses.
BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#56B4E9",
    "#CC79A7",
)
GREY = "#6E6E6E"
COLORS = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, "black")
MARKERS = ("o", "^", "s", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)))
# M. Petroff, Accessible Color Sequences for Data Visualization, 2021.
_TEN = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)


def new_axes(ax: Any = None, *, size: tuple[float, float] = (6.4, 4.2)) -> Any:
    """Return axes to plot into; those of a new figure leave room for what stands beside them."""
    if ax is not None:
        return ax
    plt = import_optional("matplotlib.pyplot", "examples")
    return plt.subplots(figsize=size, layout="constrained")[1]


def new_panels(ax: Any, n: int, *, n_columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    """Return the axes that bound panels, and the panels.

    Parameters
    ----------
    ax : Axes, array of Axes or None
        Axes are filled with the panels, an array holds them, None makes a new figure.

    n : int
        Number of panels.

    n_columns : int
        The most that stand side by side.

    size : tuple of float
        Width and height of a panel of a new figure, in inches.

    Returns
    -------
    bounds : Axes or None
        None where the panels were given.

    panels : ndarray of Axes of shape (n,)
        In reading order.
    """
    if isinstance(ax, np.ndarray | list | tuple):
        panels = np.ravel(np.asarray(ax, dtype=object))
        if len(panels) != n:
            raise ValueError(
                f"ax holds {len(panels)} axes, but there are {n} panels; give one for each, single "
                "axes for all of them, or None."
            )
        return None, panels
    n_columns = min(n, n_columns)
    n_rows = -(-n // n_columns)
    ax = new_axes(ax, size=(size[0] * n_columns, size[1] * n_rows))
    if ax.get_subplotspec() is None:
        raise ValueError(
            "ax has no place in a grid, which panels could share; make it with "
            "matplotlib.pyplot.subplots, or give an array of axes."
        )
    ax.set_axis_off()
    grid = ax.get_subplotspec().subgridspec(n_rows, n_columns)
    return ax, np.array([ax.figure.add_subplot(grid[k]) for k in range(n)], dtype=object)


def class_colors(n_classes: int) -> Any:
    """Return a colour for each class; with many of them they are shades, and need names."""
    if n_classes < len(COLORS):
        return COLORS[:n_classes]
    if n_classes <= len(_TEN):
        return _TEN[:n_classes]
    colormaps = import_optional("matplotlib", "examples").colormaps
    return colormaps["viridis"](np.linspace(0, 0.95, n_classes))


def legend_beside(ax: Any, handles: Any = None, **options: Any) -> Any:
    """Put a legend to the right of axes, where it covers nothing."""
    place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1), "borderaxespad": 0, "frameon": False}
    chosen = {} if handles is None else {"handles": handles}
    return ax.legend(**chosen, **place, **options)


def name_rows(ax: Any, names: Any) -> None:
    """Let the vertical axis have a name for each row, from above."""
    ax.set_yticks(np.arange(len(names)), [str(name) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(axis="x", color="0.9")
    ax.set_axisbelow(True)
