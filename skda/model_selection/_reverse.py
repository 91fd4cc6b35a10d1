"""Scoring by the way back: from the target's predicted labels to the source."""

import numpy as np
from sklearn import get_config
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import has_fit_parameter

from skda._naming import naming
from skda._sklearn_compat import clone
from skda.domains import stack_domains
from skda.model_selection._base import TargetScorer
from skda.model_selection._inputs import predict


class ReverseValidationScorer(TargetScorer):
    r"""Accuracy on the source of a model that learned from the target's predicted labels.

    The fitted estimator predicts the target rows. A clone of it is then fitted the other way
    round: the target rows with these labels are its source, and the held-out source rows, without
    their labels, its target. The score is the clone's accuracy on the held-out source rows:
    from 0 to 1, greater is better. An estimator whose ``fit`` takes no ``X_target``, such as a
    plain classifier, is fitted to the target rows alone. Rows of several targets are stacked.

    A good adaptation survives the way there and back. So does one that confuses classes
    consistently, which it does not see.

    It looks at held-out source rows, their labels and target rows, and costs another fit, which
    is as reproducible as the estimator: set its ``random_state``. In the papers the source rows of
    the way back are those of the training, which a scorer does not know, and DANN's starts from
    the weights of the way there; here it starts anew. The target arrives as in
    :class:`TargetEntropyScorer`; a pipeline that takes ``X_target`` needs metadata routing.

    References
    ----------
    E. Zhong, W. Fan, Q. Yang, O. Verscheure, J. Ren. Cross Validation Framework to Choose amongst
    Models and Datasets for Transfer Learning. ECML PKDD 2010, section 3.

    L. Bruzzone, M. Marconcini. Domain Adaptation Problems: A DASVM Classification Technique and a
    Circular Validation Strategy. IEEE TPAMI 32(5), 2010.

    Y. Ganin et al. Domain-Adversarial Training of Neural Networks. JMLR 17, 2016, section 5.1.2.

    Examples
    --------
    >>> from skda.adaptation import DeepCORALClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.model_selection import ReverseValidationScorer
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = DeepCORALClassifier(max_epochs=2, random_state=0)
    >>> clf = clf.fit(digits.X[::2], digits.y[::2], X_target=digits.X_target)
    >>> scorer = ReverseValidationScorer()
    >>> 0 <= scorer(clf, digits.X[1::2], digits.y[1::2], X_target=digits.X_target) <= 1
    True
    """

    _needs_y = True

    def _score(self, estimator, X, y, targets):
        predicted = [predict(estimator, rows, "X_target") for rows in targets]
        labels, rows = np.concatenate(predicted), targets[0]
        if len(targets) > 1:
            with naming("X_target", "tables of the same features"):
                rows, _, _ = stack_domains(rows, predicted[0], targets[1:])
        if (labels == labels[0]).all():  # all that a classifier can learn from one class
            return np.mean(y == labels[0])
        metadata = {"X_target": (X,)} if takes_target(estimator) else {}
        with naming("X_target", "rows that the estimator can be fitted to"):
            reverse = clone(estimator).fit(rows, labels, **metadata)
        return np.mean(predict(reverse, X, "X") == y)


def takes_target(estimator):
    """Tell whether an estimator's ``fit`` takes ``X_target``.

    Parameters
    ----------
    estimator : object
        An estimator or a pipeline.

    Returns
    -------
    takes : bool
        With metadata routing on also True if a part of the estimator requests it.

    Raises
    ------
    ValueError
        If a step of a pipeline takes it, and metadata routing is off.
    """
    if get_config()["enable_metadata_routing"]:
        return bool(get_routing_for_object(estimator).consumes("fit", ["X_target"]))
    if has_fit_parameter(estimator, "X_target"):
        return True
    if hasattr(estimator, "cv") and has_fit_parameter(estimator, "params"):
        return takes_target(estimator.estimator)  # a search hands on all that it is given
    if (inner := _inner_with_target(estimator)) is not None:
        raise ValueError(
            f"estimator: {inner} takes X_target, which {type(estimator).__name__} passes on only "
            "with sklearn.set_config(enable_metadata_routing=True). The steps before it transform "
            "the target too in a pipeline of skda.make_pipeline, and not in one of scikit-learn."
        )
    return False


def _inner_with_target(estimator):
    """Return the words for a part whose fit takes X_target, None if there is none."""
    if isinstance(estimator, Pipeline):
        for name, step in estimator.steps:
            if has_fit_parameter(step, "X_target"):
                return f"the step {name!r}"
            if (found := _inner_with_target(step)) is not None:
                return found
        return None
    inner = getattr(estimator, "estimator", None)
    if not hasattr(inner, "fit") or isinstance(estimator, FrozenEstimator):
        return None
    if has_fit_parameter(inner, "X_target"):
        return type(inner).__name__
    return _inner_with_target(inner)
