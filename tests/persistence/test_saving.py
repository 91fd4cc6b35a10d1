"""Every estimator comes back from a file and predicts as before."""

import copy
import os
import pickle
import traceback
import warnings
import zipfile
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from devices import on_cpu
from kinds import one_of_each_kind
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import StandardScaler
from torch import nn

import skda
import skda.adaptation
import skda.subspace
from skda.adaptation import (
    DNFC,
    AdaBNClassifier,
    CoGANClassifier,
    DANNClassifier,
    DSNClassifier,
)
from skda.base import DeepAdaptationClassifier
from skda.estimators import DeepEstimator
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier
from skda.model_selection import AdaptationGuard
from skda.target_accuracy import TargetCalibratedClassifier

ADAPTATION = [getattr(skda.adaptation, name) for name in skda.adaptation.__all__]
METHODS = [c for c in ADAPTATION if isinstance(c, type) and hasattr(c, "fit")]
if find_spec("ot") is None:  # needs an extra
    METHODS.remove(skda.adaptation.DeepJDOTClassifier)
SHALLOW = [getattr(skda.subspace, name) for name in skda.subspace.__all__]
ESTIMATORS = [
    *(DeepAdaptationClassifier, FineTuneClassifier, DeepFeatureExtractor),
    *METHODS,
    *SHALLOW,
]
SMALL = {"module__hidden_layer_sizes": (8,), "random_state": 0}
SHORT = {**SMALL, "max_epochs": 1}


def fit(cls, digits, **params):
    """Fit an estimator on few rows of few columns."""
    X, y, X_target = digits.X[:60, 20:44], digits.y[:60], digits.X_target[:50, 20:44]
    if issubclass(cls, DeepEstimator):
        params = {**SHORT, **params}
    elif cls is DeepFeatureExtractor:
        params = {**SMALL, **params}
    target = {"X_target": X_target}
    if cls in (FineTuneClassifier, DeepFeatureExtractor):
        target = {}
    return cls(**params).fit(X, y, **target)


@pytest.fixture(scope="module")
def rows(digits):
    return digits.X_target[50:80, 20:44]


@pytest.mark.parametrize("cls", one_of_each_kind(ESTIMATORS))
def test_estimators_come_back(cls, digits, rows, roundtrip, assert_same):
    estimator = fit(cls, digits)
    loaded = roundtrip(estimator)
    assert type(loaded) is cls
    assert_same(estimator, loaded, rows)
    again = roundtrip(loaded)  # what was loaded can be saved,
    assert_same(estimator, again, rows)
    assert_same(estimator, pickle.loads(pickle.dumps(loaded)), rows)  # pickled
    assert repr(clone(loaded)) == repr(estimator)  # and cloned
    if hasattr(loaded, "score") and hasattr(loaded, "classes_"):
        y = digits.y_target[50:80]
        assert loaded.score(rows, y) == estimator.score(rows, y)


@pytest.mark.parametrize("cls", one_of_each_kind(ESTIMATORS))
def test_unfitted_estimators_come_back_unfitted(cls, roundtrip):
    loaded = roundtrip(cls())
    assert type(loaded) is cls and repr(loaded) == repr(cls())
    with pytest.raises(NotFittedError):
        loaded.transform([[0.0]])


def test_history_and_attributes_come_back(digits, roundtrip):
    clf = fit(DANNClassifier, digits)
    loaded = roundtrip(clf)
    assert loaded.history_ == clf.history_ and loaded.history_ is loaded.net_.history
    assert type(loaded.history_) is type(clf.history_)
    np.testing.assert_array_equal(loaded.classes_, clf.classes_)
    assert loaded.input_shape_ == clf.input_shape_ and loaded.n_iter_ == 1


def test_what_is_shared_stays_shared(digits, roundtrip):
    module = roundtrip(fit(DANNClassifier, digits)).net_.module_
    norms = module.domain_batch_norms()
    assert norms and all(norm.rows is module.rows for norm in norms)
    assert norms[0].norms[0].weight is norms[0].norms[1].weight
    assert norms[0].norms[0].running_mean is not norms[0].norms[1].running_mean


