"""The examples of the README run as they stand."""

import re
import zipfile
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")
INTRODUCTION, VERDICT, IMAGES, SHALLOW = re.findall(
    r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL
)


def _run(code, **names):
    exec(compile(code, str(README), "exec"), names)
    return names


def test_introduction(few):
    names = _run(INTRODUCTION, **few, X_target_new=few["X_target"][:7])
    assert names["clf"].predict(few["X_target"][:7]).shape == (7,)


def test_did_it_help(capsys):
    names = _run(VERDICT)
    said = capsys.readouterr().out
    assert names["guard"].best_name_ == "adapted" and "Kept 'adapted'" in said
    assert "Kind of shift" in said


def test_shallow_baselines(capsys):
    _run(SHALLOW)
    assert float(capsys.readouterr().out) > 0.6


def test_links_lead_to_files():
    places = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert len(places) > 15
    assert [place for place in places if not (README.parent / place).exists()] == []


def test_picture_shows_what_the_table_says():
    """The words under the picture round the figures of the table."""
    alone, adapted = (
        re.search(rf"^\| {name}[^|]*\| ([\d.]+)", TEXT, re.MULTILINE)[1]
        for name in ("source only", "DANN")
    )
    assert f"{float(alone):.0f} % for" in TEXT and f"{float(adapted):.0f} % for" in TEXT
    assert (README.parent / "docs/_static/adaptation.png").stat().st_size < 150_000


def test_images_and_svm(data_home, tmp_path, monkeypatch):
    pytest.importorskip("timm")
    archive = data_home / "office_caltech10_images" / "office_caltech10_128px.zip"
    with zipfile.ZipFile(archive) as file:
        names = [name for name in file.namelist() if re.match("amazon/(bike|mug)/.*jpg", name)]
        assert len(names) > 100
        for number, name in enumerate(names):
            _, label, image = name.split("/")
            folder = "new" if number % 3 == 0 else f"train/{label}"
            path = tmp_path / "photos" / folder / f"{label}_{image}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.read(name))
    weights = data_home / "weights" / "mobilenetv2_100_imagenet_timm.safetensors"
    monkeypatch.chdir(tmp_path)
    pretrained = '"timm/mobilenetv2_100"'
    assert pretrained in IMAGES
    code = IMAGES.replace(pretrained, f"{pretrained}, weights={str(weights)!r}")
    predicted = _run(code)["predicted"]
    new = sorted(path.name for path in Path("photos/new").iterdir())
    truth = [name.partition("_")[0] for name in new]
    assert (predicted == truth).mean() > 0.9
