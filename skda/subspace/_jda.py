"""Joint distribution adaptation: the means of classes meet too."""

from numbers import Real

from skda._sklearn_compat import Interval
from skda.subspace._joint_components import JointComponents
from skda.subspace._transfer_components import discrepancy_factor


class JDA(JointComponents):
    r"""Joint distribution adaptation: the means of the domains meet, and those of each class.

    As :class:`TCA`, components K W maximise ::

        tr(W^T K H K W)   over   tr(W^T (K (a M_0 + sum_c M_c) K + mu I) W)

    where ``M_0 = e e^T`` belongs to the squared distance between the means of the domains and
    M_c to that between the means of the rows of class c. The target's classes are those that a
    classifier of the mapped source rows gives it: components and labels take turns, and the first
    components know M_0 only. Classes that the target is not given at some time have no M_c then.

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

    marginal_weight : float, default=1.0
        The weight a of M_0, 1 in the paper. The authors' program has the number of classes.

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
    TCA : Without classes.
    BDA : Weighs domains and classes by what the data say.

    Notes
    -----
    The objective is that of the paper. The figures that it publishes for digits are those of
    ``JDA(n_components=100, regularization=0.1, normalize_mmd=True, marginal_weight=10)``, with
    rows brought to unit norm before that, and before the nearest neighbour too.

    Means, and products of the features of rows, are summed over batches of rows; M, whose rank is
    at most n_classes + 1, is never formed. Time is linear in the rows, and memory is that of the
    data, of 32 MB for a batch, and of a few matrices of n_features x n_features, or of
    n_landmarks x n_landmarks. The sign of a component is such that its largest coefficient is
    positive.

    References
    ----------
    .. [1] M. Long, J. Wang, G. Ding, J. Sun, P. S. Yu. Transfer Feature Learning with Joint
           Distribution Adaptation. ICCV 2013, section 3 and algorithm 1.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.subspace import JDA
    >>> digits = load_shifted_digits(random_state=0)
    >>> nearest = KNeighborsClassifier(1).fit(digits.X, digits.y)
    >>> round(nearest.score(digits.X_target, digits.y_target), 2)
    0.56
    >>> jda = JDA()
    >>> nearest.fit(jda.fit_transform(digits.X, digits.y, X_target=digits.X_target), digits.y)
    KNeighborsClassifier(n_neighbors=1)
    >>> round(nearest.score(jda.transform(digits.X_target), digits.y_target), 2)
    0.63
    """

    _parameter_constraints = {
        **JointComponents._parameter_constraints,
        "marginal_weight": [Interval(Real, 0, None, closed="left")],
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
        marginal_weight=1.0,
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
        self.marginal_weight = marginal_weight
        self.n_landmarks = n_landmarks
        self.random_state = random_state

    def _factor(self, counts, source, target, rng):
        return discrepancy_factor(*counts, marginal=self.marginal_weight, conditional=1.0)
