"""What holds for every scorer."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

import skda.model_selection
from skda import stack_domains
from skda.model_selection import (
    BatchNuclearNormScorer,
    ClassCorrelationScorer,
    InformationMaximizationScorer,
    SoftNeighborhoodDensityScorer,
    TargetAccuracyScorer,
    TargetEntropyScorer,
)

SCORERS = [
    vars(skda.model_selection)[name]()
    for name in skda.model_selection.__all__
    if name.endswith("Scorer") and name != "TargetAccuracyScorer"
]


@pytest.mark.parametrize("scorer", SCORERS, ids=str)
def test_missing_target_names_the_remedy(scorer, few):
    with pytest.raises(ValueError, match=f"{type(scorer).__name__} .*enable_metadata_routing"):
        scorer(None, few["X"], few["y"])


@pytest.mark.parametrize(
    "cls",
    [
        BatchNuclearNormScorer,
        ClassCorrelationScorer,
        InformationMaximizationScorer,
        SoftNeighborhoodDensityScorer,
        TargetEntropyScorer,
    ],
)
def test_estimator_without_probabilities(cls, few):
    clf = LinearSVC().fit(few["X"], few["y"])
    with pytest.raises(TypeError, match="LinearSVC has no predict_proba"):
        cls()(clf, None, X_target=few["X_target"])


@pytest.mark.parametrize("scorer", SCORERS, ids=str)
def test_it_is_a_number_and_deterministic(scorer, few):
    clf = LogisticRegression().fit(few["X"][:100], few["y"][:100])
    held_out = few["X"][100:], few["y"][100:]
    first = scorer(clf, *held_out, X_target=few["X_target"])
    assert type(first) is float and np.isfinite(first)
    assert clone(scorer).score(clf, *held_out, X_target=(few["X_target"],)) == first


@pytest.mark.parametrize("scorer", SCORERS, ids=str)
def test_data_frames(scorer, few):
    columns = [f"pixel {i}" for i in range(64)]
    frames = {n: pd.DataFrame(few[n], columns=columns) for n in ("X", "X_target")}
    y = pd.Series(few["y"], index=np.arange(len(few["y"])) + 7)
    scores = [
        scorer(
            LogisticRegression().fit(X[:100], labels[:100]),
            X[100:],
            labels[100:],
            X_target=X_target,
        )
        for X, labels, X_target in (
            (few["X"], few["y"], few["X_target"]),
            (frames["X"], y, frames["X_target"]),
        )
    ]
    assert scores[0] == pytest.approx(scores[1], rel=1e-12)


@pytest.mark.parametrize("scorer", SCORERS, ids=str)
def test_stacked_domains(scorer, few):
    clf = LogisticRegression().fit(few["X"][:100], few["y"][:100])
    held_out = few["X"][100:], few["y"][100:]
    X, y, sample_domain = stack_domains(*held_out, few["X_target"])
    apart = scorer(clf, *held_out, X_target=few["X_target"])
    assert scorer(clf, X, y, sample_domain=sample_domain) == apart


def test_stacked_domains_without_target_rows(few):
    with pytest.raises(ValueError, match=r"target row: .*StratifiedDomainShuffleSplit"):
        TargetEntropyScorer()(None, few["X"], few["y"], sample_domain=np.ones(200))


def test_bad_parameter_is_named(few):
    scorer = SoftNeighborhoodDensityScorer(temperature=0)
    with pytest.raises(ValueError, match="'temperature' parameter of SoftNeighborhoodDensity"):
        scorer(None, None, X_target=few["X_target"])


def test_scorers_look_at_no_target_label():
    """The oracle is the one exception, and its name says so."""
    users = [s for s in SCORERS if "y_target" in s.get_params()]
    assert users == [] and "y_target" in TargetAccuracyScorer([0]).get_params()
