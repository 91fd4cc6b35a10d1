"""Whether adaptation will help, and what to try first, by the kind of shift."""

from typing import NamedTuple

# A classifier that is less sure of the target by as much is likely to err there.
_LESS_SURE = 0.02
# A classifier that is hardly better than the most frequent class has nothing to transfer.
_LEAST_GAIN = 0.05

_CLASS_SHARES = [
    ("skda.label_shift.PriorShiftClassifier", "it predicts by the target's shares, untrained anew"),
    (
        "skda.adaptation.MCCClassifier",
        "it makes the classes of the target distinct",
    ),
    ("skda.adaptation.CDANClassifier", "it aligns class by class, not all rows with all rows"),
]
_MISSING_CLASSES = [
    ("skda.label_shift.PriorShiftClassifier", "it takes the missing classes out of predictions"),
    ("skda.adaptation.SANClassifier", "it is made for targets that lack classes of the source"),
    ("skda.adaptation.AFNClassifier", "it aligns sizes of features, and no class with another"),
]
_AFFINE = [
    ("skda.adaptation.AdaBNClassifier", "statistics of the target undo what an affine map did"),
    ("skda.subspace.CORAL", "it gives the source the target's covariance, with any classifier"),
    ("skda.adaptation.DeepCORALClassifier", "it does so for the features of a network"),
]
_COVARIATE = [
    ("skda.adaptation.CDANClassifier", "it aligns features and predictions together"),
    ("skda.adaptation.DSANClassifier", "it aligns the features class by class"),
    ("skda.adaptation.MCCClassifier", "it makes the classes of the target distinct"),
]
METHODS = {
    "none": [],
    "undecided": [],
    "missing values": [],
    "class shares": _CLASS_SHARES,
    "missing classes": _MISSING_CLASSES,
    "scale or offset": _AFFINE,
    "novel rows": [
        ("skda.adaptation.MCCClassifier", "it makes the classes of the target distinct"),
        ("skda.adaptation.AFNClassifier", "it aligns sizes of features, and no row with another"),
        ("skda.label_shift.PriorShiftClassifier", "it is as the source, but for the shares"),
    ],
    "covariate": _COVARIATE,
}


class Advice(NamedTuple):
    """Whether adaptation is likely to help.

    Parameters
    ----------
    verdict : {"likely", "unlikely", "unknown"}
        Whether it is.

    reason : str
        A sentence with the figure that it follows from.
    """

    verdict: str
    reason: str


def advise(kind: str, p_value: float, detectable: float, classes, share_novel: float) -> Advice:
    """Return whether adaptation is likely to help, with the reason.

    Parameters
    ----------
    kind : str
        Of the shift.

    p_value : float
        That the domains are alike.

    detectable : float
        The A-distance that would be seen.

    classes : Classes or None
        Of the source.

    share_novel : float
        Of the target rows.
    """
    if kind == "undecided":
        why = f"differences below an A-distance of about {detectable:.2f} would not be seen"
        return Advice("unknown", f"{why}; gather more rows.")
    if kind == "none":
        return Advice("unlikely", f"there is no difference to take away (p = {p_value:.2g}).")
    if kind == "missing values":
        return Advice(
            "unlikely",
            "with as many missing values in both domains they are alike; fill them in both alike, "
            "or train with values left out at random.",
        )
    if kind == "novel rows":
        return Advice(
            "unlikely",
            f"{share_novel:.0%} of the target rows are unlike any of the source; look at them "
            "first, no method labels what the source does not know.",
        )
    if classes is None:
        return Advice("unknown", "there are no predictions of classes that could show a loss.")
    if classes.accuracy < classes.chance + _LEAST_GAIN:
        return Advice(
            "unlikely",
            f"on held-out source rows the classifier is right in {classes.accuracy:.0%}, and "
            f"{classes.chance:.0%} are of one class: there is little to carry over.",
        )
    drop = classes.source_confidence - classes.target_confidence
    sure = f"{classes.source_confidence:.2f} on the source, {classes.target_confidence:.2f} here"
    if kind in ("class shares", "missing classes"):
        change = abs(classes.shares - classes.source_shares).sum() / 2
        return Advice(
            "likely", f"{change:.0%} of the shares have moved, and predictions can follow them."
        )
    if drop >= _LESS_SURE:
        return Advice("likely", f"the classifier is less sure of the target ({sure}).")
    return Advice("unknown", f"the classifier is as sure of the target as of the source ({sure}).")
