"""Figures that say how good estimates of accuracy were, given what came true."""

import itertools

import numpy as np
from scipy.stats import spearmanr

KINDS = ("plain", "adapted", "collapsed", "classic")


def column(records, name):
    return np.array([record[name] for record in records])


def points(records):
    """Return how many points too high every estimate is."""
    return 100 * (column(records, "estimate") - column(records, "truth"))


def rank_correlation(estimates, truths):
    """Spearman's; 0 for an estimate that tells nothing apart."""
    if np.ptp(estimates) == 0 or np.ptp(truths) == 0:
        return 0.0
    return spearmanr(estimates, truths).statistic


def within_tasks(records):
    """Mean rank correlation over the models of a task and random state."""
    groups = {}
    for record in records:
        groups.setdefault((record["task"], record["random_state"]), []).append(record)
    return np.mean(
        [
            rank_correlation(column(group, "estimate"), column(group, "truth"))
            for group in groups.values()
            if len(group) > 2
        ]
    )


def part_of_a_fit(records):
    """Median of its seconds over those of the fit of an adapted network."""
    adapted = [record for record in records if record["kind"] == "adapted"]
    return np.median(column(adapted, "seconds") / column(adapted, "fit_seconds"))


def summary(records):
    """Return figures over the records of one method.

    Absolute error, its spread over random states, bias and width are in points of accuracy.
    """
    errors = points(records)
    lower, truth, upper = (column(records, name) for name in ("lower", "truth", "upper"))
    states = column(records, "random_state")
    has_interval = not np.isnan(lower).any()
    return {
        "n": len(records),
        "mae": np.abs(errors).mean(),
        "mae_spread": np.std([np.abs(errors[states == state]).mean() for state in set(states)]),
        "bias": errors.mean(),
        "worst": np.abs(errors).max(),
        "coverage": np.mean((lower <= truth) & (truth <= upper)) if has_interval else np.nan,
        "width": 100 * np.mean(upper - lower) if has_interval else np.nan,
        "rank": rank_correlation(column(records, "estimate"), truth),
        "rank_within": within_tasks(records),
        "cost": part_of_a_fit(records),
        **{f"mae_{kind}": np.abs(errors[column(records, "kind") == kind]).mean() for kind in KINDS},
    }


def bound_summary(records):
    """How often the accuracy was not below the bound, overall and where its assumption holds.

    The assumption, with the labels: the critic disagrees with the model on the target more than
    on the source by at least as much as the true labels do (Rosenfeld and Garg 2023, section 3).
    """
    held = column(records, "truth") >= column(records, "lower")
    lost = column(records, "source_accuracy") - column(records, "truth")
    assumed = column(records, "discrepancy") >= lost
    slack = 100 * (column(records, "truth") - column(records, "lower"))
    return {
        "n": len(records),
        "held": held.mean(),
        "assumption": assumed.mean(),
        "held_if_assumed": held[assumed].mean() if assumed.any() else np.nan,
        "slack": np.median(slack),
        "vacuous": np.mean(column(records, "lower") <= 0),
        **{f"held_{kind}": held[column(records, "kind") == kind].mean() for kind in KINDS},
    }


# -- combinations --------------------------------------------------------------------------------

JOIN = {"mean": np.mean, "median": np.median, "least": np.min}


def combinations(methods):
    """Return (name, function, methods) of two to four of them."""
    for size in (2, 3, 4):
        for chosen in itertools.combinations(methods, size):
            for name, function in JOIN.items():
                if name != "median" or size > 2:  # of two it is the mean
                    yield f"{name} of {', '.join(chosen)}", function, chosen


def combined(by_method, function, chosen):
    """Return records whose estimate joins those of several methods for the same model."""
    joined = []
    for parts in zip(*(by_method[method] for method in chosen), strict=True):
        estimate = function([part["estimate"] for part in parts])
        seconds = sum(part["seconds"] for part in parts)
        own = {"estimate": estimate, "lower": np.nan, "upper": np.nan, "seconds": seconds}
        joined.append({**parts[0], **own})
    return joined


def best_combination(by_method, methods):
    """Return (name, function, methods) with the least mean absolute error."""

    def error(combination):
        return np.abs(points(combined(by_method, *combination[1:]))).mean()

    return min(combinations(methods), key=error)
