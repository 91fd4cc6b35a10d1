"""The iteration over labels that the target does not have: what JDA and BDA share."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets

from skda._sklearn_compat import HasMethods, Interval, clone
from skda.estimators import estimator
from skda.subspace._transfer_components import TransferComponents, discrepancy_factor


@estimator
class JointComponents(TransferComponents):
    """Base of methods that bring the means of classes together too.

    Components and labels of the target take turns: a classifier of the mapped source rows labels
    the mapped target rows, and their classes shape the next components. A method writes
    ``_factor``.

    Parameters
    ----------
    n_iter : int, default=10
        Number of eigenproblems. With 1 this is :class:`TCA`. Fewer are solved if the labels of
        the target no longer change, after which nothing would.

    classifier : classifier, default=None
        Labels the target: it is cloned, and fitted to the mapped source rows in every iteration.
        None is a :class:`sklearn.neighbors.KNeighborsClassifier` of one neighbour, whose time
        grows with the product of the numbers of rows of the domains.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes of the source.

    n_iter_ : int
        Number of eigenproblems solved.
    """

    n_iter: int = 10
    classifier: BaseEstimator | None = None

    _parameter_constraints = {
        **TransferComponents._parameter_constraints,
        "n_iter": [Interval(Integral, 1, None, closed="left")],
        "classifier": [HasMethods(["fit", "predict"]), None],
    }

    def _fit_domains(self, source, target, y):
        check_classification_targets(y)
        rng = check_random_state(self.random_state)
        classifier: Any = KNeighborsClassifier(1) if self.classifier is None else self.classifier
        self.classes_, codes = np.unique(y, return_inverse=True)
        n_classes = len(self.classes_)
        space = self._make_space(source, target, rng)
        source_sums = space.class_sums(source, codes, n_classes)
        labels = None
        for n_iter in range(1, self.n_iter + 1):
            # Without labels all rows of the target count as one class: sums of all are the same.
            target_codes = np.zeros(len(target), dtype=np.intp)
            if labels is not None:
                target_codes = np.searchsorted(self.classes_, labels)
            counts: Any = [np.bincount(c, minlength=n_classes) for c in (codes, target_codes)]
            if labels is None:
                factor = discrepancy_factor(*counts)
            else:
                factor = self._factor(counts, (source, codes), (target, target_codes), rng)
            target_sums = space.class_sums(target, target_codes, n_classes)
            sums = np.vstack([source_sums, target_sums])
            self._set_components(space, factor, np.concatenate(counts), sums)
            self.n_iter_ = n_iter
            if n_iter == self.n_iter:
                break
            fitted = clone(classifier).fit(self._map_source(source), y)
            previous, labels = labels, fitted.predict(self._map_target(target))
            if previous is not None and np.array_equal(previous, labels):
                break  # the next components would be these

    def _factor(self, counts: Any, source: Any, target: Any, rng: Any) -> np.ndarray:
        """Return :func:`discrepancy_factor` for the numbers of rows per class.

        Both domains are pairs of rows and class numbers.
        """
        raise NotImplementedError

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
