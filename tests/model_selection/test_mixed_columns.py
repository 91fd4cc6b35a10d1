"""Scorers of pipelines whose first steps make numbers of text and categories."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skda.model_selection import ImportanceWeightedScorer, MixValScorer

rng = np.random.default_rng(0)


def table(shift):
    return pd.DataFrame(
        {"city": rng.choice(["Bern", "Oslo", "Rome"], 90), "area": rng.normal(shift, size=90)}
    )


X, TARGET = table(0.0), table(0.5)
Y = (X["area"] > 0).to_numpy().astype(int)


@pytest.mark.parametrize("scorer", [MixValScorer(), ImportanceWeightedScorer()])
def test_scores_are_those_of_the_last_step_on_what_it_gets(scorer):
    encode = make_column_transformer((OneHotEncoder(), ["city"]), (StandardScaler(), ["area"]))
    pipe = make_pipeline(encode, LogisticRegression()).fit(X, Y)
    inputs, target = (pipe[:-1].transform(rows) for rows in (X, TARGET))
    score = scorer(pipe, X, Y, X_target=TARGET)
    assert score == scorer(pipe[-1], inputs, Y, X_target=target)


@pytest.mark.parametrize("scorer", [MixValScorer(), ImportanceWeightedScorer()])
def test_every_fold_of_a_search_has_a_score(scorer):
    encode = make_column_transformer((OneHotEncoder(sparse_output=True), ["city"]))
    pipe = make_pipeline(encode, LogisticRegression())
    with sklearn.config_context(enable_metadata_routing=True):
        scores = cross_val_score(
            pipe, X, Y, scoring=scorer, params={"X_target": (TARGET,)}, error_score="raise"
        )
    assert np.isfinite(scores).all()
