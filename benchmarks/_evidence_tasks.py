"""Tasks of the evidence: pairs of domains, and what is said about them beside their figures.

A task reads what ships, or the folder that SKDA_DATA names (:func:`skda.datasets.get_data_home`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import permutations

import numpy as np
from sklearn.datasets import load_breast_cancer

from skda.datasets import (
    fetch_digits,
    fetch_mnist_m,
    fetch_office_caltech10,
    load_shifted_digits,
    make_machine_faults,
    make_reviews,
)


@dataclass
class Task:
    """Pairs of domains that make one column of the table."""

    title: str
    protocol: str  # what the rows are, how many, who has them
    load: Callable  # (pair, random state) -> X, y, X_target, X_test, y_test
    pairs: tuple = ("",)  # what to load; the task's accuracy is their mean
    is_quick: bool = False  # part of the five minutes
    is_drawn: bool = True  # whether the rows depend on the random state
    has_short_rows: bool = True  # as the transformers without a network need them


def of_arrays(X, y, X_target, y_target):
    """The target rows that a method sees are those that it is measured on."""
    return X, y, X_target, X_target, y_target


def drawn(domain, n_rows, seed):
    X, y = domain
    rows = np.random.RandomState(seed).permutation(len(X))[:n_rows]
    return X[rows], y[rows]


def shifted(pair, state):
    digits = load_shifted_digits(random_state=state)
    return of_arrays(digits.X, digits.y, digits.X_target, digits.y_target)


def shares_turned(pair, state):
    from bench_target_shares import pair_of

    return of_arrays(*pair_of("turned around", 15, state))


def table(pair, state):
    from _study_tasks import covariate_shift

    return of_arrays(*covariate_shift(state, load_breast_cancer, strength=2))


def series(pair, state):
    faults = make_machine_faults(length=512, random_state=state)
    return of_arrays(faults.X, faults.y, faults.X_target, faults.y_target)


def texts(pair, state):
    from sklearn.feature_extraction.text import TfidfVectorizer

    reviews = make_reviews(random_state=state)
    words = TfidfVectorizer(sublinear_tf=True).fit(reviews.X + reviews.X_target)
    X, X_target = (words.transform(rows).toarray() for rows in (reviews.X, reviews.X_target))
    return of_arrays(X.astype(np.float32), reviews.y, X_target.astype(np.float32), reviews.y_target)


@cache
def all_digits():
    X, y, X_target, y_target = fetch_digits("mnist", "usps", size=16, return_X_y=True)
    return {"mnist": (X, y), "usps": (X_target, y_target)}


def both_ways(pair, state):
    source, target = pair.split("-")
    rows = {"mnist": 2000, "usps": 1800}
    return of_arrays(
        *drawn(all_digits()[source], rows[source], state),
        *drawn(all_digits()[target], rows[target], state),
    )


def mnist_m(pair, state):
    X, y, X_target, y_target = fetch_mnist_m(return_X_y=True)
    return of_arrays(*drawn((X, y), 2000, state), *drawn((X_target, y_target), 2000, state))


def office(features):
    @cache
    def load(pair):
        return fetch_office_caltech10(*pair.split("-"), features=features, return_X_y=True)

    return lambda pair, state: of_arrays(*load(pair))


@cache
def reviews_in_components():
    """Reviews by domain in 200 principal components of the logarithms of their counts."""
    from bench_amazon import load_domains
    from scipy.sparse import vstack
    from sklearn.decomposition import TruncatedSVD

    domains = load_domains()
    svd = TruncatedSVD(200, random_state=0)
    svd.fit(vstack([X.log1p() for (X, _), _ in domains.values()]))
    return {
        (domain, part): (svd.transform(X.log1p()), y)
        for domain, parts in domains.items()
        for part, (X, y) in zip(("train", "test"), parts, strict=True)
    }


def amazon(pair, state):
    source, target = pair.split("-")
    rows = reviews_in_components()
    return *rows[source, "train"], rows[target, "train"][0], *rows[target, "test"]


def pairs_of(*domains):
    return tuple("-".join(pair) for pair in permutations(domains, 2))


OFFICE = pairs_of("amazon", "caltech10", "dslr", "webcam")

# From the cheapest to the dearest.
TASKS = {
    "shifted": Task(
        "Shifted digits",
        "Digits of 8 x 8 pixels as 64 columns (``load_shifted_digits``, ships with scikit-learn): "
        "898 of the source, 899 of the target, which are turned by 30 degrees and noisy. The "
        "random state also draws the split and the noise.",
        shifted,
        is_quick=True,
    ),
    "shares": Task(
        "Class shares turned",
        "The same digits, the target turned by 15 degrees. Of the first digits the source has a "
        "fifth as many rows as of the last ones, and the target the other way round. Nothing is "
        "told of the shares (``target_shares=None``).",
        shares_turned,
        is_quick=True,
    ),
    "table": Task(
        "Table",
        "Breast cancer of scikit-learn, 30 standardised columns: a row is of the target with a "
        "probability that rises along the first principal axis, about 285 rows of either domain.",
        table,
        is_quick=True,
    ),
    "series": Task(
        "Series",
        "Vibrations of bearings on two simulated machines (``make_machine_faults``): 400 series "
        "of 512 values from either, 4 classes.",
        series,
        is_quick=True,
        has_short_rows=False,
    ),
    "text": Task(
        "Text",
        "Simulated reviews of books and of kitchen tools (``make_reviews``) as tf-idf of their "
        "words, two classes.",
        texts,
    ),
    "surf": Task(
        "Office-Caltech, SURF",
        "Ten classes of objects in four places, 157 to 1123 photographs each, as 800 visual words "
        "(``fetch_office_caltech10``), standardised per domain. The mean of the 12 pairs; whole "
        "domains, so that the random state is that of the method alone.",
        office("surf"),
        OFFICE,
        is_drawn=False,
    ),
    "office": Task(
        "Office-Caltech, deep features",
        "The same photographs as 1280 features of a MobileNetV2 that was trained on ImageNet. The "
        "mean of the 12 pairs.",
        office("mobilenetv2"),
        OFFICE,
        is_drawn=False,
    ),
    "amazon": Task(
        "Amazon reviews",
        "Counts of 5000 words in 200 principal components of their logarithms, fitted on the 2000 "
        "training reviews of every domain, positive or negative: 2000 reviews with labels, 2000 "
        "of the target without, accuracy on other reviews of the target. The mean of four of the "
        "12 pairs, in which every domain is source once and target once: two alike (books > DVD, "
        "electronics > kitchen) and two unlike (DVD > electronics, kitchen > books).",
        amazon,
        ("books-dvd", "dvd-electronics", "electronics-kitchen", "kitchen-books"),
        is_drawn=False,
    ),
    "digits": Task(
        "MNIST and USPS",
        "2000 test images of MNIST and 1800 training images of USPS at 16 x 16 pixels, the mean "
        "of both ways. The random state also draws the images.",
        both_ways,
        pairs_of("mnist", "usps"),
        has_short_rows=False,
    ),
    "mnistm": Task(
        "MNIST to MNIST-M",
        "2000 digits to 2000 others that lie on photographs, 32 x 32 pixels of three colours. The "
        "random state also draws the images.",
        mnist_m,
        has_short_rows=False,
    ),
}