def test_domains_keep_their_statistics(digits, rows, roundtrip):
    clf = fit(AdaBNClassifier, digits, standardize="domain")
    loaded = roundtrip(clf)
    for domain in ("source", "target", None):
        expected = clf.activations_of(rows, ("logits",), domain)["logits"]
        assert torch.equal(loaded.activations_of(rows, ("logits",), domain)["logits"], expected)


def test_generators_and_decoders_come_back(digits, rows, roundtrip):
    cogan, dsn = fit(CoGANClassifier, digits), fit(DSNClassifier, digits)
    np.testing.assert_array_equal(
        roundtrip(cogan).sample(3, random_state=0)[0], cogan.sample(3, random_state=0)[0]
    )
    np.testing.assert_array_equal(roundtrip(dsn).reconstruct(rows), dsn.reconstruct(rows))


def test_training_goes_on_where_it_can(digits, rows, roundtrip, assert_same):
    clf = fit(FineTuneClassifier, digits)
    loaded, pickled = roundtrip(clf), pickle.loads(pickle.dumps(clf))
    for estimator in (loaded, pickled):
        estimator.partial_fit(digits.X[:60, 20:44], digits.y[:60])
    assert_same(loaded, pickled, rows)
    with pytest.raises(ValueError, match="cannot go on training without its alignment"):
        roundtrip(fit(DANNClassifier, digits)).net_.partial_fit(None, None)


def test_a_loaded_estimator_fits_as_a_new_one(digits, rows, roundtrip, assert_same):
    clf = fit(DANNClassifier, digits)
    X, X_target = digits.X[:60, 20:44], digits.X_target[:50, 20:44]
    loaded = roundtrip(clf).fit(X, digits.y[:60], X_target=X_target)
    assert_same(loaded, clf, rows)


def test_labels_names_and_random_states_come_back(digits, roundtrip):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(digits.X[:60, 20:24], columns=list("abcd"))
    labels = np.array(["red", "blue"], dtype=object)[digits.y[:60] % 2]
    state = np.random.RandomState(3)
    clf = FineTuneClassifier(**{**SHORT, "random_state": state}).fit(X, labels)
    loaded = roundtrip(clf)
    assert loaded.classes_.tolist() == ["blue", "red"]
    assert loaded.feature_names_in_.tolist() == list("abcd")
    assert loaded.feature_names_in_.dtype == object
    assert loaded.random_state.randint(10**6) == copy.deepcopy(state).randint(10**6)
    assert loaded.predict(X).tolist() == clf.predict(X).tolist()


def test_there_is_no_row_in_the_file(digits, tmp_path):
    skda.save(fit(DANNClassifier, digits), tmp_path / "a")
    content = (tmp_path / "a").read_bytes()
    for X in (digits.X, digits.X_target):
        assert X[3, 20:44].astype(np.float32).tobytes() not in content


def test_a_file_is_as_large_as_its_weights(digits, tmp_path):
    clf = fit(DANNClassifier, digits, module__hidden_layer_sizes=(300, 300))
    clf.set_params(keep_training_state=True)  # of a pickle, not of a file
    skda.save(clf, tmp_path / "a")
    n_bytes = sum(p.numel() * 4 for p in clf.net_.module_.parameters())
    # And where the training stands, generators included, however large the network is.
    assert n_bytes < os.path.getsize(tmp_path / "a") < n_bytes + 60_000


