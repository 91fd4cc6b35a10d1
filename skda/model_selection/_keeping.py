"""The rule by which an adaptation is kept."""

import numpy as np
from sklearn.utils import Bunch

# Of accuracy on held-out source rows that an adaptation may lose against the fallback: more shows
# that it forgot the task, whatever its predictions for the target look like. With 0.05 adaptations
# that were up to 20 points better on the target were refused in the study.
MAX_SOURCE_LOSS = 0.2
# Of the accuracy by agreement with simple classifiers: a collapse is smooth and comes back, and
# they disagree with it. With 0.1 the study's tuning half had the least regret, whatever the weights
# of the views; with 0.05 they refused what a forest, which is such a judge itself, is worse than.
_MAX_JUDGED_LOSS = 0.1
# Part of the classes that predictions are spread over in effect, below which a choice is doubted. A
# network of untrained features that had 1.4 of 4 was estimated at 75 %, and had 43.
_FEW_CLASSES = 0.5


def choose(fits: list[Bunch], margin: float) -> tuple[str, str]:
    """Return the name of what is kept, and why.

    An adaptation can be kept if its training did not diverge, its predictions for the target did
    not collapse, its accuracy on held-out source rows is at most 0.2 below the fallback's, its
    judges put it at most 0.1 below the fallback, and its advantage is more than the margin. Of
    those that can, the one with the greatest advantage is kept; the fallback where none can.

    Parameters
    ----------
    fits : list of Bunch
        The fallback and the adaptations, after :func:`judge`.

    margin : float
        The least advantage.

    Returns
    -------
    kept, reason : str
        A name, and a sentence.
    """
    fallback, *adapted = fits
    for part in adapted:
        part.objection = _objection(part, fallback, margin)
    good = [part for part in adapted if part.objection is None]
    if not good:
        told = "; ".join(f"{part.name!r} {part.objection}" for part in adapted)
        return fallback.name, f"{told}."
    best = max(good, key=lambda part: part.advantage)
    others = "" if len(good) == 1 else f", and the greatest of {len(good)} that are"
    return best.name, (
        f"its advantage over the fallback is {best.advantage:+.3f}, more than the margin of "
        f"{margin:.3f}{others}; its gain may be from {best.advantage_lower:+.3f} to "
        f"{best.advantage_upper:+.3f}, as far as such advantages have been off."
        f"{_caution(best, margin)}"
    )


def _caution(part, margin):
    """Return what makes a choice doubtful, with a blank before it, or nothing."""
    doubts = []
    if part.advantage - part.advantage_noise <= margin:
        doubts.append(
            f"with other rows of these domains it may be {part.advantage_noise:.3f} less, so that "
            "the choice may be chance"
        )
    if part.n_classes < _FEW_CLASSES * len(part.shares):
        doubts.append(
            f"its predictions for the target are spread over {part.n_classes:.1f} of "
            f"{len(part.shares)} classes in effect, and no figure of such a model is to be trusted"
        )
    return f" But {'; and '.join(doubts)}." if doubts else ""


def _objection(part, fallback, margin):
    """Return why an adaptation cannot be kept, or None."""
    if part.error is not None:
        return "diverged"
    if part.collapsed:
        return (
            f"predicts {part.n_classes:.1f} classes in effect for the target, the fallback "
            f"{fallback.n_classes:.1f}: it collapsed"
        )
    if part.source_score < fallback.source_score - MAX_SOURCE_LOSS:
        return (
            f"is right for {part.source_score:.3f} of held-out source rows, the fallback for "
            f"{fallback.source_score:.3f}: it forgot the task"
        )
    judges = (part.get("views") or {}).get("judges", 0.0)
    if judges < -_MAX_JUDGED_LOSS:
        return (
            f"is put {-judges:.3f} below the fallback by its agreement with simple classifiers of "
            "the source"
        )
    if not part.advantage > margin or np.isnan(part.advantage):
        return (
            f"has an advantage of {part.advantage:+.3f} over the fallback, which is not more than "
            f"the margin of {margin:.3f}"
        )
    return None
