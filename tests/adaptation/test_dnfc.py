"""The closed form of DNFC, its contract, and what it gives a linear SVM."""

import ast
import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from scipy.linalg import qr
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from skda import make_pipeline, stack_domains
from skda.adaptation import DNFC
from skda.datasets import load_shifted_digits
from skda.exceptions import NoTargetWarning

FORMS = [{}, {"kernel": "rbf"}, {"kernel": "rbf", "n_landmarks": 7}]


def make_domains(n_source=30, n_target=20, n_columns=6, seed=0):
    rng = np.random.RandomState(seed)
    mixing = rng.standard_normal((n_columns, n_columns)) / 2
    source = rng.standard_normal((n_source, n_columns)) @ mixing
    target = rng.standard_normal((n_target, n_columns)) @ mixing + rng.standard_normal(n_columns)
    return source, target


@pytest.fixture
def domains():
    return make_domains()


def with_bias(rows):
    return np.hstack([rows, np.ones((len(rows), 1))])


def learned_map(fitted, layer=0):
    """W transposed, (n_inputs + 1, n_inputs)."""
    return np.linalg.multi_dot([*fitted.coefs_[layer], np.eye(fitted.coefs_[layer][-1].shape[1])])


def mean_difference(rows, n_source):
    return rows[:n_source].mean(axis=0) - rows[n_source:].mean(axis=0)


# -- the closed form --------------------------------------------------------------------------


