"""Estimates of shares: identities, missing classes, and errors that fall with the rows."""

from functools import partial

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skda.label_shift import (
    black_box_shares,
    calibrate,
    maximum_likelihood_shares,
    regularized_shares,
)

from .conftest import draw, posteriors

EQUAL = np.full(3, 1 / 3)
TARGET = np.array([0.6, 0.3, 0.1])
CONFUSION_ESTIMATES = {
    "bbse": black_box_shares,
    "bbse hard": partial(black_box_shares, soft=False),
    "rlls": regularized_shares,
}
# Columns: what is predicted for 100 rows of a class each.
CONFUSION = np.array([[80, 15, 10], [12, 75, 20], [8, 10, 70]])


def rows_of(counts):
    """Return certain predictions with these numbers."""
    return np.eye(3)[np.repeat(np.arange(3), np.asarray(counts).round().astype(int))]


def source_rows():
    return np.concatenate([rows_of(column) for column in CONFUSION.T]), np.repeat([0, 1, 2], 100)


# -- maximum likelihood -----------------------------------------------------------------------


def test_most_likely_shares_are_the_mean_of_their_posteriors(rng):
    """What EM stops at: the mean of the reweighted posteriors is the shares themselves."""
    X, _ = draw(TARGET, 500, rng)
    of_source = np.array([0.2, 0.3, 0.5])
    rows = posteriors(X, of_source)
    found = maximum_likelihood_shares(rows, of_source, tol=1e-10)
    weighted = rows * found / of_source
    np.testing.assert_allclose(
        (weighted / weighted.sum(axis=1, keepdims=True)).mean(axis=0), found, atol=1e-6
    )
    assert np.abs(found - TARGET).sum() < 0.15 < np.abs(of_source - TARGET).sum()


def test_shares_of_certain_predictions_are_their_counts():
    found = maximum_likelihood_shares(rows_of([6, 3, 1]), [0.2, 0.3, 0.5])
    np.testing.assert_allclose(found, TARGET, atol=1e-6)


def test_rows_that_say_nothing_leave_the_shares_as_they_are():
    of_source = np.array([0.2, 0.3, 0.5])
    found = maximum_likelihood_shares(np.tile(of_source, (50, 1)), of_source)
    np.testing.assert_allclose(found, of_source, atol=1e-12)


def test_prior_rows_count_as_rows():
    """Of certain rows the result is the mean of both, by numbers of rows."""
    of_source = np.array([0.2, 0.3, 0.5])
    found = maximum_likelihood_shares(rows_of([6, 3, 1]), of_source, prior_rows=30, tol=1e-12)
    np.testing.assert_allclose(found, (10 * TARGET + 30 * of_source) / 40, atol=1e-6)


def test_missing_classes_have_no_share_after_few_steps(rng):
    """Plain EM has not converged after 1000 steps on these rows."""
    shares = np.r_[np.full(3, 1 / 3), np.zeros(7)]
    X, _ = draw(shares, 5000, rng)
    found = maximum_likelihood_shares(posteriors(X, np.full(10, 0.1)), np.full(10, 0.1))
    assert found[3:].sum() < 0.02
    assert np.abs(found - shares).sum() < 0.06


def test_em_that_has_not_converged_warns(rng):
    X, _ = draw(TARGET, 200, rng)
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        maximum_likelihood_shares(posteriors(X, EQUAL), EQUAL, max_iter=2)


def test_a_class_without_a_share_in_the_source_gets_none(rng):
    found = maximum_likelihood_shares(rows_of([5, 5, 5]), [0.5, 0.5, 0])
    assert found[2] == 0 and found.sum() == pytest.approx(1)


# -- confusions -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONFUSION_ESTIMATES)
def test_exact_confusions_give_exact_shares(name):
    target = rows_of(10 * CONFUSION @ TARGET)
    found = CONFUSION_ESTIMATES[name](target, *source_rows())
    np.testing.assert_allclose(found, TARGET, atol=1e-6)


def test_much_regularisation_leaves_the_shares_of_the_source():
    found = regularized_shares(rows_of([9, 1, 0]), *source_rows(), regularization=100)
    np.testing.assert_allclose(found, EQUAL, atol=1e-4)


def test_regularisation_goes_from_the_confusions_to_the_source(rng):
    X, y = draw(EQUAL, 60, rng, distance=0.7)
    X_target, _ = draw(TARGET, 60, rng, distance=0.7)
    rows, target = posteriors(X, EQUAL, 0.7), posteriors(X_target, EQUAL, 0.7)
    of_source = np.bincount(y) / len(y)
    distances = [
        np.abs(regularized_shares(target, rows, y, regularization=weight) - of_source).sum()
        for weight in (0, 0.03, 0.1, 0.3, 1)
    ]
    assert all(np.diff(distances) <= 1e-9) and distances[-1] < 0.2 * distances[0]


