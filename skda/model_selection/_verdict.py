"""What a guard has found, as a table and in words."""

from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skda._checks import count_rows
from skda.model_selection._candidates import FALLBACK
from skda.model_selection._keeping import choose

# What of a part is a figure; the others are estimators and rows.
_FIGURES = (
    "name",
    "model",
    "estimate",
    "lower",
    "upper",
    "bound",
    "source_score",
    "agreement",
    "advantage",
    "advantage_lower",
    "advantage_upper",
    "advantage_noise",
    "views",
    "objection",
    "shares",
    "n_classes",
    "collapsed",
    "health",
    "distances",
    "warnings",
    "error",
    "seconds",
)
_COLUMNS = {
    "accuracy": lambda part: _share(part.estimate),
    "interval": lambda part: _interval(part.lower, part.upper),
    "bound": lambda part: _share(part.bound),
    "source": lambda part: _share(part.source_score),
    "agreement": lambda part: _share(part.agreement),
    "advantage": lambda part: _signed(part.advantage),
    "classes": lambda part: "" if part.n_classes is None else f"{part.n_classes:.1f}",
}


class AdaptationVerdict(Bunch):
    """What :class:`AdaptationGuard` has found; printing shows a table.

    Parameters
    ----------
    **entries : objects
        By name:

        kept : str
            Name of what is kept.
        reason : str
            Why, in one or two sentences.
        candidates : list of Bunch
            The fallback and the adaptations, in this order, with ``name``; ``model``, what it is
            and whether it was fitted with the target; ``estimate``,
            ``lower`` and ``upper``, the estimated accuracy on the target and its interval;
            ``bound``, below which it is not by the disagreement bound; ``source_score``, the
            accuracy on held-out source rows; ``agreement``, the share of target rows for which
            the fallback predicts the same; ``advantage``, ``advantage_lower`` and
            ``advantage_upper``, the paired difference to the fallback that decides,
            ``advantage_noise``, how much of its interval to either side is chance in the rows,
            and ``views``, a dict of what it is made of; ``objection``, why it cannot be kept,
            None if it can; ``shares``, those of the classes among the predictions for the target,
            ``n_classes``, their effective number, and
            ``collapsed``, whether that is far too small; ``health``, a dict of figures of the
            last epoch of training; ``distances`` between the domains at the last layers of a
            network; ``warnings`` and ``error`` of its fit, and its ``seconds``. What does not
            apply is None.
        method, level, margin : str, float, float
            Of the guard.
        classes, source_shares : ndarrays of shape (n_classes,)
            The classes, and their shares among the held-out rows.
        n_held_out : int
            Number of these.
        n_target : tuple of int
            Number of rows of every target.
    """

    def __repr__(self):
        rows = [["", *_COLUMNS]]
        for part in self.candidates:
            mark = "> " if part.name == self.kept else "  "
            cells = [""] * len(_COLUMNS)
            if part.error is None:
                cells = [cell(part) for cell in _COLUMNS.values()]
            rows.append([mark + part.name, *cells])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = []
        for name, *cells in rows:
            padded = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
            lines.append("  ".join([name.ljust(widths[0]), *padded]).rstrip())
        return "\n".join([*lines, f"Kept {self.kept!r}: {self.reason}"])

    # A Bunch prints as a dict, and this one as a table everywhere.
    __str__ = __repr__

    def report(self) -> str:
        """Return the table, and what it rests on, in words.

        Returns
        -------
        text : str
            Of several lines.
        """
        if not self.n_target:
            return repr(self)
        lines = [repr(self), "", self._explained()]
        for part in self.candidates:
            lines += ["", f"{part.name}:", *(f"  {line}" for line in self._told(part))]
        return "\n".join(lines)

    def to_frame(self) -> Any:
        """Return the figures of the table as a data frame.

        Returns
        -------
        frame : pandas.DataFrame
            With a row for the fallback and for every adaptation.
        """
        import pandas as pd

        names = [name for name in _FIGURES if name not in ("views", "shares", "health")]
        rows = [
            {name: part.get(name) for name in names if name != "distances"}
            for part in self.candidates
        ]
        return pd.DataFrame(rows).assign(kept=[part.name == self.kept for part in self.candidates])

    def _explained(self):
        n_target = " + ".join(map(str, self.n_target))
        return (
            f"Judged by {self.n_held_out} held-out source rows and {n_target} target rows without "
            f"labels. Accuracies are estimated by {self.method!r}, with intervals of "
            f"{self.level:.0%}; advantages are paired differences to the fallback, whose "
            f"intervals are as wide as they have been off elsewhere; the margin is "
            f"{self.margin:.3f}.\n"
            "accuracy: estimated on the target; bound: what it is hardly below; source: on the "
            "held-out rows; agreement: with the fallback's predictions; advantage: half of "
            "smoothness (neighbours in the target are given one class), a quarter of way back (a "
            "forest that learns the target with these predictions is right on the source) and of "
            "judges (accuracy by agreement with simple classifiers of the held-out rows); classes: "
            "how many the predictions are spread over in effect."
        )

    def _told(self, part):
        """Yield what is known of a part beside the table."""
        if part.model:
            yield part.model
        if part.error is not None:
            yield f"diverged, and cannot be kept: {part.error}"
            return
        if part.views:
            told = ", ".join(f"{name} {value:+.3f}" for name, value in part.views.items())
            yield f"seen against the fallback by {told}"
        shares = zip(self.classes.tolist(), part.shares, self.source_shares, strict=True)
        # The ten that differ most say it for any number of classes.
        told = sorted(shares, key=lambda entry: -abs(entry[1] - entry[2]))[:10]
        yield "predicted shares, and those of the source: " + ", ".join(
            f"{label!r} {share:.2f} ({source:.2f})" for label, share, source in told
        )
        if part.collapsed:
            yield (
                f"its predictions collapsed: they are spread over {part.n_classes:.1f} classes in "
                "effect"
            )
        if part.health:
            told = ", ".join(f"{name} {value:.3g}" for name, value in part.health.items())
            yield f"last epoch of training: {told}"
        if part.distances is not None:
            yield "distances between the domains:"
            yield from (f"  {line}" for line in repr(part.distances).splitlines())
        yield from (f"warned: {message}" for message in part.warnings)
        yield f"fitted in {part.seconds:.1f} s"


