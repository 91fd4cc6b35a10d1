"""What is found out about two domains: tables of figures, and the sentences that follow."""

from dataclasses import dataclass
from typing import Any

import numpy as np

_MOST_LINES = 5
# Kinds of shift under which rows of a class look alike in both domains.
_SHARES_CAN_BE_TOLD = ("none", "class shares", "missing classes")


@dataclass(repr=False)
class Diagnosis:
    """How a target differs from the source, which printing shows as text.

    Made by :func:`skda.diagnose`.

    Parameters
    ----------
    kind : str
        ``"none"``, ``"undecided"`` (too few rows), ``"class shares"``, ``"missing classes"``,
        ``"scale or offset"``, ``"missing values"``, ``"novel rows"``, or ``"covariate"``, which
        is any other difference of the rows.

    p_value : float
        How likely such a difference is by chance if the domains do not differ.

    distance, lower, upper : float
        Proxy A-distance in [0, 2], and its interval.

    detectable : float
        Proxy A-distance that tests of so few rows would see half of the time.

    columns : dict of str to ndarray of shape (n_columns,)
        ``"column"``, ``"statistic"`` in [0, 1], ``"p_value"`` (corrected for the number of
        columns), ``"source_missing"`` and ``"target_missing"`` (shares), ``"factor"`` and
        ``"offset"`` (of the affine map that gives numbers of the source the target's mean and
        spread; NaN for categories).

    explanations : dict of str to ndarray of shape (n_explanations,)
        ``"kind"`` of a shift that was undone, and what was left then: ``"distance"``, ``"lower"``,
        ``"upper"`` and ``"p_value"``. The first one is ``"nothing"``.

    classes : dict of str to ndarray of shape (n_classes,), or None
        ``"class"``, ``"source_share"``, ``"target_share"``, ``"lower"``, ``"upper"``, and
        ``"distance"``, the A-distance of rows that are predicted as the class (NaN for few). None
        without labels.

    share_novel : float
        Of target rows that are farther from the source than 99 % of its own.

    novel : ndarray of bool of shape (n_target_samples,)
        Which ones; those that were not drawn are not.

    adaptation : {"likely", "unlikely", "unknown"}
        Whether adaptation is likely to help.

    methods : list of str
        Up to three to try first.

    sentences : list of str
        What printing shows.

    level : float
        Of intervals; 1 - level is the share of false alarms.
    """

    kind: str
    p_value: float
    distance: float
    lower: float
    upper: float
    detectable: float
    columns: dict[str, np.ndarray]
    explanations: dict[str, np.ndarray]
    classes: dict[str, np.ndarray] | None
    share_novel: float
    novel: np.ndarray
    adaptation: str
    methods: list[str]
    sentences: list[str]
    level: float

    def to_frame(self, table: str = "columns") -> Any:
        """Return a table as a data frame.

        Parameters
        ----------
        table : {"columns", "explanations", "classes"}, default="columns"
            Which one.

        Returns
        -------
        frame : pandas.DataFrame
            The most shifted columns come first.

        Raises
        ------
        ImportError
            If pandas is not installed.

        ValueError
            If there is no such table.
        """
        tables = {
            "columns": self.columns,
            "explanations": self.explanations,
            "classes": self.classes,
        }
        if tables.get(table) is None:
            has = [name for name, held in tables.items() if held is not None]
            raise ValueError(f"table must be one of {has}, got {table!r}.")
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                f"pandas is needed and cannot be imported ({error}); install it with: "
                "pip install pandas"
            ) from error
        frame = pd.DataFrame(tables[table])
        if table != "columns":
            return frame
        return frame.sort_values(["p_value", "statistic"], ascending=[True, False], kind="stable")

    def __repr__(self):
        return "\n".join(self.sentences)


def difference_lines(comparison, level, kind, detectable, sizes) -> list[str]:
    """Return whether there is a difference."""
    alpha = 1 - level
    rows = f"{sizes[0]} source and {sizes[1]} target rows"
    interval = f"{comparison.lower:.2f} to {comparison.upper:.2f}"
    lines = [
        f"Proxy A-distance: {comparison.distance:.2f} ({interval} at {level:.0%}; 0 is none, 2 is "
        f"all), of {rows}."
    ]
    if comparison.p_value < alpha:
        lines.append(
            f"The domains differ: p = {comparison.p_value:.2g} < {alpha:.2g}, seen by "
            f"{comparison.seen_by}."
        )
    elif kind == "undecided":
        lines.append(
            f"Too few rows to tell: p = {comparison.p_value:.2g}, but only an A-distance of about "
            f"{detectable:.2f} or more would be seen."
        )
    else:
        lines.append(
            f"No difference is seen: p = {comparison.p_value:.2g}. A-distances of about "
            f"{detectable:.2f} or more would be."
        )
    return lines


