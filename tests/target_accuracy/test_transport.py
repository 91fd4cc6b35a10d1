"""The least cost of giving rows to classes."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from skda.target_accuracy import average_confidence, confidence_optimal_transport
from skda.target_accuracy._transport import least_transport_cost

from .conftest import draw


@pytest.mark.parametrize("n_classes", [2, 5, 20])
@pytest.mark.parametrize("sureness", [0.05, 0.3, 3.0])
def test_cost_is_that_of_the_best_assignment(rng, n_classes, sureness):
    probabilities = rng.dirichlet(np.full(n_classes, sureness), 200)
    counts = rng.multinomial(200, rng.dirichlet(np.ones(n_classes)))
    costs = 1 - probabilities
    places = np.repeat(np.arange(n_classes), counts)
    rows, columns = linear_sum_assignment(costs[:, places])
    exact = costs[rows, places[columns]].mean()
    assert exact - 0.002 < least_transport_cost(costs, counts / 200) <= exact + 1e-9


def test_it_is_at_most_the_mean_confidence(rng):
    source, codes = draw(300, rng, confidence=0.8)
    target, _ = draw(300, rng, confidence=0.6, shares=[0.8, 0.1, 0.1])
    assert confidence_optimal_transport(target, source, codes) < average_confidence(
        target, source, codes
    )


def test_weights_that_follow_the_target_shares_mend_it(rng):
    """Of a shift of shares alone the transport knows nothing, but for weights."""
    source, codes = draw(3000, rng, confidence=0.9)
    target, true = draw(3000, rng, confidence=0.9, shares=[0.8, 0.1, 0.1])
    weights = np.bincount(true)[codes] / np.bincount(codes)[codes]
    accuracy = np.mean(target.argmax(axis=1) == true)
    plain, weighted = (
        confidence_optimal_transport(target, source, codes, sample_weight=part)
        for part in (None, weights)
    )
    assert plain < accuracy - 0.2
    assert weighted == pytest.approx(accuracy, abs=0.06)
