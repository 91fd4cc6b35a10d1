"""What random_state decides: weights, the alignment, the order of rows, and noise in training.

Torch's own generator is somewhere else in every fit that is compared.
"""

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

import skda.adaptation
from skda.adaptation import ADDAClassifier, DANNClassifier, SDAEClassifier, ShallowDANNClassifier
from skda.base import DeepAdaptationClassifier
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier
from skda.training import PairedBatches

METHODS = [
    cls
    for cls in map(vars(skda.adaptation).get, skda.adaptation.__all__)
    if issubclass(cls, DeepAdaptationClassifier)
]
if find_spec("ot") is None:  # needs an extra
    METHODS.remove(skda.adaptation.DeepJDOTClassifier)


def _fit(few, cls=DeepAdaptationClassifier, *, torch_seed=1, random_state=0, **params):
    X, y = few["X"][:100], few["y"][:100]
    target = {} if cls is FineTuneClassifier else {"X_target": few["X_target"][:80]}
    clf = cls(**{"max_epochs": 1, "random_state": random_state, **params})
    with torch.random.fork_rng():
        torch.manual_seed(torch_seed)
        return clf.fit(X, y, **target)


def _state(clf):
    net = clf.net_
    parts = {"module": net.module_, "alignment": net.alignment_}
    return {f"{p}.{k}": v for p, part in parts.items() for k, v in part.state_dict().items()}


def _assert_same(first, second):
    first, second = _state(first), _state(second)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.parametrize("cls", [DeepAdaptationClassifier, FineTuneClassifier, *METHODS])
def test_fits_are_the_same_wherever_the_generator_of_torch_is(cls, few):
    params = {} if cls is ShallowDANNClassifier else {"module__dropout": 0.3}
    first, second = (_fit(few, cls, torch_seed=torch_seed, **params) for torch_seed in (1, 2))
    _assert_same(first, second)


def test_partial_fits_are_the_same_wherever_the_generator_of_torch_is(few):
    fits = []
    for torch_seed in (1, 2):
        clf = FineTuneClassifier(module__dropout=0.3, random_state=0)
        with torch.random.fork_rng():
            torch.manual_seed(torch_seed)
            for _ in range(2):
                clf.partial_fit(few["X"], few["y"], classes=range(10))
                torch.rand(torch_seed)
        fits.append(clf)
    first, second = (clf.net_.module_.state_dict() for clf in fits)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_every_partial_fit_draws_other_numbers(few):
    drawn = []
    clf = FineTuneClassifier(module=lambda: Noise(drawn), random_state=0)
    for _ in range(2):
        clf.partial_fit(few["X"][:20], few["y"][:20], classes=range(10))
    assert len(drawn) == 2 and drawn[0] != drawn[1]


# -- what one draws leaves the others as they are ---------------------------------------------


class Noise(nn.Linear):
    """A backbone that notes what it draws in every step of training."""

    def __init__(self, drawn, n_drawn=0):
        torch.rand(n_drawn)
        super().__init__(64, 8)
        self.drawn = drawn

    def forward(self, x):
        if self.training:
            self.drawn.append(torch.rand(3, dtype=torch.float64).tolist())
        return super().forward(x)


class Distance(nn.Module):
    """An alignment that notes what it draws when it is built."""

    def __init__(self, width, drawn, n_drawn=0):
        super().__init__()
        drawn.append(torch.rand(3, dtype=torch.float64).tolist())
        torch.rand(n_drawn)

    def forward(self, source, target):
        return (source.mean(dim=0) - target.mean(dim=0)).square().sum()


@pytest.mark.parametrize("what", ["n_drawn", "alignment__n_drawn"])
def test_noise_in_training_is_not_that_of_what_was_drawn_before(few, what):
    by_number = []
    for n_drawn in (0, 5):
        drawn = []
        numbers = {"n_drawn": 0, "alignment__n_drawn": 0, what: n_drawn}
        own = numbers.pop("n_drawn")
        _fit(
            few,
            module=lambda drawn=drawn, own=own: Noise(drawn, own),
            alignment=Distance,
            alignment__drawn=[],
            **numbers,
        )
        by_number.append(drawn)
    assert by_number[0] == by_number[1]
    other = []
    _fit(few, module=lambda: Noise(other), random_state=1)
    assert len(other) == len(by_number[0]) and other[0] != by_number[0][0]


def test_the_alignment_is_not_that_of_what_the_network_drew(few):
    drawn = []
    for n_drawn in (0, 5):
        _fit(
            few,
            module=lambda n_drawn=n_drawn: Noise([], n_drawn),
            alignment=Distance,
            alignment__drawn=drawn,
        )
    assert len(drawn) == 2 and drawn[0] == drawn[1]


def test_the_alignment_comes_from_the_random_state(few):
    drawn = []
    for random_state in (0, 1):
        _fit(few, random_state=random_state, alignment=Distance, alignment__drawn=drawn)
    assert drawn[0] != drawn[1]