def test_the_same_estimator_gives_the_same_file(fitted, tmp_path):
    for name in ("a", "b"):
        skda.save(fitted, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_tensors_are_a_safetensors_file_with_telling_names(fitted, tmp_path):
    library = pytest.importorskip("safetensors.torch")
    skda.save(fitted, tmp_path / "a")
    with zipfile.ZipFile(tmp_path / "a") as archive:
        tensors = library.load(archive.read("tensors.safetensors"))
    expected = on_cpu(fitted.net_.module_.head.weight)
    assert torch.equal(on_cpu(tensors["net_.module_.head.weight"]), expected)


def test_places_of_one_machine_are_not_stored(digits, tmp_path, roundtrip):
    extractor = fit(DeepFeatureExtractor, digits, cache=str(tmp_path))
    assert roundtrip(extractor).cache is None
    assert roundtrip(FineTuneClassifier(image_store=str(tmp_path))).image_store == "auto"
    assert roundtrip(FineTuneClassifier(image_store=None)).image_store is None


def test_a_net_of_a_device_that_is_not_here_comes_to_the_cpu(digits, rows, tmp_path, assert_same):
    clf = fit(FineTuneClassifier, digits)
    elsewhere = copy.deepcopy(clf)
    elsewhere.net_.device = "warp:3"
    skda.save(elsewhere, tmp_path / "a")
    loaded = skda.load(tmp_path / "a")
    assert loaded.net_.device == "cpu"
    assert_same(loaded, clf, rows)


def test_dtypes_orders_and_odd_values(roundtrip):
    values = {
        "bfloat16": torch.tensor([1.5], dtype=torch.bfloat16),
        "complex": torch.tensor([1 + 2j], dtype=torch.complex128),
        "channels last": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "strings": np.array(["a", "bcd"]),
        "dates": np.array(["2020-01-01"], dtype="datetime64[D]"),
        "empty": np.empty((0, 3), dtype="<U5"),
        "big-endian": np.array([1, 2], dtype=">i4"),
        "masked": np.ma.MaskedArray([1.0, 2.0], [True, False]),
        "scalar": np.float32(0.1),
        "bool": np.True_,
        "nan": float("nan"),
        "inf": -float("inf"),
        "whole": 2**80,
        "bytes": b"\x00\xff",
        "slice": slice(1, None, 2),
        "range": range(3),
        "set": {3, "a"},
        "keys": {(1, "a"): [None, True]},
        "dtype": np.dtype("int16"),
        "torch dtype": torch.float16,
        "generator": np.random.default_rng(0),
    }
    loaded = roundtrip(DeepFeatureExtractor(module=values)).module
    assert list(loaded) == list(values)
    for name in ("bfloat16", "complex", "channels last"):
        assert torch.equal(loaded[name], values[name])
        assert loaded[name].stride() == values[name].stride()
    for name in ("fortran", "strings", "dates", "empty", "big-endian", "masked", "scalar", "bool"):
        np.testing.assert_array_equal(loaded[name], values[name])
        assert loaded[name].dtype == values[name].dtype and type(loaded[name]) is type(values[name])
    assert loaded["fortran"].flags.f_contiguous
    assert loaded["masked"].mask.tolist() == [True, False]
    assert np.isnan(loaded["nan"]) and loaded["generator"].random() == values["generator"].random()
    for name in ("inf", "whole", "bytes", "slice", "range", "set", "keys", "dtype", "torch dtype"):
        assert loaded[name] == values[name] and type(loaded[name]) is type(values[name])


# -- what cannot be stored ------------------------------------------------------------------------


class Slotted:
    __slots__ = ("a",)


class WithReduce:
    def __reduce__(self):
        return print, ("evil",)


def local_class():
    class Local(nn.Module):
        pass

    return Local()


@pytest.mark.parametrize(
    "params, message",
    [
        ({"lr_schedule": lambda progress: 1.0}, "lr_schedule cannot be saved: it has no name"),
        ({"module": local_class()}, r"module cannot be saved: .*<locals>.Local is the class"),
        ({"callbacks": [Slotted()]}, r"callbacks\[0\] cannot be saved: Slotted consists of more"),
        ({"callbacks": [WithReduce()]}, r"callbacks\[0\] cannot be saved: .* __reduce__"),
        ({"callbacks": [[].append]}, r"callbacks\[0\] cannot be saved: "),
        ({"weights": {"w": torch.eye(2).to_sparse()}}, r"weights\['w'\] cannot be saved: .*sparse"),
    ],
)
def test_what_cannot_be_stored_is_told_before_anything_is_written(params, message, tmp_path):
    with pytest.raises(TypeError, match=message):
        skda.save(FineTuneClassifier(**params), tmp_path / "a")
    assert not os.listdir(tmp_path)


def test_open_files_cannot_be_stored(tmp_path):
    with open(os.devnull, "w") as file:
        with pytest.raises(
            TypeError, match=r"augment\['source'\] .*: TextIOWrapper consists of more"
        ):
            skda.save(FineTuneClassifier(augment={"source": file}), tmp_path / "a")
    assert not os.listdir(tmp_path)


def test_a_series_cannot_be_stored_and_may_be_a_dict(tmp_path):
    pd = pytest.importorskip("pandas")
    message = "target_shares cannot be saved: it is a pandas Series; set its to_dict"
    with pytest.raises(TypeError, match=message):
        skda.save(
            skda.adaptation.DANNClassifier(target_shares=pd.Series({"a": 1.0})), tmp_path / "a"
        )
    assert not os.listdir(tmp_path)


def test_only_estimators_are_saved(tmp_path):
    with pytest.raises(TypeError, match=r"save takes an estimator .*; got an instance of dict"):
        skda.save({}, tmp_path / "a")


def test_a_failed_save_leaves_the_file_that_was_there(fitted, tmp_path, monkeypatch):
    path = tmp_path / "a"
    skda.save(fitted, path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        skda.save(fitted, path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a"]


def test_no_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError):
        skda.load(tmp_path / "nothing.skda")


def test_dnfc_comes_back_without_warnings(digits, rows, roundtrip):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert roundtrip(fit(DNFC, digits)).transform(rows).shape[0] == len(rows)


def test_what_judges_and_watches_comes_back(digits, rows, roundtrip):
    parts = digits.X[:60, 20:44], digits.y[:60]
    clf = fit(DANNClassifier, digits)
    guard = AdaptationGuard(DANNClassifier(**SHORT), random_state=0)
    guard.fit(*parts, X_target=digits.X_target[:50, 20:44])
    loaded = roundtrip(guard)
    assert np.array_equal(loaded.predict_proba(rows), guard.predict_proba(rows))
    assert str(loaded.verdict_) == str(guard.verdict_)
    calibrated = TargetCalibratedClassifier(FrozenEstimator(clf), random_state=0)
    calibrated.fit(*parts, X_target=digits.X_target[:50, 20:44])
    assert np.array_equal(roundtrip(calibrated).predict_proba(rows), calibrated.predict_proba(rows))


@pytest.mark.parametrize("columns", [["a", "b"], [1, 0]])
def test_columns_chosen_by_an_index_of_pandas(columns, tmp_path):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(np.arange(12.0).reshape(4, 3), columns=["a", "b", "c"])
    X = X if columns[0] == "a" else X.set_axis(range(3), axis=1)
    steps = ColumnTransformer([("scaled", StandardScaler(), pd.Index(columns))]).fit(X)
    skda.save(steps, tmp_path / "steps.skda")
    loaded = skda.load(tmp_path / "steps.skda")
    np.testing.assert_array_equal(loaded.transform(X), steps.transform(X))
    assert loaded.transformers[0][2] == columns


@pytest.mark.parametrize("kind", ["MultiIndex", "DatetimeIndex"])
def test_other_indexes_are_refused_in_a_few_lines(kind, tmp_path):
    pd = pytest.importorskip("pandas")
    index = {
        "MultiIndex": pd.MultiIndex.from_tuples([("a", 1)]),
        "DatetimeIndex": pd.DatetimeIndex(["2020-01-01"]),
    }[kind]
    steps = ColumnTransformer([("scaled", StandardScaler(), index)])
    with pytest.raises(TypeError, match=f"pandas {kind}") as caught:
        skda.save(steps, tmp_path / "steps.skda")
    # Not the hundred lines of the way through the parts.
    assert len(traceback.format_exception(caught.value)) < 6
    assert not (tmp_path / "steps.skda").exists()
