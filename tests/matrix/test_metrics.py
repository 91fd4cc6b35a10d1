"""Distances of domains and transferability scores against tables and labels of every kind."""

from functools import cache

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from skda import metrics
from skda.adaptation import DANNClassifier

from ._judge import SHARE, Kind, Subject, bad_cells
from ._kinds import LABELS, NUMBERS, TABLES, labels, rows

WORDS = [*NUMBERS, Kind("another word", lambda good: "no such word", False, True)]
SEQUENCES = [
    *NUMBERS,
    Kind("of texts", lambda good: ["a", "b"], False, True),
    Kind("of NaN", lambda good: [1.0, float("nan")], False, True),
    Kind("of minus one", lambda good: [1.0, -1.0], False, True),
    Kind("of lists", lambda good: [[1.0], [2.0]], False, True),
]
TARGETS = [
    *TABLES,
    Kind("tuple of two", lambda good: (good, good)),
    Kind("tuple of other widths", lambda good: (good, good[:, 1:]), False, True),
    Kind("tuple of None", lambda good: (None,), False, True),
    Kind("tuple of None and a table", lambda good: (good, None), False, True),
    Kind("tuple of numbers", lambda good: (1, 2), False, True),
    Kind("tuple of one row each", lambda good: tuple(row[None] for row in good)),
    Kind("tuple with an empty one", lambda good: (good, good[:0]), False, True),
]
ESTIMATORS = [
    *NUMBERS,
    Kind("a class", lambda good: LogisticRegression, False, True),
    Kind("a transformer", lambda good: StandardScaler(), False, True),
]
PROBABILITIES = [
    *TABLES,
    Kind("negative", lambda good: good - 0.5, False, True),
    Kind("logits", lambda good: good * 7, False, True),
]


def subject(name, arguments, kinds, call=None, **options):
    """Return the subject of a metric."""
    return Subject(name, call or getattr(metrics, name), arguments, kinds, **options)


def two_domains(**more):
    """Arguments of a distance."""
    return lambda: {"X": rows(14), "X_target": rows(12, seed=1) + 0.5, **more}


def task(**more):
    """Arguments of a score."""
    return lambda: {"X": rows(18) + np.eye(4)[labels(18)], "y": labels(18), **more}


@cache
def network():
    """Return a fitted network for rows of four columns."""
    clf = DANNClassifier(max_epochs=1, random_state=0, device="cpu")
    return clf.fit(rows(18), labels(18), X_target=rows(12, seed=1))


@cache
def plain_classifier():
    """Return a fitted classifier of scikit-learn for rows of four columns."""
    return LogisticRegression().fit(rows(18) + np.eye(4)[labels(18)], labels(18))


def candidates():
    """Return transformers to choose from."""
    return {"components": PCA(2), "columns": StandardScaler()}


def shares(n):
    """Return probabilities that half precision holds exactly."""
    return np.eye(4)[labels(n)] * 0.5 + 0.125


