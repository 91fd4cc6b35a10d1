"""What a choice without target labels is worth, on the shifted digits."""

import numpy as np
import pytest
import torch
from sklearn.model_selection import train_test_split

from skda.adaptation import DeepCORALClassifier
from skda.base import DeepAdaptationClassifier
from skda.model_selection import (
    BatchNuclearNormScorer,
    ClassCorrelationScorer,
    InformationMaximizationScorer,
    MixValScorer,
    SoftNeighborhoodDensityScorer,
    TargetEntropyScorer,
)
from skda.nn import joint

SETTINGS = {
    "defaults": {},
    "weak": {"trade_off": 3},
    "far too strong": {"trade_off": 3000},
    "short": {"max_epochs": 3},
    "slow": {"lr": 1e-4},
    "fast": {"lr": 3e-2},
}


@joint
def entropy(source, target):
    return torch.distributions.Categorical(logits=target["logits"]).entropy().mean()


@pytest.fixture(scope="module")
def data(digits):
    parts = train_test_split(digits.X, digits.y, test_size=0.2, stratify=digits.y, random_state=0)
    return *parts, digits.X_target, digits.y_target


@pytest.fixture(scope="module")
def networks(data):
    X, _, y, _, X_target, _ = data
    return {
        name: DeepCORALClassifier(**{"max_epochs": 20, "random_state": 0, **params}).fit(
            X, y, X_target=X_target
        )
        for name, params in SETTINGS.items()
    }


@pytest.fixture(scope="module")
def collapsed(data):
    """A network that is certain of every target row, and puts them into a few wrong classes."""
    X, _, y, _, X_target, _ = data
    clf = DeepAdaptationClassifier(alignment=entropy, trade_off=10, random_state=0)
    return clf.fit(X, y, X_target=X_target)


def scores_of(scorer, networks, data):
    _, X, _, y, X_target, _ = data
    return np.array([scorer(clf, X, y, X_target=X_target) for clf in networks])


@pytest.mark.parametrize(
    "scorer",
    [
        BatchNuclearNormScorer(),
        ClassCorrelationScorer(),
        InformationMaximizationScorer(),
        TargetEntropyScorer(),
    ],
    ids=lambda scorer: type(scorer).__name__,
)
def test_choice_is_near_the_best_setting_and_far_above_the_mean(networks, data, scorer):
    *_, X_target, y_target = data
    accuracy = np.array([clf.score(X_target, y_target) for clf in networks.values()])
    chosen = accuracy[scores_of(scorer, networks.values(), data).argmax()]
    assert chosen > accuracy.max() - 0.06
    assert chosen > accuracy.mean() + 0.08


@pytest.mark.parametrize(
    "scorer",
    [MixValScorer(), TargetEntropyScorer()],
    ids=lambda scorer: type(scorer).__name__,
)
def test_a_certain_collapse_fools_scorers_that_do_not_ask_for_all_classes(
    networks, collapsed, data, scorer
):
    *_, X_target, y_target = data
    assert collapsed.score(X_target, y_target) < 0.15
    (fooled,) = scores_of(scorer, [collapsed], data)
    assert fooled > scores_of(scorer, networks.values(), data).max()


def test_class_correlation_and_predicted_classes_tell_a_collapse(networks, collapsed, data):
    sound = [networks[name] for name in ("defaults", "weak", "fast")]
    (score,) = scores_of(ClassCorrelationScorer(), [collapsed], data)
    assert score < scores_of(ClassCorrelationScorer(), sound, data).min() - 0.1
    assert len(np.unique(collapsed.predict(data[4]))) < 7
    assert all(len(np.unique(clf.predict(data[4]))) == 10 for clf in sound)


def test_no_spread_at_all_has_the_densest_neighbourhoods(networks, data):
    scores = scores_of(SoftNeighborhoodDensityScorer(), networks.values(), data)
    accuracy = [clf.score(*data[4:]) for clf in networks.values()]
    assert np.corrcoef(scores, accuracy)[0, 1] < -0.5