def test_the_discriminator_of_adda_is_not_that_of_what_the_first_stage_drew(few):
    drawn = []

    class Discriminator(nn.Linear):
        def __init__(self, width):
            super().__init__(width, 1)
            drawn.append(self.weight.tolist())

    for max_epochs in (1, 2):
        params = {"max_epochs": max_epochs, "module__dropout": 0.3}
        _fit(few, ADDAClassifier, discriminator=Discriminator, **params)
    assert len(drawn) == 2 and drawn[0] == drawn[1]


class Start(Callback):
    """The network's parameters before the first step."""

    def on_train_begin(self, net, **kwargs):
        self.weights = nn.utils.parameters_to_vector(net.module_.parameters()).detach().clone()


def _start(*args, **params):
    clf = _fit(*args, callbacks=[("start", Start())], **params)
    return dict(clf.net_.callbacks_)["start"].weights


def test_weights_at_the_start_come_from_the_random_state(few):
    first, again, other = (
        _start(few, torch_seed=torch_seed, random_state=random_state)
        for torch_seed, random_state in ((1, 0), (2, 0), (1, 1))
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_weights_at_the_start_are_those_beside_any_alignment(few):
    plain, adversarial = _start(few), _start(few, DANNClassifier)
    assert torch.equal(plain, adversarial)


# -- the order of rows ------------------------------------------------------------------------


def _orders(monkeypatch, fit):
    """Return the numbers of the rows of every epoch that a fit goes through."""
    epochs = []
    draw_epoch = PairedBatches.draw_epoch

    def noting(batches):
        epochs.append(draw_epoch(batches))
        return epochs[-1]

    with monkeypatch.context() as patch:
        patch.setattr(PairedBatches, "draw_epoch", noting)
        fit()
    return epochs


@pytest.mark.parametrize(
    "cls, params, n_epochs",
    [
        (DeepAdaptationClassifier, {}, 2),
        (FineTuneClassifier, {}, 2),
        (ADDAClassifier, {}, 4),
        (SDAEClassifier, {"pretrain_epochs": 1}, 4),
    ],
)
def test_the_order_of_every_epoch_comes_from_the_random_state(
    cls, params, n_epochs, few, monkeypatch
):
    first, again, other = (
        _orders(
            monkeypatch,
            lambda seeds=seeds: _fit(
                few, cls, torch_seed=seeds[0], random_state=seeds[1], max_epochs=2, **params
            ),
        )
        for seeds in ((1, 0), (2, 0), (1, 1))
    )
    assert len(first) == len(again) == len(other) == n_epochs
    for mine, same, theirs in zip(first, again, other, strict=True):
        assert torch.equal(mine, same) and not torch.equal(mine, theirs)


def test_the_order_of_rows_is_the_same_beside_any_noise(few, monkeypatch):
    silent, noisy = (
        _orders(
            monkeypatch, lambda dropout=dropout: _fit(few, max_epochs=3, module__dropout=dropout)
        )
        for dropout in (0.0, 0.5)
    )
    assert len(silent) == 3
    assert all(torch.equal(*orders) for orders in zip(silent, noisy, strict=True))


def test_the_order_of_every_partial_fit_comes_from_the_random_state(few, monkeypatch):
    def fit(random_state):
        clf = FineTuneClassifier(random_state=random_state)
        for _ in range(2):
            clf.partial_fit(few["X"], few["y"], classes=range(10))

    first, again, other = (_orders(monkeypatch, lambda s=s: fit(s)) for s in (0, 0, 1))
    assert len(first) == 2 and not torch.equal(first[0], first[1])
    for mine, same, theirs in zip(first, again, other, strict=True):
        assert torch.equal(mine, same) and not torch.equal(mine, theirs)


# -- random backbones -------------------------------------------------------------------------


def _convolution(clf):
    return next(clf.net_.module_.backbone.parameters()).detach()


@pytest.mark.parametrize("cls", [DeepAdaptationClassifier, FineTuneClassifier])
def test_random_weights_of_a_named_network_come_from_the_random_state(cls):
    pytest.importorskip("timm")
    X = np.random.default_rng(0).random((8, 3, 32, 32), dtype=np.float32)
    images = {"X": X, "y": np.arange(8) % 2, "X_target": X}
    params = {"module": "timm/test_resnet", "weights": None, "lr": 1e-12, "head_lr_multiplier": 1}
    first, again, other = (
        _convolution(_fit(images, cls, torch_seed=torch_seed, random_state=random_state, **params))
        for torch_seed, random_state in ((1, 0), (2, 0), (1, 1))
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-3)


def _features(few, torch_seed, random_state, **params):
    with torch.random.fork_rng():
        torch.manual_seed(torch_seed)
        return DeepFeatureExtractor(random_state=random_state, **params).fit_transform(few["X"])


def test_random_features_come_from_the_random_state(few):
    first, again, other = (_features(few, *seeds) for seeds in ((1, 0), (2, 0), (1, 1)))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
