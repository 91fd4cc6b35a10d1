import pytest
import torch

from skda.adaptation.adversarial import CoupledGenerator


@pytest.mark.parametrize(
    "shape", [(1,), (64,), (1, 4, 4), (1, 8, 8), (1, 28, 28), (3, 32, 32), (2, 9, 20), (3, 65, 40)]
)
def test_both_rows_have_the_shape_that_is_asked_for(shape):
    generator = CoupledGenerator(5, shape, channels=16)
    assert [rows.shape for rows in generator(torch.randn(3, 5))] == [(3, *shape)] * 2


def test_layers_but_the_last_are_shared():
    generator = CoupledGenerator(5, (1, 28, 28))
    n_parameters = sum(p.numel() for p in generator.parameters())
    shared, first, second = (
        sum(p.numel() for p in part.parameters()) for part in (generator.shared, *generator.last)
    )
    assert n_parameters == shared + first + second and first == second < shared / 100


def test_both_rows_are_of_the_same_noise():
    generator = CoupledGenerator(5, (6,)).eval()
    generator.last[1].load_state_dict(generator.last[0].state_dict())
    source, target = generator(torch.randn(3, 5))
    assert torch.equal(source, target)


@pytest.mark.parametrize("shape", [(2,), (2, 8, 8)])
def test_rows_lie_in_the_range_of_their_domain(shape):
    generator = CoupledGenerator(5, shape, channels=16)
    low, high = torch.tensor([-1.0, 3.0]), torch.tensor([1.0, 3.0])
    generator.set_ranges((low, high), (low + 10, high + 20))
    source, target = (rows.transpose(0, 1).flatten(1) for rows in generator(torch.randn(50, 5)))
    assert (-1 <= source[0]).all() and (source[0] <= 1).all() and (source[1] == 3).all()
    assert (9 <= target[0]).all() and (target[0] <= 21).all() and source[0].std() > 0
    assert (13 <= target[1]).all() and (target[1] <= 23).all()


def test_keywords_change_the_size():
    assert CoupledGenerator(5, (3,), hidden_layer_sizes=(7,)).last[0].in_features == 7
    assert CoupledGenerator(5, (3,), hidden_layer_sizes=()).last[0].in_features == 5
    assert CoupledGenerator(5, (1, 8, 8), channels=12).last[0].in_channels == 12


@pytest.mark.parametrize("shape", [(5,), (1, 16, 16)])
def test_both_domains_start_alike(shape):
    generator = CoupledGenerator(4, shape)
    source, target = generator(torch.randn(6, 4))
    torch.testing.assert_close(source, target)
    assert generator.last[0].weight is not generator.last[1].weight
