"""The examples of the README run as they stand."""

import re
import zipfile
from pathlib import Path

import pytest
import sklearn

README = Path(__file__).parents[1] / "README.md"
INTRODUCTION, TABLES, VERDICT, IMAGES, FINE_TUNING, SHALLOW, SEARCH = re.findall(
    r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)


def _run(code, **names):
    exec(compile(code, str(README), "exec"), names)
    return names


def test_introduction(few):
    names = _run(INTRODUCTION, **few, X_target_new=few["X_target"][:7])
    assert names["clf"].predict(few["X_target"][:7]).shape == (7,)


def test_tables(capsys):
    features = _run(TABLES)["features"]
    assert features.shape == (899, 64)
    accuracy, _ = capsys.readouterr().out.split()
    assert float(accuracy) > 0.57


def test_did_it_help(capsys):
    names = _run(VERDICT)
    said = capsys.readouterr().out
    assert names["guard"].best_name_ == "adapted" and "Kept 'adapted'" in said
    assert "Kind of shift" in said and said.endswith("keep\n")


def test_fine_tuning(capsys):
    _run(FINE_TUNING)
    assert float(capsys.readouterr().out) > 0.7


def test_shallow_baselines(capsys):
    _run(SHALLOW)
    distance, accuracy = map(float, capsys.readouterr().out.split())
    assert 1.5 < distance < 2 and accuracy > 0.6


def test_grid_search_without_target_labels():
    with sklearn.config_context():
        search = _run(SEARCH)["search"]
    assert set(search.best_params_) == {"pca__n_components", "dannclassifier__module__dropout"}


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
