"""Components of large variance along which domains differ little: what TCA, JDA and BDA share."""

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.linalg import eigh, orth, pinvh, svd
from scipy.sparse import csr_array
from scipy.sparse.linalg import eigsh
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.utils import check_random_state, gen_batches

from skda._naming import naming
from skda._sklearn_compat import Interval, StrOptions
from skda.estimators import estimator
from skda.subspace._base import SubspaceTransformer

_BATCH_BYTES = 2**25  # of the features of rows that are in memory at a time
_MAX_EXACT = 4000  # rows; beyond, "auto" takes landmarks
_N_LANDMARKS = 1000
_MAX_DENSE = 1000  # size of a matrix; beyond, a few eigenvectors come faster from iterations
_KERNELS = {"cosine", "laplacian", "linear", "poly", "rbf", "sigmoid"}


@estimator
class TransferComponents(SubspaceTransformer):
    """Base of methods that weigh variance against discrepancies between means.

    A method writes ``_fit_domains``: it makes a :class:`_Space`, says with
    :func:`discrepancy_factor` which means are to meet, and calls ``_set_components``.

    Parameters
    ----------
    n_components : int, default=30
        Number of components, in order of falling eigenvalue. Fewer are kept if rows, columns or
        the kernel have no more directions of some variance.

    kernel : str, callable or None, default=None
        None looks for linear components with the penalty on their norm: what the authors of JDA
        call primal. "linear", "poly", "rbf", "laplacian", "sigmoid" and "cosine" are those of
        :func:`sklearn.metrics.pairwise.pairwise_kernels`; a callable takes two arrays of rows and
        returns their kernel matrix. With "linear" the components are linear too, but the penalty
        is on the coefficients of the rows.

    gamma : float, default=None
        Of "rbf", "laplacian", "poly" and "sigmoid"; None is 1 / n_features.

    degree : float, default=3
        Of "poly".

    coef0 : float, default=1
        Of "poly" and "sigmoid".

    regularization : float, default=1.0
        The weight mu of the penalty. It counts beside a squared distance between means, which is
        in squared units of the features or of the kernel.

    scale : {"metric", "unit_variance"}, default="metric"
        The length of the columns of W. ``"metric"`` makes the denominator 1, so that components
        of little variance are short and count little in distances; ``"unit_variance"`` makes the
        numerator 1, as the papers print it. Published figures, nearest neighbours most of all,
        belong to the former.

    normalize_mmd : bool, default=False
        Whether M is divided by its Frobenius norm before the penalty is added, as in programs of
        the authors and in published tables. The norm falls with the number of rows.

    n_landmarks : int, "auto" or None, default="auto"
        How many rows, drawn at random from both domains, stand for all rows in a kernel
        (Nystroem approximation). None takes all rows: time then grows with the cube of their
        number, memory with the square. ``"auto"`` is None up to 4000 rows, and 1000 beyond; for
        linear components the smaller number of rows and columns counts instead. Linear components
        need no landmarks, and are exact, where there are no more columns than landmarks.

    random_state : int, RandomState instance or None, default=None
        Draws the landmarks.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features, n_components) or (n_landmarks, n_components)
        The columns of W: ``X @ coef_`` for linear components, and the kernel matrix between rows
        and `landmarks_` times `coef_` for others.

    landmarks_ : ndarray of shape (n_landmarks, n_features) or None
        Rows of both domains on which a kernel is evaluated, all or those drawn; None for linear
        components.

    n_features_in_ : int
        Number of columns of X.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of X, if they are all strings.
    """

    n_components: int = 30
    kernel: str | Callable | None = None
    gamma: float | None = None
    degree: float = 3
    coef0: float = 1
    regularization: float = 1.0
    scale: str = "metric"
    normalize_mmd: bool = False
    n_landmarks: int | str | None = "auto"
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "kernel": [StrOptions(_KERNELS), callable, None],
        "gamma": [Interval(Real, 0, None, closed="left"), None],
        "degree": [Interval(Real, 0, None, closed="left")],
        "coef0": [Interval(Real, None, None, closed="neither")],
        "regularization": [Interval(Real, 0, 1e100, closed="right")],
        "scale": [StrOptions({"metric", "unit_variance"})],
        "normalize_mmd": ["boolean"],
        "n_landmarks": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    def _make_space(self, source, target, rng):
        """Choose in which space the components are sought."""
        domains = source, target
        n_rows, n_columns = len(source) + len(target), source.shape[1]
        is_linear = self.kernel in (None, "linear")
        n_landmarks = self.n_landmarks
        if n_landmarks == "auto":
            size = min(n_rows, n_columns) if is_linear else n_rows
            n_landmarks = None if size <= _MAX_EXACT else _N_LANDMARKS
        self.landmarks_: Any = None
        if is_linear and n_columns <= (n_landmarks or n_rows):
            return _Space(domains, needs_basis=self.kernel is not None)
        landmarks = _take_rows(source, target, n_landmarks, rng)
        # All rows in their order have the coefficients that the penalty is about.
        needs_basis = self.kernel is not None and n_landmarks is not None
        if is_linear:
            projection = landmarks.T if self.kernel else orth(landmarks.T)
            core = landmarks @ landmarks.T if needs_basis else None
            return _Space(domains, projection=projection, core=core, needs_basis=needs_basis)
        self.landmarks_ = landmarks
        core = self._kernel_to_landmarks(landmarks) if needs_basis else None
        return _Space(domains, self._kernel_to_landmarks, core=core, needs_basis=needs_basis)

    def _set_components(self, space, factor, counts, sums):
        """Learn ``coef_`` from the groups' sums, and from how the discrepancies weigh them."""
        if self.normalize_mmd:
            norm = np.linalg.norm((factor * counts) @ factor.T)
            factor = factor / np.sqrt(norm) if norm else factor
        coef, variances = leading_components(
            space.scatter,
            space.to_basis(factor @ sums),
            self.regularization,
            self.n_components,
        )
        if self.scale == "unit_variance":
            coef = coef / np.sqrt(variances)
        coef = space.from_basis(coef)
        largest = np.abs(coef).argmax(axis=0)
        self.coef_ = coef * np.sign(coef[largest, np.arange(coef.shape[1])])

    def _kernel_to_landmarks(self, X):
        """Return the kernel matrix between rows and landmarks."""
        kernel: Any = self.kernel
        if not callable(kernel):
            params = {"gamma": self.gamma, "degree": self.degree, "coef0": self.coef0}
            return pairwise_kernels(X, self.landmarks_, metric=kernel, filter_params=True, **params)
        with naming("kernel", "a function from two tables to their kernel matrix"):
            kernel = np.asarray(kernel(X, self.landmarks_))
        if kernel.shape != (len(X), len(self.landmarks_)):
            raise ValueError(
                f"kernel returned an array of shape {kernel.shape} for {len(X)} and "
                f"{len(self.landmarks_)} rows; a callable must return their kernel matrix, of "
                f"shape {(len(X), len(self.landmarks_))}."
            )
        return kernel

    def _map_target(self, X):
        X_new = np.empty((len(X), self._n_features_out))
        for rows in _row_batches(len(X), len(self.coef_)):
            batch = X[rows] if self.landmarks_ is None else self._kernel_to_landmarks(X[rows])
            X_new[rows] = batch @ self.coef_
        return X_new

    @property
    def _n_features_out(self):
        return self.coef_.shape[1]


