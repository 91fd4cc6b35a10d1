"""The net of one layer of a denoising auto-encoder."""

import numpy as np
import torch
from torch import nn

from skda.adaptation.reconstruction import DenoisingNet
from skda.training import AdaptationModule, DomainDataset


def test_masking_hits_the_given_share_of_inputs():
    seen = []

    class Spy(nn.Module):
        def forward(self, X):
            seen.append(X)
            return X

    module = AdaptationModule(Spy(), nn.Linear(50, 50), n_targets=1)
    rows = np.ones((400, 50), dtype="float32")
    net = DenoisingNet(module, corruption=0.3, max_epochs=1, verbose=0)
    net.fit(DomainDataset(rows, np.zeros(400, dtype="int64"), (rows,)), None)
    assert abs(1 - torch.cat(seen).mean().item() - 0.3) < 0.01
    seen.clear()
    net.encode(DomainDataset(rows, np.zeros(400, dtype="int64"), (rows,)))
    assert all((X == 1).all() for X in seen)


def test_codes_are_those_of_each_domain():
    module = AdaptationModule(nn.BatchNorm1d(2), nn.Linear(2, 2), n_targets=2)
    rng = np.random.default_rng(0)
    domains = [(rng.standard_normal((300, 2)) + 5 * n).astype("float32") for n in range(3)]
    dataset = DomainDataset(domains[0], np.zeros(300, dtype="int64"), domains[1:])
    net = DenoisingNet(module, corruption=0.0, lr=1e-6, max_epochs=40, verbose=0)
    codes = net.fit(dataset, None).encode(dataset)
    assert [len(rows) for rows in codes.domains] == [300, 300, 300]
    for rows in codes.domains:
        assert rows.mean(dim=0).abs().max() < 0.15
