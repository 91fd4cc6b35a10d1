"""Scorers and splitters of model selection against tables, labels and domains of every kind."""

from functools import cache

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skda import model_selection

from ._judge import SHARE, Kind, Subject, bad_cells
from ._kinds import DOMAINS, LABELS, NUMBERS, TABLES, domains, labels, rows
from .test_metrics import ESTIMATORS, TARGETS, WORDS

SCORERS = [name for name in model_selection.__all__ if name.endswith("Scorer")]
SPLITTERS = sorted(name for name in model_selection.__all__ if "Split" in name)
# Only these look at the source rows, and at their labels.
NEED_SOURCE = {
    "DeepEmbeddedValidationScorer",
    "ImportanceWeightedScorer",
    "ReverseValidationScorer",
}
PRIORS = [
    *NUMBERS,
    Kind("ones", lambda good: [1, 1, 1]),
    Kind("zeros", lambda good: [0, 0, 0], False, True),
    Kind("negative", lambda good: [1, -1, 1], False, True),
    Kind("NaN in a list", lambda good: [1, 1, float("nan")], False, True),
    Kind("inf in a list", lambda good: [1, 1, float("inf")], False, True),
    Kind("texts", lambda good: ["a", "b", "c"], False, True),
    Kind("one too many", lambda good: [1, 1, 1, 1], False, True),
    Kind("table", lambda good: [[1, 1, 1]], False, True),
]
SETTINGS = {
    "SoftNeighborhoodDensityScorer": {"temperature": NUMBERS},
    "ClassCorrelationScorer": {"prior": PRIORS},
    "MixValScorer": {"alpha": NUMBERS, "random_state": NUMBERS},
    "ImportanceWeightedScorer": {
        "loss": WORDS,
        "representation": WORDS,
        "domain_classifier": ESTIMATORS,
        "n_splits": NUMBERS,
    },
    "DeepEmbeddedValidationScorer": {
        "loss": WORDS,
        "domain_classifier": ESTIMATORS,
        "n_splits": NUMBERS,
    },
    "TargetAccuracyScorer": {"y_target": LABELS},
}
WRONG_LENGTHS = ("one too many", "one too few", "0 rows")
# Where every setting is one of the splitter; shares of rows beside.
SPLITS = {
    "SourceSplit": {"cv": NUMBERS},
    "StratifiedDomainShuffleSplit": {
        "n_splits": [kind for kind in NUMBERS if kind.name not in ("1e300", "10**400")],
        "test_size": NUMBERS,
        "target_test_size": NUMBERS,
        "random_state": NUMBERS,
    },
}


@cache
def classifier():
    """Return a fitted pipeline for rows of four columns."""
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(*source())


def source():
    """Return source rows that tell their class, and labels."""
    return rows(18) + 2 * np.eye(4)[labels(18)], labels(18)


def target():
    """Return target rows that tell their class."""
    return rows(12, seed=1) + 2 * np.eye(4)[labels(12)]


def score(name, settings):
    """Return a function that makes a scorer of some arguments and gives it the others."""

    def call(estimator, X, y, X_target, **given):
        scorer = getattr(model_selection, name)(
            **{key: given[key] for key in settings if key in given}
        )
        return scorer(estimator, X, y, X_target=X_target)

    return call


def _scorer(name):
    settings = SETTINGS.get(name, {})

    def arguments():
        X, y = source()
        given = {"estimator": classifier(), "X": X, "y": y, "X_target": target()}
        return {**given, "y_target": labels(12)} if "y_target" in settings else given

    kinds = {"estimator": ESTIMATORS, "X_target": TARGETS, **settings}
    if name in NEED_SOURCE:
        kinds |= {"X": TABLES, "y": LABELS}
    return Subject(name, score(name, settings), arguments, kinds)


def _stacked(name):
    def arguments():
        X, y = source()
        given = {"estimator": classifier(), "X": np.vstack([X, target()])}
        return {**given, "y": np.append(y, labels(12)), "sample_domain": domains(18, 12)}

    y_kinds = (
        LABELS
        if name in NEED_SOURCE
        else [
            # What is not looked at may be anything of this length.
            kind._replace(refused=kind.refused and kind.name in WRONG_LENGTHS)
            for kind in LABELS
        ]
    )
    kinds = {"sample_domain": DOMAINS, "X": TABLES, "y": y_kinds}
    scorer = getattr(model_selection, name)()
    aliases = {"sample_domain": ("X_target",)}
    return Subject(f"{name}, stacked", scorer.score, arguments, kinds, aliases=aliases)


def _splitter(name):
    settings = SPLITS[name]

    def call(X, y, sample_domain, **given):
        splitter = getattr(model_selection, name)(**given)
        splits = splitter.split(X, y, sample_domain=sample_domain)
        return [(list(train), list(test)) for train, test in splits]

    def arguments():
        given = {"cv": 2} if name == "SourceSplit" else {"random_state": 0, "test_size": 0.25}
        given |= {"y": labels(18), "sample_domain": domains(12, 6)}
        return {"X": np.zeros((18, 2)), **given}

    y_kinds = [kind for kind in LABELS if kind.name != "every row a class"]
    kinds = {"sample_domain": DOMAINS, "y": y_kinds, "X": ANY_ROWS, **settings}
    return Subject(name, call, arguments, kinds)


# A splitter counts rows, whatever they are.
ANY_ROWS = [kind._replace(refused=False) for kind in TABLES] + [
    Kind("one row more", lambda good: np.zeros((19, 2)), False, True)
]
SUBJECTS = [
    *map(_scorer, SCORERS),
    _stacked("TargetEntropyScorer"),
    _stacked("ReverseValidationScorer"),
    *map(_splitter, SPLITTERS),
]


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_cells_are_right_or_clear_errors(subject):
    bad = bad_cells(subject, SHARE)
    assert not bad, "\n" + "\n".join(bad)


@pytest.mark.exhaustive
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_every_cell_is_right_or_a_clear_error(subject):
    bad = bad_cells(subject)
    assert not bad, "\n" + "\n".join(bad)
