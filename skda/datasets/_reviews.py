"""Reviews of two kinds of product, written by a generator."""

from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_random_state

_DESCR = """\
Simulated reviews
-----------------
English reviews of books (source) and of kitchen tools (target), written by a generator: no person
wrote or bought anything. A review has the label y, 1 for praise and 0 for complaint, each with
probability 1/2, and n = 2 + Poisson({length}) sentences. Each of them is, independently,

* with probability 0.4 a fact without opinion, half of them about the kind of product;
* else an opinion, which is that of the review with probability 1 - {mixed} and the opposite
  otherwise. With probability {specific} it is told in the words of the kind of product
  ("gripping", "rusty"), else in words that all reviews share ("excellent", "awful"). With
  probability {negated} it is told by denying the opposite ("not awful at all").

Words for an opinion are drawn with the probabilities p_k proportional to 1/k, where k is the place
in the list of its words. Some words praise one kind of product and blame the other: a plot may be
"predictable", but so should a timer be.

With the default values a network that learned from books loses about as much on kitchen tools, and
adaptation wins back about as much of it, as with real reviews of both (J. Blitzer, M. Dredze,
F. Pereira, Biographies, Bollywood, Boom-boxes and Blenders, ACL 2007). In everything else real
reviews vary far more.
"""

_SHARED = (
    "excellent great wonderful perfect fantastic superb lovely brilliant delightful impressive "
    "amazing terrific".split(),
    "awful disappointing terrible poor useless horrible dreadful annoying worthless bad "
    "frustrating mediocre".split(),
)
_SENTENCES = {
    True: [
        "The {thing} is {word}.",
        "I find the {thing} {word}.",
        "A {word} {thing}, if you ask me.",
        "What a {word} {thing}!",
        "To me the {thing} seemed {word}.",
    ],
    False: [
        "The {thing} is not {word} at all.",
        "I would never call the {thing} {word}.",
        "Hardly a {word} {thing}.",
        "Nobody could say that the {thing} was {word}.",
    ],
}
_FACTS = [
    "It came on a {day}.",
    "My {person} gave it to me.",
    "I ordered it in {month}.",
    "This is my second one.",
    "I compared three of them first.",
    "My {person} has the same.",
]
_FILLERS = {
    "day": "Monday Tuesday Wednesday Thursday Friday Saturday".split(),
    "person": "sister brother mother neighbour colleague husband wife".split(),
    "month": "January March May July September November".split(),
}
_BOOKS = {
    "things": "plot story author prose ending chapter novel dialogue character style".split(),
    "words": (
        "gripping moving insightful vivid witty thoughtful sharp unpredictable haunting "
        "suspenseful engaging lyrical scholarly touching memorable".split(),
        "boring shallow dull pretentious confusing predictable cliched wordy slow dry "
        "repetitive implausible preachy rambling tedious".split(),
    ),
    "facts": [
        "I read it on the train.",
        "It has about {pages} pages.",
        "The story begins in a small town.",
        "The library has a copy.",
        "It is the first part of a series.",
        "The cover shows a harbour.",
    ],
    "pages": "200 300 400 500".split(),
}
_KITCHEN = {
    "things": "blade handle lid pan coating motor knife blender pot timer".split(),
    "words": (
        "sturdy solid durable handy sharp quiet practical predictable versatile nonstick "
        "spotless compact ergonomic leakproof robust".split(),
        "flimsy rusty leaky wobbly noisy blunt cracked sticky unpredictable warped scratched "
        "brittle loose overheated crooked".split(),
    ),
    "facts": [
        "I cook for {pages}.",
        "It holds about a litre.",
        "The box contains a cable.",
        "I use it for soup.",
        "It stands next to the stove.",
        "The colour is grey.",
    ],
    "pages": "two three four five".split(),
}


