"""FeatureModule: layers, pooling, and running no more than is needed."""

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from skda.feature_extraction._features import FeatureModule
from skda.nn import MLP
from skda.training import AdaptationModule

IMAGES = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Counted(nn.Module):
    """Passes its input on and counts how often."""

    def __init__(self):
        super().__init__()
        self.n_runs = 0

    def forward(self, x):
        self.n_runs += 1
        return x


class Network(nn.Module):
    """A layer that the next one overwrites, one that runs twice, and one after both."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.relu = nn.ReLU(inplace=True)
        self.shared = nn.Conv2d(4, 4, 1)
        self.last = Counted()

    def forward(self, x):
        x = self.relu(self.conv(x))
        x = self.shared(self.shared(x))
        return self.last(x)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Network().eval()


def run(module, layers, pooling="avg", x=IMAGES, n_times=2):
    """Return the features of the last of several runs, of which only the first is complete."""
    features = FeatureModule(module, layers, pooling)
    with torch.inference_mode():
        for _ in range(n_times):
            result = features(x)
    return result


@pytest.mark.parametrize("n_times", [1, 2])
def test_features_are_the_output_of_the_network(network, n_times):
    (features,) = run(network, ("features",), n_times=n_times)
    torch.testing.assert_close(features, network(IMAGES).mean(dim=(2, 3)))


@pytest.mark.parametrize("n_times", [1, 2])
def test_layer_is_read_before_it_is_overwritten(network, n_times):
    (features,) = run(network, ("conv",), n_times=n_times)
    torch.testing.assert_close(features, network.conv(IMAGES).mean(dim=(2, 3)))


@pytest.mark.parametrize("n_times", [1, 2, 3])
def test_last_output_of_a_layer_counts(network, n_times):
    (features,) = run(network, ("shared",), n_times=n_times)
    torch.testing.assert_close(features, network(IMAGES).mean(dim=(2, 3)))


def test_layers_keep_the_order_they_are_asked_in(network):
    shared, features, conv = run(network, ("shared", "features", "conv"))
    torch.testing.assert_close(shared, features)
    torch.testing.assert_close(conv, network.conv(IMAGES).mean(dim=(2, 3)))


@pytest.mark.parametrize(
    ("layers", "n_runs"), [(("conv",), 1), (("shared", "conv"), 1), (("conv", "features"), 3)]
)
def test_later_layers_run_once_at_most_unless_needed(network, layers, n_runs):
    run(network, layers, n_times=3)
    assert network.last.n_runs == n_runs


def test_no_hooks_are_left(network):
    run(network, ("conv",))
    assert not network.conv._forward_hooks


def test_network_that_fails_leaves_no_hooks(network):
    with pytest.raises(RuntimeError):
        run(network, ("conv",), x=IMAGES[:, :1])
    assert not network.conv._forward_hooks


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("avg", lambda x: x.mean(dim=(2, 3))),
        ("max", lambda x: x.amax(dim=(2, 3))),
        ("flatten", lambda x: x.flatten(1)),
    ],
)
def test_pooling_of_positions(network, pooling, expected):
    (features,) = run(network, ("conv",), pooling)
    torch.testing.assert_close(features, expected(network.conv(IMAGES)))


def test_pooling_of_tokens():
    x = torch.rand(2, 21)
    (features,) = run(nn.Unflatten(1, (7, 3)), ("features",), x=x)  # 7 tokens of 3 channels
    torch.testing.assert_close(features, x.view(2, 7, 3).mean(dim=1))


def test_pooling_of_channels_of_series():
    x = torch.rand(2, 3, 7)  # 3 channels of length 7
    (features,) = run(nn.Identity(), ("features",), x=x)
    torch.testing.assert_close(features, x.mean(dim=2))


def test_without_pooling_layers_must_have_two_dimensions(network):
    x = torch.rand(2, 6)
    torch.testing.assert_close(run(nn.Identity(), ("features",), None, x)[0], x)
    with pytest.raises(ValueError, match=r"'conv' must give one row.*\(5, 4, 6, 6\).*pooling="):
        run(network, ("conv",), None)


def test_half_precision_becomes_float32_before_pooling(network):
    (features,) = run(network.bfloat16(), ("conv",), x=IMAGES.bfloat16())
    output = network.conv(IMAGES.bfloat16())
    assert torch.equal(features, output.float().flatten(2).mean(dim=2))


def test_unknown_layer(network):
    with pytest.raises(ValueError, match=r"layers: Network has no submodule 'con'.*'conv'"):
        run(network, ("con",))


@pytest.mark.parametrize("output", [lambda x: x.sum(), lambda x: x[:1, 0, 0], lambda x: (x, x)])
def test_layer_without_a_row_per_sample(output):
    class Odd(nn.Module):
        def forward(self, x):
            return output(x)

    with pytest.raises(ValueError, match="layers: 'features' must give one row of activations"):
        run(Odd(), ("features",))


@pytest.mark.parametrize("layers", [("hidden1",), ("features",), ("hidden1", "features")])
def test_backbone_of_an_adapted_network(layers):
    backbone = MLP(6).eval()
    module = AdaptationModule(copy.deepcopy(backbone), nn.Linear(64, 2)).eval()
    x = torch.rand(4, 6)
    expected = {"hidden1": backbone.hidden1(x), "features": backbone(x)}
    for layer, features in zip(layers, run(module, layers, x=x), strict=True):
        torch.testing.assert_close(features, expected[layer])


def test_adapted_network_keeps_no_activations():
    module = AdaptationModule(MLP(6), nn.Linear(64, 2), layers=("hidden1", "features")).eval()
    run(module, ("hidden2",), x=torch.rand(4, 6))
    assert not module._recorded


def test_threads_do_not_mix_their_rows(network):
    features = FeatureModule(network, ("conv",), "avg")
    batches = [IMAGES[n : n + 1].repeat(8, 1, 1, 1) for n in range(4)]
    with torch.no_grad():
        expected = [features(batch)[0] for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(features, batches * 10))
    for number, (result,) in enumerate(results):
        torch.testing.assert_close(result, expected[number % 4])


@pytest.mark.parametrize("layers", [("conv",), ("shared", "features")])
def test_exported_graph_gives_the_same(network, layers):
    features = FeatureModule(network, layers, "avg").eval()
    with torch.no_grad():
        expected = features(IMAGES)
        graph = torch.export.export(features, (IMAGES,), strict=False).module()
        for got, want in zip(graph(IMAGES), expected, strict=True):
            torch.testing.assert_close(got, want)