@parametrize_with_checks([DNFC(), DNFC(kernel="rbf", output="last")])
@pytest.mark.filterwarnings("ignore::skda.exceptions.NoTargetWarning")
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("n_columns", [6, 120])
def test_without_trade_off_it_is_msda(n_columns):
    """Against the formula of the mSDA paper, written out."""
    X, X_target = make_domains(n_columns=n_columns)
    fitted = DNFC(n_layers=2, corruption=0.4, trade_off=0, regularization=1e-3, output="last")
    fitted.fit(X, X_target=X_target)
    hidden = np.vstack([X, X_target])
    for layer in range(2):
        columns = with_bias(hidden).T
        kept = np.append(np.full(n_columns, 0.6), 1)
        moments = columns @ columns.T / columns.shape[1]
        masked = moments * np.outer(kept, kept)
        np.fill_diagonal(masked, kept * np.diag(moments))
        cross = moments[:-1] * kept
        expected = cross @ np.linalg.inv(masked + 1e-3 * np.eye(n_columns + 1))
        np.testing.assert_allclose(learned_map(fitted, layer).T, expected, rtol=1e-7, atol=1e-9)
        hidden = np.tanh(expected @ columns).T
    np.testing.assert_allclose(fitted.transform(X_target), hidden[len(X) :], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("trade_off", [0.5, 20])
def test_explicit_corruptions_converge_to_the_closed_form(trade_off, domains):
    """A diagonal of E[R] for a diagonal M, as published code has it, is further off."""
    X, X_target = domains
    rows, n_source, corruption = with_bias(np.vstack(domains)), len(X), 0.4
    rng = np.random.RandomState(0)
    masked_moments, masked_mmd, cross, n_draws = 0, 0, 0, 20_000
    for _ in range(n_draws):
        mask = rng.random_sample(rows.shape) >= corruption
        mask[:, -1] = True
        masked = rows * mask
        difference = mean_difference(masked, n_source)
        masked_moments += masked.T @ masked / len(rows) / n_draws
        masked_mmd += np.outer(difference, difference) / n_draws
        cross += masked.T @ rows[:, :-1] / len(rows) / n_draws

    def distance(mmd):
        sampled = np.linalg.solve(masked_moments + trade_off * mmd + 1e-3 * np.eye(7), cross)
        return np.linalg.norm(closed - sampled) / np.linalg.norm(sampled)

    fitted = DNFC(n_layers=1, corruption=corruption, trade_off=trade_off, regularization=1e-3)
    closed = learned_map(fitted.fit(X, X_target=X_target))
    difference = mean_difference(rows, n_source)
    kept = np.append(np.full(6, 1 - corruption), 1)
    for_diagonal_m = np.outer(difference * kept, difference * kept)
    np.fill_diagonal(for_diagonal_m, kept * difference**2)
    assert distance(masked_mmd) < 0.01
    assert distance(for_diagonal_m) > 10 * distance(masked_mmd)


def test_the_map_minimizes_the_objective(domains):
    """Gradient zero: any step away from it costs."""
    X, X_target = domains
    fitted = DNFC(n_layers=1, corruption=0.0, trade_off=3.0, regularization=0.1)
    best = learned_map(fitted.fit(X, X_target=X_target))
    rows = np.vstack(domains)

    def objective(weights):
        codes = with_bias(rows) @ weights
        return (
            ((rows - codes) ** 2).sum(axis=1).mean()
            + 3.0 * (mean_difference(codes, len(X)) ** 2).sum()
            + 0.1 * (weights**2).sum()
        )

    rng = np.random.RandomState(0)
    for _ in range(20):
        assert objective(best + 1e-3 * rng.standard_normal(best.shape)) > objective(best)


@pytest.mark.parametrize("form", FORMS)
def test_the_domains_come_closer_with_the_trade_off(form, few):
    X, X_target = few["X"], few["X_target"]
    distances = []
    for trade_off in (0, 0.1, 1, 10, 100, 1000):
        fitted = DNFC(n_layers=1, trade_off=trade_off, output="last", **form)
        fitted.fit(X, X_target=X_target)
        codes = np.vstack([fitted.transform(X), fitted.transform(X_target)])
        distances.append((mean_difference(codes, len(X)) ** 2).sum())
    assert (np.diff(distances) < 0).all()
    assert distances[-1] < 0.05 * distances[0]


def test_two_thin_factors_equal_one_matrix(monkeypatch):
    """Many columns take another algebra, the same map: columns of zeros change nothing."""
    X, X_target = make_domains(n_columns=60)
    wide = DNFC(n_layers=1, trade_off=5.0).fit(X, X_target=X_target)
    padding = np.zeros((len(X), 60)), np.zeros((len(X_target), 60))
    padded = DNFC(n_layers=1, trade_off=5.0)
    padded.fit(np.hstack([X, padding[0]]), X_target=np.hstack([X_target, padding[1]]))
    assert [len(fitted.coefs_[0]) for fitted in (wide, padded)] == [1, 2]
    rows = np.r_[0:60, 120]
    np.testing.assert_allclose(
        learned_map(padded)[rows, :60], learned_map(wide), rtol=1e-6, atol=1e-8
    )


def test_several_targets_count_as_the_mean_of_their_discrepancies(domains):
    X, X_target = domains
    once = DNFC().fit(X, X_target=X_target)
    # The same rows twice weigh more in the denoising error: repeat the source as well.
    twice = DNFC().fit(np.vstack([X, X]), X_target=(X_target, X_target))
    np.testing.assert_allclose(twice.transform(X), once.transform(X), rtol=0.05, atol=0.01)
    halves = DNFC(n_layers=1, trade_off=1e4, output="last").fit(
        X, X_target=(X_target, X_target + 2)
    )
    codes = [halves.transform(rows).mean(axis=0) for rows in (X, X_target, X_target + 2)]
    assert np.abs(codes[0] - codes[1]).max() < 0.05 and np.abs(codes[0] - codes[2]).max() < 0.05


# -- the contract -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_new_rows_are_encoded_row_by_row(form, domains):
    X, X_target = domains
    fitted = DNFC(**form).fit(X, X_target=X_target)
    new = make_domains(seed=1)[1]
    together = fitted.transform(new)
    one_by_one = np.vstack([fitted.transform(row[None]) for row in new])
    np.testing.assert_allclose(one_by_one, together, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_sparse_rows_give_the_codes_of_dense_ones(form):
    X, X_target = (np.where(rows > 0.5, rows, 0) for rows in make_domains(n_columns=120))
    dense = DNFC(**form).fit(X, X_target=X_target).transform(X_target)
    fitted = DNFC(**form).fit(sparse.csr_matrix(X), X_target=sparse.csr_array(X_target))
    codes = fitted.transform(sparse.csr_array(X_target))
    assert isinstance(codes, np.ndarray)
    np.testing.assert_allclose(codes, dense, rtol=1e-7, atol=1e-9)


def test_sparse_rows_without_a_target(domains):
    with pytest.warns(NoTargetWarning):
        codes = DNFC().fit_transform(sparse.csr_array(domains[0]))
    with pytest.warns(NoTargetWarning):
        np.testing.assert_allclose(codes, DNFC().fit_transform(domains[0]))


def test_outputs(domains):
    X, X_target = domains
    codes = DNFC(n_layers=2).fit(X, X_target=X_target).transform(X)
    last = DNFC(n_layers=2, output="last").fit(X, X_target=X_target).transform(X)
    assert codes.shape == (30, 18) and last.shape == (30, 6)
    np.testing.assert_array_equal(codes[:, :6], X)
    np.testing.assert_array_equal(codes[:, 12:], last)


def test_landmarks_are_rows_of_both_domains(domains):
    X, X_target = domains
    fitted = DNFC(kernel="rbf", n_landmarks=10).fit(X, X_target=X_target)
    is_source = (fitted.landmarks_[:, None] == X).all(axis=2).any(axis=1)
    assert is_source.sum() == 6  # as 30 to 20
    assert fitted.transform(X).shape == (30, 40)


def test_median_gamma_ignores_the_scale_of_the_data(domains):
    X, X_target = domains
    first = DNFC(kernel="rbf").fit(X, X_target=X_target)
    second = DNFC(kernel="rbf").fit(100 * X, X_target=100 * X_target)
    np.testing.assert_allclose(second.gamma_, first.gamma_ / 1e4)
    np.testing.assert_allclose(second.transform(100 * X), first.transform(X), rtol=1e-5)


def test_equal_rows_give_finite_codes():
    rows = np.full((9, 3), 0.1)
    fitted = DNFC(kernel="rbf").fit(rows, X_target=rows)
    np.testing.assert_allclose(fitted.transform(rows), 0, atol=1e-9)


def test_pandas_everywhere(domains):
    with sklearn.config_context(transform_output="pandas"):
        fitted = DNFC(kernel="rbf").fit(domains[0], X_target=domains[1])
        assert isinstance(fitted.transform(domains[1]), pd.DataFrame)


def test_float32_stays_float32(domains):
    X, X_target = (rows.astype(np.float32) for rows in domains)
    fitted = DNFC().fit(X, X_target=X_target)
    exact = DNFC().fit(*domains[:1], X_target=domains[1])
    assert fitted.transform(X).dtype == np.float32
    np.testing.assert_allclose(fitted.transform(X), exact.transform(domains[0]), atol=1e-4)


def test_a_column_without_variance_does_no_harm(domains):
    X, X_target = (np.hstack([rows, np.zeros((len(rows), 1))]) for rows in domains)
    for form in FORMS:
        assert np.isfinite(DNFC(**form).fit(X, X_target=X_target).transform(X_target)).all()


def test_sample_domain_is_the_other_form_of_X_target(domains):
    X, y, sample_domain = stack_domains(domains[0], np.zeros(30), domains[1])
    expected = DNFC().fit(domains[0], X_target=(domains[1],)).transform(X)
    for labels in (y, None):
        codes = DNFC().fit(X, labels, sample_domain=sample_domain).transform(X)
        np.testing.assert_array_equal(codes, expected)


def test_without_a_target_it_warns(domains):
    with pytest.warns(NoTargetWarning, match="X_target"):
        DNFC().fit(domains[0])


def test_frames_in_and_out(domains):
    names = [f"c{i}" for i in range(6)]
    X, X_target = (pd.DataFrame(rows, columns=names) for rows in domains)
    fitted = DNFC(n_layers=1).set_output(transform="pandas").fit(X, X_target=X_target)
    codes = fitted.transform(X_target)
    assert list(codes.columns) == [f"dnfc{i}" for i in range(12)]
    assert list(fitted.get_feature_names_out()) == list(codes.columns)
    with pytest.raises(ValueError, match="X_target has the columns"):
        DNFC().fit(X, X_target=X_target[names[::-1]])


@pytest.mark.parametrize("single", [True, False])
def test_a_target_of_another_width_is_an_error_that_names_it(single, domains):
    X, X_target = domains
    wrong = X_target[:, :4] if single else (X_target, X_target[:, :4])
    name = "X_target" if single else r"X_target\[1\]"
    with pytest.raises(ValueError, match=f"^{name} has 4 columns, X has 6.*make_pipeline"):
        DNFC().fit(X, X_target=wrong)


@pytest.mark.parametrize(
    "parameter, value",
    [
        ("n_layers", 0),
        ("corruption", 1),
        ("trade_off", -1),
        ("regularization", 0),
        ("kernel", "cubic"),
        ("gamma", 0),
        ("n_landmarks", 0),
        ("output", "first"),
    ],
)
def test_bad_parameters_are_named(parameter, value, domains):
    with pytest.raises(ValueError, match=f"'{parameter}' parameter of DNFC"):
        DNFC(**{parameter: value}).fit(domains[0], X_target=domains[1])


def test_docstring_describes_every_parameter_with_its_default():
    lines = [line.strip() for line in inspect.getdoc(DNFC).splitlines()]
    for name, parameter in inspect.signature(DNFC).parameters.items():
        line = next(line for line in lines if line.startswith(f"{name} : "))
        assert ast.literal_eval(line.partition("default=")[2]) == parameter.default


def test_pickle_and_clone(domains):
    fitted = DNFC(kernel="rbf", trade_off=2.0).fit(domains[0], X_target=domains[1])
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.transform(domains[1]), fitted.transform(domains[1]))
    assert clone(fitted).get_params() == fitted.get_params()


# -- pipelines --------------------------------------------------------------------------------


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_pipeline_before_a_plain_classifier(routing, few):
    pipe = make_pipeline(StandardScaler(), DNFC(n_layers=1), LinearSVC(C=0.01))
    pipe.fit(few["X"], few["y"], X_target=(few["X_target"],))
    scaler, dnfc, svm = StandardScaler().fit(few["X"]), DNFC(n_layers=1), LinearSVC(C=0.01)
    X, X_target = scaler.transform(few["X"]), scaler.transform(few["X_target"])
    svm.fit(dnfc.fit(X, X_target=X_target).transform(X), few["y"])
    expected = svm.predict(dnfc.transform(X_target))
    np.testing.assert_array_equal(pipe.predict(few["X_target"]), expected)


def test_grid_search_over_the_pipeline(routing, few):
    pipe = make_pipeline(DNFC(n_layers=1), LinearSVC(C=0.01))
    search = GridSearchCV(pipe, {"dnfc__corruption": [0.2, 0.8]}, cv=2)
    search.fit(few["X"], few["y"], X_target=(few["X_target"],))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# -- real data --------------------------------------------------------------------------------


def test_defaults_help_a_linear_svm_on_shifted_digits():
    """The mean of the domains is what does it: plain mSDA ends far below the SVM alone."""

    def mean_accuracy(*steps):
        scores = []
        for seed in range(3):
            data = load_shifted_digits(random_state=seed)
            X, X_target = data.X, data.X_target
            for step in steps:
                step.fit(X, X_target=X_target)
                X, X_target = step.transform(X), step.transform(X_target)
            scores.append(LinearSVC(C=0.01).fit(X, data.y).score(X_target, data.y_target))
        return 100 * np.mean(scores)

    alone = mean_accuracy()
    assert 38 < alone < 45
    assert mean_accuracy(DNFC()) >= alone + 4
    assert mean_accuracy(DNFC(n_layers=1, output="last")) >= alone + 8
    assert mean_accuracy(DNFC(trade_off=0)) < alone


@pytest.fixture(scope="module")
def reviews(data_home):
    """Counts of 5000 terms and labels by (domain, split)."""
    arrays = np.load(data_home / "amazon_reviews" / "amazon_reviews_5000.npz")

    def part(name):
        counts, columns, starts, y = (
            arrays[f"{name}_{field}"] for field in ("data", "indices", "indptr", "y")
        )
        parts = counts.astype(np.float32), columns.astype(np.int32), starts
        return sparse.csr_matrix(parts, shape=(len(y), 5000)), y

    domains = ("books", "dvd", "electronics", "kitchen")
    return {(d, s): part(f"{d}_{s}") for d in domains for s in ("train", "test")}


@pytest.mark.exhaustive
def test_defaults_help_a_linear_svm_on_amazon_reviews(reviews):
    """On two of the pairs; benchmarks/bench_amazon.py has all twelve."""
    gains = []
    for source, target in (("dvd", "books"), ("electronics", "kitchen")):
        X, y = reviews[source, "train"]
        X_test, y_test = reviews[target, "test"]
        alone = LinearSVC(C=0.01, random_state=0).fit(X, y).score(X_test, y_test)
        dnfc = DNFC().fit(X, X_target=reviews[target, "train"][0])
        # The inner products with the training rows are all that a linear SVM sees.
        codes = dnfc.transform(X)
        basis, _ = qr(codes.T, mode="economic")
        svm = GridSearchCV(LinearSVC(random_state=0), {"C": [1e-4, 1e-3, 1e-2]}, cv=3)
        svm.fit(codes @ basis, y)
        gains.append(100 * (svm.score(dnfc.transform(X_test) @ basis, y_test) - alone))
    assert np.mean(gains) >= 2
