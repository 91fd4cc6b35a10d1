import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from skda.datasets import make_reviews
from skda.datasets._reviews import _BOOKS, _KITCHEN, _SHARED


def words_of(texts):
    vectorizer = CountVectorizer(token_pattern=r"[\w-]+").fit(texts)
    return set(vectorizer.vocabulary_)


def test_reviews_are_texts_with_labels():
    reviews = make_reviews(50, random_state=0)
    for X, y in ((reviews.X, reviews.y), (reviews.X_target, reviews.y_target)):
        assert len(X) == 50 and all(type(text) is str and text.endswith((".", "!")) for text in X)
        assert y.dtype == np.int64 and set(y) == {0, 1}


def test_random_state_decides():
    first, same, other = (make_reviews(20, random_state=seed) for seed in (0, 0, 1))
    assert first.X_target == same.X_target != other.X_target
    np.testing.assert_array_equal(first.y_target, same.y_target)


def test_kinds_of_product_have_words_of_their_own():
    reviews = make_reviews(300, random_state=0)
    books, kitchen = words_of(reviews.X), words_of(reviews.X_target)
    assert {"gripping", "dull", "excellent", "awful"} <= books
    assert {"sturdy", "rusty", "excellent", "awful"} <= kitchen
    assert not {"gripping", "dull"} & kitchen and not {"sturdy", "rusty"} & books


def test_lists_of_words_praise_or_blame():
    for praise, blame in (_SHARED, _BOOKS["words"], _KITCHEN["words"]):
        assert not set(praise) & set(blame) and len(set(praise)) == len(praise)
    assert not set(_SHARED[0] + _SHARED[1]) & {
        word for product in (_BOOKS, _KITCHEN) for words in product["words"] for word in words
    }


def test_without_mixture_and_denial_words_tell_the_label():
    reviews = make_reviews(200, mixed=0, negated=0, random_state=0)
    for X, y, product in (
        (reviews.X, reviews.y, _BOOKS),
        (reviews.X_target, reviews.y_target, _KITCHEN),
    ):
        for text, label in zip(X, y, strict=True):
            for kind, own in enumerate(product["words"]):
                told = words_of([text]) & {*own, *_SHARED[kind]}
                assert not told or label == 1 - kind


def test_all_opinions_are_denied_where_asked():
    reviews = make_reviews(200, mixed=0, negated=1, random_state=0)
    for text, label in zip(reviews.X, reviews.y, strict=True):
        assert not words_of([text]) & {*_BOOKS["words"][1 - label], *_SHARED[1 - label]}


def test_specific_is_the_share_of_own_words():
    for specific in (0, 0.3, 1):
        reviews = make_reviews(300, specific=specific, random_state=0)
        counts = [
            sum(word.strip(".,!") in {*words[0], *words[1]} for word in " ".join(reviews.X).split())
            for words in (_BOOKS["words"], _SHARED)
        ]
        assert counts[0] / sum(counts) == pytest.approx(specific, abs=0.04)


def test_length_is_the_mean_beyond_two():
    texts = make_reviews(500, length=3, random_state=0).X
    n_sentences = [text.count(".") + text.count("!") for text in texts]
    assert np.mean(n_sentences) == pytest.approx(5, abs=0.3) and min(n_sentences) >= 2


def test_articles_are_grammatical():
    texts = " ".join(make_reviews(300, random_state=0).X)
    assert " an " in texts.lower() and "a excellent" not in texts.lower()
    assert "an useless" not in texts.lower() and "{" not in texts


def test_the_shift_costs_a_classifier_of_books():
    reviews = make_reviews(random_state=0)
    vectorizer = CountVectorizer().fit(reviews.X + reviews.X_target)
    X, X_target = vectorizer.transform(reviews.X), vectorizer.transform(reviews.X_target)
    books = LogisticRegression(max_iter=1000).fit(X[:500], reviews.y[:500])
    loss = books.score(X[500:], reviews.y[500:]) - books.score(X_target, reviews.y_target)
    assert loss > 0.05


def test_impossible_probabilities_are_named():
    with pytest.raises(ValueError, match=r"mixed must be a probability, from 0 to 1, got 1.5"):
        make_reviews(mixed=1.5)


def test_the_description_has_the_values_in_use():
    assert "probability 0.3 it is told in the words" in make_reviews(2, specific=0.3).DESCR