class _Space:
    """The space of the components: features of rows, in which a component's penalty is its norm.

    Rows have features g(x), of which only sums and products over batches of rows are kept. In
    the coordinates ``g(x) @ basis`` the penalty is the squared norm; a basis of None is the
    identity.

    Parameters
    ----------
    domains : tuple of ndarrays of shape (n_samples, n_features)
        Rows of both domains.

    kernel : callable, default=None
        From rows to features.

    projection : ndarray of shape (n_features, width), default=None
        Without a kernel features are ``x @ projection``, or x itself.

    core : ndarray of shape (width, width), default=None
        See :func:`coefficient_basis`.

    needs_basis : bool
        Whether the penalty is on coefficients of rows which features are not one for one.

    Attributes
    ----------
    scatter : ndarray of shape (dimension, dimension)
        Of the rows of both domains about their common mean, in coordinates of the basis.
    """

    def __init__(self, domains, kernel=None, projection=None, core=None, *, needs_basis):
        self.kernel, self.projection, self.basis = kernel, projection, None
        scatter, mean, n_rows = self._moments(domains)
        if needs_basis:
            self.basis = coefficient_basis(scatter + n_rows * np.outer(mean, mean), core)
            scatter = self.basis.T @ scatter @ self.basis
        self.scatter = scatter

    def _features(self, X):
        if self.kernel is not None:
            return self.kernel(X)
        return X if self.projection is None else X @ self.projection

    def _moments(self, domains):
        # Products lose their digits far from the origin.
        origin = self._features(domains[0][:100]).mean(axis=0)
        self.width = len(origin)
        products = np.zeros((self.width, self.width))
        total = np.zeros(self.width)
        n_rows = sum(map(len, domains))
        for domain in domains:
            for rows in _row_batches(len(domain), self.width):
                batch = self._features(domain[rows]) - origin
                products += batch.T @ batch
                total += batch.sum(axis=0)
        return products - np.outer(total, total / n_rows), origin + total / n_rows, n_rows

    def class_sums(self, X, codes, n_classes):
        """Return the sums of the features over the rows of every class."""
        sums = np.zeros((n_classes, self.width))
        for rows in _row_batches(len(X), self.width):
            batch = codes[rows]
            ones = csr_array(
                (np.ones(len(batch)), batch, np.arange(len(batch) + 1)),
                shape=(len(batch), n_classes),
            )
            sums += ones.T @ self._features(X[rows])
        return sums

    def to_basis(self, vectors):
        """Return vectors of features in coordinates of the basis."""
        return vectors if self.basis is None else vectors @ self.basis

    def from_basis(self, coef):
        """Return the coefficients of rows, or of landmarks, from those of coordinates."""
        coef = coef if self.basis is None else self.basis @ coef
        return coef if self.projection is None else self.projection @ coef