DISTANCE = {"X": TABLES, "X_target": TARGETS}
KERNEL = {"bandwidth": WORDS, "multipliers": SEQUENCES}
SCORE = {"X": TABLES, "y": LABELS}
SUBJECTS = [
    subject("mmd", two_domains(), {**DISTANCE, **KERNEL, "estimator": WORDS}),
    subject(
        "mmd_permutation_test",
        two_domains(n_permutations=9, random_state=0),
        {
            **DISTANCE,
            **KERNEL,
            "n_permutations": [kind for kind in NUMBERS if kind.name not in ("1e300", "10**400")],
            "random_state": NUMBERS,
        },
    ),
    subject("coral_distance", two_domains(), DISTANCE),
    subject(
        "proxy_a_distance",
        two_domains(random_state=0),
        {**DISTANCE, "estimator": ESTIMATORS, "cv": NUMBERS, "random_state": NUMBERS},
    ),
    subject(
        "classwise_discrepancy",
        two_domains(y=labels(14), y_target=labels(12)),
        {**DISTANCE, "y": LABELS, "y_target": LABELS, "discrepancy": ESTIMATORS},
        call=lambda **arguments: metrics.classwise_discrepancy(**arguments).mean,
    ),
    subject(
        "domain_report",
        lambda: {
            "estimator": network(),
            "X": rows(18),
            "X_target": rows(12, seed=1),
            "y": labels(18),
            "y_target": labels(12),
            "layers": ["features"],
            "random_state": 0,
        },
        {
            **DISTANCE,
            "y": LABELS,
            "y_target": LABELS,
            "estimator": ESTIMATORS,
            "reference": ESTIMATORS,
            "layers": SEQUENCES,
            "random_state": NUMBERS,
        },
        call=lambda **arguments: metrics.domain_report(**arguments).columns,
        twice=False,
    ),
    subject(
        "class_shares",
        lambda: {
            "estimator": plain_classifier(),
            **task()(),
            "X_target": rows(12, seed=1),
            "n_bootstraps": 5,
            "random_state": 0,
        },
        {
            **SCORE,
            "X_target": TARGETS,
            "estimator": ESTIMATORS,
            "method": WORDS,
            "level": NUMBERS,
            "n_bootstraps": [kind for kind in NUMBERS if kind.name not in ("1e300", "10**400")],
            "random_state": NUMBERS,
        },
        call=lambda **arguments: metrics.class_shares(**arguments).shares,
    ),
    subject(
        "estimate_target_accuracy",
        lambda: {
            "estimator": plain_classifier(),
            **task()(),
            "X_target": rows(12, seed=1),
            "method": "doc",  # the cheapest
            "n_bootstraps": 5,
            "random_state": 0,
        },
        {
            **SCORE,
            "X_target": TARGETS,
            "estimator": ESTIMATORS,
            "method": WORDS,
            "metric": WORDS,
            "level": NUMBERS,
            "n_bootstraps": [kind for kind in NUMBERS if kind.name not in ("1e300", "10**400")],
            "random_state": NUMBERS,
        },
        call=lambda **arguments: metrics.estimate_target_accuracy(**arguments).estimate,
    ),
    subject(
        "disagreement_bound",
        lambda: {
            "estimator": plain_classifier(),
            **task()(),
            "X_target": rows(12, seed=1),
            "random_state": 0,
        },
        {**SCORE, "X_target": TARGETS, "estimator": ESTIMATORS, "level": NUMBERS},
        call=lambda **arguments: metrics.disagreement_bound(**arguments).without_noise,
    ),
    subject(
        "target_reliability",
        lambda: {"target_probabilities": shares(18), "accuracy": 0.6},
        {"target_probabilities": PROBABILITIES, "accuracy": NUMBERS, "n_bins": NUMBERS},
        call=lambda **arguments: metrics.target_reliability(**arguments).accuracy,
    ),
    subject("h_score", task(), {**SCORE, "shrinkage": WORDS}),
    subject("logme_score", task(), SCORE),
    subject("transrate_score", task(), {**SCORE, "distortion": NUMBERS}),
    subject(
        "n_leep_score",
        task(random_state=0),
        {**SCORE, "n_components": NUMBERS, "random_state": NUMBERS},
    ),
    subject(
        "leep_score",
        lambda: {"probabilities": shares(18), "y": labels(18)},
        {"probabilities": PROBABILITIES, "y": LABELS},
    ),
    subject(
        "nce_score",
        lambda: {"y_source": labels(18, 4), "y": labels(18)},
        {"y_source": LABELS, "y": LABELS},
    ),
    subject(
        "select_backbone",
        task(candidates=candidates(), scoring=["logme", "n_leep"], random_state=0),
        {
            **SCORE,
            "candidates": [
                *ESTIMATORS,
                Kind("list", lambda good: list(good.values()), True),
                Kind("of None", lambda good: {"a": None}, False, True),
                Kind("of a class", lambda good: [PCA], False, True),
                Kind("not fitted", lambda good: [LogisticRegression()], False, True),
            ],
            "scoring": [*WORDS, Kind("twice", lambda good: ["logme", "logme"], False, True)],
            "random_state": NUMBERS,
        },
        call=lambda **arguments: metrics.select_backbone(**arguments).scores,
        twice=False,
    ),
]


def test_every_metric_is_here():
    classes = {"DomainReport", "DriftMonitor", "DriftReport"}
    assert {subject.name for subject in SUBJECTS} == set(metrics.__all__) - classes


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_cells_are_right_or_clear_errors(subject):
    bad = bad_cells(subject, SHARE)
    assert not bad, "\n" + "\n".join(bad)


@pytest.mark.exhaustive
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_every_cell_is_right_or_a_clear_error(subject):
    bad = bad_cells(subject)
    assert not bad, "\n" + "\n".join(bad)
