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


def thumbnail(figure):
    """Return a figure as means of blocks of pixels, in [0, 1]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(_DPI)
    canvas = FigureCanvasAgg(figure)
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
