"""Rows that are changed before the network gets them, in training alone."""

import pickle

import numpy as np
import pytest
import torch
from devices import on_cpu
from kinds import one_of_each_kind
from torch import nn

from skda import adaptation
from skda.base import DeepAdaptationClassifier
from skda.fine_tuning import FineTuneClassifier
from skda.nn import MLP
from skda.training import (
    AdaptationModule,
    AdaptationNet,
    DomainDataset,
    augment_rows,
    check_augment,
    per_row,
)

DEEP = [
    value
    for name in adaptation.__all__
    if isinstance(value := getattr(adaptation, name), type)
    and issubclass(value, DeepAdaptationClassifier)
]
FAR = 1000.0


def _rows(n, start=0.0, seed=0):
    return np.random.RandomState(seed).rand(n, 4).astype(np.float32) + np.float32(start)


def _dataset(n_source=40, n_target=30, X=None):
    X = _rows(n_source) if X is None else X
    y = np.arange(len(X)) % 2
    return DomainDataset(X, y, (_rows(n_target, 10.0, 1),))


def _net(augment, *, trade_off=0.1, n_targets=1, **params):
    torch.manual_seed(0)
    backbone = MLP(4, hidden_layer_sizes=(8,))
    module = AdaptationModule(backbone, nn.Linear(8, 2), n_targets=n_targets)
    params = {"max_epochs": 2, "batch_size": 16, "verbose": 0, **params}
    return AdaptationNet(module, alignment=Gap(), trade_off=trade_off, augment=augment, **params)


class Gap(nn.Module):
    """Distance of the means of the features."""

    def forward(self, source, target):
        return (source["features"].mean() - target["features"].mean()).square()


def _fit(net, dataset):
    torch.manual_seed(1)
    return net.fit(dataset, None)


def _weights(net):
    return torch.cat([v.double().flatten() for v in on_cpu(net.module_.state_dict()).values()])


@pytest.fixture
def forwards(monkeypatch):
    """What networks get in training, and what else they get: smallest and largest values."""
    seen = {True: [], False: []}
    forward = AdaptationModule.forward

    def look(self, X):
        X = self.as_input(X)
        seen[self.training].append((X.detach().min().item(), X.detach().max().item()))
        return forward(self, X)

    monkeypatch.setattr(AdaptationModule, "forward", look)
    return seen


# -- every method -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", one_of_each_kind(DEEP))
@pytest.mark.parametrize("labelled", [False, True], ids=["unlabeled", "labelled"])
@pytest.mark.filterwarnings("ignore")
def test_every_method_trains_on_augmented_rows_and_on_no_others(method, labelled, few, forwards):
    if method.__name__ == "ShallowDANNClassifier":
        pytest.skip("has no batches; see its own test")
    if method.__name__ == "AdaBNClassifier" and labelled:
        pytest.skip("takes no labels of the target")
    params = {"pretrain_epochs": 0} if hasattr(method, "pretrain_epochs") else {}
    clf = method(max_epochs=1, random_state=0, **params)
    clf.augment = lambda X: X + FAR
    y_target = np.where(np.arange(150) < 40, few["y_target"], -1) if labelled else None
    clf.fit(few["X"], few["y"], X_target=few["X_target"], y_target=y_target)
    lows, _ = zip(*forwards[True], strict=True)
    # CoGAN's networks get the rows of its generator too.
    assert (max if method.__name__ == "CoGANClassifier" else min)(lows) > FAR / 2
    clf.predict(few["X_target"])
    assert forwards[False] and max(high for _, high in forwards[False]) < FAR / 2


@pytest.mark.parametrize("standardize", ["domain", None])
def test_the_shallow_dann_trains_on_augmented_rows(few, standardize):
    def fit(X, X_target, augment):
        clf = adaptation.ShallowDANNClassifier(
            max_epochs=2, lr=0.05, standardize=standardize, random_state=0
        )
        clf.augment = augment
        clf.fit(X, few["y"], X_target=X_target)
        return _weights(clf.net_)

    X, X_target = (few[name].astype(np.float32) for name in ("X", "X_target"))
    before = X.copy()
    plain = fit(X, X_target, None)
    augment = {"source": torch.square, "target": lambda X: X.mul_(0)}
    augmented = fit(X, X_target, augment)
    assert np.array_equal(before, X) and X_target.any()
    assert not torch.equal(plain, augmented)
    if standardize is None:
        assert torch.equal(augmented, fit(X**2, 0 * X_target, None))
    shaky = [fit(X, X_target, lambda X: X + torch.randn(())) for _ in range(2)]
    assert torch.equal(*shaky)


def test_fine_tuning_trains_on_augmented_rows(few, forwards):
    FineTuneClassifier(max_epochs=1, augment=lambda X: X + FAR).fit(few["X"], few["y"])
    assert min(low for low, _ in forwards[True]) > FAR / 2


# -- what a transform gets --------------------------------------------------------------------


def test_one_transform_gets_the_rows_of_all_domains():
    seen = []
    _fit(_net(lambda X: seen.append(X.clone()) or X), _dataset())
    assert len(seen) == 2 * 3
    assert all(X.shape == (32, 4) and (X[:16] < 5).all() and (X[16:] > 5).all() for X in seen)


@pytest.mark.parametrize("domains", [("source",), ("target",), ("source", "target"), ()])
def test_a_dict_has_a_transform_for_each_domain(domains, forwards):
    seen = {"source": [], "target": []}
    augment = {name: lambda X, name=name: seen[name].append(X) or X + FAR for name in domains}
    _fit(_net(augment), _dataset())
    assert {name for name, batches in seen.items() if batches} == set(domains)
    assert all((X < 5).all() for X in seen["source"]) and all((X > 5).all() for X in seen["target"])
    n_far = len(domains)
    low, high = forwards[True][0]
    assert (low >= FAR, high >= FAR) == (n_far == 2, n_far > 0)


