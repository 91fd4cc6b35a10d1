"""Files of ``skda.save`` of every released version load and predict as they did.

Before a release,

    python tests/test_saved.py VERSION

adds the files of this version; those of earlier versions stay.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import sklearn
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import skda
from skda.adaptation import DNFC, AdaBNClassifier, DANNClassifier, DDCClassifier, DSNClassifier
from skda.datasets import load_shifted_digits
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier
from skda.subspace import TCA

FOLDER = Path(__file__).with_name("saved")
SMALL = {"module__hidden_layer_sizes": (8,), "max_epochs": 2, "random_state": 0}
ESTIMATORS = {
    "dann": lambda: DANNClassifier(discriminator__hidden_layer_sizes=(4,), **SMALL),
    "adabn": lambda: AdaBNClassifier(standardize="domain", **SMALL),
    "ddc": lambda: DDCClassifier(adaptation_width=5, **SMALL),
    "dsn": lambda: DSNClassifier(similarity__hidden_layer_sizes=(4,), **SMALL),
    "fine_tuning": lambda: FineTuneClassifier(n_frozen=1, unfreeze_every=1, **SMALL),
    "images": lambda: DeepFeatureExtractor(
        layers=("conv1", "features"),
        module__channels=(4, 4),
        module__hidden_layer_sizes=(4,),
        random_state=0,
    ),
    "pipeline": lambda: make_pipeline(
        StandardScaler(),
        DeepFeatureExtractor(module__hidden_layer_sizes=(8,), random_state=0),
        LinearSVC(random_state=0),
    ),
    "tca": lambda: TCA(n_components=2, kernel="linear"),
    "dnfc": lambda: DNFC(n_layers=1),
}
WITHOUT_TARGET = ("fine_tuning", "images", "pipeline")
FILES = sorted(FOLDER.glob("*/*.skda"))


def rows(name):
    digits = load_shifted_digits(random_state=0)
    X, y, X_target = digits.X[:40, 24:40], digits.y[:40], digits.X_target[:30, 24:40]
    if name == "images":
        X, X_target = (part.reshape(-1, 1, 4, 4) for part in (X, X_target))
    return X, y, X_target


def outputs(name, estimator):
    """Return what an estimator makes of a few target rows."""
    X = rows(name)[2][:5]
    for method in ("predict_proba", "decision_function", "transform"):
        if hasattr(estimator, method):
            return np.asarray(getattr(estimator, method)(X), dtype=float)
    raise AssertionError(name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_files_of_earlier_versions_load(path):
    expected = json.loads(path.with_name("outputs.json").read_text(encoding="utf-8"))[path.stem]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sklearn.exceptions.InconsistentVersionWarning)
        estimator = skda.load(path)
    np.testing.assert_allclose(outputs(path.stem, estimator), expected, atol=1e-5)


def test_there_are_files_of_every_kind():
    assert {path.stem for path in FILES} >= set(ESTIMATORS)


def add(version):
    """Write the files of this version."""
    folder, values = FOLDER / version, {}
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in ESTIMATORS.items():
        X, y, X_target = rows(name)
        target = {} if name in WITHOUT_TARGET else {"X_target": X_target}
        estimator = make().fit(X, y, **target)
        skda.save(estimator, folder / f"{name}.skda")
        values[name] = outputs(name, estimator).tolist()
    text = json.dumps(values) + "\n"
    (folder / "outputs.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    add(sys.argv[1])
