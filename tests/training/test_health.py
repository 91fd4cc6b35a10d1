import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from skda.adaptation import DANNClassifier
from skda.base import DeepAdaptationClassifier
from skda.nn import DomainAdversary
from skda.training._health import effective_classes, gradient_norms, warn_of_failure

ALIVE = {"domain_accuracy": 0.7, "adversary_gradient_norm": 0.1, "target_classes": 9.0}


def _history(n_epochs=6, **changed):
    return [{**ALIVE, **changed} for _ in range(n_epochs)]


def test_effective_classes_are_one_for_a_collapse_and_all_for_equal_shares():
    assert effective_classes(torch.zeros(50, dtype=torch.int64)) == pytest.approx(1)
    assert effective_classes(torch.arange(40) % 4) == pytest.approx(4)


def test_gradient_norm_is_that_of_all_parameters_together():
    layer = nn.Linear(2, 1)
    layer.weight.grad, layer.bias.grad = torch.tensor([[2.0, 3.0]]), torch.tensor([6.0])
    assert gradient_norms(layer.parameters(), []) == [pytest.approx(7), 0]
    layer.zero_grad()
    assert gradient_norms(layer.parameters()) == [0]


@pytest.mark.filterwarnings("error")
def test_a_lively_adversary_causes_no_warning():
    warn_of_failure(_history())


@pytest.mark.filterwarnings("error")
def test_a_few_epochs_tell_nothing():
    warn_of_failure(_history(3, domain_accuracy=0.5))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"domain_accuracy": 0.5}, "stayed at chance"),
        ({"adversary_gradient_norm": 0.0}, "no gradient"),
        ({"domain_accuracy": 1.0}, "won"),
    ],
)
def test_a_failed_adversary_is_told(changed, message):
    with pytest.warns(ConvergenceWarning, match=message):
        warn_of_failure(_history(**changed))


def test_a_collapse_of_the_predictions_is_told():
    history = [*_history(), {**ALIVE, "target_classes": 2.0}]
    with pytest.warns(ConvergenceWarning, match=r"collapsed.*9\.0.*2\.0"):
        warn_of_failure(history)


@pytest.mark.filterwarnings("error")
def test_half_of_the_classes_is_no_collapse():
    warn_of_failure([*_history(), {**ALIVE, "target_classes": 5.0}])


# -- in training ------------------------------------------------------------------------------


def _fit(digits, **params):
    clf = DANNClassifier(max_epochs=6, random_state=0, **params)
    return clf.fit(digits.X, digits.y, X_target=digits.X_target)


def test_history_holds_the_health_of_every_epoch(digits):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = _fit(digits).history_
    for name in ("domain_accuracy", "encoder_gradient_norm", "adversary_gradient_norm"):
        assert all(value > 0 for value in history[:, name])
    assert all(1 <= number <= 10 for number in history[:, "target_classes"])
    assert max(history[:, "domain_accuracy"]) > 0.6


def test_an_alignment_without_adversary_has_no_health(digits):
    history = _fit(digits, trade_off=0).history_
    assert not {"domain_accuracy", "adversary_gradient_norm"} & set(history[-1])


class _OneSoftmaxUnit(nn.Linear):
    def __init__(self, width):
        super().__init__(width, 1)

    def forward(self, features):
        return super().forward(features).softmax(dim=1)


def test_a_dead_discriminator_is_told(digits):
    with pytest.warns(ConvergenceWarning, match="no gradient|stayed at chance"):
        _fit(digits, discriminator=_OneSoftmaxUnit)


def test_a_discriminator_that_wins_is_told(digits):
    shifted = type(digits)(**{**digits, "X_target": digits.X_target + 10.0})
    with pytest.warns(ConvergenceWarning, match="won"):
        _fit(shifted, trade_off=1e-4, batch_norm="shared")


# -- rare classes -----------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
def test_predictions_as_rare_as_the_labels_are_no_collapse():
    # 3 % of the labels are positive: an effective number of 1.14.
    warn_of_failure([*_history(target_classes=2.0), {**ALIVE, "target_classes": 1.14}], 1.14)


def test_rarer_predictions_than_labels_are_a_collapse():
    history = [*_history(target_classes=2.0), {**ALIVE, "target_classes": 1.01}]
    with pytest.warns(ConvergenceWarning, match=r"collapsed.*the source's labels: 1\.14"):
        warn_of_failure(history, 1.14)


def test_three_per_cent_of_positives_do_not_collapse():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 5))
    y = (np.arange(600) % 33 == 0).astype(int)
    X[y == 1] += 3
    clf = DANNClassifier(max_epochs=8, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf.fit(X, y, X_target=X[rng.permutation(600)] + 0.2)
    assert clf.history_[-1, "target_classes"] < 1.3
    assert not [w for w in caught if "collapsed" in str(w.message)]


class Wrapped(nn.Module):
    """Holds an adversary, and says nothing of it."""

    def __init__(self, in_features):
        super().__init__()
        self.adversary = DomainAdversary(in_features)

    def forward(self, source, target):
        return self.adversary(source, target)


def test_an_adversary_within_an_alignment_must_be_named(few):
    clf = DeepAdaptationClassifier(alignment=Wrapped, max_epochs=1, random_state=0)
    with pytest.raises(TypeError, match="Wrapped holds a DomainAdversary, which features must"):
        clf.fit(few["X"], few["y"], X_target=few["X_target"])
    clf.set_params(alignment=[(Wrapped, ("features",), 1.0)])
    with pytest.raises(TypeError, match="write `adversarial = True` in Wrapped"):
        clf.fit(few["X"], few["y"], X_target=few["X_target"])
    for says in (True, False):
        named = type("Named", (Wrapped,), {"adversarial": says})
        clf.set_params(alignment=named).fit(few["X"], few["y"], X_target=few["X_target"])
