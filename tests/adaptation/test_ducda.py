"""DUCDA: which layers pay attention."""

import numpy as np
import pytest
import torch
from devices import on_cpu

from skda.adaptation import DeepCORALClassifier, DUCDAClassifier


@pytest.fixture
def images(few):
    return {
        "X": few["X"].reshape(-1, 1, 8, 8),
        "y": few["y"],
        "X_target": few["X_target"].reshape(-1, 1, 8, 8),
    }


def _fit(cls, data, **params):
    clf = cls(**{"max_epochs": 2, "random_state": 0, **params})
    return clf.fit(data["X"], data["y"], X_target=data["X_target"])


def _weights(clf):
    return torch.cat([p.flatten() for p in on_cpu(clf.net_.module_.parameters())])


def test_convolutional_parts_are_found(images):
    clf = _fit(DUCDAClassifier, images, max_epochs=1)
    attention, _ = clf.net_.alignment_
    assert attention.layers == ("conv1", "conv2")


def test_convolutional_layers_of_the_user(images):
    clf = _fit(DUCDAClassifier, images, max_epochs=1, conv_layers=("conv2.0",))
    attention, _ = clf.net_.alignment_
    assert attention.layers == ("conv2.0",)


def test_without_attention_it_is_deep_coral(images):
    params = {"trade_off": 5.0}
    weights = [
        _weights(_fit(cls, images, **params, **more))
        for cls, more in ((DUCDAClassifier, {"conv_weight": 0}), (DeepCORALClassifier, {}))
    ]
    assert torch.equal(*weights)


def test_on_tables_it_is_deep_coral(few):
    predictions = [
        _fit(cls, few, trade_off=5.0).predict_proba(few["X_target"])
        for cls in (DUCDAClassifier, DeepCORALClassifier)
    ]
    np.testing.assert_array_equal(*predictions)


def test_attention_changes_the_weights(images):
    weights = [_weights(_fit(DUCDAClassifier, images, conv_weight=w)) for w in (0, 1e3)]
    assert not torch.allclose(*weights, atol=1e-4)


def test_a_layer_without_positions_is_named(images):
    with pytest.raises(ValueError, match=r"\(n, n_channels, height, width\)|4 dimensions"):
        _fit(DUCDAClassifier, images, conv_layers=("hidden1",))
