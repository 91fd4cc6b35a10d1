"""Joint distribution adaptation: the means of classes meet too."""

from numbers import Real

from skda._sklearn_compat import Interval
from skda.estimators import estimator
from skda.subspace._joint_components import JointComponents
from skda.subspace._transfer_components import discrepancy_factor


@estimator
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
    marginal_weight : float, default=1.0
        The weight a of M_0, 1 in the paper. The authors' program has the number of classes.

    See Also
    --------
    TCA : Without classes.
    BDA : Weighs domains and classes by what the data say.

    Notes
    -----
    The objective is that of the paper. The figures that it publishes for digits are those of
    ``JDA(n_components=100, regularization=0.1, normalize_mmd=True, marginal_weight=10)``, with
    rows brought to unit norm before that, and before the nearest neighbour too.

    Time and memory are those of :class:`TCA`, times the number of eigenproblems for the time.

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

    marginal_weight: float = 1.0

    _parameter_constraints = {
        **JointComponents._parameter_constraints,
        "marginal_weight": [Interval(Real, 0, 1e100, closed="both")],
    }

    def _factor(self, counts, source, target, rng):
        return discrepancy_factor(*counts, marginal=self.marginal_weight, conditional=1.0)
