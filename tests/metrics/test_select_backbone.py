"""Choice of a backbone by the transferability of its features."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier
from skda.metrics import (
    h_score,
    leep_score,
    logme_score,
    n_leep_score,
    nce_score,
    select_backbone,
)

LAYERS = ("hidden1", "hidden2")


@pytest.fixture(scope="module")
def even_digits(digits):
    """A network that has learned the digits 0, 2, 4, 6 and 8."""
    even = digits.y % 2 == 0
    return FineTuneClassifier(max_epochs=5, random_state=0).fit(digits.X[even], digits.y[even])


@pytest.fixture(scope="module")
def odd(digits):
    rows = digits.y % 2 == 1
    return digits.X[rows], digits.y[rows]


class Columns(TransformerMixin, BaseEstimator):
    """The first columns; counts how often it transforms."""

    calls = []

    def __init__(self, n=1):
        self.n = n

    def fit(self, X, y=None):
        assert y is None
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        self.calls.append(self.n)
        return X[:, : self.n]


def test_layers_of_a_network_are_ranked_by_their_scores(even_digits, odd):
    candidates = {layer: DeepFeatureExtractor(even_digits, layers=layer) for layer in LAYERS}
    result = select_backbone(candidates, *odd)
    expected = {
        layer: logme_score(extractor.fit(odd[0]).transform(odd[0]), odd[1])
        for layer, extractor in candidates.items()
    }
    assert result.ranking == sorted(LAYERS, key=lambda layer: -expected[layer])
    np.testing.assert_allclose(
        result.scores["logme"], sorted(expected.values(), reverse=True), rtol=1e-6
    )
    assert result.best.layers == result.ranking[0]


def test_candidates_are_left_as_they_are_and_the_best_is_fitted(odd):
    candidates = [PCA(2, random_state=0), PCA(20, random_state=0)]
    result = select_backbone(candidates, *odd)
    assert result.ranking == ["1", "0"]
    assert not any(hasattr(candidate, "components_") for candidate in candidates)
    assert result.best.transform(odd[0]).shape == (len(odd[0]), 20)


def test_fitted_candidates_are_not_fitted_again(odd, digits):
    pca = PCA(5).fit(digits.X)
    pipe = make_pipeline(StandardScaler(), PCA(5)).fit(digits.X)
    result = select_backbone({"pca": pca, "pipe": pipe, "raw": FunctionTransformer()}, *odd)
    assert sorted(result.ranking) == ["pca", "pipe", "raw"]
    index = result.ranking.index("pca")
    assert result.scores["logme"][index] == logme_score(pca.transform(odd[0]), odd[1])


def test_features_are_computed_once_whatever_the_number_of_scores(odd):
    Columns.calls.clear()
    result = select_backbone(
        [Columns(10), Columns(60)], *odd, scoring=["h_score", "logme", "transrate", "n_leep"]
    )
    assert Columns.calls == [10, 60]
    table = pd.DataFrame(result.scores, index=result.ranking)
    assert table.shape == (2, 4) and table.index.tolist() == ["1", "0"]
    assert table["h_score"].is_monotonic_decreasing


def test_a_fitted_classifier_is_scored_by_its_predictions(even_digits, odd):
    X, y = odd
    result = select_backbone({"even": even_digits}, X, y, scoring=["leep", "nce", "h_score"])
    assert result.scores["leep"][0] == leep_score(even_digits.predict_proba(X), y)
    assert result.scores["nce"][0] == nce_score(even_digits.predict(X), y)
    assert result.scores["h_score"][0] == h_score(even_digits.transform(X), y)


def test_a_function_scores_features(odd):
    def width(X, y):
        return X.shape[1]

    result = select_backbone([Columns(3), Columns(8)], *odd, scoring=width)
    assert result.ranking == ["1", "0"]
    assert result.scores["width"].tolist() == [8, 3]


def test_the_random_state_is_that_of_n_leep(odd):
    first, second = (
        select_backbone([PCA(5)], *odd, scoring="n_leep", random_state=3).scores["n_leep"][0]
        for _ in range(2)
    )
    assert first == second
    assert first == n_leep_score(PCA(5).fit(odd[0]).transform(odd[0]), odd[1], random_state=3)


def test_a_classifier_that_is_not_fitted_is_an_error(odd):
    with pytest.raises(NotFittedError, match="'0' is a FineTuneClassifier that is not fitted"):
        select_backbone([FineTuneClassifier()], *odd)


@pytest.mark.parametrize(
    ("candidates", "scoring", "error", "message"),
    [
        ([], "logme", ValueError, "candidates is empty"),
        ([PCA(2)], "logmee", ValueError, "scoring must be .*'logme'.* got 'logmee'"),
        ([PCA(2)], "leep", TypeError, "'0' is a PCA without the method predict_proba"),
        ([PCA(2)], ["nce", "nce"], ValueError, "different names"),
    ],
)
def test_what_cannot_be_scored_is_an_error(odd, candidates, scoring, error, message):
    with pytest.raises(error, match=message):
        select_backbone(candidates, *odd, scoring=scoring)
