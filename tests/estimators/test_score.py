"""The accuracy of classifiers, and labels that it cannot be told from."""

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from skda.fine_tuning import FineTuneClassifier

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
Y = np.arange(12) % 3


@pytest.fixture(scope="module")
def fitted():
    """Return a classifier that is not always right."""
    return FineTuneClassifier(max_epochs=1, random_state=0, device="cpu").fit(X, Y)


def test_score_is_the_share_of_right_rows(fitted):
    is_right = fitted.predict(X) == Y
    assert fitted.score(X, Y) == is_right.mean() < 1
    weight = np.linspace(0, 1, 12)
    assert fitted.score(X, Y, sample_weight=weight) == pytest.approx(
        np.average(is_right, weights=weight)
    )


def test_labels_of_a_data_set_are_its_own(fitted):
    data = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    assert fitted.score(data, None) == fitted.score(X, Y)


@pytest.mark.parametrize("kinds", [(str, object), (object, str)], ids=["to score", "to fit"])
def test_text_is_text_in_columns_of_objects_too(kinds):
    # A column of a data frame has objects, an array of numpy has text.
    labels = np.array(list("abc"))[Y]
    clf = FineTuneClassifier(max_epochs=1, random_state=0).fit(X, labels.astype(kinds[0]))
    assert clf.score(X, labels.astype(kinds[1])) == np.mean(clf.predict(X) == labels)


@pytest.mark.parametrize(
    "y, message",
    [
        (None, "requires y"),
        (Y[1:], "^y has 11 labels for 12 rows of X"),
        (np.array(list("abc"))[Y], r"^y must be classes such as those of fit, \[0, 1, 2\]"),
        (Y + 0.5, "^y must be labels of classes.* continuous"),
        (np.ma.masked_array(Y, Y == 0), "^y is a masked array"),
    ],
    ids=["none", "short", "text", "continuous", "masked"],
)
def test_bad_labels_are_named(fitted, y, message):
    with pytest.raises(ValueError, match=message):
        fitted.score(X, y)


def test_bad_weights_are_not_laid_on_y(fitted):
    with pytest.raises(ValueError, match=r"^sample_weight has 1 entries for 12 rows"):
        fitted.score(X, Y, sample_weight=[1.0])