def test_regularised_ratios_minimise_the_objective(rng):
    """The sum of both norms, of which the solver minimises squares alone."""
    X, y = draw(EQUAL, 60, rng, distance=0.7)
    X_target, _ = draw(TARGET, 60, rng, distance=0.7)
    rows, target = posteriors(X, EQUAL, 0.7), posteriors(X_target, EQUAL, 0.7)
    joint = rows.T @ np.eye(3)[y] / len(y)
    of_source = np.bincount(y) / len(y)
    spread = np.log(2 * 3 / 0.05)
    bound = 0.1 * 3 * (2 * spread / 180 + np.sqrt(2 * spread / 60))

    def objective(shares):
        ratios = shares / of_source
        misfit = np.linalg.norm(joint @ ratios - target.mean(axis=0))
        return misfit + bound * np.linalg.norm(ratios - 1)

    found = objective(regularized_shares(target, rows, y, regularization=0.1))
    others = [objective(shares) for shares in rng.dirichlet(np.ones(3), 20000)]
    assert found <= min(others)


@pytest.mark.parametrize("name", CONFUSION_ESTIMATES)
def test_classes_that_are_never_told_apart_keep_the_ratio_of_the_source(name):
    rows = np.concatenate([rows_of([100, 0, 0]), rows_of([0, 150, 0])])
    labels = np.repeat([0, 1, 2], [100, 100, 50])  # classes 1 and 2 are both predicted as 1
    found = CONFUSION_ESTIMATES[name](rows_of([40, 60, 0]), rows, labels)
    np.testing.assert_allclose(found, [0.4, 0.4, 0.2], atol=1e-2)


@pytest.mark.parametrize("name", CONFUSION_ESTIMATES)
def test_a_class_without_a_held_out_row_gets_no_share(name):
    rows, labels = rows_of([10, 10, 0]), np.repeat([0, 1], 10)
    found = CONFUSION_ESTIMATES[name](rows_of([8, 1, 1]), rows, labels)
    assert found[2] == 0 and found.sum() == pytest.approx(1) and found.min() >= 0


# -- all --------------------------------------------------------------------------------------


def likelihood(target, source, labels):
    counts = np.bincount(labels, minlength=source.shape[1])
    return maximum_likelihood_shares(target, counts / counts.sum())


ALL = {"em": likelihood, **CONFUSION_ESTIMATES}


@pytest.mark.parametrize("name", ALL)
def test_the_order_of_the_classes_does_not_matter(name, rng):
    of_source = np.array([0.2, 0.3, 0.5])
    X, y = draw(of_source, 200, rng)
    X_target, _ = draw(TARGET, 200, rng)
    rows, target = posteriors(X, of_source), posteriors(X_target, of_source)
    order = np.array([2, 0, 1])
    found = ALL[name](target, rows, y)
    mixed = ALL[name](target[:, order], rows[:, order], np.argsort(order)[y])
    np.testing.assert_allclose(mixed, found[order], atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_errors_fall_with_the_number_of_rows(name):
    """By the root of it: a tenth for a hundred times as many rows."""
    errors = {}
    for n_rows in (60, 6000):
        for seed in range(8):
            rng = np.random.default_rng(seed)
            (X, y), (X_target, _) = draw(EQUAL, n_rows, rng), draw(TARGET, n_rows, rng)
            found = ALL[name](posteriors(X_target, EQUAL), posteriors(X, EQUAL), y)
            errors.setdefault(n_rows, []).append(np.abs(found - TARGET).sum())
    assert np.mean(errors[6000]) < 0.2 * np.mean(errors[60])
    assert np.mean(errors[6000]) < 0.06


def test_calibrated_likelihood_errs_least():
    """As in the literature: of sure predictions EM is bad, and of calibrated ones the best."""
    errors = {name: [] for name in ("raw", "calibrated", "bbse hard")}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        (X, y), (X_target, _) = draw(EQUAL, 1000, rng), draw(TARGET, 1000, rng)
        rows, target = (posteriors(part, EQUAL, sharpness=3) for part in (X, X_target))
        found = {
            "raw": likelihood(target, rows, y),
            "calibrated": likelihood(calibrate(rows, y)(target), rows, y),
            "bbse hard": black_box_shares(target, rows, y, soft=False),
        }
        for name, shares in found.items():
            errors[name].append(np.abs(shares - TARGET).sum())
    means = {name: np.mean(values) for name, values in errors.items()}
    assert means["calibrated"] < 0.9 * means["bbse hard"]
    assert means["calibrated"] < 0.5 * means["raw"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0.7, 0.7]], [0.5, 0.5]), "target_probabilities must hold rows"),
        (([[0.5, 0.5]], [5, 5]), r"source_shares must be 2 numbers.*counts / counts.sum\(\)"),
        (([[0.5, 0.5]], [0.2, 0.3, 0.5]), "source_shares must be 2 numbers"),
    ],
)
def test_likelihood_names_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        maximum_likelihood_shares(*arguments)


@pytest.mark.parametrize("estimate", [black_box_shares, regularized_shares, calibrate])
def test_labels_must_be_columns(estimate):
    arguments = ([[0.5, 0.5]], [[0.5, 0.5]], ["a"])
    with pytest.raises(ValueError, match=r"source_labels must be whole numbers.*searchsorted"):
        estimate(*(arguments[1:] if estimate is calibrate else arguments))


def test_both_tables_must_be_of_the_same_classes():
    with pytest.raises(ValueError, match=r"target_probabilities has 3 columns, source.* has 2"):
        black_box_shares(np.full((4, 3), 1 / 3), np.full((4, 2), 0.5), [0, 1, 0, 1])
