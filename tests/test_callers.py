"""The line that a warning points to."""

import numpy as np
import pytest
import sklearn
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skda.adaptation import DANNClassifier
from skda.exceptions import DomainScaleWarning, NoTargetWarning


@pytest.fixture
def blobs():
    X = np.random.default_rng(0).normal(size=(40, 3))
    return X, (X[:, 0] > 0).astype(int)


def _points_here(caught, category):
    return [w.filename for w in caught if w.category is category] == [__file__]


def test_a_warning_of_a_step_points_to_the_line_that_fits_the_pipeline(blobs):
    X, y = blobs
    pipe = make_pipeline(StandardScaler(), DANNClassifier(max_epochs=1))
    with sklearn.config_context(enable_metadata_routing=True):
        with pytest.warns(DomainScaleWarning) as caught:
            pipe.fit(X, y, X_target=(1000 * X,))
    assert _points_here(caught, DomainScaleWarning)


def test_partial_fit_warns_at_its_line(blobs):
    X, y = blobs
    with pytest.warns(NoTargetWarning) as caught:
        DANNClassifier(max_epochs=1).partial_fit(X, y, [0, 1])
    assert _points_here(caught, NoTargetWarning)