def coefficient_basis(gram, core=None):
    """Return the basis in which the squared norm is that of coefficients of all rows.

    With g the features of all rows, the components are ``K @ W`` of the kernel matrix
    ``K = g @ pinv(core) @ g.T``, and the rows of W are as many as those of g. If g has few
    columns, W has few directions that matter, U of ``g = U @ S @ V.T``. The coordinates
    ``K @ U = g @ basis`` do without any of that size.

    Parameters
    ----------
    gram : ndarray of shape (width, width)
        ``g.T @ g``.

    core : ndarray of shape (width, width), default=None
        For landmarks their kernel matrix (Nystroem); None is the identity, of a linear kernel.

    Returns
    -------
    basis : ndarray of shape (width, dimension)
        ``dimension`` is the rank of g.
    """
    values, vectors = eigh(gram)
    kept = values > _noise(values)
    basis = vectors[:, kept] * np.sqrt(values[kept])
    return basis if core is None else pinvh(core) @ basis


def discrepancy_factor(n_source, n_target, marginal=1.0, conditional=0.0, weighted=False):
    r"""Return E, by groups of rows, of the matrix M = E^T E of squared differences of means.

    A column stands for all rows of one class and domain, as all of these have the same weight.
    The rows of E are the discrepancies: that of all rows, and that of each class which both
    domains have.

    Parameters
    ----------
    n_source, n_target : ndarrays of shape (n_classes,)
        Numbers of rows per class.

    marginal, conditional : float
        Weights of the squared distance between the domains' means, and of the sum of those
        between the classes' means.

    weighted : bool, default=False
        Whether a class's mean counts in each domain with the root of the class's share there.

    Returns
    -------
    factor : ndarray of shape (n_discrepancies, 2 * n_classes)
        Columns of the source's classes, then of the target's.
    """
    counts = np.stack([n_source, n_target])
    totals = counts.sum(axis=1, keepdims=True)
    signs = np.array([[1.0], [-1.0]])
    rows = [np.sqrt(marginal) * np.broadcast_to(signs / totals, counts.shape)]
    for shared in np.flatnonzero(counts.all(axis=0)) if conditional else ():
        row = np.zeros(counts.shape)
        shares = np.sqrt(counts / totals) if weighted else np.ones(counts.shape)
        row[:, shared] = (signs * shares / counts.clip(min=1))[:, shared]
        rows.append(np.sqrt(conditional) * row)
    return np.stack(rows).reshape(len(rows), -1)


