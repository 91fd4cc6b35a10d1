"""Pictures of the built documentation: there, not blank, and told in words."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

EXAMPLES = sorted(path.stem for path in Path(__file__).parents[2].glob("examples/plot_*.py"))
THUMBNAIL = (480, 336)
LEAST_SIZE, LEAST_COLORS, LEAST_DRAWN = (300, 150), 20, 0.01


class Pictures(HTMLParser):
    """The pictures of a page, as dicts of their attributes."""

    def __init__(self, file):
        super().__init__()
        self.found = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.found.append({name: value or "" for name, value in attrs})


def pixels_of(path):
    pillow = pytest.importorskip("PIL.Image", reason="needs Pillow")
    return np.asarray(pillow.open(path).convert("RGB"))


def fault_of(path):
    """Say what is wrong with a picture, or nothing."""
    pixels = pixels_of(path)
    height, width = pixels.shape[:2]
    if width < LEAST_SIZE[0] or height < LEAST_SIZE[1]:
        return f"{width} x {height} pixels"
    colors, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    drawn = 1 - counts.max() / counts.sum()
    if len(colors) < LEAST_COLORS or drawn < LEAST_DRAWN:
        return f"{len(colors)} colours, and {100 * drawn:.1f} % are not the background"
    return ""


def difference(path, thumbnail):
    """Return how far a thumbnail is from the picture, as the gallery makes it small, in [0, 1]."""
    pillow = pytest.importorskip("PIL.Image", reason="needs Pillow")
    small = pillow.open(path).convert("RGB")
    small.thumbnail(THUMBNAIL)
    wanted = pillow.new("RGB", THUMBNAIL, "white")
    wanted.paste(small, tuple((a - b) // 2 for a, b in zip(THUMBNAIL, small.size, strict=True)))
    shown = pillow.open(thumbnail).convert("RGBA")
    if shown.size != THUMBNAIL:
        return 1
    seen = pillow.new("RGBA", THUMBNAIL, "white")
    seen.alpha_composite(shown)
    seen = seen.convert("RGB").resize((60, 42), pillow.Resampling.BOX)
    wanted = wanted.resize((60, 42), pillow.Resampling.BOX)
    return np.abs(np.asarray(seen, float) - np.asarray(wanted, float)).mean() / 255


def plots_of(page):
    """Return the pictures that an example has drawn, as attributes with their file."""
    plots = [one for one in Pictures(page).found if "sphx_glr_" in one["src"]]
    return [{**one, "file": page.parent / unquote(one["src"])} for one in plots]


@pytest.fixture(scope="module")
def gallery(site):
    """The folder of the examples, which have run."""
    folder = site / "gallery"
    if not any("sphx-glr-timing" in page.read_text("utf-8") for page in folder.glob("plot_*.html")):
        pytest.skip("the documentation was built with SKDA_GALLERY=0")
    return folder


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_shows_pictures_that_are_told_in_words(name, gallery):
    page = gallery / f"{name}.html"
    if "photographs" in name and not page.exists():
        pytest.skip("was built without the photographs")
    plots = plots_of(page)
    assert plots
    assert {plot["src"]: fault for plot in plots if (fault := fault_of(plot["file"]))} == {}
    assert [plot["src"] for plot in plots if not plot["alt"].strip()] == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_thumbnail_is_one_of_the_pictures(name, gallery):
    page = gallery / f"{name}.html"
    if "photographs" in name and not page.exists():
        pytest.skip("was built without the photographs")
    thumbnails = [one["src"] for one in Pictures(gallery / "index.html").found]
    (shown,) = [src for src in thumbnails if re.search(rf"/sphx_glr_{name}_thumb\.png$", src)]
    distances = [difference(plot["file"], gallery / shown) for plot in plots_of(page)]
    assert min(distances) < 0.02, distances


def test_pictures_of_pages_are_told_in_words(site):
    """Where a page gives no words, Sphinx takes the name of the file."""
    silent = []
    for page in site.rglob("*.html"):
        for picture in Pictures(page).found:
            words = picture.get("alt", "").strip()
            is_thumbnail = picture["src"].endswith("_thumb.png")  # the title stands beside it
            if not is_thumbnail and (not words or words.endswith((".png", ".svg"))):
                silent.append((page.name, picture["src"]))
    assert silent == []


def test_pictures_of_pages_are_not_blank(site):
    paths = [path for path in (site / "_images").glob("*.png") if "sphx_glr_" not in path.name]
    assert paths
    assert {path.name: fault for path in paths if (fault := fault_of(path))} == {}


def save(pixels, path):
    pillow = pytest.importorskip("PIL.Image", reason="needs Pillow")
    pillow.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def test_faults_of_pictures_are_found(tmp_path):
    noise = np.random.RandomState(0).randint(256, size=(200, 400, 3))
    assert fault_of(save(noise, tmp_path / "good.png")) == ""
    assert "pixels" in fault_of(save(noise[:100], tmp_path / "flat.png"))
    assert "colours" in fault_of(save(np.full((200, 400, 3), 255), tmp_path / "blank.png"))
    other = save(noise // 2, tmp_path / "other.png")
    assert difference(tmp_path / "good.png", other) > 0.02
