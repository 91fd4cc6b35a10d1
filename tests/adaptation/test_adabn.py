"""AdaBN: only the statistics adapt, exactly, and at any time."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from skda.adaptation import AdaBNClassifier
from skda.base import DeepAdaptationClassifier
from skda.exceptions import NoTargetWarning
from skda.nn import ConvNet


def _fit(few, X_target=None, **params):
    clf = AdaBNClassifier(**{"max_epochs": 2, "random_state": 0, **params})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoTargetWarning)
        return clf.fit(few["X"], few["y"], X_target=X_target)


def _parameters(clf):
    return [p.detach().clone() for p in clf.net_.module_.parameters()]


def _source_statistics(clf):
    return [
        buffer.clone()
        for norm in clf.net_.module_.domain_batch_norms()
        for buffer in norm.norms[0].buffers()
    ]


def _assert_same(first, second):
    assert len(first) == len(second)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


# -- what adapts ------------------------------------------------------------------------------


def test_weights_are_those_of_the_source_alone(few):
    alone = DeepAdaptationClassifier(max_epochs=2, random_state=0, module__dropout=0.2)
    with pytest.warns(NoTargetWarning):
        alone.fit(few["X"], few["y"])
    clf = _fit(few, few["X_target"], module__dropout=0.2)
    _assert_same(_parameters(clf), [p.detach() for p in alone.net_.module_.parameters()])


@pytest.mark.parametrize("params", [{}, {"standardize": "domain"}])
def test_adapt_leaves_parameters_and_source_statistics_alone(few, params):
    clf = _fit(few, few["X"], **params)
    parameters, statistics = _parameters(clf), _source_statistics(clf)
    before = clf.predict_proba(few["X_target"])
    assert clf.adapt(few["X_target"]) is clf
    assert np.abs(clf.predict_proba(few["X_target"]) - before).max() > 0.01
    _assert_same(_parameters(clf), parameters)
    _assert_same(_source_statistics(clf), statistics)


@pytest.mark.parametrize("params", [{}, {"standardize": "domain"}])
def test_adapt_after_fit_is_fit_with_the_target(few, params):
    expected = _fit(few, few["X_target"], **params)
    later = _fit(few, **params).adapt(few["X_target"])
    again = _fit(few, few["X"], **params).adapt(few["X_target"])
    for clf in (later, again):
        np.testing.assert_array_equal(clf.predict_proba(few["X"]), expected.predict_proba(few["X"]))


def test_adapt_to_the_source_gives_its_population_statistics(few):
    clf = _fit(few, few["X"])
    first, *_ = clf.net_.module_.domain_batch_norms()
    with torch.no_grad():
        x = clf.net_.module_.backbone.hidden1[0](torch.from_numpy(few["X"]).float())
    torch.testing.assert_close(first.norms[1].running_mean, x.mean(dim=0))
    torch.testing.assert_close(first.norms[1].running_var, x.var(dim=0, correction=0))


def test_affine_changes_of_what_enters_a_batch_norm_do_not_matter(few):
    X = few["X"][:, few["X"].std(axis=0) > 0]
    n_features = X.shape[1]
    norm = nn.BatchNorm1d(n_features, eps=1e-12)
    backbone = nn.Sequential(norm, nn.Linear(n_features, 32), nn.ReLU())
    clf = AdaBNClassifier(module=backbone, max_epochs=2, random_state=0)
    clf.fit(X, few["y"], X_target=X)
    expected = clf.predict_proba(X)
    changed = X * np.linspace(0.5, 3, n_features) + np.arange(n_features) % 7
    assert np.abs(clf.predict_proba(changed) - expected).max() > 0.1
    clf.adapt(changed)
    np.testing.assert_allclose(clf.predict_proba(changed), expected, atol=1e-4)


def test_statistics_do_not_depend_on_batches(few):
    expected = _fit(few, few["X_target"]).predict_proba(few["X_target"])
    clf = _fit(few, np.sort(few["X_target"], axis=0)[::-1], iterator_valid__batch_size=16)
    clf.adapt(few["X_target"][::-1])
    np.testing.assert_allclose(clf.predict_proba(few["X_target"]), expected, atol=1e-5)


def test_frozen_blocks_adapt_too(few):
    clf = _fit(few, few["X_target"], n_frozen=1)
    clf.net_.module_.train()
    assert len(clf.net_.module_.domain_batch_norms()) == 2
    assert not clf.net_.module_.backbone.hidden1[1].training


def test_dropout_is_off(few):
    clf = _fit(few, few["X_target"], module__dropout=0.9)
    probabilities = clf.predict_proba(few["X"])
    clf.adapt(few["X_target"])
    np.testing.assert_array_equal(clf.predict_proba(few["X"]), probabilities)


# -- targets ----------------------------------------------------------------------------------


def test_several_targets_have_statistics_each_and_predict_by_their_mixture(few):
    first, second = few["X_target"], 0.2 * few["X_target"] + 1
    clf = _fit(few, first).adapt((first, second))
    norm = clf.net_.module_.domain_batch_norms()[0]
    assert len(norm.norms) == 4
    pooled = _fit(few, np.concatenate([first, second]))
    expected = pooled.net_.module_.domain_batch_norms()[0].norms[-1]
    torch.testing.assert_close(norm.norms[-1].running_mean, expected.running_mean)
    torch.testing.assert_close(norm.norms[-1].running_var, expected.running_var)
    own = _fit(few, second).net_.module_.domain_batch_norms()[0].norms[-1]
    torch.testing.assert_close(norm.norms[2].running_mean, own.running_mean)
    clf.adapt(second)
    assert len(clf.net_.module_.domain_batch_norms()[0].norms) == 2
    expected = _fit(few, second).predict_proba(second)
    np.testing.assert_array_equal(clf.predict_proba(second), expected)


@pytest.mark.parametrize("X_target", [True, False])
def test_a_model_from_a_file_adapts(few, X_target):
    clf = _fit(few, few["X"] if X_target else None)
    loaded = pickle.loads(pickle.dumps(clf)).adapt(few["X_target"])
    expected = _fit(few, few["X_target"])
    np.testing.assert_array_equal(
        loaded.predict_proba(few["X_target"]), expected.predict_proba(few["X_target"])
    )
    again = pickle.loads(pickle.dumps(loaded))
    np.testing.assert_array_equal(
        again.predict_proba(few["X_target"]), expected.predict_proba(few["X_target"])
    )


def test_images_and_image_files(tmp_path):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    X = rng.integers(0, 255, (40, 8, 8, 3), dtype=np.uint8)
    y = np.arange(40) % 2
    X_target = X // 3
    files = [tmp_path / f"{number}.png" for number in range(40)]
    for file, pixels in zip(files, X_target, strict=True):
        image.fromarray(pixels).save(file)
    clf = AdaBNClassifier(max_epochs=1, random_state=0)
    clf.fit(X, y, X_target=X)
    expected = clf.adapt(X_target).predict_proba(X_target)
    clf.adapt(X)
    np.testing.assert_allclose(clf.adapt(files).predict_proba(X_target), expected, atol=1e-6)
    clf.adapt(X)
    opened = [image.open(file) for file in files]
    np.testing.assert_allclose(clf.adapt(opened).predict_proba(X_target), expected, atol=1e-6)


def test_source_rows_keep_the_statistics_of_the_source(few):
    clf = _fit(few)
    X = torch.from_numpy(few["X"]).float()
    before = clf.predict_proba(few["X"])
    clf.adapt(few["X_target"])
    with clf.net_.source_statistics():
        np.testing.assert_allclose(clf.net_.predict_proba(X.numpy()), before, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_model_adapts(few):
    clf = _fit(few, compile=True, compile__backend="aot_eager")
    clf.adapt(few["X_target"])
    expected = _fit(few, few["X_target"]).predict_proba(few["X_target"])
    np.testing.assert_allclose(clf.predict_proba(few["X_target"]), expected, atol=1e-4)


# -- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "X_target, message",
    [
        (None, "X_target is None; adapt needs"),
        ((), "X_target is an empty tuple"),
        (np.zeros((0, 64)), "X_target has 0 rows"),
        (np.zeros((3, 5)), "X_target: X has 5 features"),
        ((np.zeros((3, 64)), np.full((3, 64), np.nan)), r"X_target\[1\]: .*NaN"),
    ],
)
def test_bad_targets(few, X_target, message):
    clf = _fit(few, few["X_target"])
    before = clf.predict_proba(few["X"])
    with pytest.raises(ValueError, match=message):
        clf.adapt(X_target)
    np.testing.assert_array_equal(clf.predict_proba(few["X"]), before)


def test_adapt_needs_a_fitted_model(few):
    with pytest.raises(ValueError, match="not fitted"):
        AdaBNClassifier().adapt(few["X_target"])


@pytest.mark.parametrize("module", [None, ConvNet])
def test_a_module_without_batch_norm(few, module):
    clf = AdaBNClassifier(module=module, module__batch_norm=False)
    X = few["X"].reshape(-1, 1, 8, 8) if module else few["X"]
    with pytest.raises(ValueError, match=r"module: .* has no batch norm.*AutoDIALClassifier\(ins"):
        clf.fit(X, few["y"], X_target=X)


def test_labels_of_the_target_are_refused(few):
    with pytest.raises(ValueError, match="y_target was given, but AdaBN"):
        AdaBNClassifier().fit(
            few["X"], few["y"], X_target=few["X_target"], y_target=few["y_target"]
        )


@pytest.mark.parametrize(
    "name, value",
    [
        ("trade_off", 1.0),
        ("trade_off_schedule", "constant"),
        ("alignment", "coral"),
        ("alignment__p", 1),
        ("layers", ("features",)),
        ("batch_norm", "domain"),
    ],
)
def test_parameters_of_an_alignment_are_unknown(few, name, value):
    with pytest.raises(TypeError, match=f"no parameter '{name}'"):
        AdaBNClassifier(**{name: value}).fit(few["X"], few["y"])
