"""Tables of other libraries and types, and torch as callers may have set it up."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import OneHotEncoder
from torch import nn

from skda import make_pipeline
from skda.adaptation import AdaBNClassifier, DANNClassifier, DeepCORALClassifier
from skda.feature_extraction import DeepFeatureExtractor
from skda.rows import SparseRows

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 5)).astype(np.float32) * (rng.random((60, 5)) < 0.5)
Y = np.arange(60) % 3
TARGET = X[::-1] + 1


def fitted(X=X, y=Y, X_target=TARGET, cls=DeepCORALClassifier, **params):
    return cls(max_epochs=2, batch_size=16, random_state=0, **params).fit(X, y, X_target=X_target)


@pytest.fixture(scope="module")
def expected():
    return fitted().predict_proba(X)


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_sparse_tables_train_like_dense_ones(form, expected):
    clf = fitted(form(X), Y, form(TARGET))
    np.testing.assert_array_equal(clf.predict_proba(X), expected)
    np.testing.assert_array_equal(clf.predict_proba(form(X)), expected)


def test_a_sparse_source_and_a_dense_target(expected):
    np.testing.assert_array_equal(fitted(sparse.csr_array(X)).predict_proba(X), expected)


@pytest.mark.parametrize("cls", [AdaBNClassifier, DANNClassifier])
def test_moments_of_sparse_tables(cls):
    dense, thin = (
        fitted(form(X), Y, form(TARGET), cls=cls, standardize="domain")
        for form in (np.asarray, sparse.csr_array)
    )
    np.testing.assert_array_equal(thin.predict_proba(X), dense.predict_proba(X))


def test_sparse_rows_are_dense_a_batch_at_a_time(monkeypatch):
    # The look at the scales takes a sample, of a size that does not depend on the table's.
    monkeypatch.setattr("skda.estimators._scales.DomainLook.at", lambda X: None)
    sizes = []
    read = SparseRows.__getitem__
    monkeypatch.setattr(
        SparseRows,
        "__getitem__",
        lambda self, rows: (sizes.append(len(read(self, rows))), read(self, rows))[1],
    )
    fitted(sparse.csr_array(X), Y, sparse.csr_array(TARGET), iterator_valid__batch_size=16)
    assert max(sizes) == 16


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_tables_of_other_libraries(library, expected):
    module = pytest.importorskip(library)
    names = list("abcde")

    def table(rows):
        columns = dict(zip(names, rows.T.copy(), strict=True))
        return module.table(columns) if library == "pyarrow" else module.DataFrame(columns)

    clf = fitted(table(X), Y, table(TARGET))
    np.testing.assert_array_equal(clf.predict_proba(table(X)), expected)
    assert clf.feature_names_in_.tolist() == names


def test_nullable_columns_are_numbers(expected):
    frame = pd.DataFrame(X, columns=list("abcde")).convert_dtypes()
    clf = fitted(frame, Y, pd.DataFrame(TARGET, columns=list("abcde")))
    np.testing.assert_array_equal(clf.predict_proba(frame), expected)


def test_missing_values_of_nullable_columns_are_named():
    frame = pd.DataFrame({"a": pd.array([1, None] * 30, dtype="Int64"), "b": np.ones(60)})
    with pytest.raises(ValueError, match="X_target contains NaN"):
        fitted(frame.fillna(0), Y, frame)


def test_columns_of_text_are_told_what_to_do():
    frame = pd.DataFrame({"a": pd.Categorical(["x", "y"] * 30), "b": np.ones(60)})
    with pytest.raises(ValueError, match="OneHotEncoder or TargetEncoder in a ColumnTransformer"):
        fitted(frame, Y, frame)


def test_categorical_columns_in_a_column_transformer():
    frame = pd.DataFrame({"a": pd.Categorical(["x", "y"] * 30), "b": X[:, 0]})
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(
            make_column_transformer((OneHotEncoder(), ["a"]), remainder="passthrough"),
            DeepCORALClassifier(max_epochs=1, random_state=0),
        )
        pipe.fit(frame, Y, X_target=(frame,))
    assert pipe.predict(frame).shape == (60,)


def test_missing_labels_of_nullable_columns(expected):
    labels = pd.Series(pd.array([0, 1, 2] + [pd.NA] * 57, dtype="Int64"))
    clf = DeepCORALClassifier(max_epochs=1, random_state=0)
    clf.fit(X, Y, X_target=TARGET, y_target=labels)
    other = DeepCORALClassifier(max_epochs=1, random_state=0)
    other.fit(X, Y, X_target=TARGET, y_target=[0, 1, 2] + [-1] * 57)
    np.testing.assert_array_equal(clf.predict_proba(X), other.predict_proba(X))


@pytest.mark.parametrize(
    "change",
    [
        lambda X: X.clone().requires_grad_(),
        lambda X: X.double(),
        lambda X: torch.as_tensor(np.asfortranarray(X.numpy())),
    ],
)
def test_tensors(change, expected):
    clf = fitted(change(torch.as_tensor(X)), torch.as_tensor(Y), change(torch.tensor(TARGET)))
    np.testing.assert_array_equal(clf.predict_proba(change(torch.as_tensor(X))), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_tensors_of_half_precision(dtype):
    half = torch.as_tensor(X).to(dtype)
    clf = fitted(half, Y, half)
    np.testing.assert_array_equal(
        clf.predict_proba(half), fitted(half.float().numpy(), Y, half.float()).predict_proba(half)
    )


def test_a_tensor_without_values():
    with pytest.raises(ValueError, match="X is a tensor of the device meta"):
        fitted(torch.empty(60, 5, device="meta"))


def test_tensors_come_back_under_array_api_dispatch():
    code = """
