"""The loss of weighted rows: what it is, and what has no such loss."""

import numpy as np
import pytest
import torch
from torch import nn

from skda.nn import MLP
from skda.training import (
    AdaptationModule,
    AdaptationNet,
    DomainDataset,
    PairedBatches,
    RowBatches,
)
from skda.training._weights import relative_weights, weighted_loss

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 3)).astype(np.float32)
Y = np.arange(12) % 3
WEIGHTS = RNG.integers(0, 4, 12).astype(float)
LOGITS = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
LABELS = torch.from_numpy(Y)


def repeated(criterion, outputs, labels):
    """Return the loss of rows that are there as often as they weigh."""
    numbers = torch.arange(12).repeat_interleave(torch.tensor(WEIGHTS, dtype=torch.int64))
    return criterion(outputs[numbers], labels[numbers])


def make_net(**params):
    torch.manual_seed(0)
    module = AdaptationModule(MLP(3, hidden_layer_sizes=(4,)), nn.Linear(4, 3))
    return AdaptationNet(module, max_epochs=1, verbose=0, device="cpu", **params)


@pytest.mark.parametrize("smoothing", [0, 0.3])
def test_whole_weights_are_rows_that_are_repeated(smoothing):
    criterion = nn.CrossEntropyLoss(label_smoothing=smoothing)
    weights = relative_weights(WEIGHTS, LABELS)
    loss = weighted_loss(criterion, LOGITS, LABELS, weights)
    torch.testing.assert_close(loss, repeated(criterion, LOGITS, LABELS))
    assert criterion.reduction == "mean"


@pytest.mark.parametrize("outputs, labels", [(LOGITS, torch.rand(12, 3)), (LOGITS[:, 0], LABELS)])
def test_losses_of_several_outputs_are_those_of_rows(outputs, labels):
    criterion, weights = nn.MSELoss(), relative_weights(WEIGHTS, labels)
    loss = weighted_loss(criterion, outputs, labels.float(), weights)
    torch.testing.assert_close(loss, repeated(criterion, outputs, labels.float()))


@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 5.0, 0.5])])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_rows_that_weigh_the_same_have_the_plain_loss(weight, reduction):
    labels = torch.where(LABELS == 1, -100, LABELS)  # of the target, without a label
    criterion = nn.CrossEntropyLoss(weight=weight, reduction=reduction)
    loss = weighted_loss(criterion, LOGITS, labels, torch.ones(12))
    torch.testing.assert_close(loss, criterion(LOGITS, labels))


def test_weights_of_rows_and_classes_multiply():
    by_class, weights = torch.tensor([1.0, 5.0, 0.5]), torch.from_numpy(WEIGHTS)
    criterion = nn.CrossEntropyLoss(weight=by_class)
    loss = weighted_loss(criterion, LOGITS, LABELS, weights)
    rows = nn.functional.cross_entropy(LOGITS, LABELS, reduction="none")
    expected = (rows * by_class[LABELS] * weights).sum() / by_class[LABELS].sum()
    torch.testing.assert_close(loss, expected.to(loss))


def test_weights_are_in_units_of_their_mean():
    labels = torch.tensor([0, 1, -100, 1])
    weights = relative_weights([1e308, 1.7e308, 5.0, 3e307], labels)
    assert weights.dtype == torch.float32
    assert weights[labels >= 0].mean().item() == pytest.approx(1)
    assert (weights[1] / weights[0]).item() == pytest.approx(1.7)


def test_weights_that_are_all_zero_are_an_error():
    with pytest.raises(ValueError, match=r"^sample_weight: .* zero; .* held out"):
        relative_weights([0.0, 1.0], torch.tensor([1, -100]))


class OneNumber(nn.Module):
    def forward(self, outputs, labels):
        return nn.functional.cross_entropy(outputs, labels)


class Stubborn(OneNumber):
    reduction = "mean"


@pytest.mark.parametrize(
    "criterion, found",
    [
        (OneNumber(), "reduction is None"),
        (Stubborn(), r"shape \(\)"),
        (nn.CrossEntropyLoss(reduction="none"), "reduction is 'none'"),
    ],
)
def test_a_criterion_without_losses_of_rows_is_named(criterion, found):
    net = make_net(criterion=criterion)
    with pytest.raises(ValueError, match=f"sample_weight .* the criterion .* for .*{found}.*leave"):
        net.fit(DomainDataset(X, Y, weights=WEIGHTS), None)


@pytest.mark.parametrize("loader", [{}, {"num_workers": 0}], ids=["resident", "loaded"])
def test_batches_hold_the_weights_of_their_labelled_rows(loader):
    targets = (X[:5] + 1, X[:4] + 2)
    target_labels = tuple(np.full(len(rows), number) for number, rows in enumerate(targets))
    weights = 1.0 + np.arange(21)
    dataset = DomainDataset(X, Y, targets, target_labels, weights=weights)
    rows = np.concatenate([X, *targets])
    for batch, labels, given in PairedBatches(dataset, batch_size=4, **loader):
        numbers = [int(np.flatnonzero((rows == row.numpy()).all(axis=1))[0]) for row in batch]
        np.testing.assert_allclose(given, weights[numbers] / weights.mean(), rtol=1e-6)
        assert (labels == dataset.labels[numbers]).all()


def test_batches_of_consecutive_rows_hold_theirs():
    batches = [*RowBatches(DomainDataset(X, Y, weights=WEIGHTS), batch_size=5)]
    weights = torch.cat([weights for _, _, weights in batches])
    np.testing.assert_allclose(weights, WEIGHTS / WEIGHTS.mean(), rtol=1e-6)


def test_callbacks_get_rows_and_labels():
    from skorch.callbacks import EpochScoring

    net = make_net(callbacks=[EpochScoring("accuracy", on_train=True, use_caching=True)])
    net.train_split = lambda dataset: (dataset, DomainDataset(X, Y, weights=WEIGHTS))
    net.fit(DomainDataset(X, Y, weights=WEIGHTS), None)
    assert 0 <= net.history[-1, "accuracy"] <= 1


def test_after_training_no_weights_are_left():
    net = make_net().fit(DomainDataset(X, Y, weights=WEIGHTS), None)
    assert net._weights is None


class OwnLoss(AdaptationNet):
    def train_step_single(self, batch, **fit_params):
        X, y = batch
        loss = self.criterion_(self.infer(X)[0], y)
        loss.backward()
        return {"loss": loss, "y_pred": loss}


class OwnBatches(PairedBatches):
    def __iter__(self):
        return ((X, y) for X, y, *_ in super().__iter__())


@pytest.mark.parametrize(
    "net_class, iterator", [(OwnLoss, PairedBatches), (AdaptationNet, OwnBatches)]
)
def test_weights_that_reach_no_loss_are_an_error(net_class, iterator):
    plain = make_net(iterator_train=iterator)
    net = plain.successor(net_class)
    net.fit(DomainDataset(X, Y), None)
    with pytest.raises(ValueError, match=r"never reached the loss: .* get_classification_loss"):
        net.fit(DomainDataset(X, Y, weights=WEIGHTS), None)
