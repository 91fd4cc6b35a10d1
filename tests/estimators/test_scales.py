"""The warning of a source and a target that have not gone through the same steps."""

import itertools
import warnings

import numpy as np
import pytest
import sklearn
import torch
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.decomposition import PCA
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)

from skda.adaptation import (
    DNFC,
    AdaBNClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    ShallowDANNClassifier,
)
from skda.datasets import load_shifted_digits, make_machine_faults, make_wearable_activity
from skda.estimators._scales import DomainLook, warn_of_scales
from skda.exceptions import DomainScaleWarning
from skda.rows import SparseRows
from skda.subspace import CORAL

SCALERS = [StandardScaler, MinMaxScaler, RobustScaler, Normalizer]


def warns(X, X_target, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_scales(X, (X_target,), ("X_target",), **options)
    assert all(issubclass(warning.category, DomainScaleWarning) for warning in caught)
    return len(caught) > 0


def halves(load, column=0):
    """A table, cut where a column has its median: a shift larger than most."""
    X = load().data
    is_large = X[:, column] > np.median(X[:, column])
    return X[is_large], X[~is_large]


# -- real shifts ------------------------------------------------------------------------------

SHIFTS = {
    "digits": {"angle": 30, "noise": 0.1},
    "turned digits": {"angle": 90, "noise": 0.0},
    "noisy digits": {"angle": 15, "noise": 0.5},
}


@pytest.mark.parametrize("name", SHIFTS)
@pytest.mark.parametrize("scaler", [None, *SCALERS, lambda: PCA(32), PCA])
def test_shifts_of_digits_are_no_other_scales(name, scaler):
    digits = load_shifted_digits(random_state=0, **SHIFTS[name])
    X, X_target = digits.X, digits.X_target
    if scaler is not None:
        fitted = scaler().fit(X)
        X, X_target = fitted.transform(X), fitted.transform(X_target)
    assert not warns(X, X_target)


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
@pytest.mark.parametrize("scaler", [None, *SCALERS])
def test_parts_of_a_table_with_units_are_no_other_scales(load, scaler):
    for column in (0, 3, 6):
        X, X_target = halves(load, column)
        if scaler is not None:
            fitted = scaler().fit(X)
            X, X_target = fitted.transform(X), fitted.transform(X_target)
        assert not warns(X, X_target)


@pytest.mark.parametrize("make", [make_machine_faults, make_wearable_activity])
def test_shifts_of_series_are_no_other_scales(make):
    data = make(60, 60, random_state=0)
    assert not warns(data.X, data.X_target)


def test_white_and_black_images_are_no_other_scales():
    X = np.random.RandomState(0).rand(50, 1, 8, 8).astype(np.float32) ** 4
    assert not warns(X, 1 - X)


def test_components_that_vary_little_in_the_source_may_vary_in_the_target():
    """As the last of all principal components of the source do."""
    rng = np.random.RandomState(0)
    scales = np.r_[10.0, 5.0, 1.0, np.full(20, 0.01)]
    X = scales * rng.randn(100, 23)
    assert not warns(X, np.r_[np.ones(3), np.full(20, 8)] * scales * rng.randn(100, 23))
    assert warns(X, 8 * scales * rng.randn(100, 23))


def test_shifts_of_real_data_are_no_other_scales(data_home):
    digits = np.load(data_home / "mnist_m" / "mnist_m_test_4000_6500.npz")["x"]
    office = np.load(
        data_home / "office_caltech10_mobilenetv2" / "office_caltech10_mobilenetv2_1280.npz"
    )
    reviews = np.load(data_home / "amazon_reviews" / "amazon_reviews_5000.npz")
    domains = [office[f"{name}_x"] for name in ("amazon", "caltech10", "dslr", "webcam")]
    pairs = [*itertools.permutations(domains, 2), (digits[:500] // 2, digits[500:])]

    def counts(domain):
        parts = (reviews[f"{domain}_train_{part}"] for part in ("data", "indices", "indptr"))
        data, indices, indptr = parts
        matrix = (data.astype(float), indices.astype(np.int32), indptr)
        return sparse.csr_matrix(matrix, shape=(len(indptr) - 1, 5000))

    domains = [counts(name) for name in ("books", "dvd", "electronics", "kitchen")]
    for X, X_target in [*pairs, *itertools.permutations(domains, 2)]:
        assert not warns(X, X_target)


# -- steps that only one domain has gone through ------------------------------------------------


@pytest.mark.parametrize("scaler", [StandardScaler, Normalizer])
@pytest.mark.parametrize("side", ["source", "target"])
def test_digits_of_which_one_domain_is_scaled_by_itself(scaler, side):
    digits = load_shifted_digits(random_state=0)
    X, X_target = digits.X, digits.X_target
    if side == "source":
        X = scaler().fit_transform(X)
    else:
        X_target = scaler().fit_transform(X_target)
    assert warns(X, X_target)


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
@pytest.mark.parametrize("scaler", [*SCALERS, PCA])
def test_tables_with_units_of_which_the_source_is_scaled(load, scaler):
    X, X_target = halves(load)
    assert warns(scaler().fit_transform(X), X_target)


@pytest.mark.parametrize("factor", [255, 1 / 255, 1000])
@pytest.mark.parametrize("shape", [(64,), (1, 8, 8), (4, 16)])
def test_a_factor(factor, shape):
    digits = load_shifted_digits(random_state=0)
    X, X_target = (part.reshape(-1, *shape) for part in (digits.X, digits.X_target))
    assert warns(X, factor * X_target) and not warns(X, X_target)


def test_images_of_which_one_domain_is_normalized():
    images = np.random.RandomState(0).rand(60, 3, 8, 8).astype(np.float32)
    normalized = (images[:30] - 0.5) / 0.25
    assert warns(normalized, images[30:]) and warns(images[:30], (images[30:] - 0.5) / 0.25)
    assert not warns(normalized, (images[30:] - 0.5) / 0.25)


def test_rows_of_norm_1_in_one_domain_do_harm_although_columns_are_standardized():
    digits = load_shifted_digits(random_state=0)
    unit = Normalizer().fit_transform(digits.X)
    assert warns(unit, digits.X_target, standardized=True)
    assert not warns(digits.X, 255 * digits.X_target, standardized=True)


# -- kinds of rows ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "as_kind",
    [
        np.float32,
        torch.tensor,
        sparse.csr_array,
        sparse.csr_matrix,
        lambda X: SparseRows(sparse.csr_array(X)),
        lambda X: np.repeat(X, 400, axis=0),  # more than is looked at
    ],
)
def test_kinds_of_rows(as_kind):
    digits = load_shifted_digits(random_state=0)
    assert warns(as_kind(digits.X), as_kind(255 * digits.X_target))
    assert not warns(as_kind(digits.X), as_kind(digits.X_target))


def test_of_a_memory_map_some_rows_are_read(tmp_path):
    X = np.memmap(tmp_path / "X", dtype=np.float32, mode="w+", shape=(200_000, 64))
    X[:] = np.random.RandomState(0).rand(64)
    X += np.random.RandomState(1).rand(200_000, 1).astype(np.float32)
    assert warns(X, 255 * X[:500])
    assert DomainLook.at(X).mean.shape == (64,)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "X",
    [
        np.zeros((20, 3)),
        np.full((20, 3), np.nan),
        np.full((20, 3), np.inf),
        np.full((20, 3), 1e200),
        np.zeros((20, 0)),
        np.zeros((1, 3)),
        np.array([["a", "b"]] * 20),
        np.array([["a", "b"]] * 20, dtype=object),
        ["a.png"] * 20,
    ],
)
def test_odd_rows_are_passed_over(X):
    warn_of_scales(X, (X,), ("X_target",))


def test_every_target_is_named(few):
    targets = few["X_target"], 255 * few["X_target"]
    with pytest.warns(DomainScaleWarning, match=r"^X_target\[1\] spreads \d+ times more than X"):
        CORAL().fit(few["X"], X_target=targets)


# -- estimators -------------------------------------------------------------------------------

ESTIMATORS = [
    DANNClassifier(max_epochs=1),
    ShallowDANNClassifier(max_epochs=1),
    AdaBNClassifier(max_epochs=1),
    CORAL(),
    DNFC(n_layers=1),
]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_estimators_warn_where_fit_was_called(estimator, few):
    with pytest.warns(DomainScaleWarning, match="make_domain_pipeline") as caught:
        estimator.fit(few["X"], few["y"], X_target=255 * few["X_target"])
    (warning,) = [w for w in caught if w.category is DomainScaleWarning]
    assert warning.filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error", DomainScaleWarning)
        estimator.fit(few["X"], few["y"], X_target=few["X_target"])


def test_the_other_form_of_the_target_is_looked_at_too(few):
    rows = np.concatenate([few["X"], 255 * few["X_target"]])
    domains = np.repeat([1, -1], [200, 150])
    labels = np.concatenate([few["y"], few["y_target"]])
    with pytest.warns(DomainScaleWarning):
        DANNClassifier(max_epochs=1).fit(rows, labels, sample_domain=domains)


def test_adapting_to_rows_on_another_scale_warns(few):
    clf = AdaBNClassifier(max_epochs=1, random_state=0).fit(
        few["X"], few["y"], X_target=few["X_target"]
    )
    with pytest.warns(DomainScaleWarning):
        clf.adapt(255 * few["X_target"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.adapt(0.3 * few["X_target"] + 0.25)
    assert "_source_look" in vars(clf)
    del clf._source_look  # as in a pickle of an earlier version
    clf.adapt(255 * few["X_target"])


def test_standardized_domains_are_not_warned_of(few):
    clf = DeepCORALClassifier(standardize="domain", max_epochs=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.fit(few["X"], few["y"], X_target=255 * few["X_target"])


@pytest.mark.parametrize("step", [StandardScaler(), FunctionTransformer(lambda X: X / 255)])
@pytest.mark.parametrize("with_routing", [True, False])
def test_a_pipeline_that_does_not_transform_the_target_warns(step, with_routing, few):
    """That of scikit-learn with routing, and any with the step's parameter without."""
    pipe = sklearn.pipeline.make_pipeline(step, DANNClassifier(max_epochs=1, random_state=0))
    factor = 255 if isinstance(step, FunctionTransformer) else 1
    X, X_target = factor * few["X"], factor * few["X_target"]
    name = "X_target" if with_routing else "dannclassifier__X_target"
    with sklearn.config_context(enable_metadata_routing=with_routing):
        with pytest.warns(DomainScaleWarning, match="make_domain_pipeline"):
            pipe.fit(X, few["y"], **{name: (X_target,)})
