"""Source rows that are drawn by class shares."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from skda.nn import MLP
from skda.training import (
    AdaptationModule,
    AdaptationNet,
    DomainDataset,
    PairedBatches,
    draw_by_weights,
)
from skda.training._resampling import weights_for_shares

LABELS = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)
SHARES = np.array([0.1, 0.0, 0.9])


def drawn(shares, shape, seed=0, labels=LABELS):
    labels, generator = labels.numpy(), torch.Generator().manual_seed(seed)
    weights = weights_for_shares(labels, np.array(shares))
    return draw_by_weights(labels, weights, shape, generator)


def test_batches_have_the_shares():
    counts = torch.stack([torch.bincount(LABELS[b], minlength=3) for b in drawn(SHARES, (30, 25))])
    assert counts.sum(dim=0).tolist() == [75, 0, 675]
    assert counts.amin(dim=0).tolist() == [2, 0, 22]
    assert counts.amax(dim=0).tolist() == [3, 0, 23]


def test_rows_of_a_class_come_equally_often():
    rows = drawn([0.2, 0.3, 0.5], (7, 33)).flatten()
    for label in range(3):
        numbers = torch.nonzero(LABELS == label).flatten()
        times = torch.bincount(rows, minlength=100)[numbers]
        assert times.max() - times.min() <= 1


def test_shares_of_the_source_go_through_all_rows():
    assert drawn([0.5, 0.3, 0.2], (4, 25)).flatten().sort().values.tolist() == list(range(100))


def test_no_batch_holds_a_row_twice_that_comes_less_often_than_there_are_batches():
    for batch in drawn([0.0, 0.0, 1.0], (30, 15)):
        assert len(batch.unique()) == 15


def test_order_is_that_of_the_generator():
    assert torch.equal(drawn(SHARES, (5, 10)), drawn(SHARES, (5, 10)))
    assert not torch.equal(drawn(SHARES, (5, 10)), drawn(SHARES, (5, 10), seed=1))


def test_shares_of_classes_without_rows_go_to_the_others():
    rows = drawn([0.25, 0.25, 0.5], (10, 10), labels=LABELS[:80])
    assert torch.bincount(LABELS[rows.flatten()]).tolist() == [50, 50]
    with pytest.raises(ValueError, match="no source row"):
        drawn([0.0, 0.0, 1.0], (10, 10), labels=LABELS[:80])


def test_the_target_is_drawn_as_without():
    dataset = DomainDataset(np.zeros((100, 2)), LABELS.numpy(), (np.ones((40, 2)),))
    batches = [PairedBatches(dataset, batch_size=20) for _ in range(2)]
    batches[1].source_weights = weights_for_shares(LABELS.numpy(), SHARES)
    plain, by_shares = (b.draw_epoch() for b in batches)
    assert torch.equal(plain[:, 20:], by_shares[:, 20:])
    assert not torch.equal(plain[:, :20], by_shares[:, :20])


def test_batches_that_know_no_shares_are_refused():
    X = np.random.RandomState(0).randn(100, 2).astype("float32")
    module = AdaptationModule(MLP(2), torch.nn.Linear(64, 3))
    params = {"iterator_train": DataLoader, "trade_off": 0, "max_epochs": 1, "verbose": 0}
    net = AdaptationNet(module, target_shares=SHARES[None], **params)
    with pytest.raises(TypeError, match="target_shares draws source rows by their classes"):
        net.fit(DomainDataset(X, LABELS.numpy()), None)
