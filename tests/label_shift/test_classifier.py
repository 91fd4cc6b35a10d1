"""Predictions that follow the shares of the target."""

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from skda.label_shift import PriorShiftClassifier


@pytest.mark.filterwarnings("ignore::skda.exceptions.NoTargetWarning")
@parametrize_with_checks(
    [PriorShiftClassifier(LogisticRegression()), PriorShiftClassifier(LinearSVC(), method="rlls")]
)
def test_check_estimator(estimator, check):
    check(estimator)
