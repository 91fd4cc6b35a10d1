"""Which estimators stand for all, in the default suite, where a test asks the same of every one.

Each of those that are left out shares its net, its stages and its way through ``fit`` with one
that is here, and adds a loss, which its own tests and ``test_golden.py`` fit. The marker
``exhaustive`` runs the tests of them all.
"""

import pytest

from skda.estimators import DeepEstimator

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