def test_a_target_that_takes_no_part_is_not_augmented():
    def fail(X):
        raise AssertionError

    _fit(_net({"target": fail}, trade_off=0), _dataset())


def test_rows_come_before_standardisation_and_after_normalisation():
    X = np.random.RandomState(0).randint(256, size=(40, 6, 5, 1)).astype(np.uint8)
    seen = []

    def augment(X):
        seen.append((X.dtype, tuple(X.shape), X.max().item() <= 1, X.min().item() >= 0))
        return X

    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(30, 8))
    moments = [(torch.full((1, 1, 1), 0.5), torch.full((1, 1, 1), 0.1))] * 2
    module = AdaptationModule(backbone, nn.Linear(8, 2), n_targets=1, moments=moments)
    net = AdaptationNet(module, augment=augment, max_epochs=1, batch_size=20, verbose=0)
    net.fit(DomainDataset(X, np.arange(40) % 2, (X,)), None)
    assert set(seen) == {(torch.float32, (40, 1, 6, 5), True, True)}


def test_data_stay_as_they_are():
    dataset = _dataset()
    before = [rows.copy() for rows in dataset.domains]
    for loader in ({}, {"iterator_train__num_workers": 0}):
        _fit(_net(lambda X: X.mul_(0), **loader), dataset)
    assert all(map(np.array_equal, before, dataset.domains))


def test_no_augmentation_costs_nothing():
    batch = torch.zeros(3), torch.zeros(3)
    assert _net(None).augmented(batch) is batch


# -- random numbers ---------------------------------------------------------------------------


def test_a_seed_gives_the_same_augmentation_and_the_callers_numbers_stay(few):
    def fit(seed):
        clf = adaptation.DeepCORALClassifier(max_epochs=2, random_state=seed)
        clf.augment = lambda X: X + 0.1 * torch.randn_like(X)
        before = torch.get_rng_state()
        clf.fit(few["X"], few["y"], X_target=few["X_target"])
        assert torch.equal(before, torch.get_rng_state())
        return _weights(clf.net_)

    assert torch.equal(fit(0), fit(0))
    assert not torch.equal(fit(0), fit(1))


def test_every_batch_is_augmented_anew():
    draws = []
    _fit(_net(lambda X: draws.append(torch.rand(()).item()) or X), _dataset())
    assert len(set(draws)) == len(draws) == 6


def test_transforms_of_torchvision_draw_once_for_a_batch_and_per_row_for_every_row():
    v2 = pytest.importorskip("torchvision.transforms.v2")
    X = torch.rand(1, 3, 8, 8).expand(64, 3, 8, 8)
    torch.manual_seed(0)
    flip = v2.RandomHorizontalFlip()
    assert len(flip(X).flatten(1).unique(dim=0)) == 1
    assert len(per_row(flip)(X).flatten(1).unique(dim=0)) == 2
    _fit_images(v2.Compose([v2.RandomCrop(8, padding=1), per_row(flip)]))


def _fit_images(augment):
    X = np.random.RandomState(0).rand(40, 3, 8, 8).astype(np.float32)
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten())
    module = AdaptationModule(backbone, nn.Linear(144, 2), n_targets=1)
    net = AdaptationNet(module, augment=augment, max_epochs=1, batch_size=20, verbose=0)
    net.fit(DomainDataset(X, np.arange(40) % 2, (X,)), None)


def test_per_row_keeps_the_order_and_can_be_pickled():
    transform = pickle.loads(pickle.dumps(per_row(torch.neg)))
    X = torch.arange(6.0).view(3, 2)
    assert torch.equal(transform(X), -X)


# -- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "augment, message",
    [
        ("flip", "augment must be a callable"),
        ([torch.neg], "augment must be a callable"),
        ({"source": 3}, r"augment\['source'\] must be a callable"),
        ({"target": (torch.neg, torch.neg)}, r"augment\['target'\] must be a callable"),
        ({"tgt": torch.neg}, "augment has an entry 'tgt'"),
    ],
)
def test_what_is_no_transform_is_an_error_before_training(augment, message):
    with pytest.raises((TypeError, ValueError), match=message):
        check_augment(augment)
    net = _net(augment)
    with pytest.raises((TypeError, ValueError), match=message):
        _fit(net, _dataset())
    assert not net.history


@pytest.mark.parametrize(
    "transform, given",
    [
        (lambda X: X[:-1], r"shape \(2, 4\)"),
        (lambda X: X.double(), "float64"),
        (lambda X: X.numpy(), "an object of type ndarray"),
        (lambda X: None, "an object of type NoneType"),
        (lambda X: X.to("meta"), "on meta"),
    ],
)
def test_what_a_transform_returns_must_be_like_what_it_got(transform, given):
    with pytest.raises(ValueError, match=rf"augment must return .*\(3, 4\).* returned .*{given}"):
        augment_rows(transform, torch.zeros(3, 4))


def test_the_domain_of_a_wrong_transform_is_named():
    with pytest.raises(ValueError, match=r"augment\['target'\] must return"):
        _fit(_net({"target": lambda X: X[:, :2]}), _dataset())


def test_a_row_of_another_shape_is_an_error():
    with pytest.raises(ValueError, match="augment must return a tensor of the shape of its row"):
        per_row(lambda row: row[:2])(torch.zeros(3, 4))
    with pytest.raises(TypeError, match="per_row takes a callable"):
        per_row(3)
