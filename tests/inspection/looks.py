"""What displays look like, compared with small pictures that are stored.

``SKDA_STORE_LOOKS=1 python -m pytest tests/inspection`` stores them anew after a wanted change;
look at the pictures before they are kept.
"""

import os
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent / "looks"
# Blocks are larger than the hinting of a letter, and smaller than a marker.
_DPI, _BLOCK = 60, 4
_DIFFERENT, _MOST = 0.12, 0.004


def _bare(figure):
    """Take letters away, and give axes a fixed place: fonts differ between versions."""
    text = pytest.importorskip("matplotlib.text").Text
    figure.set_layout_engine("none")
    figure.set_size_inches(8, 4)
    shown = [ax for ax in figure.axes if ax.axison]
    for number, ax in enumerate(shown):
        ax.set_position(((number + 0.05) / len(shown), 0.1, 0.65 / len(shown), 0.85))
    for letters in figure.findobj(text):
        letters.set_visible(False)


def thumbnail(figure):
    """Return a figure without letters as means of blocks of pixels, in [0, 1]."""
    agg = pytest.importorskip("matplotlib.backends.backend_agg")
    figure.set_dpi(_DPI)
    figure.canvas.draw()  # makes the labels of ticks
    _bare(figure)
    canvas = agg.FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3] / 255
    height, width = (size // _BLOCK for size in pixels.shape[:2])
    blocks = pixels[: height * _BLOCK, : width * _BLOCK]
    return blocks.reshape(height, _BLOCK, width, _BLOCK, 3).mean(axis=(1, 3))


def check_look(figure, name):
    """Fail if more than a few blocks of a figure differ from those stored."""
    image = pytest.importorskip("matplotlib.image")
    seen, path = thumbnail(figure), FOLDER / f"{name}.png"
    if os.environ.get("SKDA_STORE_LOOKS") == "1":
        FOLDER.mkdir(exist_ok=True)
        image.imsave(path, np.round(255 * seen).astype(np.uint8))
    stored = image.imread(path)[..., :3]
    assert seen.shape == stored.shape
    share = np.mean(np.abs(seen - stored).max(axis=2) > _DIFFERENT)
    assert share < _MOST, f"{100 * share:.2f} % of the picture differ from {path}"
