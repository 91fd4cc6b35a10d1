"""Inputs by name, and token ids, on their way to the network."""

import numpy as np
import pytest
import torch
from devices import on_cpu
from torch import nn

from skda.adaptation import DANNClassifier, DeepCORALClassifier
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier
from skda.rows import DictRows

rng = np.random.default_rng(0)
IDS = rng.integers(1, 20, size=(40, 7))
MASK = (np.arange(7) < rng.integers(2, 7, size=(40, 1))).astype(np.int64)
Y = np.arange(40) % 2


class Mean(nn.Module):
    """The mean of the embeddings of the tokens that count."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 6)

    def forward(self, input_ids, attention_mask=None):
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        weight = attention_mask.unsqueeze(2)
        return (self.embedding(input_ids) * weight).sum(dim=1) / weight.sum(dim=1)


@pytest.mark.parametrize("cls", [DeepCORALClassifier, DANNClassifier])
def test_a_dict_reaches_the_module_by_name(cls):
    X = {"input_ids": IDS, "attention_mask": MASK}
    clf = cls(module=Mean, max_epochs=2, batch_size=8, random_state=0)
    clf.fit(X, Y, X_target={name: values[:25] for name, values in X.items()})
    expected = clf.predict_proba(X)
    noise = np.where(MASK, IDS, 0)  # what does not count
    np.testing.assert_allclose(clf.predict_proba(X | {"input_ids": noise}), expected, atol=1e-6)
    assert clf.transform(X).shape == (40, 6)
    assert clf.input_shape_ == {"input_ids": (7,), "attention_mask": (7,)}


def test_columns_that_no_row_of_a_batch_needs_are_cut_off():
    rows = DictRows({"input_ids": IDS, "attention_mask": np.arange(7) < np.full((40, 1), 3)})
    assert rows[:5]["input_ids"].shape == (5, 3)


def test_token_ids_reach_the_module_as_they_are():
    clf = FineTuneClassifier(module=Mean, input="tokens", max_epochs=1, random_state=0)
    assert clf.fit(IDS, Y).predict(IDS).shape == (40,)
    assert clf.predict(IDS[:, :4]).shape == (40,)


def test_an_embedding_that_gets_a_table_says_what_to_pass():
    with pytest.raises(ValueError, match="pass input='tokens'"):
        FineTuneClassifier(module=Mean, max_epochs=1).fit(IDS, Y)


def test_a_dict_in_the_extractor():
    X = {"input_ids": IDS, "attention_mask": MASK}
    extractor = DeepFeatureExtractor(Mean, batch_size=8, random_state=0).fit(X)
    features = extractor.transform(X)
    one = extractor.transform({name: values[3:4] for name, values in X.items()})
    np.testing.assert_allclose(features[3:4], one, atol=1e-6)


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_padding_is_not_pooled(pooling):
    X = {"input_ids": IDS, "attention_mask": MASK}
    extractor = DeepFeatureExtractor(Mean, layers="embedding", pooling=pooling, random_state=0)
    features = extractor.fit_transform(X)
    embedding = on_cpu(extractor.module_.embedding.weight).numpy()
    row = embedding[IDS[3, : MASK[3].sum()]]
    expected = row.mean(axis=0) if pooling == "avg" else row.max(axis=0)
    np.testing.assert_allclose(features[3], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ({}, "X is an empty dict"),
        ({"a": [1, 2], "b": [1]}, "different numbers of rows"),
        ({"a": [[1], [1, 2]]}, r"X\['a'\] holds rows of different lengths"),
        ({"a": ["x", "y"]}, r"X\['a'\] holds .* pass an array of numbers"),
        ({"a": [np.nan, 1.0]}, r"X\['a'\] contains NaN"),
    ],
)
def test_bad_dicts(X, message):
    with pytest.raises(ValueError, match=message):
        FineTuneClassifier(module=Mean).fit(X, [0, 1])


def test_a_dict_with_other_names_at_prediction():
    clf = FineTuneClassifier(module=Mean, max_epochs=1).fit({"input_ids": IDS}, Y)
    with pytest.raises(ValueError, match=r"has the inputs \['attention_mask', 'input_ids'\]"):
        clf.predict({"input_ids": IDS, "attention_mask": MASK})
    with pytest.raises(ValueError, match=r"X holds a table, but .* was fitted on inputs by name"):
        clf.predict(IDS)


def test_a_dict_needs_a_module():
    with pytest.raises(ValueError, match=r"X holds inputs by name, .* give one as module"):
        FineTuneClassifier().fit({"input_ids": IDS}, Y)


class Sum(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 4)

    def forward(self, numbers, ids):
        return self.layer(numbers) + ids.float().mean(dim=1, keepdim=True)


@pytest.mark.parametrize(
    "change",
    [
        {"numbers": np.zeros((40, 2))},
        {"numbers": np.zeros(40)},
        {"numbers": np.zeros((40, 3), int)},
        {"ids": np.zeros((40, 7))},
    ],
)
def test_inputs_of_another_kind_or_shape_than_in_fit(change):
    X = {"numbers": rng.normal(size=(40, 3)), "ids": IDS}
    clf = FineTuneClassifier(module=Sum, max_epochs=1).fit(X, Y)
    assert clf.predict(X | {"ids": IDS[:, :4]}).shape == (40,)
    (name,) = change
    with pytest.raises(ValueError, match=rf"X\['{name}'\] holds .* was fitted on"):
        clf.predict(X | change)


def test_a_report_of_inputs_by_name_needs_other_layers():
    from skda.metrics import domain_report

    X = {"input_ids": IDS, "attention_mask": MASK}
    clf = DeepCORALClassifier(module=Mean, max_epochs=1, random_state=0).fit(X, Y, X_target=X)
    with pytest.raises(ValueError, match="layers: 'inputs' of texts"):
        domain_report(clf, X, X, layers=("inputs", "features"))
    assert "features" in str(domain_report(clf, X, X, random_state=0))
