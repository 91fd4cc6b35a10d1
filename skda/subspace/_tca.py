"""Transfer component analysis: variance against the distance of the domains' means."""

import numpy as np

from skda.estimators import estimator
from skda.subspace._transfer_components import TransferComponents, discrepancy_factor


@estimator
class TCA(TransferComponents):
    r"""Transfer component analysis: components with much variance and near domain means.

    With the rows of both domains in X, n in all, their kernel matrix K, the centring matrix
    H = I - 1 1^T / n and ``e = (1/n_s, ..., -1/n_t, ...)``, the components K W maximise ::

        tr(W^T K H K W)   over   tr(W^T (K M K + mu I) W),   M = e e^T

    that is their variance over the squared distance between the means of the domains (the maximum
    mean discrepancy, MMD) and a penalty. Without a kernel X stands for K. The columns of W are
    eigenvectors, and other rows x become ``k(x, X) W``; both domains have the same map.

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

    def _fit_domains(self, source, target, y):
        space = self._make_space(source, target, self.random_state)
        counts = np.array([len(source), len(target)])
        sums = [space.class_sums(X, np.zeros(len(X), dtype=np.intp), 1) for X in (source, target)]
        factor = discrepancy_factor(counts[:1], counts[1:])
        self._set_components(space, factor, counts, np.vstack(sums))
