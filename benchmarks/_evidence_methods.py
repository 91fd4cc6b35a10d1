"""What the evidence compares: trainings without a target, adaptation, and transformers."""

from sklearn.linear_model import LogisticRegression

import skda.adaptation
import skda.subspace
from skda import make_pipeline
from skda.adaptation import DNFC
from skda.base import DeepAdaptationClassifier

# Trainings that see no target; the better of the two networks is what an adaptation must beat.
SOURCE_ONLY = {"source only": {}, "source only, plain": {"module__batch_norm": False}}
LINEAR = "logistic regression"
# The best known first, so that what is measured until somebody stops it is a table.
KNOWN = ("AdaBN", "DANN", "DAN", "DeepCORAL", "CDAN", "MCD", "MDD", "MCC", "DDC")
LEFT_OUT = {"LabelEfficient": "asks for labels of the target"}
TRANSFORMERS = {
    name: getattr(skda.subspace, name)
    for name in ("CORAL", "SubspaceAlignment", "TCA", "GFK", "JDA", "BDA")
} | {"DNFC": DNFC}
DEEP = [
    name.removesuffix("Classifier")
    for name in skda.adaptation.__all__
    if name.endswith("Classifier") and name.removesuffix("Classifier") not in LEFT_OUT
]
FIRST = [*SOURCE_ONLY, LINEAR, *KNOWN, *TRANSFORMERS]
METHODS = [*FIRST, *(name for name in DEEP if name not in KNOWN)]


def is_shallow(method):
    """Whether it trains no network."""
    return method == LINEAR or method in TRANSFORMERS


def has_no_target(method):
    return method == LINEAR or method in SOURCE_ONLY


def make_estimator(method, state, **params):
    """Return the estimator of a method, with its defaults but for `params` of a network."""
    if method in SOURCE_ONLY:
        return DeepAdaptationClassifier(random_state=state, **SOURCE_ONLY[method], **params)
    linear = LogisticRegression(max_iter=1000)
    if method == LINEAR:
        return linear
    if method in TRANSFORMERS:
        return make_pipeline(TRANSFORMERS[method](), linear)
    return getattr(skda.adaptation, f"{method}Classifier")(random_state=state, **params)