import numpy as np, sklearn, sklearn.utils, torch
from skda.adaptation import DeepCORALClassifier
X, y = torch.randn(40, 5, dtype=torch.float64), torch.arange(40) % 3
try:
    sklearn.set_config(array_api_dispatch=True)
    sklearn.utils.check_array(X)
except (ImportError, RuntimeError):
    raise SystemExit(3)  # these releases cannot
sklearn.set_config(array_api_dispatch=False)
with sklearn.config_context(array_api_dispatch=True):
    clf = DeepCORALClassifier(max_epochs=1, random_state=0).fit(X, y, X_target=X)
    for method in "predict predict_proba predict_log_proba decision_function transform".split():
        assert isinstance(getattr(clf, method)(X), torch.Tensor), method
    assert 0 <= clf.score(X, y) <= 1
    names = DeepCORALClassifier(max_epochs=1).fit(X, y.numpy().astype(str), X_target=X).predict(X)
    assert isinstance(names, np.ndarray)
assert isinstance(clf.predict_proba(X), np.ndarray)
"""
    # scipy looks at it once, when it is imported.
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    status = subprocess.run([sys.executable, "-c", code], env=environment, timeout=120).returncode
    if status == 3:
        pytest.skip("scikit-learn, scipy or array_api_compat is too old for it")
    assert status == 0


@pytest.mark.parametrize("make", [lambda: fitted().predict_proba(X), None])
def test_a_default_type_of_the_caller(make, expected):
    make = make or (lambda: DeepFeatureExtractor(random_state=0).fit_transform(X))
    plain = make()
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        other = make()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(before)
    np.testing.assert_array_equal(other, plain)


@pytest.mark.parametrize(
    "mode", [torch.no_grad, torch.inference_mode, lambda: torch.device("meta")]
)
def test_modes_of_the_caller(mode, expected):
    with mode():
        clf = fitted()
        predicted = clf.predict_proba(X)
        features = DeepFeatureExtractor(random_state=0).fit_transform(X)
    np.testing.assert_array_equal(predicted, expected)
    plain = DeepFeatureExtractor(random_state=0).fit_transform(X)
    np.testing.assert_array_equal(features, plain)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_modules_of_other_precision(dtype):
    module = nn.Sequential(nn.Linear(5, 8), nn.ReLU()).to(dtype)
    assert np.isfinite(fitted(module=module).predict_proba(X)).all()
    assert DeepFeatureExtractor(module).fit_transform(X).dtype == np.float32
    assert next(module.parameters()).dtype == dtype


def test_an_array_of_xarray_is_its_values(expected):
    xarray = pytest.importorskip("xarray")
    clf = fitted(xarray.DataArray(X), Y, xarray.DataArray(TARGET))
    np.testing.assert_array_equal(clf.predict_proba(xarray.DataArray(X)), expected)


def test_a_target_with_names_beside_a_source_without_is_warned_of():
    # As after a step of a plain pipeline that has not seen the target.
    frame = pd.DataFrame(TARGET, columns=list("abcde"))
    with pytest.warns(
        UserWarning, match="X_target has names of columns, but X has none.*make_domain_pipeline"
    ):
        fitted(X, Y, frame)


class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 4)

    def forward(self, rows):
        return self.layer(rows.mul_(2.0))


def test_a_network_that_works_in_place_leaves_rows_as_they_are():
    rows = X.copy()
    clf = fitted(rows, Y, rows, module=InPlace)
    clf.predict(rows)
    DeepFeatureExtractor(InPlace).fit(rows).transform(rows)
    np.testing.assert_array_equal(rows, X)