def make_reviews(
    n_samples: int = 1000,
    *,
    specific: float = 0.5,
    mixed: float = 0.15,
    negated: float = 0.1,
    length: float = 8.0,
    random_state: Any = None,
) -> Bunch:
    """Make English reviews of two kinds of product: a simulation of a shift between domains.

    Opinions are told in words that both kinds share, and in words of their own. Only what stands
    together in the unlabelled reviews of the target tells the meaning of its own words.

    Parameters
    ----------
    n_samples : int, default=1000
        Reviews of every domain.

    specific : float, default=0.5
        Probability that an opinion is told in words of the kind of product.

    mixed : float, default=0.15
        Probability that an opinion is the opposite of that of the review.

    negated : float, default=0.1
        Probability that an opinion is told by denying the opposite.

    length : float, default=8.0
        Mean number of sentences beyond 2.

    random_state : int, RandomState instance or None, default=None
        Seeds everything.

    Returns
    -------
    reviews : sklearn.utils.Bunch
        With the entries

        X : list of str, of length n_samples
            Reviews of books.
        y : ndarray of shape (n_samples,), dtype=int64
            1 for praise, 0 for complaint.
        X_target : list of str, of length n_samples
            Reviews of kitchen tools.
        y_target : ndarray of shape (n_samples,), dtype=int64
            Their labels, to measure an adaptation with; no method needs them.
        DESCR : str
            The description, with the formulas of the simulation.

    Raises
    ------
    ValueError
        If a probability is not in [0, 1].

    Examples
    --------
    >>> from skda.datasets import make_reviews
    >>> reviews = make_reviews(100, length=1, random_state=0)
    >>> reviews.X_target[0]
    'To me the lid seemed wobbly. A noisy pot, if you ask me.'
    >>> int(reviews.y_target[0])
    0
    """
    shares = {"specific": specific, "mixed": mixed, "negated": negated}
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name} must be a probability, from 0 to 1, got {share!r}.")
    rng = check_random_state(random_state)
    domains = []
    for product in (_BOOKS, _KITCHEN):
        y = rng.randint(2, size=n_samples)
        n_sentences = 2 + rng.poisson(length, size=n_samples)
        domains.append(
            (
                [
                    " ".join(_sentence(rng, product, label, **shares) for _ in range(n))
                    for label, n in zip(y, n_sentences, strict=True)
                ],
                y.astype(np.int64),
            )
        )
    (X, y), (X_target, y_target) = domains
    description = _DESCR.format(length=length, **shares)
    return Bunch(X=X, y=y, X_target=X_target, y_target=y_target, DESCR=description)


def _sentence(rng, product, label, *, specific, mixed, negated):
    if rng.uniform() < 0.4:
        facts = product["facts"] if rng.uniform() < 0.5 else _FACTS
        fillers = {name: _pick(rng, words) for name, words in _FILLERS.items()}
        return _pick(rng, facts).format(pages=_pick(rng, product["pages"]), **fillers)
    is_praise = (label == 1) == (rng.uniform() >= mixed)
    affirms = rng.uniform() >= negated
    words = product["words"] if rng.uniform() < specific else _SHARED
    word = _pick_frequent(rng, words[0 if is_praise == affirms else 1])
    sentence = _pick(rng, _SENTENCES[bool(affirms)])
    return _grammatical(sentence.format(thing=_pick(rng, product["things"]), word=word))


def _grammatical(sentence):
    words = sentence.split(" ")
    for place, word in enumerate(words[:-1]):
        following = words[place + 1]
        if word.lower() == "a" and following[0] in "aeiou" and not following.startswith("use"):
            words[place] = word + "n"
    return " ".join(words)


def _pick(rng, words):
    return words[rng.randint(len(words))]


def _pick_frequent(rng, words):
    """Draw a word, of which the k-th has a probability proportional to 1 / k."""
    weights = 1 / np.arange(1, len(words) + 1)
    return words[rng.choice(len(words), p=weights / weights.sum())]
