"""Layers that compute something of all rows of a batch are found before processes share it."""

import pytest
import torch
from torch import nn

from skda.training import AdaptationModule
from skda.training._row_independence import RowIndependence

X = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))


class BatchMean(nn.Module):
    def forward(self, x):
        return x - x.mean(dim=0) if self.training else x


class OwnNorm(nn.BatchNorm1d):
    pass


class RowMean(nn.Module):
    def forward(self, x):
        return x - x.mean(dim=1, keepdim=True)


class Noise(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x) if self.training else x


class MovingMean(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(5))

    def forward(self, x):
        if self.training:
            self.mean.mul_(0.9).add_(x.mean(dim=0), alpha=0.1)
        return x - self.mean


class Rising(nn.Module):
    n_calls = 0

    def forward(self, x):
        self.n_calls += 1
        return x * self.n_calls


class NoSmallBatch(nn.Module):
    def forward(self, x):
        if len(x) < 3:
            raise ValueError("few")
        return x - x.mean(dim=0)


class Uncopyable(BatchMean):
    def __deepcopy__(self, memo):
        raise RuntimeError("no copy")


def holds(*layers, n_rows=6, **params):
    module = AdaptationModule(nn.Sequential(*layers), nn.Linear(5, 3), **params)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = torch.get_rng_state()
    found = RowIndependence(module).holds_for(X[:n_rows])
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    return found


class Recurrent(nn.Module):
    """Takes rows for times, as layers of torch do without batch_first."""

    def __init__(self):
        super().__init__()
        self.layer = nn.GRU(5, 5)

    def forward(self, x):
        return self.layer(x[:, None])[0][:, 0]


def hooked():
    layer = nn.Linear(5, 5)
    layer.register_forward_hook(lambda part, args, x: x - x.mean(dim=0) if part.training else x)
    return layer


def attention():
    rows_as_times = nn.TransformerEncoderLayer(5, 1, 8)
    return nn.Sequential(nn.Unflatten(1, (1, 5)), rows_as_times, nn.Flatten())


@pytest.mark.parametrize(
    "layer",
    [BatchMean(), MovingMean(), Recurrent(), hooked(), attention()],
    ids=["batch mean", "moving mean", "recurrent", "hook", "attention"],
)
@pytest.mark.parametrize("n_targets", [0, 1])
def test_layers_that_look_at_all_rows_are_found(layer, n_targets):
    assert not holds(nn.Linear(5, 5), layer, nn.BatchNorm1d(5), n_targets=n_targets)


@pytest.mark.parametrize(
    "layers",
    [
        (nn.BatchNorm1d(5), nn.Dropout(0.5)),
        (RowMean(), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.LayerNorm(5)),
        (RowMean(), OwnNorm(5)),
        (Rising(),),
    ],
    ids=["of torch", "beside own ones", "own batch norm", "by number of calls"],
)
@pytest.mark.parametrize("n_targets", [0, 1])
def test_others_are_not(layers, n_targets):
    assert holds(nn.Linear(5, 5), *layers, n_targets=n_targets)


@pytest.mark.parametrize(
    "layers, n_rows",
    [
        ((Noise(), BatchMean()), 6),
        ((Uncopyable(),), 6),
        ((NoSmallBatch(),), 6),
        ((BatchMean(),), 3),
    ],
    ids=["random", "no copy", "no small batch", "few rows"],
)
def test_what_cannot_be_told_is_no_error(layers, n_rows):
    assert holds(*layers, n_rows=n_rows)
