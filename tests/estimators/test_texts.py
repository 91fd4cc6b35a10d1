"""Texts on their way through extractors and trainings, before tiny networks that are made here."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skda.adaptation import DANNClassifier, DeepCORALClassifier
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier

transformers = pytest.importorskip("transformers")

WORDS = "it cuts well badly the knife film is a long short bore joy and broke soon".split()
TEXTS = [
    "it cuts well",
    "the knife broke soon",
    "the film is a joy",
    "a long and short bore",
    "well",
    "",
    "the film is a long and short and long and short bore and it broke soon and badly",
    "a joy",
] * 3
Y = np.arange(len(TEXTS)) % 2


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The name of a network of one small layer, with a tokenizer of a few words."""
    folder = tmp_path_factory.mktemp("network")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizer(
        vocab={word: number for number, word in enumerate(words)}
    ).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
    )
    transformers.set_seed(0)
    transformers.BertModel(config).save_pretrained(folder)
    return f"transformers/{folder}"


def test_features_of_a_text_do_not_depend_on_its_batch(network):
    extractor = DeepFeatureExtractor(network, batch_size=8)
    features = extractor.fit_transform(TEXTS)
    assert features.shape == (24, 16)
    alone = np.concatenate([extractor.transform([text]) for text in TEXTS])
    np.testing.assert_allclose(features, alone, atol=1e-5)


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_layers_of_tokens_leave_padding_out(network, pooling):
    layer = "model.encoder.layer.0"
    extractor = DeepFeatureExtractor(network, layers=layer, pooling=pooling, batch_size=8)
    features = extractor.fit_transform(TEXTS)
    alone = np.concatenate([extractor.transform([text]) for text in TEXTS])
    np.testing.assert_allclose(features, alone, atol=1e-5)


@pytest.mark.parametrize(
    "column", [pd.Series, lambda texts: pd.DataFrame({"text": texts}), np.array, tuple]
)
def test_columns_of_texts(network, column):
    extractor = DeepFeatureExtractor(network).fit(TEXTS)
    np.testing.assert_array_equal(extractor.transform(column(TEXTS)), extractor.transform(TEXTS))


def test_columns_of_texts_of_polars_and_pyarrow(network):
    polars, pyarrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    extractor = DeepFeatureExtractor(network).fit(TEXTS)
    expected = extractor.transform(TEXTS)
    for column in (polars.Series(TEXTS), pyarrow.array(TEXTS), pyarrow.table({"text": TEXTS})):
        np.testing.assert_array_equal(extractor.transform(column), expected)


def test_texts_are_remembered(network, tmp_path, monkeypatch):
    extractor = DeepFeatureExtractor(network, cache=tmp_path).fit(TEXTS)
    first = extractor.transform(TEXTS)
    monkeypatch.setattr(extractor, "_features", None)
    np.testing.assert_array_equal(extractor.transform(TEXTS[::-1]), first[::-1])


def test_features_of_other_weights_are_not_remembered(network, tmp_path):
    first, second = (
        DeepFeatureExtractor(
            network, weights=None, random_state=seed, cache=tmp_path
        ).fit_transform(TEXTS)
        for seed in (0, 1)
    )
    assert abs(first - second).max() > 1e-3


def test_texts_in_a_pipeline(network):
    pipe = make_pipeline(DeepFeatureExtractor(network), LogisticRegression())
    assert pipe.fit(TEXTS, Y).predict(pd.Series(TEXTS)).shape == (24,)


@pytest.mark.parametrize("cls", [DeepCORALClassifier, DANNClassifier, FineTuneClassifier])
def test_trainings_on_texts(network, cls):
    clf = cls(module=network, max_epochs=2, batch_size=8, random_state=0)
    target = {} if cls is FineTuneClassifier else {"X_target": pd.Series(TEXTS[:13])}
    clf.fit(TEXTS, Y, **target)
    together = clf.predict_proba(TEXTS)
    alone = np.concatenate([clf.predict_proba([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert clf.transform(TEXTS).shape == (24, 16)


def test_training_changes_the_network_unless_it_is_frozen(network):
    def last(**params):
        clf = FineTuneClassifier(module=network, max_epochs=1, random_state=0, **params)
        clf.fit(TEXTS, Y)
        return clf.transform(TEXTS), clf.n_iter_

    plain = DeepFeatureExtractor(network).fit_transform(TEXTS)
    np.testing.assert_allclose(last(freeze="all")[0], plain, atol=1e-5)
    assert abs(last()[0] - plain).max() > 1e-3


def test_blocks_of_a_language_network(network):
    clf = FineTuneClassifier(module=network, n_frozen=2, max_epochs=1, random_state=0)
    clf.fit(TEXTS, Y)
    frozen = [block.name for block in clf.net_.module_.frozen]
    assert frozen == ["model.embeddings", "model.encoder.layer.0"]


def test_a_text_that_is_missing_is_named(network):
    with pytest.raises((TypeError, ValueError), match=r"\[1\] is None"):
        DeepFeatureExtractor(network).fit(["a", None, "b"])


def test_a_table_before_a_language_network(network):
    with pytest.raises(ValueError, match="module"):
        DeepFeatureExtractor(network).fit(np.zeros((3, 4)))


def test_texts_that_are_cut_are_told_of(network):
    long = " ".join(["joy"] * 100)
    with pytest.warns(UserWarning, match="1 of"):
        DeepFeatureExtractor(network).fit_transform(["a joy", long])


def test_a_shorter_length_of_texts(network):
    extractor = DeepFeatureExtractor(network, preprocess={"max_length": 5})
    with pytest.warns(UserWarning):
        features = extractor.fit_transform(["the film is a joy", "the film is a bore"])
    np.testing.assert_array_equal(features[0], features[1])
