"""The network of every estimator."""

import copy

import pytest
import torch
from torch import nn

from skda.nn import MLP, DomainBatchNorm
from skda.training import AdaptationModule, list_blocks


def _module(**keywords):
    return AdaptationModule(MLP(4, hidden_layer_sizes=(8, 6)), nn.Linear(6, 3), **keywords)


def test_features_and_logits():
    module = _module(layers=("features", "logits")).eval()
    x = torch.randn(5, 4)
    logits, activations = module(x)
    assert torch.equal(activations["features"], module.backbone(x))
    assert torch.equal(activations["logits"], logits)
    assert torch.equal(logits, module.head(activations["features"]))


def test_only_the_named_layers_come_back():
    _, activations = _module(layers=("hidden1", "logits"))(torch.randn(5, 4))
    assert list(activations) == ["hidden1", "logits"]
    assert activations["hidden1"].shape == (5, 8)


def test_activations_are_not_kept():
    module = _module(layers=("hidden1",))
    module(torch.randn(5, 4))
    assert module._recorded == {}


def test_a_backbone_that_is_used_again_records_for_the_new_network_alone():
    first = _module(layers=("hidden1",))
    second = AdaptationModule(first.backbone, nn.Linear(6, 3))
    second(torch.randn(5, 4))
    assert first._recorded == {}


def test_a_copy_records_for_itself():
    module = copy.deepcopy(_module(layers=("hidden1",)))
    assert module(torch.randn(5, 4))[1]["hidden1"].shape == (5, 8)


@pytest.mark.parametrize("n_targets, n_statistics", [(1, 2), (2, 4), (3, 5)])
def test_statistics_per_domain_and_of_the_mixture(n_targets, n_statistics):
    norms = _module(n_targets=n_targets).domain_batch_norms()
    assert [len(norm.norms) for norm in norms] == [n_statistics] * 2


@pytest.mark.parametrize("keywords", [{"n_targets": 0}, {"n_targets": 1, "batch_norm": "shared"}])
def test_batch_norms_that_stay_plain(keywords):
    module = _module(**keywords)
    assert module.domain_batch_norms() == []
    assert not any(isinstance(layer, DomainBatchNorm) for layer in module.modules())


def test_recorded_batch_norm_is_that_of_all_domains():
    module = _module(layers=("hidden1.1",), n_targets=1)
    with module.rows.of((6, 4)):
        _, activations = module(torch.randn(10, 4))
    assert activations["hidden1.1"].shape == (10, 8)


def test_inputs_are_standardised_per_domain():
    moments = [(torch.zeros(4), torch.ones(4)), (torch.full((4,), 9.0), torch.full((4,), 2.0))]
    module = _module(n_targets=1, moments=moments).eval()
    x = torch.randn(3, 4)
    torch.testing.assert_close(module(2 * x + 9)[0], _plain(module, x))


def _plain(module, x):
    return module.head(module.backbone(x))


def test_uint8_images_become_floats_with_channels_first():
    x = torch.zeros(2, 5, 6, 3, dtype=torch.uint8)
    x[0, 4, 1, 2] = 255
    image = AdaptationModule.as_input(x)
    assert image.dtype == torch.float32 and image.shape == (2, 3, 5, 6)
    assert image[0, 2, 4, 1] == 1 and image.sum() == 1


def test_other_inputs_pass_unchanged():
    x = torch.randn(2, 3, 5, 6)
    assert AdaptationModule.as_input(x) is x


# -- frozen blocks ----------------------------------------------------------------------------


def _partly_frozen(n_frozen, **keywords):
    backbone = MLP(4, hidden_layer_sizes=(8, 6), dropout=0.5)
    frozen = list_blocks(backbone)[:n_frozen]
    return AdaptationModule(backbone, nn.Linear(6, 3), frozen=frozen, **keywords)


def test_frozen_blocks_stay_in_eval_mode():
    module = _partly_frozen(1).train()
    assert {part.training for part in module.backbone.hidden1.children()} == {False}
    assert all(part.training for part in module.backbone.hidden2.modules())
    assert module.backbone.training and module.head.training


def test_a_frozen_backbone_is_in_eval_mode_as_a_whole():
    module = _partly_frozen(2).train()
    assert not any(part.training for part in module.backbone.modules()) and module.head.training


def test_frozen_parameters_get_no_gradient():
    module = _partly_frozen(1)
    module(torch.randn(5, 4))[0].sum().backward()
    assert all(p.grad is None for p in module.backbone.hidden1.parameters())
    assert all(p.grad is not None for p in module.backbone.hidden2.parameters())


def test_unfreezing_begins_with_the_last_block():
    module = _partly_frozen(2)
    module.unfreeze()
    assert [block.name for block in module.frozen] == ["hidden1.0"]
    module.train()
    assert module.backbone.hidden2[1].training and not module.backbone.hidden1[1].training
    assert all(p.requires_grad for p in module.backbone.hidden2.parameters())


def test_frozen_batch_norms_are_not_kept_per_domain():
    module = _partly_frozen(1, n_targets=1)
    assert isinstance(module.backbone.hidden1[1], nn.BatchNorm1d)
    assert isinstance(module.backbone.hidden2[1], DomainBatchNorm)
    assert len(module.domain_batch_norms()) == 1
