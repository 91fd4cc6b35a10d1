"""Every display has a picture that is stored, and another picture is seen."""

import re

import numpy as np
import pytest

import skda.inspection

from . import looks


@pytest.mark.parametrize("name", skda.inspection.__all__)
def test_every_display_has_a_look(name):
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.removesuffix("Display")).lower()
    path = looks.FOLDER / f"{words}.png"
    assert path.exists(), f"call check_look(figure, {words!r}) in a test, and store the picture"


def _bars(heights):
    plt = pytest.importorskip("matplotlib.pyplot")
    figure, axes = plt.subplots()
    axes.bar(np.arange(3), heights)
    axes.set(ylim=(0, 1))
    return figure


def test_what_has_changed_or_is_blank_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(looks, "FOLDER", tmp_path)
    monkeypatch.setenv("SKDA_STORE_LOOKS", "1")
    looks.check_look(_bars([0.2, 0.5, 0.9]), "bars")
    monkeypatch.delenv("SKDA_STORE_LOOKS")
    looks.check_look(_bars([0.2, 0.5, 0.9]), "bars")
    for heights in ([0.2, 0.6, 0.9], [0, 0, 0]):
        with pytest.raises(AssertionError, match="of the picture differ"):
            looks.check_look(_bars(heights), "bars")
