"""Stacked denoising maps, in closed form, that bring the means of the domains together."""

from functools import reduce
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.linalg import solve
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel
from sklearn.preprocessing import StandardScaler
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted

from skda._sklearn_compat import Interval, StrOptions, fit_context
from skda.estimators import DomainTransformer

if TYPE_CHECKING:
    from typing_extensions import Self

_BANDWIDTH_ROWS = 1024  # that tell the median distance


class DNFC(ClassNamePrefixFeaturesOutMixin, DomainTransformer):
    r"""Deep nonlinear feature coding: denoising layers that bring the domains together.

    Every layer learns, in closed form, a linear map W that undoes a random masking of its inputs
    and at the same time gives both domains the same mean, ::

        min_W  mean_i E||x_i - W x~_i||^2
               + trade_off * E||mean_source W x~ - mean_target W x~||^2
               + regularization * ||W||^2
        h = tanh(W x)

    where x~ is x, followed by a 1 for the bias, of which every entry but the 1 is set to 0 with
    probability `corruption`. The expectations E over all maskings are exact: nothing is sampled.
    The second term is the maximum mean discrepancy (MMD) of the codes with a linear kernel. The
    codes of one layer are the inputs of the next, and a linear classifier learns from the codes
    of the source. With a `trade_off` of 0 this is the marginalized stacked denoising autoencoder
    (mSDA) [2]_.

    The inputs of the first layer are the columns of X or, with ``kernel="rbf"``, the similarities
    of a row to training rows of both domains, standardized column by column.

    Parameters
    ----------
    n_layers : int, default=3
        Number of layers.

    corruption : float, default=0.5
        Probability that an input is masked, in [0, 1).

    trade_off : float, default=1.0
        Weight of the discrepancy between the domains.

    regularization : float, default=1e-5
        Weight of the squared entries of W, in units of squared inputs; positive.

    kernel : {"linear", "rbf"}, default="linear"
        ``"linear"`` takes the columns as they are, ``"rbf"`` maps x to
        ``exp(-gamma * ||x - z||^2)`` for the landmarks z.

    gamma : float or "median", default="median"
        Of the ``"rbf"`` kernel: in units of one over a squared distance. ``"median"`` is one over
        the median of the squared distances between (at most 1024) training rows.

    n_landmarks : int, default=None
        Of the ``"rbf"`` kernel: how many training rows, evenly spread over source and target,
        are landmarks; None takes all. Time grows with the cube, memory with the square.

    output : {"all", "last"}, default="all"
        Whether :meth:`transform` returns the inputs of the first layer and the codes of all
        layers, side by side, or the codes of the last layer alone.

    Attributes
    ----------
    coefs_ : list of tuples of ndarrays
        One entry per layer: the matrices whose product is the transpose of W, of shape
        (n_inputs + 1, n_inputs), the bias in the last row. One matrix; two where a layer has more
        than twice as many inputs as training rows, because two thin ones are then cheaper.

    landmarks_ : {ndarray, sparse matrix} of shape (n_landmarks, n_features)
        Training rows with which rows are compared. Only with ``kernel="rbf"``.

    gamma_ : float
        The width of the kernel. Only with ``kernel="rbf"``.

    n_features_in_ : int
        Number of columns of X.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of X, if they are all strings.

    See Also
    --------
    skda.base.DeepAdaptationClassifier : Learns features and classifier at once, by gradient.

    Notes
    -----
    Let m and S be the mean difference of the domains and the second moments of all rows, each
    input with the 1 appended, D the diagonal matrix of the probabilities q that an input is kept,
    and v the vector with entries :math:`v_j = \frac1n \sum_i x_{ij}^2 + \lambda \sum_i a_i^2
    x_{ij}^2`, where row i enters m with factor a_i (1 / n_source or -1 / n_target). Inputs are
    masked independently of each other, so the second moments of masked inputs are
    :math:`q_j q_k` times the plain ones for :math:`j \neq k` and :math:`q_j` times them for
    :math:`j = k`, which adds :math:`q_j (1 - q_j) v_j` to the diagonal. Hence

    .. math:: W^\top = D^{-1} \left(S + \lambda m m^\top +
              \mathrm{diag}\!\left(\frac{q (1 - q) v + \epsilon}{q^2}\right)\right)^{-1} S

    with :math:`\lambda` the `trade_off` and :math:`\epsilon` the `regularization`: a ridge
    regression of the inputs on themselves. The error is a mean over rows here, where mSDA has a
    sum: against the sum, `trade_off` counts n times as much. With several target domains the
    discrepancy is the mean of theirs from the source.

    The paper's kernelization is followed in substance: the first layer works on the empirical
    kernel map. Standardizing that map, landmarks and the codes of new rows are additions.

    Inputs should be of order one, as tanh saturates. The fitted object holds training rows with
    ``kernel="rbf"``, and where `coefs_` has two factors.

    References
    ----------
    .. [1] P. Wei, Y. Ke, C. K. Goh. Deep Nonlinear Feature Coding for Unsupervised Domain
           Adaptation. IJCAI 2016.
    .. [2] M. Chen, Z. Xu, K. Weinberger, F. Sha. Marginalized Denoising Autoencoders for Domain
           Adaptation. ICML 2012.

    Examples
    --------
    >>> import sklearn
    >>> from sklearn.svm import LinearSVC
    >>> from skda import make_pipeline
    >>> from skda.adaptation import DNFC
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> svm = LinearSVC(C=0.01).fit(digits.X, digits.y)
    >>> pipe = make_pipeline(DNFC(), LinearSVC(C=0.01))
    >>> with sklearn.config_context(enable_metadata_routing=True):
    ...     pipe = pipe.fit(digits.X, digits.y, X_target=(digits.X_target,))
    >>> pipe.score(digits.X_target, digits.y_target) > svm.score(digits.X_target, digits.y_target)
    True
    """

    _parameter_constraints = {
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "corruption": [Interval(Real, 0, 1, closed="left")],
        "trade_off": [Interval(Real, 0, None, closed="left")],
        "regularization": [Interval(Real, 0, None, closed="neither")],
        "kernel": [StrOptions({"linear", "rbf"})],
        "gamma": [StrOptions({"median"}), Interval(Real, 0, None, closed="neither")],
        "n_landmarks": [Interval(Integral, 1, None, closed="left"), None],
        "output": [StrOptions({"all", "last"})],
    }

    def __init__(
        self,
        *,
        n_layers: int = 3,
        corruption: float = 0.5,
        trade_off: float = 1.0,
        regularization: float = 1e-5,
        kernel: str = "linear",
        gamma: float | str = "median",
        n_landmarks: int | None = None,
        output: str = "all",
    ):
        self.n_layers = n_layers
        self.corruption = corruption
        self.trade_off = trade_off
        self.regularization = regularization
        self.kernel = kernel
        self.gamma = gamma
        self.n_landmarks = n_landmarks
        self.output = output

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any = None, *, X_target: Any = None, sample_domain: Any = None
    ) -> "Self":
        """Learn the maps of all layers from source and target rows; no label is needed.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Source rows.

        y : array-like of shape (n_samples,), default=None
            Ignored.

        X_target : {array-like, sparse matrix} or tuple of them, default=None
            Target rows; a tuple for several target domains. In a cross-validation always pass a
            tuple: an array with as many rows as X would be cut into folds.

        sample_domain : array-like of shape (n_samples,), default=None
            The alternative to `X_target`: X holds rows of both domains, positive numbers mark
            source rows, negative ones target rows. In a pipeline the later steps then get all
            rows; before a classifier that knows of no domains use `X_target`.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        ValueError
            If data or parameters are not as described.
        """
        X, _, targets = self._validate_domains(
            X, y, X_target, sample_domain, "denoises the source alone"
        )
        domains = [X, *targets]
        inputs = _stack(domains)
        if self.kernel == "rbf":
            n_landmarks = inputs.shape[0] if self.n_landmarks is None else self.n_landmarks
            self.landmarks_ = _evenly_spread(inputs, n_landmarks)
            self.gamma_ = _median_gamma(inputs) if self.gamma == "median" else self.gamma
            self._scaler = StandardScaler(copy=False).set_output(transform="default")
            inputs = self._scaler.fit_transform(rbf_kernel(inputs, self.landmarks_, self.gamma_))
        contrasts = _domain_contrasts([domain.shape[0] for domain in domains])
        self.coefs_ = []
        for _ in range(self.n_layers):
            if self.coefs_:
                inputs = _encode(inputs, self.coefs_[-1])
            coef = _denoising_map(
                inputs,
                contrasts,
                corruption=self.corruption,
                trade_off=self.trade_off,
                regularization=self.regularization,
            )
            self.coefs_.append(tuple(factor.astype(X.dtype) for factor in coef))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Encode rows of any domain.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_codes)
            With ``output="all"`` the inputs of the first layer and the codes of all layers, side
            by side; otherwise the codes of the last layer. float32 if X is, else float64.
        """
        check_is_fitted(self)
        X = self._validate_rows(X, reset=False)
        layers = [self._first_inputs(X)]
        for coef in self.coefs_:
            layers.append(_encode(layers[-1], coef))
        if self.output == "last":
            return layers[-1]
        return np.hstack([_dense(layer) for layer in layers])

    def _first_inputs(self, rows):
        if self.kernel == "linear":
            return rows
        return self._scaler.transform(rbf_kernel(rows, self.landmarks_, self.gamma_))

    @property
    def _n_features_out(self):
        n_inputs = self.n_features_in_ if self.kernel == "linear" else self.landmarks_.shape[0]
        return n_inputs if self.output == "last" else n_inputs * (self.n_layers + 1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _dense(rows: Any) -> Any:
    return rows.toarray() if sparse.issparse(rows) else rows


def _stack(blocks: Any) -> Any:
    if any(sparse.issparse(block) for block in blocks):
        return sparse.vstack(blocks, format="csr")
    return np.vstack(blocks)


def _evenly_spread(rows, n_chosen):
    n_rows = rows.shape[0]
    return rows[np.linspace(0, n_rows - 1, min(n_rows, n_chosen)).astype(int)]


def _median_gamma(rows):
    distances = euclidean_distances(_evenly_spread(rows, _BANDWIDTH_ROWS), squared=True)
    between = distances[np.triu_indices_from(distances, k=1)]
    # With many equal rows the median is zero; the mean still tells a scale.
    scale = (np.median(between) or between.mean()) if len(between) else 0
    return 1 / scale if scale > 0 else 1.0


def _domain_contrasts(sizes):
    """Return the matrix that takes rows to the differences of domain means, (n, n_targets).

    The squared differences add up to the mean over the targets.
    """
    n_source, *n_targets = sizes
    contrasts = np.zeros((sum(sizes), len(n_targets)))
    contrasts[:n_source] = 1 / n_source
    start = n_source
    for target, n_target in enumerate(n_targets):
        contrasts[start : start + n_target, target] = -1 / n_target
        start += n_target
    return contrasts / np.sqrt(max(len(n_targets), 1))


def _with_bias(rows: Any) -> Any:
    ones = np.ones((rows.shape[0], 1), dtype=rows.dtype)
    if sparse.issparse(rows):
        return sparse.hstack([rows, ones], format="csr")
    return np.hstack([rows, ones])


def _encode(inputs, coef):
    codes = reduce(safe_sparse_dot, coef, _with_bias(inputs))
    return np.tanh(_dense(codes))


def _denoising_map(inputs, contrasts, *, corruption, trade_off, regularization):
    """Return factors of W transposed, the solution of one layer, see the notes of DNFC."""
    n_rows, n_inputs = inputs.shape
    biased = _with_bias(inputs.astype(np.float64))
    kept = np.append(np.full(n_inputs, 1 - corruption), 1)  # the bias always is
    row_weights = 1 / n_rows + trade_off * (contrasts**2).sum(axis=1)
    squares = biased.multiply(biased) if sparse.issparse(biased) else biased**2
    ridge = (kept * (1 - kept) * (squares.T @ row_weights) + regularization) / kept**2
    differences = np.sqrt(trade_off) * (biased.T @ contrasts)
    if n_inputs <= 2 * n_rows:
        moments = _dense(biased.T @ biased) / n_rows
        regularized = moments + differences @ differences.T
        regularized[np.diag_indices_from(regularized)] += ridge
        return (solve(regularized, moments[:, :-1], assume_a="pos") / kept[:, None],)
    # S + m m' = G'G with few rows in G: the same by (G'G + R)^-1 G' = R^-1 G' (1 + G R^-1 G')^-1.
    rows = _dense(biased) / np.sqrt(n_rows)
    gram_root = np.vstack([rows, differences.T])
    regularized = (gram_root / ridge) @ gram_root.T
    regularized[np.diag_indices_from(regularized)] += 1
    inverse = solve(regularized, np.eye(len(gram_root), n_rows), assume_a="pos")
    return (gram_root / (ridge * kept)).T @ inverse, rows[:, :-1]
