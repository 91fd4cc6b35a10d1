"""What all tests of pictures need."""

import pytest


@pytest.fixture(autouse=True)
def figures():
    """Pictures as matplotlib draws them by default, which no test leaves open."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with matplotlib.rc_context(matplotlib.rcParamsDefault):
        yield
    plt.close("all")