def figures_of(part: Bunch) -> Bunch:
    """Return the figures of a part, None for what it has not."""
    return Bunch(**{name: part.get(name) for name in _FIGURES})


def verdict_of(
    fits: list[Bunch], codes: np.ndarray, targets: tuple[Any, ...], guard: Any
) -> AdaptationVerdict:
    """Return what is kept, and why.

    Parameters
    ----------
    fits : list of Bunch
        The fallback and the adaptations, after :func:`judge`.

    codes : ndarray of int of shape (n_samples,)
        Class numbers of the held-out rows.

    targets : tuple of array-likes
        Rows of the target domains.

    guard : AdaptationGuard
        With its parameters.

    Returns
    -------
    verdict : AdaptationVerdict
        With all figures.
    """
    kept, reason = choose(fits, guard.margin)
    classes = np.asarray(fits[0].estimator.classes_)
    return AdaptationVerdict(
        kept=kept,
        reason=reason,
        candidates=[figures_of(part) for part in fits],
        method=guard.method,
        level=guard.level,
        margin=guard.margin,
        classes=classes,
        source_shares=np.bincount(codes, minlength=len(classes)) / len(codes),
        n_held_out=len(codes),
        n_target=tuple(count_rows(rows, "X_target") for rows in targets),
    )


def verdict_without_target(fallback: Bunch) -> AdaptationVerdict:
    """Return the verdict where there is nothing to adapt to.

    Parameters
    ----------
    fallback : Bunch
        The fitted part.

    Returns
    -------
    verdict : AdaptationVerdict
        Without figures.
    """
    return AdaptationVerdict(
        kept=FALLBACK,
        reason="there is no target to adapt to, or to judge by.",
        candidates=[figures_of(fallback)],
        n_held_out=0,
        n_target=(),
        classes=np.asarray(fallback.estimator.classes_),
    )


def _share(value):
    return "" if value is None else f"{value:.3f}"


def _signed(value):
    return "" if value is None else f"{value:+.3f}"


def _interval(lower, upper):
    return "" if lower is None else f"{lower:.2f}-{upper:.2f}"
