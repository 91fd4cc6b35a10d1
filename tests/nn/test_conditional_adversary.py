import pytest
import torch
from torch import nn

from skda.losses import domain_cross_entropy
from skda.nn import (
    Activations,
    ConditionalDomainAdversary,
    MultilinearMap,
    certainty_weights,
    reverse_gradient,
)


@pytest.fixture
def rows():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    return features, torch.randn(6, 3, generator=generator, dtype=torch.float64).softmax(dim=1)


def _domain(features, logits):
    return Activations({"features": features, "logits": logits}, ("features",))


# -- the map ----------------------------------------------------------------------------------


def test_small_maps_are_outer_products(rows):
    features, probabilities = rows
    mapped = MultilinearMap(4, 3)(features, probabilities).view(6, 3, 4)
    torch.testing.assert_close(mapped, torch.einsum("nc,nf->ncf", probabilities, features))


def test_uniform_probabilities_leave_the_features(rows):
    mapped = MultilinearMap(4, 3)(rows[0], torch.full((6, 3), 1 / 3, dtype=torch.float64))
    torch.testing.assert_close(mapped, rows[0].repeat(1, 3) / 3)


def test_random_map_keeps_products_on_average(rows):
    torch.manual_seed(0)
    features, probabilities = rows
    expected = (features @ features.T) * (probabilities @ probabilities.T)
    draws = []
    for _ in range(300):
        random = MultilinearMap(4, 3, max_width=11, random_width=64).double()
        mapped = random(features, probabilities)
        draws.append(mapped @ mapped.T)
    draws = torch.stack(draws)
    error = draws.std(dim=0) / len(draws) ** 0.5
    assert ((draws.mean(dim=0) - expected).abs() < 5 * error).all()


def test_width_decides_between_the_maps():
    assert MultilinearMap(4, 3, max_width=12).width == 12
    assert MultilinearMap(4, 3, max_width=11, random_width=50).width == 50


def test_random_matrices_are_kept_with_the_weights():
    first, second = (MultilinearMap(4, 3, max_width=1) for _ in range(2))
    second.load_state_dict(first.state_dict())
    f, p = torch.randn(2, 4), torch.rand(2, 3)
    assert torch.equal(first(f, p), second(f, p))
    assert not list(first.parameters())


# -- the weights ------------------------------------------------------------------------------


def test_weights_have_mean_one_and_lie_within_a_factor_of_two():
    probabilities = (5 * torch.randn(50, 4)).softmax(dim=1)
    weights = certainty_weights(probabilities)
    assert weights.mean().item() == pytest.approx(1, abs=1e-6)
    assert weights.max() / weights.min() <= 2
    assert weights.argmax() == torch.special.entr(probabilities).sum(dim=1).argmin()


def test_certain_rows_are_finite():
    assert certainty_weights(torch.eye(3)).tolist() == [[1.0]] * 3


def test_larger_weights_are_more_certain_predictions():
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.1, 0.0, 0.0], [200.0, 0.0, -200.0]])
    logits.requires_grad_()
    certainty_weights(logits.softmax(dim=1)).sum().backward()
    assert logits.grad.isfinite().all() and not logits.grad[2].any()
    assert (logits.grad[:2, 0] > 0).all() and (logits.grad[:2, 1:] < 0).all()


# -- the adversary ----------------------------------------------------------------------------


def test_loss_is_the_weighted_cross_entropy_of_the_maps(rows):
    features, logits = rows
    adversary = ConditionalDomainAdversary(("features",), {"features": 4, "logits": 3}).double()
    source, target = _domain(features[:4], logits[:4]), _domain(features[4:], logits[4:])
    p = logits.softmax(dim=1)
    z = adversary.discriminator(torch.einsum("nc,nf->ncf", p, features).flatten(1))
    expected = domain_cross_entropy(
        z[:4], z[4:], certainty_weights(p[:4]), certainty_weights(p[4:])
    )
    torch.testing.assert_close(adversary(source, target), expected)


def test_gradient_goes_through_features_predictions_and_weights(rows):
    features, logits = (row.clone().requires_grad_() for row in rows)
    widths = {"features": 4, "logits": 3}
    gradients = []
    for weighting in (True, False):
        torch.manual_seed(0)
        adversary = ConditionalDomainAdversary(("features",), widths, entropy_weighting=weighting)
        loss = adversary.double()(
            _domain(features[:4], logits[:4]), _domain(features[4:], logits[4:])
        )
        gradients.append(torch.autograd.grad(loss, (features, logits)))
    assert all(gradient.any(dim=1).all() for pair in gradients for gradient in pair)
    assert not torch.allclose(gradients[0][1], gradients[1][1])


def test_features_go_up_and_the_discriminator_down(rows):
    features = rows[0].clone().requires_grad_()
    adversary = ConditionalDomainAdversary(("features",), {"features": 4, "logits": 3}).double()
    reversed_ = reverse_gradient(features, 1.0)
    loss = adversary(_domain(reversed_[:3], rows[1][:3]), _domain(reversed_[3:], rows[1][3:]))
    loss.backward()

    def again(x):
        with torch.no_grad():
            return adversary(_domain(x[:3], rows[1][:3]), _domain(x[3:], rows[1][3:]))

    assert again(features - 0.01 * features.grad) > loss
    with torch.no_grad():
        for parameter in adversary.parameters():
            parameter -= 0.01 * parameter.grad
    assert again(features) < loss


def test_several_layers_stand_side_by_side():
    widths = {"hidden": 2, "features": 4, "logits": 3}
    adversary = ConditionalDomainAdversary(("hidden", "features"), widths, nn.LazyLinear)
    assert adversary.map.width == 18
