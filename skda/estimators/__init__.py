"""Estimators: parameters that are declared once, the task, and networks around a backbone.

``_params`` and ``_docs`` make a class's signature and docstring of what it declares; ``_task`` is
the one place that knows that y holds classes; ``_network`` measures and freezes networks;
``_deep`` owns a net, and ``_adaptation`` gives it a target domain. :mod:`skda.base` is the public
face of all this.
"""

from skda.estimators._adaptation import DeepAdaptationEstimator
from skda.estimators._classification import ClassificationMixin
from skda.estimators._deep import DeepEstimator
from skda.estimators._domain_classification import DomainClassificationMixin
from skda.estimators._domain_transformer import FLOATS, DomainTransformer
from skda.estimators._export import describe_rows as describe_rows
from skda.estimators._export import example_input as example_input
from skda.estimators._folding import fold_network as fold_network
from skda.estimators._inputs import RowInputMixin
from skda.estimators._keywords import ModuleKeywords
from skda.estimators._net_params import copy_callback
from skda.estimators._network import example_rows, frozen_blocks
from skda.estimators._onnx import write_onnx as write_onnx
from skda.estimators._params import PrefixedParams, estimator
from skda.estimators._stopping import stopping_callbacks
from skda.estimators._task import ClassificationTask, Task
from skda.estimators._weighting import CLASS_WEIGHTS as CLASS_WEIGHTS

__all__ = [
    "FLOATS",
    "ClassificationMixin",
    "ClassificationTask",
    "DeepAdaptationEstimator",
    "DeepEstimator",
    "DomainClassificationMixin",
    "DomainTransformer",
    "ModuleKeywords",
    "PrefixedParams",
    "RowInputMixin",
    "Task",
    "copy_callback",
    "estimator",
    "example_rows",
    "frozen_blocks",
    "stopping_callbacks",
]
