"""Data of the tests of losses."""

import pytest
import torch


@pytest.fixture(scope="session")
def normal():
    """Function from a shape and a seed to standard normal numbers."""

    def draw(*shape, seed, dtype=torch.float64):
        return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))

    return draw
