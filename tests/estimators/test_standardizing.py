"""Tables in mixed units are standardised by the source's moments, all else is taken as it is."""

import io
import pickle
import warnings

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import Normalizer, StandardScaler

import skda
from skda.adaptation import (
    AdaBNClassifier,
    CoGANClassifier,
    DANClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    DSNClassifier,
    SDAEClassifier,
    ShallowDANNClassifier,
    TLDAClassifier,
)
from skda.base import DeepAdaptationClassifier
from skda.estimators._scales import DomainLook
from skda.estimators._standardizing import has_mixed_units
from skda.exceptions import DomainScaleWarning, NoTargetWarning

TABLE, LABELS = load_breast_cancer(return_X_y=True)
SOURCE, TARGET = slice(0, 60), slice(60, 110)
SMALL = {"module__hidden_layer_sizes": (8,), "max_epochs": 2, "random_state": 0}


def fit(cls=DANClassifier, X=TABLE, **params):
    clf = cls(**{**SMALL, **params})
    return clf.fit(X[SOURCE], LABELS[SOURCE], X_target=X[TARGET])


def by_source(X):
    return (X - TABLE[SOURCE].mean(axis=0)) / TABLE[SOURCE].std(axis=0)


# -- the rule -----------------------------------------------------------------------------------


def test_a_typing_error_makes_no_other_unit():
    X = np.random.default_rng(0).normal(size=(300, 3))
    X[5, 1] = 1e5
    assert not has_mixed_units(DomainLook.at(X))
    X[:, 1] *= 1e4
    assert has_mixed_units(DomainLook.at(X))


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
@pytest.mark.parametrize("column", [None, 0, 3])
def test_clinical_and_chemical_tables_have_mixed_units(load, column):
    X = load().data
    if column is not None:
        X = X[X[:, column] > np.median(X[:, column])]
    assert has_mixed_units(DomainLook.at(X))
    assert not has_mixed_units(DomainLook.at(StandardScaler().fit_transform(X)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: load_digits().data,
        lambda: Normalizer().fit_transform(load_digits().data),
        lambda: make_classification(300, random_state=0)[0],
        lambda: np.random.RandomState(0).poisson(np.geomspace(0.01, 20, 300), (500, 300)),
        lambda: np.full((20, 3), 7.0),
        lambda: 1e6 * np.random.RandomState(0).rand(20, 1),
    ],
)
def test_tables_of_one_unit_have_none(make):
    assert not has_mixed_units(DomainLook.at(np.asarray(make(), dtype=float)))


def test_two_columns_suffice():
    X = np.random.RandomState(0).rand(30, 2)
    assert has_mixed_units(DomainLook.at(X * [1, 1000]))
    assert not has_mixed_units(DomainLook.at(X * [1, 100]))


# -- what is done -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, np.float32])
def test_a_table_in_mixed_units_trains_as_if_it_was_standardised_before(kind):
    clf = fit(X=kind(TABLE), module__batch_norm=False)
    before = fit(X=by_source(TABLE), module__batch_norm=False)
    assert clf.standardize_ == "source" and before.standardize_ is None
    np.testing.assert_allclose(
        clf.predict_proba(TABLE[TARGET]), before.predict_proba(by_source(TABLE[TARGET])), atol=1e-3
    )
    assert not np.allclose(fit(standardize=None).predict_proba(TABLE), clf.predict_proba(TABLE))


def test_rows_of_one_unit_train_as_they_are(few):
    clfs = [DANClassifier(standardize=kind, **SMALL) for kind in ("auto", None)]
    for clf in clfs:
        clf.fit(few["X"], few["y"], X_target=few["X_target"])
        assert clf.standardize_ is None and clf.net_.module_.standardizer is None
    np.testing.assert_array_equal(*(clf.predict_proba(few["X_target"]) for clf in clfs))


def test_images_and_series_are_taken_as_they_are():
    X = np.random.RandomState(0).rand(20, 2, 8, 8).astype(np.float32)
    X[:, 1] *= 1000
    for rows in (X, X.reshape(20, 2, 64)):
        clf = DeepCORALClassifier(max_epochs=1).fit(rows, np.arange(20) % 2, X_target=rows)
        assert clf.standardize_ is None
        clf.set_params(standardize="source").fit(rows, np.arange(20) % 2, X_target=rows)
        assert clf.net_.module_.standardizer.affines[1].mean.numel() == 2


def test_a_module_with_weights_takes_rows_as_they_are():
    network = torch.nn.Linear(30, 4)
    clf = DANClassifier(module=network, max_epochs=1)
    clf.fit(TABLE[SOURCE], LABELS[SOURCE], X_target=TABLE[TARGET])
    assert clf.standardize_ is None


def test_the_backbone_of_a_fitted_estimator_gets_rows_as_it_was_taught():
    for kind in ("source", "domain", None):
        taught = fit(standardize=kind)
        clf = DANClassifier(module=taught, max_epochs=1, random_state=0)
        clf.fit(TABLE[SOURCE], LABELS[SOURCE], X_target=TABLE[TARGET])
        assert clf.standardize_ == kind


def test_a_target_on_another_scale_is_warned_of_unless_it_has_moments_of_its_own():
    moved = TABLE.copy()
    moved[TARGET] *= 20
    with pytest.warns(DomainScaleWarning):
        fit(X=moved)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(X=moved, standardize="domain")


class _Keywords(torch.nn.Module):
    def forward(self, values):
        return values


