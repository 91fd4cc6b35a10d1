"""The default network for series."""

import pytest
import torch
from torch import nn

from skda.backbones import build_backbone, list_blocks
from skda.nn import DomainBatchNorm, DomainRows, SeriesNet


@pytest.mark.parametrize("n_channels, length", [(1, 4), (3, 5), (2, 37), (9, 128), (1, 1024)])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_takes_series_of_many_lengths(n_channels, length, batch_norm):
    network = SeriesNet(n_channels, length, batch_norm=batch_norm)
    features = network(torch.randn(5, n_channels, length))
    assert features.shape == (5, 32)
    assert torch.isfinite(features).all() and features.std() > 0


def test_takes_sound_of_seconds():
    assert SeriesNet(1, 100_000)(torch.zeros(2, 1, 100_000)).shape == (2, 32)


@pytest.mark.parametrize("length", [3, 0])
def test_refuses_what_is_too_short(length):
    with pytest.raises(ValueError, match=f"at least 4 values, got length={length}"):
        SeriesNet(1, length)


def test_refuses_an_even_kernel():
    with pytest.raises(ValueError, match="kernel_size=4 must be odd"):
        SeriesNet(1, 100, kernel_size=4)


def test_refuses_an_empty_list_of_channels():
    with pytest.raises(ValueError, match=r"channels=\(\) must hold at least one width"):
        SeriesNet(1, 100, channels=())


def positions(length):
    """How many steps in time every stage of the network gives."""
    found = []
    network = SeriesNet(1, length)
    for name, part in network.named_children():
        if name != "stem" and not name.startswith("block"):
            break
        part.register_forward_hook(lambda part, inputs, output: found.append(output.shape[-1]))
    network(torch.zeros(2, 1, length))
    return found


def test_long_series_are_shortened_by_the_stem_and_short_ones_are_not():
    assert positions(128) == [128, 64, 32, 16]
    assert positions(511) == [511, 256, 128, 64]
    assert positions(512) == [256, 128, 64, 32]
    assert positions(1024) == [256, 128, 64, 32]
    assert positions(1001) == [501, 251, 126, 63]
    assert positions(20) == [20, 10, 10, 10]
    assert positions(8) == [8, 8, 8, 8]
    assert positions(100_000)[0] == 6250


def test_names_its_blocks_which_are_frozen_as_wholes():
    network = SeriesNet(2, 100)
    names = [name for name, _ in network.named_children()]
    assert names == ["stem", "block1", "block2", "block3", "pool", "flatten"]
    assert [block.name for block in list_blocks(network)] == [
        "stem.0",
        "block1",
        "block2",
        "block3",
    ]


def test_channels_say_how_many_blocks_and_features():
    network = SeriesNet(2, 64, channels=(8, 12))
    assert network(torch.zeros(3, 2, 64)).shape == (3, 12)
    assert not hasattr(network, "block2")


def test_the_shortcut_goes_past_the_convolutions():
    network = SeriesNet(1, 32, channels=(4, 4), batch_norm=False)
    with torch.no_grad():
        for part in network.block1.residual.modules():
            if isinstance(part, nn.Conv1d):
                part.weight.zero_(), part.bias.zero_()
        stem = network.stem(x := torch.randn(3, 1, 32))
        expected = network.block1.shortcut(stem).relu()
        torch.testing.assert_close(network(x), expected.mean(dim=2))


@pytest.mark.parametrize("batch_norm", [True, False])
def test_batch_norm_is_a_choice(batch_norm):
    network = SeriesNet(2, 100, batch_norm=batch_norm)
    norms = sum(isinstance(part, nn.BatchNorm1d) for part in network.modules())
    biases = {part.bias is None for part in network.modules() if isinstance(part, nn.Conv1d)}
    assert norms == (10 if batch_norm else 0)
    # A bias in front of a batch norm would have no effect.
    assert biases == {batch_norm}


def test_drops_features_in_training_alone():
    network = SeriesNet(2, 64, channels=(400,), dropout=0.5, batch_norm=False)
    X = torch.randn(1, 2, 64)
    dropped = (network(X) == 0).float().mean()
    network.eval()
    assert dropped > (network(X) == 0).float().mean() + 0.1


def test_domains_have_their_own_statistics():
    rows = DomainRows((8, 8))
    network = DomainBatchNorm.convert(SeriesNet(2, 64), 2, rows)
    assert sum(isinstance(part, DomainBatchNorm) for part in network.modules()) == 10
    X = torch.randn(8, 2, 64)
    features = network(torch.cat([X, 5 * X]))
    torch.testing.assert_close(features[:8], features[8:], rtol=1e-2, atol=1e-2)


def test_is_the_default_for_rows_of_two_dimensions():
    network = build_backbone(None, (3, 50), {"channels": (8, 8)})
    assert isinstance(network, SeriesNet)
    assert network(torch.zeros(2, 3, 50)).shape == (2, 8)


def test_factories_get_the_channels_and_the_length():
    def make(in_channels, length, factor):
        return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * length, factor))

    assert build_backbone(make, (3, 50), {"factor": 7})(torch.zeros(2, 3, 50)).shape == (2, 7)
    assert isinstance(build_backbone(lambda length: nn.Identity(), (3, 50), {}), nn.Identity)


def test_other_shapes_keep_their_defaults():
    assert build_backbone(None, (5,), {})(torch.zeros(2, 5)).shape == (2, 64)
    assert build_backbone(None, (1, 16, 12), {})(torch.zeros(2, 1, 16, 12)).shape == (2, 100)
