"""Deep features of photographs: what the methods add to a training on the source alone."""

from itertools import permutations

import numpy as np
import pytest
from joblib import Parallel, delayed

from skda.adaptation import (
    AdaBNClassifier,
    AutoDIALClassifier,
    DALNClassifier,
    DANClassifier,
    DeepCORALClassifier,
    DSANClassifier,
    JANClassifier,
    MCCClassifier,
    RTNClassifier,
)

# Points of target accuracy in the mean of six pairs of domains.
MARGINS = {
    AutoDIALClassifier: 1,
    DALNClassifier: 1,
    DANClassifier: 0.5,
    DeepCORALClassifier: 1,
    DSANClassifier: 1,
    JANClassifier: 0.5,
    MCCClassifier: 1,
    RTNClassifier: 1,
}


@pytest.fixture
def features(data_home):
    folder = data_home / "office_caltech10_mobilenetv2"
    arrays = np.load(folder / "office_caltech10_mobilenetv2_1280.npz")
    return {
        domain: (arrays[f"{domain}_x"].astype(np.float32), arrays[f"{domain}_y"])
        for domain in ("amazon", "dslr", "webcam")
    }


def _accuracy(cls, source, target):
    clf = cls(random_state=0).fit(*source, X_target=target[0])
    return 100 * clf.score(*target)


@pytest.mark.slow
def test_defaults_adapt_deep_features(features):
    methods = [AdaBNClassifier, *MARGINS]
    pairs = list(permutations(features.values(), 2))
    jobs = [delayed(_accuracy)(cls, *pair) for cls in methods for pair in pairs]
    scores = np.reshape(Parallel(n_jobs=2)(jobs), (len(methods), -1)).mean(axis=1)
    gains = dict(zip(MARGINS, scores[1:] - scores[0], strict=True))
    assert {cls: gain for cls, gain in gains.items() if gain < MARGINS[cls]} == {}
