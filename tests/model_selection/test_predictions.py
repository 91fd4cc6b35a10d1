import numpy as np
import pytest
import torch

from skda.losses import batch_nuclear_norm
from skda.model_selection import (
    BatchNuclearNormScorer,
    ClassCorrelationScorer,
    InformationMaximizationScorer,
    SoftNeighborhoodDensityScorer,
    TargetEntropyScorer,
    _predictions,
)

SCORERS = [
    BatchNuclearNormScorer(),
    ClassCorrelationScorer(),
    InformationMaximizationScorer(),
    SoftNeighborhoodDensityScorer(),
    TargetEntropyScorer(),
]
BALANCED = np.tile(np.eye(4), (3, 1))
ONE_CLASS = np.tile([0.0, 1.0, 0.0, 0.0], (12, 1))
UNIFORM = np.full((12, 4), 0.25)


@pytest.fixture
def score(given):
    def score(scorer, probabilities):
        classifier, rows = given(probabilities)
        return scorer(classifier, None, X_target=rows)

    return score


@pytest.mark.parametrize("certain", [BALANCED, ONE_CLASS])
def test_entropy_of_certain_predictions_is_zero(score, certain):
    assert score(TargetEntropyScorer(), certain) == 0


def test_entropy_of_uniform_predictions(score):
    assert score(TargetEntropyScorer(), UNIFORM) == pytest.approx(-np.log(4), rel=1e-14)


def test_information_of_balanced_classes(score):
    information = score(InformationMaximizationScorer(), BALANCED)
    assert information == pytest.approx(np.log(4), rel=1e-14)


@pytest.mark.parametrize("constant", [ONE_CLASS, UNIFORM])
def test_no_information_in_constant_predictions(score, constant):
    assert score(InformationMaximizationScorer(), constant) == pytest.approx(0, abs=1e-14)


def test_information_is_that_of_rows_and_classes(score, soft):
    joint = soft / len(soft)
    independent = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    expected = (joint * np.log(joint / independent)).sum()
    assert score(InformationMaximizationScorer(), soft) == pytest.approx(expected, rel=1e-12)


def test_neighborhood_density_is_that_of_a_loop(score, soft):
    directions = [p / np.linalg.norm(p) for p in soft]
    entropies = []
    for i in range(40):
        others = [np.exp(directions[i] @ directions[j] / 0.3) for j in range(40) if j != i]
        q = np.array(others) / sum(others)
        entropies.append(-(q * np.log(q)).sum())
    density = score(SoftNeighborhoodDensityScorer(temperature=0.3), soft)
    assert density == pytest.approx(np.mean(entropies), rel=1e-12)


@pytest.mark.parametrize("constant", [ONE_CLASS, UNIFORM])
def test_neighborhoods_of_constant_predictions_are_densest(score, constant):
    density = score(SoftNeighborhoodDensityScorer(), constant)
    assert density == pytest.approx(np.log(11), rel=1e-14)


def test_neighborhoods_in_blocks_are_the_same(score, soft, monkeypatch):
    whole = score(SoftNeighborhoodDensityScorer(), soft)
    monkeypatch.setattr(_predictions, "N_PAIRS", 7 * 40)
    assert score(SoftNeighborhoodDensityScorer(), soft) == pytest.approx(whole, rel=1e-14)


def test_one_row_has_no_neighbour(score):
    with pytest.raises(ValueError, match="1 row"):
        score(SoftNeighborhoodDensityScorer(), UNIFORM[:1])


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        (BALANCED, 1),
        (ONE_CLASS, 1 / 2),
        (UNIFORM, 1 / 4),
        (np.eye(4)[:2], 1),  # fewer rows than classes
        (UNIFORM[:2], 1 / np.sqrt(8)),
    ],
)
def test_nuclear_norm_within_its_bounds(score, probabilities, expected):
    assert score(BatchNuclearNormScorer(), probabilities) == pytest.approx(expected, rel=1e-14)


def test_nuclear_norm_is_that_of_the_loss(score, soft):
    loss = batch_nuclear_norm(torch.from_numpy(soft).log()).item()
    expected = -loss * np.sqrt(len(soft) / 4)
    assert score(BatchNuclearNormScorer(), soft) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("probabilities", "expected"), [(BALANCED, 1), (ONE_CLASS, 1 / 2), (UNIFORM, 1 / 2)]
)
def test_class_correlation_of_extremes(score, probabilities, expected):
    assert score(ClassCorrelationScorer(), probabilities) == pytest.approx(expected, rel=1e-14)


def test_class_correlation_with_the_right_prior(score):
    skewed = np.eye(4)[[0, 0, 0, 1, 1, 2, 3, 3]]
    right = score(ClassCorrelationScorer(prior=[3, 2, 1, 2]), skewed)
    assert right == pytest.approx(1, rel=1e-14)
    assert score(ClassCorrelationScorer(), skewed) < 0.95


@pytest.mark.parametrize("prior", [[1, 1], [1, 1, 1, -1], [0, 0, 0, 0]])
def test_prior_of_another_form(score, soft, prior):
    with pytest.raises(ValueError, match="prior must hold 4 class frequencies"):
        score(ClassCorrelationScorer(prior=prior), soft)


@pytest.mark.parametrize("scorer", SCORERS, ids=str)
def test_order_of_rows_does_not_matter(score, soft, scorer):
    shuffled = np.random.RandomState(1).permutation(soft)
    assert score(scorer, shuffled) == pytest.approx(score(scorer, soft), rel=1e-12)


@pytest.mark.parametrize("scorer", SCORERS, ids=str)
def test_rows_of_several_targets_count_alike(given, soft, scorer):
    classifier, rows = given(soft)
    parts = scorer(classifier, None, X_target=(rows[:10], rows[10:]))
    assert parts == pytest.approx(scorer(classifier, None, X_target=rows), rel=1e-14)
