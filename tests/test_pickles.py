"""Fitted estimators of every released version load and predict as they did.

Before a release,

    python tests/test_pickles.py

adds the pickles of this version; those of earlier versions stay.
"""

import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import sklearn
import torch

import skda
from skda.adaptation import DNFC, AdaBNClassifier, ADDAClassifier, DANNClassifier, DSNClassifier
from skda.datasets import load_shifted_digits
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier
from skda.subspace import TCA

FOLDER = Path(__file__).with_name("pickles")
SMALL = {"module__hidden_layer_sizes": (8,), "max_epochs": 2, "random_state": 0}
ESTIMATORS = {
    "dann": lambda: DANNClassifier(discriminator__hidden_layer_sizes=(4,), **SMALL),
    "adda": lambda: ADDAClassifier(discriminator__hidden_layer_sizes=(4,), **SMALL),
    "adabn": lambda: AdaBNClassifier(standardize="domain", **SMALL),
    "dsn": lambda: DSNClassifier(similarity__hidden_layer_sizes=(4,), **SMALL),
    "fine_tuning": lambda: FineTuneClassifier(n_frozen=1, unfreeze_every=1, **SMALL),
    "extractor": lambda: DeepFeatureExtractor(module__hidden_layer_sizes=(8,), random_state=0),
    "tca": lambda: TCA(n_components=2, kernel="linear"),
    "dnfc": lambda: DNFC(n_layers=1),
}
PICKLES = sorted(FOLDER.glob("*/*.pkl"))


def rows():
    digits = load_shifted_digits(random_state=0)
    columns = slice(24, 40)
    return digits.X[:40, columns], digits.y[:40], digits.X_target[:30, columns]


def outputs(estimator):
    """Return what an estimator makes of a few target rows."""
    X = rows()[2][:5]
    method = "predict_proba" if hasattr(estimator, "predict_proba") else "transform"
    return np.asarray(getattr(estimator, method)(X), dtype=float)


def release(version):
    return tuple(int(part) for part in version.partition("+")[0].split(".")[:2])


def skip_where_it_need_not_be_read(path):
    """Skip if a library is older than the one that a pickle was made with."""
    made = json.loads(path.with_name("versions.json").read_text(encoding="utf-8"))
    installed = {"torch": torch.__version__, "scikit-learn": sklearn.__version__}
    installed["numpy"] = np.__version__
    for name, version in installed.items():
        if release(version) < release(made[name]):
            pytest.skip(f"made with {name} {made[name]}, which {version} need not read")


@pytest.mark.parametrize("path", PICKLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_pickles_of_released_versions_load(path):
    skip_where_it_need_not_be_read(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sklearn.exceptions.InconsistentVersionWarning)
        stored = pickle.loads(path.read_bytes())
    np.testing.assert_allclose(outputs(stored["estimator"]), stored["outputs"], atol=1e-5)


@pytest.mark.parametrize("name", ["dann", "adabn", "dsn", "fine_tuning"])
def test_the_first_pickles_go_on_learning(name):
    path = FOLDER / "0.1.0" / f"{name}.pkl"
    skip_where_it_need_not_be_read(path)
    X, y, X_target = rows()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = pickle.loads(path.read_bytes())["estimator"]
        before = outputs(estimator)
        estimator.partial_fit(X, y, **({} if name == "fine_tuning" else {"X_target": X_target}))
        if name == "adabn":
            estimator.adapt(X_target)
    assert estimator.n_iter_ == 3 and not np.array_equal(outputs(estimator), before)


def test_this_version_has_pickles():
    assert {path.stem for path in (FOLDER / skda.__version__).glob("*.pkl")} == set(ESTIMATORS)


def add():
    """Write the pickles of this version."""
    torch.set_num_threads(1)
    X, y, X_target = rows()
    folder = FOLDER / skda.__version__
    folder.mkdir(parents=True, exist_ok=True)
    versions = {"numpy": np.__version__, "scikit-learn": sklearn.__version__}
    versions["torch"] = torch.__version__
    (folder / "versions.json").write_text(json.dumps(versions, indent=1) + "\n", encoding="utf-8")
    for name, make in ESTIMATORS.items():
        no_target = name in ("fine_tuning", "extractor")
        estimator = make().fit(X, y, **({} if no_target else {"X_target": X_target}))
        stored = {"estimator": estimator, "outputs": outputs(estimator)}
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(stored, protocol=5))


if __name__ == "__main__":
    add()
