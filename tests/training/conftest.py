"""Training of small networks."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="package")
def _one_thread():
    """Steps of tiny networks: threads that wait for each other would take most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