def leading_components(scatter, differences, regularization, n_components):
    """Return the components with the most variance per discrepancy and penalty.

    The generalised eigenvectors w of the largest eigenvalues of ::

        scatter w = eigenvalue (differences^T differences + regularization I) w

    scaled such that w^T (differences^T differences + regularization I) w = 1. The matrix on the
    right is the identity but for as many directions as there are differences; its inverse root
    is at hand and makes this an ordinary symmetric problem.

    Parameters
    ----------
    scatter : ndarray of shape (dimension, dimension)
        Of all rows.

    differences : ndarray of shape (n_discrepancies, dimension)
        Of the domains' means.

    regularization : float
        Positive.

    n_components : int
        At most so many; those without variance are left out.

    Returns
    -------
    components : ndarray of shape (dimension, n_components)
        In order of falling eigenvalue.

    eigenvalues : ndarray of shape (n_components,)
        The scatter along the components.

    Raises
    ------
    ValueError
        If there is no variance.
    """
    _, sizes, directions = svd(differences, full_matrices=False)
    ratio = sizes**2 / regularization
    shrinkage = ratio / (1 + ratio + np.sqrt(1 + ratio))  # 1 - 1 / sqrt(1 + ratio)

    def apply_inverse_root(rows):
        shrunk = rows - (rows @ directions.T * shrinkage) @ directions
        return shrunk / np.sqrt(regularization)

    whitened = apply_inverse_root(apply_inverse_root(scatter).T)
    values, vectors = _largest_eigenvectors((whitened + whitened.T) / 2, n_components)
    kept = values > _noise(values, len(whitened))
    if not kept.any():
        raise ValueError("All rows of X and X_target are equal: there is no variance to keep.")
    components = apply_inverse_root(vectors[:, kept].T).T
    return components[:, ::-1], values[kept][::-1]


def _largest_eigenvectors(matrix, n_vectors):
    """Return the largest eigenvalues, in rising order, and their vectors."""
    size = len(matrix)
    if size <= max(_MAX_DENSE, 10 * n_vectors):
        return eigh(matrix, subset_by_index=[max(size - n_vectors, 0), size - 1])
    start = np.random.RandomState(0).uniform(-1, 1, size)
    values, vectors = eigsh(matrix, n_vectors, which="LA", v0=start)
    order = np.argsort(values)
    return values[order], vectors[:, order]


def _noise(values, size=None):
    """Return up to where eigenvalues, in rising order, are errors of rounding."""
    return max(values[-1], 0) * (size or len(values)) * np.finfo(np.float64).eps


def _row_batches(n_rows, width):
    return gen_batches(n_rows, max(1, _BATCH_BYTES // (8 * width)))


def _take_rows(source, target, n_taken, rng):
    """Return all rows of both domains, or so many at random."""
    if n_taken is None:
        return np.vstack([source, target])
    taken = check_random_state(rng).permutation(len(source) + len(target))[:n_taken]
    in_source = taken < len(source)
    return np.vstack([source[taken[in_source]], target[taken[~in_source] - len(source)]])