@pytest.mark.parametrize("kind", ["source", "domain"])
def test_only_numbers_can_be_standardised(kind):
    X = {"values": TABLE.astype(np.float32)}
    source, target = ({"values": X["values"][part]} for part in (SOURCE, TARGET))
    clf = DeepCORALClassifier(module=_Keywords, max_epochs=1)
    assert clf.fit(source, LABELS[SOURCE], X_target=target).standardize_ is None
    clf.set_params(standardize=kind)
    with pytest.raises(ValueError, match=f"standardize='{kind}' needs numbers"):
        clf.fit(source, LABELS[SOURCE], X_target=target)


# -- it stays what it was -------------------------------------------------------------------------


def moments(clf):
    return [
        (affine.mean.numpy().copy(), affine.scale.numpy().copy())
        for affine in clf.net_.module_.standardizer.affines
    ]


def test_all_domains_have_the_moments_of_the_source():
    clf = DeepCORALClassifier(**SMALL)
    clf.fit(TABLE[SOURCE], LABELS[SOURCE], X_target=(TABLE[TARGET], TABLE[110:160]))
    assert len(moments(clf)) == 4
    for mean, scale in moments(clf):
        np.testing.assert_allclose(mean, TABLE[SOURCE].mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(scale, TABLE[SOURCE].std(axis=0), rtol=1e-4)


def test_partial_fit_keeps_the_moments_of_its_first_call():
    clf = DeepCORALClassifier(**SMALL)
    first = TABLE[SOURCE], LABELS[SOURCE]
    clf.partial_fit(*first, classes=[0, 1], X_target=TABLE[TARGET])
    before = moments(clf)
    digits = np.random.RandomState(0).rand(40, 30)  # of one unit
    clf.partial_fit(digits, LABELS[:40], X_target=(digits, digits))
    assert clf.standardize_ == "source" and len(moments(clf)) == 4
    for now in moments(clf):
        np.testing.assert_array_equal(now, before[0])
    whole = fit(DeepCORALClassifier)
    again = DeepCORALClassifier(**SMALL)
    for _ in range(2):
        again.partial_fit(*first, classes=[0, 1], X_target=TABLE[TARGET])
    np.testing.assert_array_equal(whole.predict_proba(TABLE), again.predict_proba(TABLE))


def test_a_warm_start_goes_on_with_the_moments_of_the_last_fit():
    clf = fit(warm_start=True)
    before = moments(clf)
    X = np.random.RandomState(0).rand(*TABLE.shape)
    clf.fit(X[SOURCE], LABELS[SOURCE], X_target=X[TARGET])
    assert clf.standardize_ == "source"
    np.testing.assert_array_equal(moments(clf), before)


def test_a_new_target_of_adabn_is_standardised_by_the_source():
    clf = fit(AdaBNClassifier)
    before = moments(clf)
    clf.adapt(TABLE[200:260])
    np.testing.assert_array_equal(moments(clf), before)
    with pytest.warns(NoTargetWarning):
        alone = AdaBNClassifier(**SMALL).fit(TABLE[SOURCE], LABELS[SOURCE])
    np.testing.assert_allclose(
        alone.adapt(TABLE[200:260]).predict_proba(TABLE), clf.predict_proba(TABLE), atol=1e-5
    )


def test_resumed_saved_pickled_and_exported_networks_standardise(tmp_path):
    whole = fit(checkpoint=tmp_path / "a")
    expected = whole.predict_proba(TABLE)
    resumed = DANClassifier(**SMALL, checkpoint=tmp_path / "a")
    resumed.fit(TABLE[SOURCE], LABELS[SOURCE], X_target=TABLE[TARGET], resume=True)
    skda.save(whole, tmp_path / "c.skda")
    file = io.BytesIO(pickle.dumps(whole))
    for clf in (resumed, skda.load(tmp_path / "c.skda"), pickle.load(file)):
        assert clf.standardize_ == "source"
        np.testing.assert_array_equal(clf.predict_proba(TABLE), expected)
    network = whole.to_torch("probabilities")
    np.testing.assert_allclose(
        network(torch.from_numpy(TABLE).float()).detach(), expected, atol=1e-5
    )


def test_an_estimator_of_an_earlier_version_has_what_it_was_told():
    clf = fit(AdaBNClassifier, standardize="domain")
    del clf.standardize_
    clf.adapt(TABLE[200:260])
    np.testing.assert_allclose(moments(clf)[1][0], TABLE[200:260].mean(axis=0), rtol=1e-5)


# -- accuracy -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "cls",
    [
        DANClassifier,
        DANNClassifier,
        AdaBNClassifier,
        TLDAClassifier,
        *(
            pytest.param(cls, marks=pytest.mark.exhaustive)
            for cls in (
                CoGANClassifier,
                DeepAdaptationClassifier,
                DSNClassifier,
                SDAEClassifier,
                ShallowDANNClassifier,
            )
        ),
    ],
)
def test_raw_columns_are_classified_as_well_as_by_shallow_classifiers(cls):
    accuracies = []
    for seed in (3, 4, 5):
        order = np.random.RandomState(seed).permutation(len(TABLE))
        a, b = order[:284], order[284:]
        clfs = [
            LogisticRegression(max_iter=5000).fit(TABLE[a], LABELS[a]),
            KNeighborsClassifier(1).fit(TABLE[a], LABELS[a]),
            cls(random_state=seed).fit(TABLE[a], LABELS[a], X_target=TABLE[b]),
        ]
        accuracies.append([clf.score(TABLE[b], LABELS[b]) for clf in clfs])
    linear, neighbour, deep = np.mean(accuracies, axis=0)
    assert deep > max(linear, neighbour) - 0.01
