"""Which estimators stand for all, in the default suite, where a test asks the same of every one.

Each of those that are left out shares its net, its stages and its way through ``fit`` with one
that is here, and adds a loss, which its own tests and ``test_golden.py`` fit. The marker
``exhaustive`` runs the tests of them all.
"""

import pytest
from sklearn.base import clone

from skda.estimators import DeepEstimator

# Checks of scikit-learn that need a training that has learned.
LEARNING = {
    "check_classifiers_classes",
    "check_classifiers_one_label_sample_weights",
    "check_classifiers_regression_target",
    "check_classifiers_train",
    "check_class_weight_classifiers",
}

REPRESENTATIVES = {
    "DeepAdaptationClassifier",  # a loss at layers; as AFN, BNM, DUCDA, DeepCORAL, DeepJDOT, MCC
    "FineTuneClassifier",  # no target
    "DANNClassifier",  # an adversary; as CDAN, DAAN, DomainConfusion, MDD
    "DANClassifier",  # statistics of each domain; as JAN
    "RTNClassifier",  # layers of its own in the module; as DDC
    "SANClassifier",  # adversaries by class, and what predictions become of them
    "LabelEfficientClassifier",  # learns from labels of the target
    "DSNClassifier",  # an alignment that is kept and rebuilds rows
    # Layers of domains, which are adapted after training, or mixed in it.
    "AdaBNClassifier",
    "AutoDIALClassifier",
    # Stages.
    "ADDAClassifier",
    "SDAEClassifier",
    "TLDAClassifier",
    # Nets with steps of their own.
    "CoGANClassifier",
    "DALNClassifier",
    "DSANClassifier",
    "MCDClassifier",
    "ShallowDANNClassifier",
    "WDGRLClassifier",
}


def is_representative(cls: type) -> bool:
    """Tell whether an estimator stands for others, or trains no network, and for itself alone."""
    return cls.__name__ in REPRESENTATIVES or not issubclass(cls, DeepEstimator)


def representatives(classes: list) -> list:
    """Return the classes that stand for others or for themselves alone."""
    return [cls for cls in classes if is_representative(cls)]


def one_of_each_kind(classes: list) -> list:
    """Return classes as parameters, of which those with a representative are exhaustive."""
    mark = pytest.mark.exhaustive
    return [cls if is_representative(cls) else pytest.param(cls, marks=mark) for cls in classes]


def with_epochs(estimator, n):
    """Return a copy with that many epochs in every stage, also of what is inside."""
    names = [name for name in estimator.get_params() if name.endswith("_epochs")]
    return clone(estimator).set_params(**dict.fromkeys(names, n))


def shorter(estimator, check):
    """Return what a check of scikit-learn is to have: two epochs, unless it must learn."""
    # All checks of an estimator have the same object.
    return estimator if check.func.__name__ in LEARNING else with_epochs(estimator, 2)
