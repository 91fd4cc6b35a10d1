"""Files of one's own, and estimators to put into them."""

import zipfile

import numpy as np
import pytest
import torch

import skda
from skda.fine_tuning import FineTuneClassifier


@pytest.fixture(scope="session")
def fitted(digits):
    """A small fitted estimator."""
    clf = FineTuneClassifier(module__hidden_layer_sizes=(4,), max_epochs=1, random_state=0)
    return clf.fit(digits.X[:60], digits.y[:60])


@pytest.fixture
def roundtrip(tmp_path):
    """Save and load."""

    def save_and_load(estimator, **options):
        skda.save(estimator, tmp_path / "model.skda")
        return skda.load(tmp_path / "model.skda", **options)

    return save_and_load


@pytest.fixture
def assert_same():
    """Compare what two estimators make of rows, bit by bit."""

    def compare(first, second, X):
        methods = ("predict_proba", "decision_function", "predict", "transform")
        names = [name for name in methods if hasattr(first, name)]
        assert names
        for name in names:
            results = [np.asarray(getattr(estimator, name)(X)) for estimator in (first, second)]
            np.testing.assert_array_equal(*results)
            assert results[0].dtype == results[1].dtype

    return compare


@pytest.fixture
def write_objects(tmp_path):
    """Write a file of nodes of one's own, with digests that are right."""
    from skda.persistence._container import write_container

    def write(nodes, root=None, tensors=None, attachments=None):
        path = tmp_path / "crafted.skda"
        objects = {"root": {"ref": 0} if root is None else root, "objects": nodes}
        tensors = {name: torch.as_tensor(t) for name, t in (tensors or {}).items()}
        write_container(path, objects, tensors, attachments or {}, {"skda": "0"})
        return path

    return write


@pytest.fixture
def change(tmp_path):
    """Write the parts of a file again, changed by a function, without new digests."""

    def rewrite(path, alter, compression=zipfile.ZIP_STORED):
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        parts = alter(parts) or parts
        changed = tmp_path / "changed.skda"
        with zipfile.ZipFile(changed, "w", compression) as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        return changed

    return rewrite
