"""The geodesic flow kernel: an integral over the subspaces between two domains."""

from numbers import Integral

import numpy as np
from scipy.linalg import svd

from skda._sklearn_compat import Interval, StrOptions
from skda.subspace._base import SubspaceTransformer
from skda.subspace._principal_axes import leading_axes

_NO_ANGLE = 1e-10  # a sine that counts as zero


class GFK(SubspaceTransformer):
    r"""Geodesic flow kernel: inner products in all subspaces from source to target.

    The leading principal axes of each domain span its subspace. On the geodesic from one to the
    other lie subspaces with bases Phi(t), and the kernel of two rows is the mean of their inner
    products over them all, ::

        k(x, z) = integral_0^1 (Phi(t)^T x)^T (Phi(t)^T z) dt = x^T G z
        X_source -> (X_source - mean_source) R,    X_target -> (X_target - mean_target) R

    with R R^T = G, so that inner products and distances of the mapped rows are those of the
    kernel.

    Parameters
    ----------
    n_components : int or "sdm", default="sdm"
        Number of principal axes. ``"sdm"`` takes the smallest number at which the subspace of each
        domain has a direction orthogonal to that of both domains together (subspace disagreement
        measure, section 3.4 of the paper; a mean sine of 0.995 counts as orthogonal), and at most
        half as many as there are columns.

    Attributes
    ----------
    components_ : ndarray of shape (n_features_out, n_features)
        The transpose of R. Of ``2 * n_components_`` rows those that are zero are left out: one
        for every axis that both subspaces have.

    angles_ : ndarray of shape (n_components,)
        The principal angles between the subspaces, in radians, smallest first.

    source_mean_ : ndarray of shape (n_features,)
        Mean of the source rows.

    target_mean_ : ndarray of shape (n_features,)
        Mean of the target rows.

    n_components_ : int
        Number of principal axes.

    n_features_in_ : int
        Number of columns of X.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of X, if they are all strings.

    See Also
    --------
    SubspaceAlignment : Goes from the source subspace to that of the target in one step.

    Notes
    -----
    With the singular value decomposition :math:`P_s^\top P_t = U \cos(\Theta) V^\top` the
    principal vectors are the columns a of :math:`P_s U`, and the directions b in which they turn
    are the normalized columns of :math:`P_t V - P_s U \cos(\Theta)`. In the plane of a and b, at
    the angle :math:`\theta`, the integral is

    .. math:: \frac12 \begin{pmatrix}
              1 + \frac{\sin 2\theta}{2\theta} & \frac{1 - \cos 2\theta}{2\theta} \\
              \frac{1 - \cos 2\theta}{2\theta} & 1 - \frac{\sin 2\theta}{2\theta}
              \end{pmatrix}

    and R holds the symmetric roots of these. G is never formed: time is that of the principal
    axes, memory of order n_components x n_features. The paper's factor is 1 instead of 1/2; here
    G is the projection on the subspace where both domains have the same. Without a target this is
    a principal component analysis of the source, up to a rotation.

    The paper's kernel is that of standardized rows. Here each domain is centred by its own mean,
    so that a shift of a domain changes nothing; ``X @ components_.T`` are rows without it.

    References
    ----------
    .. [1] B. Gong, Y. Shi, F. Sha, K. Grauman. Geodesic Flow Kernel for Unsupervised Domain
           Adaptation. CVPR 2012, section 3.3.

    Examples
    --------
    >>> import sklearn
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skda import make_pipeline
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.subspace import GFK
    >>> digits = load_shifted_digits(random_state=0)
    >>> nearest = KNeighborsClassifier(1).fit(digits.X, digits.y)
    >>> pipe = make_pipeline(GFK(), KNeighborsClassifier(1))
    >>> with sklearn.config_context(enable_metadata_routing=True):
    ...     pipe = pipe.fit(digits.X, digits.y, X_target=(digits.X_target,))
    >>> round(nearest.score(digits.X_target, digits.y_target), 2)
    0.56
    >>> round(pipe.score(digits.X_target, digits.y_target), 2)
    0.59
    """

    _parameter_constraints = {
        "n_components": [StrOptions({"sdm"}), Interval(Integral, 1, None, closed="left")]
    }

    def __init__(self, *, n_components: int | str = "sdm"):
        self.n_components = n_components

    def _fit_domains(self, source, target, y):
        source_axes, target_axes = leading_axes(source, target, self.n_components)
        self.angles_, self.components_ = _geodesic_root(source_axes, target_axes)
        self.source_mean_ = source.mean(axis=0)
        self.target_mean_ = target.mean(axis=0)
        self.n_components_ = len(source_axes)

    def _map_source(self, X):
        return (X - self.source_mean_) @ self.components_.T

    def _map_target(self, X):
        return (X - self.target_mean_) @ self.components_.T

    @property
    def _n_features_out(self):
        return len(self.components_)


def _geodesic_root(source_axes, target_axes):
    """Return the principal angles, and R transposed with ``R @ R.T`` the kernel's matrix."""
    # The usual driver, gesdd, did not converge for one of three pairs of equal subspaces.
    left, cosines, right = svd(source_axes @ target_axes.T, lapack_driver="gesvd")
    start = left.T @ source_axes
    directions = right @ target_axes - cosines[:, None] * start
    sines = np.linalg.norm(directions, axis=1)
    angles = np.arctan2(sines, cosines)
    turns = sines > _NO_ANGLE
    directions[turns] /= sines[turns, None]
    directions[~turns] = 0
    # np.sinc has the limits at zero: these are sin(2t) / 2t and (1 - cos(2t)) / 2t.
    cosine_mean = np.sinc(2 * angles / np.pi)
    sine_mean = np.sin(angles) * np.sinc(angles / np.pi)
    # The root of a 2 x 2 matrix M of trace 1 is (M + r I) / sqrt(1 + 2 r) with r^2 = det M.
    root_det = np.sqrt(np.maximum(1 - np.sinc(angles / np.pi) ** 2, 0)) / 2
    first, second, mixed = (
        (entry / np.sqrt(1 + 2 * root_det))[:, None]
        for entry in (
            (1 + cosine_mean) / 2 + root_det,
            (1 - cosine_mean) / 2 + root_det,
            sine_mean / 2,
        )
    )
    ahead = first * start + mixed * directions
    aside = mixed * start + second * directions
    return angles, np.vstack([ahead, aside[turns]])
