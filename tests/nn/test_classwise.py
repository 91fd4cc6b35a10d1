import pytest
import torch
from torch import nn

from skda.nn import ClasswiseDiscriminator


@pytest.fixture
def features():
    return torch.randn(7, 4, generator=torch.Generator().manual_seed(0))


def _network_of_class(discriminator, number):
    """The same network, of linear layers."""
    layers = []
    for part in discriminator.layers:
        _, n_in, n_out = part.weight.shape
        linear = nn.Linear(n_in, n_out)
        linear.weight.data, linear.bias.data = part.weight[number].T, part.bias[number, 0]
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def test_every_class_has_a_network_of_its_own(features):
    discriminator = ClasswiseDiscriminator(4, 3, hidden_layer_sizes=(6, 5))
    logits = discriminator(features)
    for number in range(3):
        alone = _network_of_class(discriminator, number)(features)
        torch.testing.assert_close(logits[:, number : number + 1], alone)


def test_scale_multiplies_the_features_of_each_class(features):
    discriminator = ClasswiseDiscriminator(4, 3)
    scale = torch.rand(7, 3)
    logits = discriminator(features, scale)
    for number in range(3):
        alone = discriminator(features * scale[:, number, None])
        torch.testing.assert_close(logits[:, number], alone[:, number])


def test_gradient_of_one_class_leaves_the_others_alone(features):
    discriminator = ClasswiseDiscriminator(4, 3)
    discriminator(features)[:, 1].sum().backward()
    gradient = discriminator.layers[0].weight.grad
    assert gradient[1].any() and not gradient[0].any() and not gradient[2].any()


def test_without_hidden_layers_it_is_linear(features):
    discriminator = ClasswiseDiscriminator(4, 2, hidden_layer_sizes=())
    torch.testing.assert_close(
        discriminator(features) - discriminator(torch.zeros(7, 4)),
        features @ discriminator.layers[0].weight[:, :, 0].T,
    )


def test_dropout_works_in_training_only(features):
    discriminator = ClasswiseDiscriminator(4, 2, dropout=0.5)
    assert not torch.equal(discriminator(features), discriminator(features))
    discriminator.eval()
    assert torch.equal(discriminator(features), discriminator(features))
