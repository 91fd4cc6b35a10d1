import pytest

import skda.fine_tuning
from skda.inspection import TransferabilityDisplay

from .looks import check_look

pytest.importorskip("matplotlib")


def test_is_the_one_of_fine_tuning():
    assert TransferabilityDisplay is skda.fine_tuning.TransferabilityDisplay


def test_look():
    treatments = ["BnB", "BnB+", "AnB", "AnB+", "random"]
    display = TransferabilityDisplay(
        treatment=["base"] + [name for name in treatments for _ in range(3)],
        n_layers=[0] + [1, 2, 3] * 5,
        score=[0.9, *(0.9 - 0.03 * number * drop for drop in range(5) for number in range(3))],
    )
    check_look(display.plot().figure_, "transferability")
