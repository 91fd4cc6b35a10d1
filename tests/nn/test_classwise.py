import pytest
import torch
from torch import nn

from skda.nn import ClasswiseDiscriminator, busiest_classes


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


def _many(n_classes=40):
    torch.manual_seed(0)
    return ClasswiseDiscriminator(4, n_classes, hidden_layer_sizes=(6, 5))


def test_many_classes_have_networks_of_their_own(features):
    discriminator = _many()
    logits = discriminator(features)
    assert logits.shape == (7, 40)
    for number in (0, 17, 39):
        linears = []
        for weight, bias in discriminator.layers.of(None):
            linear = nn.Linear(*weight.shape[1:])
            linear.weight.data, linear.bias.data = weight[number].T, bias[number, 0]
            linears += [linear, nn.ReLU()]
        alone = nn.Sequential(*linears[:-1])(features)
        torch.testing.assert_close(logits[:, number, None], alone)


@pytest.mark.parametrize("n_classes", [5, 40])
def test_some_classes_are_asked_as_they_are_among_all(features, n_classes):
    discriminator, classes = _many(n_classes), torch.tensor([1, 4])
    scale = torch.rand(7, n_classes)
    torch.testing.assert_close(
        discriminator(features, scale[:, classes], classes),
        discriminator(features, scale)[:, classes],
    )


def test_a_step_moves_the_networks_of_its_classes_alone(features):
    discriminator = _many()
    optimizer = torch.optim.Adam(discriminator.parameters())
    before = [p.detach().clone() for p in discriminator.parameters()]
    for classes in (torch.arange(3), torch.arange(2, 5)):
        optimizer.zero_grad()
        discriminator(features, classes=classes).sum().backward()
        optimizer.step()
    moved = [not torch.equal(p, q) for p, q in zip(before, discriminator.parameters(), strict=True)]
    assert moved == [True] * 5 + [False] * 35
    assert len(optimizer.state) == 5  # no moments of the others, either


def test_maps_of_many_classes_start_as_those_of_few():
    of_many = _many(4000).layers.of(None)
    of_few = [layer.of(None) for layer in ClasswiseDiscriminator(4, 32).layers]
    for (weight, bias), (few_weight, _) in zip(of_many[:1], of_few[:1], strict=True):
        bound = 1 / weight.shape[1] ** 0.5
        assert weight.abs().max().item() == pytest.approx(bound, rel=1e-3)
        assert bias.abs().max().item() == pytest.approx(bound, rel=1e-3)
        assert few_weight.abs().max().item() == pytest.approx(bound, rel=1e-2)


def test_busiest_classes_cover_more_than_their_number():
    generator = torch.Generator().manual_seed(0)
    first, second = ((3 * torch.randn(n, 100, generator=generator)).softmax(dim=1) for n in (9, 4))
    classes, coverage = busiest_classes(first, second, 20)
    shares = (first.mean(dim=0) + second.mean(dim=0)) / 2
    assert set(classes.tolist()) == set(shares.argsort(descending=True)[:20].tolist())
    assert coverage.item() == pytest.approx(shares[classes].sum().item()) and coverage > 0.2


def test_few_classes_are_all_busy():
    classes, coverage = busiest_classes(torch.ones(2, 32) / 32, torch.ones(2, 32) / 32)
    assert classes is None and coverage == 1
