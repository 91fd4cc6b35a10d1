"""Transfer component analysis: variance against the distance of the domains' means."""

import numpy as np

from skda.subspace._transfer_components import TransferComponents, discrepancy_factor


class TCA(TransferComponents):
    r"""Transfer component analysis: components with much variance and near domain means.

    With the rows of both domains in X, n in all, their kernel matrix K, the centring matrix
    H = I - 1 1^T / n and ``e = (1/n_s, ..., -1/n_t, ...)``, the components K W maximise ::

        tr(W^T K H K W)   over   tr(W^T (K M K + mu I) W),   M = e e^T

    that is their variance over the squared distance between the means of the domains (the maximum
    mean discrepancy, MMD) and a penalty. Without a kernel X stands for K. The columns of W are
    eigenvectors, and other rows x become ``k(x, X) W``; both domains have the same map.

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

    See Also
    --------
    JDA : Brings the means of classes together too.
    sklearn.decomposition.KernelPCA : The directions of equal domains.

    Notes
    -----
    The objective is that of the paper, whose semi-supervised variant (SSTCA) is not here. The
    figures for digits that others compare with (Long et al., ICCV 2013) are those of
    ``TCA(n_components=100, regularization=0.1, normalize_mmd=True)`` on rows of unit norm.

    Only means meet: where domains differ by a turn and not by an offset, there is little to gain.
    Columns should have comparable units.

    Means, and products of the features of rows, are summed over batches of rows; M, whose rank is
    one, is never formed. Time is linear in the rows, and memory is that of the
    data, of 32 MB for a batch, and of a few matrices of n_features x n_features, or of
    n_landmarks x n_landmarks. The sign of a component is such that its largest coefficient is
    positive.

    References
    ----------
    .. [1] S. J. Pan, I. W. Tsang, J. T. Kwok, Q. Yang. Domain Adaptation via Transfer Component
           Analysis. IEEE Transactions on Neural Networks 22(2), 2011, sections III and IV.

    Examples
    --------
    Half of the wines are measured by instruments of an offset each:

    >>> import numpy as np
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.preprocessing import scale
    >>> from skda.subspace import TCA
    >>> X, y = load_wine(return_X_y=True)
    >>> X = scale(X)
    >>> offset = 2 * np.random.default_rng(0).normal(size=X.shape[1])
    >>> X, X_target, y, y_target = X[::2], X[1::2] + offset, y[::2], y[1::2]
    >>> nearest = KNeighborsClassifier(1)
    >>> round(nearest.fit(X, y).score(X_target, y_target), 2)
    0.53
    >>> tca = TCA(n_components=5)
    >>> X_new = tca.fit_transform(X, X_target=X_target)
    >>> round(nearest.fit(X_new, y).score(tca.transform(X_target), y_target), 2)
    0.91
    """

    def __init__(
        self,
        *,
        n_components=30,
        kernel=None,
        gamma=None,
        degree=3,
        coef0=1,
        regularization=1.0,
        scale="metric",
        normalize_mmd=False,
        n_landmarks="auto",
        random_state=None,
    ):
        self.n_components = n_components
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.regularization = regularization
        self.scale = scale
        self.normalize_mmd = normalize_mmd
        self.n_landmarks = n_landmarks
        self.random_state = random_state

    def _fit_domains(self, source, target, y):
        space = self._make_space(source, target, self.random_state)
        counts = np.array([len(source), len(target)])
        sums = [space.class_sums(X, np.zeros(len(X), dtype=np.intp), 1) for X in (source, target)]
        factor = discrepancy_factor(counts[:1], counts[1:])
        self._set_components(space, factor, counts, np.vstack(sums))
