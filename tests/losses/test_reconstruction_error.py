"""Error of a reconstruction."""

import torch

from skda.losses import reconstruction_error


def test_share_of_the_variance():
    X = torch.randn(50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert reconstruction_error(X, X) == 0
    assert torch.isclose(reconstruction_error(X.mean(dim=0).expand_as(X), X), X.new_tensor(1.0))


def test_units_columns_and_offset_do_not_matter():
    rng = torch.Generator().manual_seed(0)
    X, noise = torch.randn(2, 50, 4, generator=rng, dtype=torch.float64)
    loss = reconstruction_error(X + noise, X)
    assert torch.isclose(reconstruction_error(1e3 * (X + noise), 1e3 * X), loss)
    assert torch.isclose(reconstruction_error(X + noise + 1e4, X + 1e4), loss)
    twice = reconstruction_error((X + noise).repeat(3, 2), X.repeat(3, 2))
    assert torch.isclose(twice, loss)


def test_rows_that_are_alike():
    loss = reconstruction_error(torch.full((3, 2), 2.0), torch.zeros(3, 2))
    assert loss.item() == 4


def test_half_precision_is_computed_in_float32():
    X = 300 * torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    loss = reconstruction_error(-X.half(), X.half())
    assert loss.dtype == torch.float32 and torch.isfinite(loss)
