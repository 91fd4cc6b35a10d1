"""Balanced distribution adaptation: how much the domains matter, and how much their classes."""

from numbers import Real

import numpy as np

from skda._sklearn_compat import Interval, StrOptions
from skda.metrics import proxy_a_distance
from skda.subspace._joint_components import JointComponents
from skda.subspace._transfer_components import discrepancy_factor


class BDA(JointComponents):
    r"""Balanced distribution adaptation: JDA with a balance between domains and classes.

    As :class:`JDA`, components K W maximise ::

        tr(W^T K H K W)   over   tr(W^T (K ((1 - b) M_0 + b sum_c M_c) K + mu I) W)

    with the balance b: 0 is :class:`TCA`, 1/2 is the objective of JDA with twice the penalty, and
    with 1 only the classes count. The first components, before the target has labels, know M_0
    only.

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

    n_iter : int, default=10
        Number of eigenproblems. With 1 this is :class:`TCA`. Fewer are solved if the labels of
        the target no longer change, after which nothing would.

    classifier : classifier, default=None
        Labels the target: it is cloned, and fitted to the mapped source rows in every iteration.
        None is a :class:`sklearn.neighbors.KNeighborsClassifier` of one neighbour, whose time
        grows with the product of the numbers of rows of the domains.

    balance : float or "auto", default="auto"
        The balance b, in [0, 1]. ``"auto"`` estimates it in every iteration from
        A-distances (:func:`skda.metrics.proxy_a_distance`) of the columns of X: the mean of those
        between the two domains' rows of a class, over itself and that between the domains.
        Classes with less than two rows in a domain are left out.

    weighted : bool, default=False
        Whether the mean of a class counts in each domain with the root of the class's share
        there (W-BDA), for domains with other shares of classes. The distance then depends on the
        origin: centre the columns.

    n_landmarks : int, "auto" or None, default="auto"
        How many rows, drawn at random from both domains, stand for all rows in a kernel
        (Nystroem approximation). None takes all rows: time then grows with the cube of their
        number, memory with the square. ``"auto"`` is None up to 4000 rows, and 1000 beyond; for
        linear components the smaller number of rows and columns counts instead. Linear components
        need no landmarks, and are exact, where there are no more columns than landmarks.

    random_state : int, RandomState instance or None, default=None
        Draws the landmarks, and the rows that estimate the balance.

    Attributes
    ----------
    balance_ : float
        The balance of the last iteration; there is none after ``n_iter=1``.

    coef_ : ndarray of shape (n_features, n_components) or (n_landmarks, n_components)
        The columns of W: ``X @ coef_`` for linear components, and the kernel matrix between rows
        and `landmarks_` times `coef_` for others.

    landmarks_ : ndarray of shape (n_landmarks, n_features) or None
        Rows of both domains on which a kernel is evaluated, all or those drawn; None for linear
        components.

    classes_ : ndarray of shape (n_classes,)
        The classes of the source.

    n_iter_ : int
        Number of eigenproblems solved.

    n_features_in_ : int
        Number of columns of X.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of X, if they are all strings.

    See Also
    --------
    JDA : Weighs domains and each class alike.

    Notes
    -----
    The objectives are those of the paper. Its estimate of the balance is here made with errors of
    rows held out; the authors' program takes those of training rows, which are near 0 for any two
    sets of few rows. The figures that it publishes for digits are those of a balance of 0.5, in the
    setting that :class:`JDA` tells.

    Means, and products of the features of rows, are summed over batches of rows; M, whose rank is
    at most n_classes + 1, is never formed. Time is linear in the rows, and memory is that of the
    data, of 32 MB for a batch, and of a few matrices of n_features x n_features, or of
    n_landmarks x n_landmarks. The sign of a component is such that its largest coefficient is
    positive.

    References
    ----------
    .. [1] J. Wang, Y. Chen, S. Hao, W. Feng, Z. Shen. Balanced Distribution Adaptation for
           Transfer Learning. ICDM 2017, section III.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.subspace import BDA
    >>> digits = load_shifted_digits(random_state=0)
    >>> nearest = KNeighborsClassifier(1).fit(digits.X, digits.y)
    >>> round(nearest.score(digits.X_target, digits.y_target), 2)
    0.56
    >>> bda = BDA(balance=0.5)
    >>> nearest.fit(bda.fit_transform(digits.X, digits.y, X_target=digits.X_target), digits.y)
    KNeighborsClassifier(n_neighbors=1)
    >>> round(nearest.score(bda.transform(digits.X_target), digits.y_target), 2)
    0.62
    """

    _parameter_constraints = {
        **JointComponents._parameter_constraints,
        "balance": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="both")],
        "weighted": ["boolean"],
    }

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
        n_iter=10,
        classifier=None,
        balance="auto",
        weighted=False,
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
        self.n_iter = n_iter
        self.classifier = classifier
        self.balance = balance
        self.weighted = weighted
        self.n_landmarks = n_landmarks
        self.random_state = random_state

    def _factor(self, counts, source, target, rng):
        self.balance_ = self.balance
        if self.balance == "auto":
            self.balance_ = estimate_balance(*source, *target, rng)
        return discrepancy_factor(
            *counts,
            marginal=1 - self.balance_,
            conditional=self.balance_,
            weighted=self.weighted,
        )


def estimate_balance(X, codes, X_target, target_codes, random_state):
    """Return the share of the classes in the distances between the domains.

    Parameters
    ----------
    X, X_target : ndarrays of shape (n, n_features)
        Rows of both domains.

    codes, target_codes : ndarrays of shape (n,)
        Their class numbers.

    random_state : int, RandomState instance or None
        Draws and splits the rows.

    Returns
    -------
    balance : float
        Mean A-distance within a class over itself and that of the domains, in [0, 1]. Classes
        with less than two rows in a domain have none; without any class it is 0.
    """
    of_classes = []
    for code in np.intersect1d(codes, target_codes):
        rows, target_rows = X[codes == code], X_target[target_codes == code]
        if min(len(rows), len(target_rows)) >= 2:
            of_classes.append(proxy_a_distance(rows, target_rows, random_state=random_state))
    if not of_classes:
        return 0.0
    of_class = np.mean(of_classes)
    total = proxy_a_distance(X, X_target, random_state=random_state) + of_class
    return float(of_class / total) if total else 0.5