def column_lines(columns, alpha, n_left_out) -> list[str]:
    """Return which columns differ."""
    shifted = np.flatnonzero(columns["p_value"] < alpha)
    order = shifted[np.argsort(-columns["statistic"][shifted], kind="stable")]
    n = len(columns["column"])
    more = f"; {n_left_out} with fewer entries were not looked at" if n_left_out else ""
    lines = [f"Columns that differ by themselves: {len(order)} of {n}{more}."]
    for number in order[:_MOST_LINES]:
        missing = columns["source_missing"][number], columns["target_missing"][number]
        line = f"  {columns['column'][number]}: differs in {columns['statistic'][number]:.0%}"
        line += f" (p = {columns['p_value'][number]:.1g})"
        if max(missing) > 0:
            line += f", missing in {missing[0]:.0%} of the source and {missing[1]:.0%} here"
        lines.append(line)
    return lines


def novel_lines(novelty) -> list[str]:
    """Return how many rows are unlike any of the source."""
    here, there = (np.mean(part) for part in (novelty.in_target, novelty.in_source))
    return [
        f"Rows unlike any other of the source: {here:.1%} here, {there:.1%} in the source "
        f"(p = {novelty.p_value:.2g})."
    ]


def class_lines(classes, kind) -> list[str]:
    """Return how shares of classes compare where they can be told, and which classes moved most."""
    if classes is None:
        return ["Shares of classes are not estimated: there are no labels of enough rows."]
    if kind not in _SHARES_CAN_BE_TOLD:
        why = "there are too few rows" if kind == "undecided" else "the shift is of another kind"
        lines = [
            "Shares of classes cannot be told here: every estimate rests on rows of a class that "
            f"look alike in both domains, and {why}."
        ]
    else:
        change = np.abs(classes.shares - classes.source_shares)
        lines = [
            "Shares of classes, if rows of a class look alike in both domains (p = "
            f"{classes.p_value:.2g} of a test against that):"
        ]
        for number in np.argsort(-change, kind="stable")[:_MOST_LINES]:
            lines.append(
                f"  {classes.names[number]!s}: {classes.source_shares[number]:.2f} in the source, "
                f"{classes.shares[number]:.2f} here ({classes.lower[number]:.2f} to "
                f"{classes.upper[number]:.2f})"
            )
    if np.isfinite(classes.distances).any():
        worst = int(np.nanargmax(classes.distances))
        lines.append(
            f"Of rows predicted alike, those of {classes.names[worst]!s} differ most: an "
            f"A-distance of {classes.distances[worst]:.2f}."
        )
    return lines


def explanation_lines(kind, table, classes, alpha) -> list[str]:
    """Return what is left of the difference when each kind is undone, and which kind it is."""
    if kind in ("none", "undecided"):
        return []
    lines = [
        "A-distance that is left when a kind of shift is undone (p-values are of all three tests, "
        "two of which may see what the distance does not):"
    ]
    for row in zip(*(table[key] for key in ("kind", "distance", "p_value")), strict=True):
        lines.append(f"  {row[0]}: {row[1]:.2f} (p = {row[2]:.2g})")
    undone = "class shares" if kind == "missing classes" else kind
    place = np.flatnonzero(table["kind"] == undone)
    if len(place):
        p_value = table["p_value"][place[0]]
        part = "explains the difference" if p_value >= alpha else "explains most of the difference"
        lines.append(f"Kind of shift: {kind}, which {part} (p = {p_value:.2g} is left).")
    else:
        lines.append("Kind of shift: covariate, as no simpler kind explains the difference.")
    if kind == "missing classes":
        for number in np.flatnonzero(classes.missing):
            lines.append(
                f"  {classes.names[number]!s} is missing: at most {classes.upper[number]:.3f} of "
                f"the rows, of {classes.source_shares[number]:.2f} in the source."
            )
    return lines
