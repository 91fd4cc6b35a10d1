"""Subspace alignment: the principal axes of the source turn to those of the target."""

from numbers import Integral

from skda._sklearn_compat import Interval, StrOptions
from skda.subspace._base import SubspaceTransformer
from skda.subspace._principal_axes import leading_axes


class SubspaceAlignment(SubspaceTransformer):
    """Subspace alignment: coordinates along principal axes, aligned by a linear map.

    The leading principal axes of each domain, the columns of Ps and Pt, span its subspace. The
    map M between coordinates that brings Ps M closest to Pt is known in closed form, ::

        M = argmin_M ||Ps M - Pt||^2 = Ps^T Pt
        X_source -> (X_source - mean_source) Ps M,    X_target -> (X_target - mean_target) Pt

    Parameters
    ----------
    n_components : int or "sdm", default="sdm"
        Number of principal axes. ``"sdm"`` takes the smallest number at which the subspace of each
        domain has a direction orthogonal to that of both domains together (subspace disagreement
        measure [2]_; a mean sine of 0.995 counts as orthogonal), and at most half as many as there
        are columns.

    Attributes
    ----------
    source_components_ : ndarray of shape (n_components, n_features)
        The transpose of Ps M.

    target_components_ : ndarray of shape (n_components, n_features)
        The transpose of Pt: the principal axes of the target, as rows.

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
    GFK : Integrates over all subspaces between those of the domains.
    CORAL : Aligns the variances too, in all directions.

    Notes
    -----
    Without a target this is a principal component analysis of the source. The map is that of the
    paper, whose bound on the number of axes has constants to choose; the subspace disagreement
    measure stands in for it.

    References
    ----------
    .. [1] B. Fernando, A. Habrard, M. Sebban, T. Tuytelaars. Unsupervised Visual Domain
           Adaptation Using Subspace Alignment. ICCV 2013.
    .. [2] B. Gong, Y. Shi, F. Sha, K. Grauman. Geodesic Flow Kernel for Unsupervised Domain
           Adaptation. CVPR 2012, section 3.4.

    Examples
    --------
    >>> import sklearn
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skda import make_pipeline
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.subspace import SubspaceAlignment
    >>> digits = load_shifted_digits(random_state=0)
    >>> nearest = KNeighborsClassifier(1).fit(digits.X, digits.y)
    >>> pipe = make_pipeline(SubspaceAlignment(), KNeighborsClassifier(1))
    >>> with sklearn.config_context(enable_metadata_routing=True):
    ...     pipe = pipe.fit(digits.X, digits.y, X_target=(digits.X_target,))
    >>> round(nearest.score(digits.X_target, digits.y_target), 2)
    0.56
    >>> round(pipe.score(digits.X_target, digits.y_target), 2)
    0.6
    """

    _parameter_constraints = {
        "n_components": [StrOptions({"sdm"}), Interval(Integral, 1, None, closed="left")]
    }

    def __init__(self, *, n_components: int | str = "sdm"):
        self.n_components = n_components

    def _fit_domains(self, source, target, y):
        source_axes, target_axes = leading_axes(source, target, self.n_components)
        self.source_components_ = target_axes @ source_axes.T @ source_axes
        self.target_components_ = target_axes
        self.source_mean_ = source.mean(axis=0)
        self.target_mean_ = target.mean(axis=0)
        self.n_components_ = len(target_axes)

    def _map_source(self, X):
        return (X - self.source_mean_) @ self.source_components_.T

    def _map_target(self, X):
        return (X - self.target_mean_) @ self.target_components_.T

    @property
    def _n_features_out(self):
        return self.n_components_
