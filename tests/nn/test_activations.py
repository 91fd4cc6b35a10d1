"""Recording activations, and losses at several layers."""

import copy
import pickle

import pytest
import torch
from torch import nn

from skda.losses import coral
from skda.nn import MLP, DomainAdversary, LayerwiseAlignment, record_activations


def test_recorded_outputs_are_those_of_the_layers():
    network, store = MLP(4, hidden_layer_sizes=(8, 6), batch_norm=False), {}
    record_activations(network, ["hidden1", "hidden2.0"], store)
    x = torch.randn(3, 4)
    network(x)
    assert torch.equal(store["hidden1"], network.hidden1(x))
    assert store["hidden2.0"].shape == (3, 6)


def test_removed_handles_record_no_more():
    network, store = MLP(4), {}
    for handle in record_activations(network, ["hidden1"], store):
        handle.remove()
    network(torch.randn(3, 4))
    assert store == {}


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copied_network_records_into_the_copied_store(copied):
    network, store = MLP(4), {}
    record_activations(network, ["hidden1"], store)
    other, other_store = copied((network, store))
    other(torch.randn(3, 4))
    assert "hidden1" in other_store and store == {}


def test_unknown_layer_lists_near_names():
    with pytest.raises(ValueError, match=r"no submodule 'hiden1'; the nearest are .*'hidden1'"):
        record_activations(MLP(4), ["hiden1"], {})


def test_unknown_layer_far_from_all_lists_what_there_is():
    with pytest.raises(ValueError, match="the nearest are '0', '1'"):
        record_activations(nn.Sequential(nn.ReLU(), nn.ReLU()), ["embedding"], {})


def test_the_network_itself_is_no_layer():
    with pytest.raises(ValueError, match="no submodule ''"):
        record_activations(MLP(4), [""], {})


def test_unknown_layer_leaves_no_hook_behind():
    network = MLP(4)
    with pytest.raises(ValueError):
        record_activations(network, ["hidden1", "nothing"], {})
    assert not network.hidden1._forward_hooks


def test_alignment_sums_over_layers():
    losses = {"a": coral, "b": lambda s, t: s.mean() - t.mean()}
    source = {"a": torch.randn(5, 2), "b": torch.ones(5, 3)}
    target = {"a": torch.randn(4, 2), "b": torch.zeros(4, 3)}
    total = LayerwiseAlignment(losses)(source, target)
    torch.testing.assert_close(total, coral(source["a"], target["a"]) + 1)


def test_alignment_flattens_activations():
    seen = {}

    def spy(source, target):
        seen["shape"] = source.shape
        return source.sum()

    activations = {"conv1.0": torch.zeros(5, 3, 2, 2)}
    LayerwiseAlignment({"conv1.0": spy})(activations, activations)
    assert seen["shape"] == (5, 12)


def test_alignment_registers_the_parameters_of_its_losses():
    adversary = DomainAdversary(3)
    alignment = LayerwiseAlignment({"conv1.0": adversary, "logits": coral})
    assert {id(p) for p in alignment.parameters()} == {id(p) for p in adversary.parameters()}


def test_a_copied_alignment_computes_with_its_own_parameters():
    alignment = LayerwiseAlignment({"a": DomainAdversary(3)})
    other = copy.deepcopy(alignment)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    activations = {"a": torch.ones(4, 3)}, {"a": -torch.ones(4, 3)}
    torch.testing.assert_close(other(*activations).item(), 0.6931, rtol=0, atol=1e-4)
    other(*activations).backward()
    assert all(parameter.grad is None for parameter in alignment.parameters())


def test_alignment_of_functions_is_no_opponent():
    assert not LayerwiseAlignment({"logits": coral}).adversarial
