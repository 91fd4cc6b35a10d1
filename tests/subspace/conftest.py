"""Two domains for the shallow methods."""

import numpy as np
import pytest
import sklearn


@pytest.fixture
def domains():
    """60 source rows and 40 target rows of 7 columns, with means and covariances of their own."""
    rng = np.random.RandomState(0)
    source = rng.standard_normal((60, 7)) @ rng.standard_normal((7, 7))
    target = rng.standard_normal((40, 7)) @ rng.standard_normal((7, 7)) + 3
    return source, target


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield
