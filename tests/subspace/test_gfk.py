"""The closed form of the geodesic flow kernel, and the choice of its dimension."""

import numpy as np
import pytest
from scipy.linalg import expm, null_space, svd

from skda.subspace import GFK


def bases(X, X_target, n_components):
    return (svd(rows - rows.mean(axis=0))[2][:n_components].T for rows in (X, X_target))


def kernel_matrix(gfk):
    return gfk.components_.T @ gfk.components_


def numerical_integral(start, end, n_steps=2000):
    """The mean of Phi(t) Phi(t)^T by the midpoint rule, with Phi from the exponential map."""
    n_columns, n_components = start.shape
    rest = null_space(start.T)
    frame = np.hstack([start, rest])
    left, cosines, right = svd(start.T @ end)
    # The velocity in the frame: directions orthogonal to the start, with the angles as speeds.
    turned = rest.T @ end @ right.T
    angles = np.arccos(np.clip(cosines, -1, 1))
    velocity = turned / np.linalg.norm(turned, axis=0) * angles @ left.T
    generator = np.zeros((n_columns, n_columns))
    generator[n_components:, :n_components] = velocity
    generator[:n_components, n_components:] = -velocity.T
    step, half = expm(generator / n_steps), expm(generator / (2 * n_steps))
    total, flow = np.zeros((n_columns, n_columns)), half
    for _ in range(n_steps):
        phi = frame @ flow[:, :n_components]
        total += phi @ phi.T / n_steps
        flow = step @ flow
    np.testing.assert_allclose(
        (frame @ np.linalg.matrix_power(step, n_steps)[:, :n_components] @ left @ right).T @ end,
        np.eye(n_components),
        atol=1e-8,
    )
    return total


@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_closed_form_equals_the_integral(domains, n_components):
    gfk = GFK(n_components=n_components).fit(domains[0], X_target=domains[1])
    integral = numerical_integral(*bases(*domains, n_components))
    np.testing.assert_allclose(kernel_matrix(gfk), integral, atol=1e-7)


@pytest.mark.parametrize("n_components", [1, 3, 5, 7])
def test_the_kernel_is_symmetric_in_the_domains(domains, n_components):
    """More axes than half the columns included: there some angles are zero."""
    X, X_target = domains
    there = GFK(n_components=n_components).fit(X, X_target=X_target)
    back = GFK(n_components=n_components).fit(X_target, X_target=X)
    np.testing.assert_allclose(kernel_matrix(there), kernel_matrix(back), atol=1e-8)


def test_equal_subspaces_give_a_projection(domains):
    X, _ = domains
    gfk = GFK(n_components=3).fit(X, X_target=2 * X + 1)
    (start, _) = bases(X, X, 3)
    np.testing.assert_allclose(kernel_matrix(gfk), start @ start.T, atol=1e-12)
    np.testing.assert_allclose(gfk.angles_, 0, atol=1e-12)
    assert gfk.transform(X).shape == (60, 3)


@pytest.mark.parametrize("seed", range(3))
def test_equal_subspaces_of_many_columns_are_no_error(seed):
    X = np.random.default_rng(seed).standard_normal((4000, 256), dtype="float32")
    gfk = GFK().fit(X, X_target=X + 0.5)
    assert gfk.angles_.max() < 1e-5


@pytest.mark.parametrize("angle", [1e-12, 1e-9, 1e-6, 1e-3, np.pi / 2])
def test_a_single_plane_at_every_angle(angle):
    """Lines in the plane; the integral is that of the outer product of (cos, sin)."""
    end = np.array([np.cos(angle), np.sin(angle)])
    gfk = GFK(n_components=1).fit([[-1.0, 0], [1, 0]], X_target=[-end, end])
    times = (np.arange(20000) + 0.5) / 20000 * angle
    lines = np.array([np.cos(times), np.sin(times)])
    np.testing.assert_allclose(kernel_matrix(gfk), lines @ lines.T / 20000, atol=1e-8)
    np.testing.assert_allclose(gfk.angles_, angle, atol=1e-12)


def test_distances_are_those_of_the_kernel(domains):
    X, X_target = domains
    gfk = GFK(n_components=2).fit(X, X_target=X_target)
    matrix = numerical_integral(*bases(X, X_target, 2))
    differences = (X[:5] - X.mean(axis=0)) - (X_target[:5] - X_target.mean(axis=0))
    expected = np.einsum("ij,jk,ik->i", differences, matrix, differences)
    mapped = gfk.transform(X[:5], domain="source") - gfk.transform(X_target[:5])
    np.testing.assert_allclose((mapped**2).sum(axis=1), expected, rtol=1e-6)


def test_a_shift_of_a_domain_changes_nothing(domains):
    X, X_target = domains
    expected = GFK().fit(X, X_target=X_target).transform(X_target)
    shifted = GFK().fit(X, X_target=X_target + 100).transform(X_target + 100)
    np.testing.assert_allclose(shifted @ shifted.T, expected @ expected.T, atol=1e-8)


def test_wide_data_have_a_narrow_map():
    rng = np.random.RandomState(0)
    X, X_target = rng.standard_normal((12, 3000)), rng.standard_normal((9, 3000))
    gfk = GFK(n_components=4).fit(X, X_target=X_target)
    assert gfk.components_.shape == (8, 3000)
    assert gfk.transform(X_target).shape == (9, 8)


def measure(X, X_target, d):
    """The subspace disagreement measure, from the projections of the paper."""
    centred = [rows - rows.mean(axis=0) for rows in (X, X_target)]
    centred.append(np.vstack(centred))
    start, end, both = (svd(rows, full_matrices=False)[2][:d].T for rows in centred)
    sines = [np.linalg.norm(basis - both @ (both.T @ basis), ord=2) for basis in (start, end)]
    return np.mean(sines)


def test_sdm_takes_the_first_dimension_of_orthogonal_axes():
    """Six shared columns, then one of the source alone and one of the target alone."""
    rng = np.random.RandomState(0)
    scales = np.array([12, 11, 10, 9, 8, 7, 2, 2, *[0.1] * 12])
    X, X_target = rng.standard_normal((2, 1000, 20)) * scales
    X[:, 7], X_target[:, 6] = 0, 0
    X[:, 8] *= 10
    X_target[:, 9] *= 10
    values = [measure(X, X_target, d) for d in range(1, 11)]
    chosen = GFK().fit(X, X_target=X_target).n_components_
    assert chosen == 1 + np.argmax(np.array(values) >= 0.995)
    assert 1 < chosen < 10


def test_sdm_without_orthogonal_axes_takes_half_of_the_columns(domains):
    X, _ = domains
    assert GFK().fit(X, X_target=X + 1).n_components_ == 3


def test_too_many_components_are_an_error(domains):
    X, X_target = domains
    message = "n_components=6 is too large: X has 7 .*, X_target 4; use at most 4"
    with pytest.raises(ValueError, match=message):
        GFK(n_components=6).fit(X, X_target=X_target[:5])


def test_equal_rows_are_an_error(domains):
    with pytest.raises(ValueError, match="rows of X or of X_target are equal"):
        GFK().fit(domains[0], X_target=np.full((7, 7), 0.1))


@pytest.mark.parametrize("n_components", [0, "bound", 2.5])
def test_bad_parameters_are_named(domains, n_components):
    with pytest.raises(ValueError, match="'n_components' parameter of GFK"):
        GFK(n_components=n_components).fit(domains[0], X_target=domains[1])
