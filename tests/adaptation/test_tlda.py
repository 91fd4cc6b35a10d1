"""TLDA's label layer, decoder and divergence."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from skda.adaptation import TLDAClassifier
from skda.adaptation.reconstruction._tlda import LabelAutoencoder
from skda.base import DeepAdaptationClassifier
from skda.exceptions import NoTargetWarning
from skda.losses import activation_divergence, reconstruction_error
from skda.nn import Activations

WIDTHS = {"inputs": 6, "features": 4, "logits": 3}


def fit(few, **params):
    params = {"max_epochs": 3, "random_state": 0, **params}
    clf = TLDAClassifier(**params)
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


@pytest.fixture
def domains():
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(6, 4), nn.Sigmoid())
    label_layer = nn.Linear(4, 3)

    def activate(X):
        features = encoder(X)
        return Activations(
            {"inputs": X, "features": features, "logits": label_layer(features)}, ("inputs",)
        )

    return activate(torch.rand(7, 6)), activate(torch.rand(5, 6)), label_layer


def test_without_divergence_it_is_an_autoencoder_with_two_hidden_layers(domains):
    source, target, _ = domains
    autoencoder = LabelAutoencoder(WIDTHS, 0.0)
    z = torch.cat([source["logits"], target["logits"]]).softmax(dim=1)
    first, second = autoencoder.decoder[0], autoencoder.decoder[2]
    decoded = torch.sigmoid(second(torch.sigmoid(first(z))))
    expected = reconstruction_error(decoded, torch.cat([source["inputs"], target["inputs"]]))
    assert torch.allclose(autoencoder(source, target), expected)


def test_divergence_is_added_with_its_weight(domains):
    source, target, _ = domains
    autoencoder = LabelAutoencoder(WIDTHS, 0.0)
    error = autoencoder(source, target)
    autoencoder.divergence_weight = 3.0
    divergence = activation_divergence(source["features"], target["features"])
    assert divergence > 0
    assert torch.allclose(autoencoder(source, target), error + 3 * divergence)


def test_label_layer_learns_from_the_reconstruction_and_not_from_the_divergence(domains):
    source, target, label_layer = domains
    gradients = []
    for weight in (0.0, 5.0):
        autoencoder = LabelAutoencoder(WIDTHS, weight)
        torch.manual_seed(1)
        for layer in (autoencoder.decoder[0], autoencoder.decoder[2]):
            layer.reset_parameters()
        loss = autoencoder(source, target)
        gradients.append(torch.autograd.grad(loss, label_layer.weight, retain_graph=True)[0])
    assert gradients[0].abs().max() > 0
    assert torch.equal(*gradients)


def test_label_layer_has_a_unit_per_class(few):
    clf = fit(few)
    assert clf.net_.module_.head.out_features == len(clf.classes_) == 10
    loss = clf.net_.alignment_.loss
    assert [layer.out_features for layer in loss.decoder[::2]] == [64, few["X"].shape[1]]


def test_reconstruction_is_learned(digits):
    clf = TLDAClassifier(divergence_weight=0, max_epochs=15, random_state=0)
    losses = clf.fit(digits.X, digits.y, X_target=digits.X_target).history_[:, "alignment_loss"]
    assert losses[-1] < 0.9 < losses[0]


def test_divergence_makes_mean_activations_alike(few):
    divergences = {}
    for weight in (0, 100):
        clf = fit(few, divergence_weight=weight, max_epochs=20)
        with clf.net_.source_statistics():
            source = torch.from_numpy(clf.transform(few["X"]))
        target = torch.from_numpy(clf.transform(few["X_target"]))
        divergences[weight] = activation_divergence(source, target).item()
    assert divergences[100] < 0.5 * divergences[0]


def test_inputs_are_brought_to_the_unit_interval(few):
    X, X_target = few["X"] * 50 - 9, few["X_target"] * 20
    clf = TLDAClassifier(max_epochs=1, random_state=0).fit(X, few["y"], X_target=X_target)
    rows = np.concatenate([X, X_target]).astype("float32")
    scaled = clf.net_.module_.standardizer(torch.from_numpy(rows))
    low, high = rows.min(axis=0), rows.max(axis=0)
    np.testing.assert_allclose(scaled, (rows - low) / (high - low), atol=1e-6)


def test_units_of_the_columns_do_not_matter(few):
    first = fit(few).decision_function(few["X_target"])
    other = {**few, "X": few["X"] * 4, "X_target": few["X_target"] * 4}
    np.testing.assert_allclose(fit(other).decision_function(other["X_target"]), first, atol=1e-5)


def test_constant_columns_are_harmless(few):
    constant = {**few, "X": few["X"] * 0 + few["X"][:, :1], "X_target": few["X_target"] * 0}
    clf = fit(constant)
    assert np.isfinite(clf.decision_function(few["X"])).all()


def test_without_trade_off_training_is_that_of_the_source(few):
    """Of the target only the ranges of columns count, which are the source's here."""
    X_target = few["X"][::-1]
    clf = fit({**few, "X_target": X_target}, trade_off=0)
    with pytest.warns(NoTargetWarning):
        alone = TLDAClassifier(max_epochs=3, random_state=0).fit(few["X"], few["y"])
    low, high = few["X"].min(axis=0), few["X"].max(axis=0)
    plain = DeepAdaptationClassifier(
        module__hidden_layer_sizes=(64,),
        module__batch_norm=False,
        module__activation=nn.Sigmoid,
        trade_off=0,
        lr=1e-2,
        max_epochs=3,
        random_state=0,
    )
    scaled = (few["X"] - low) / np.where(high > low, high - low, 1)
    plain.fit(scaled, few["y"], X_target=scaled)
    for mine, without_target, theirs in zip(
        *(c.net_.module_.parameters() for c in (clf, alone, plain)), strict=True
    ):
        assert torch.equal(mine, without_target)
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_classes", [2, 10])
def test_logistic_regression_on_the_features_of_the_source(few, n_classes):
    y = few["y"] % n_classes
    clf = fit({**few, "y": y}, classifier="logistic")
    with clf.net_.source_statistics():
        regression = LogisticRegression(max_iter=1000).fit(clf.transform(few["X"]), y)
    features = clf.transform(few["X_target"])
    expected = regression.predict_proba(features)
    np.testing.assert_allclose(clf.predict_proba(few["X_target"]), expected, atol=1e-4)
    softmax = fit({**few, "y": y})
    np.testing.assert_array_equal(features, softmax.transform(few["X_target"]))
    assert not np.allclose(softmax.predict_proba(few["X_target"]), expected, atol=1e-2)


def test_logistic_regression_sees_labelled_target_rows(few):
    y_target = np.where(np.arange(150) < 60, few["y_target"], -1)
    fits = [
        TLDAClassifier(classifier="logistic", max_epochs=2, random_state=0).fit(
            few["X"], few["y"], X_target=few["X_target"], y_target=labels
        )
        for labels in (y_target, np.full(150, -1))
    ]
    scores = [clf.score(few["X_target"][:60], few["y_target"][:60]) for clf in fits]
    assert scores[0] > scores[1] + 0.2


def test_images_and_several_targets(few):
    X = few["X"].reshape(-1, 1, 8, 8).astype("float32")
    clf = TLDAClassifier(max_epochs=1, random_state=0)
    clf.fit(X, few["y"], X_target=(X[:50], X[50:90]))
    assert clf.predict(X).shape == (200,)


@pytest.mark.parametrize(
    "params", [{"divergence_weight": -1}, {"classifier": "svm"}, {"alignment__a": 1}]
)
def test_bad_parameters(few, params):
    with pytest.raises((ValueError, TypeError), match=next(iter(params))):
        fit(few, **params)
