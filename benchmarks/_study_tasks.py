"""Pairs of domains of the study of accuracy without labels, small enough for a fit of seconds.

A task is a function from a random state to ``(X, y, X_target, y_target)``. Combinations of
estimates, their constants and rules are chosen on the tasks of ``TUNING`` and reported on those of
``REPORT``; either has every family.
"""

from functools import cache, partial

import numpy as np
from bench_accuracy import (
    DATA,
    mnist,
    mnist_m,
    office_features,
    optdigits,
    part,
    surf_histograms,
    usps,
    word_components,
)
from bench_office_caltech import load_domains, make_extractor
from PIL import Image, ImageFilter
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.preprocessing import StandardScaler

from skda.datasets import load_shifted_digits, make_machine_faults, make_wearable_activity

N_ROWS = 900  # of a domain, at most: a third of the source's are held out


# -- digits -----------------------------------------------------------------------------------


def shifted(seed, angle, noise=0.1):
    digits = load_shifted_digits(angle=angle, noise=noise, random_state=seed)
    return digits.X, digits.y, digits.X_target, digits.y_target


def pooled(images, size=14):
    """Images of 28 x 28 pixels as rows of their means over 2 x 2 pixels."""
    return (
        images.reshape(len(images), size, 28 // size, size, 28 // size)
        .mean((2, 4))
        .reshape(len(images), -1)
    )


def digit_rows(name):
    if name == "mnist-m":
        X, y = mnist_m()
        gray = X[:, 2:30, 2:30].mean(axis=3) / 255
        return pooled(gray).astype(np.float32), y
    X, y = {"mnist": mnist, "usps": usps, "optdigits": optdigits}[name]()
    if name == "mnist":
        X, y = X[:4000], y[:4000]  # the others are those of MNIST-M
    return pooled(X[:, 0]).astype(np.float32), y


def digits_pair(seed, source, target):
    return (*part(digit_rows(source), N_ROWS, seed), *part(digit_rows(target), N_ROWS, seed))


# -- other shares of the classes ----------------------------------------------------------------


def thinned(X, y, kept_shares, seed):
    """Keep of every class the share of its rows."""
    kept = np.random.RandomState(seed).rand(len(y)) < np.asarray(kept_shares)[y]
    return X[kept], y[kept]


def shares_turned(seed):
    """Digits turned by 15 degrees: in the source the last ones are frequent, then the first."""
    X, y, X_target, y_target = shifted(seed, 15)
    shares = np.linspace(0.2, 1, 10)
    return *thinned(X, y, shares, seed), *thinned(X_target, y_target, shares[::-1], seed)


def classes_missing(seed):
    """Digits turned by 30 degrees, from 0 to 4 alone in the target."""
    X, y, X_target, y_target = shifted(seed, 30)
    return X, y, X_target[y_target < 5], y_target[y_target < 5]


# -- Office-Caltech and Amazon --------------------------------------------------------------------


def domains_pair(seed, load, source, target):
    domains = load()
    labels = np.unique(domains[source][1])
    X, y = part(domains[source], N_ROWS, seed)
    X_target, y_target = part(domains[target], N_ROWS, seed + 1)
    return X, np.searchsorted(labels, y), X_target, np.searchsorted(labels, y_target)


def halves(seed, load, domain):
    """No shift at all: two halves of one domain."""
    X, y = part(load()[domain], 2 * N_ROWS, seed)
    y = np.unique(y, return_inverse=True)[1]
    middle = len(y) // 2
    return X[:middle], y[:middle], X[middle:], y[middle:]


# -- tables -----------------------------------------------------------------------------------


def covariate_shift(seed, load, strength):
    """Rows go to the target with a probability that rises along the first principal axis.

    P(target | x) = 1 / (1 + exp(-strength z)) with z the row's standardized coordinate there;
    every column is also jittered by a tenth of its deviation, so that small tables give other rows
    in every random state.
    """
    X, y = load(return_X_y=True)
    rng = np.random.RandomState(seed)
    X = StandardScaler().fit_transform(X)
    axis = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[2][0]
    z = X @ axis / np.std(X @ axis)
    X = (X + 0.1 * rng.randn(*X.shape)).astype(np.float32)
    target = rng.rand(len(y)) < 1 / (1 + np.exp(-strength * z))
    return X[~target], y[~target], X[target], y[target]


# -- series ------------------------------------------------------------------------------------


def series(seed, make, **params):
    data = make(random_state=seed, **params)
    return data.X, data.y, data.X_target, data.y_target


# -- photographs ---------------------------------------------------------------------------------


def blurred(image, rng):
    return image.filter(ImageFilter.GaussianBlur(2))


def noisy(image, rng):
    pixels = np.asarray(image, float) + 40 * rng.randn(*image.size[::-1], 3)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


SPOILED = {"blurred": blurred, "noisy": noisy}


def decode(encoded):
    from io import BytesIO

    return Image.open(BytesIO(encoded)).convert("RGB").resize((96, 96))


@cache
def photographs(cache, spoiled):
    """Features of MobileNetV2 of 1,000 photographs, clean, and of as many others spoiled."""
    file = cache / f"photographs_{spoiled}.npz"
    if not file.exists():
        rng = np.random.RandomState(0)
        domains = load_domains(DATA)
        images = [image for name in ("amazon", "caltech10") for image in domains[name][0]]
        labels = np.concatenate([domains[name][1] for name in ("amazon", "caltech10")])
        chosen = rng.permutation(len(images))[: 2 * N_ROWS]
        decoded = [decode(images[number]) for number in chosen]
        decoded[N_ROWS:] = [SPOILED[spoiled](image, rng) for image in decoded[N_ROWS:]]
        extractor = make_extractor(DATA, n_jobs=1).set_params(
            preprocess={"size": 96, "crop_pct": 1.0, "mean": 0.5, "std": 0.5}
        )
        X = extractor.fit_transform([np.asarray(image) for image in decoded])
        y = np.unique(labels[chosen], return_inverse=True)[1]
        np.savez_compressed(file, X=X.astype(np.float32), y=y)
    stored = np.load(file)
    return stored["X"], stored["y"]


def spoiled_photographs(seed, cache, spoiled):
    X, y = photographs(cache, spoiled)
    clean = part((X[:N_ROWS], y[:N_ROWS]), N_ROWS * 5 // 6, seed)
    return *clean, *part((X[N_ROWS:], y[N_ROWS:]), N_ROWS * 5 // 6, seed)


# -- the two halves ------------------------------------------------------------------------------

surf = partial(domains_pair, load=surf_histograms)
office = partial(domains_pair, load=office_features)
amazon = partial(domains_pair, load=word_components)

TUNING = {
    "digits turned 15": partial(shifted, angle=15),
    "digits turned 45": partial(shifted, angle=45),
    "no shift, digits": partial(shifted, angle=0, noise=0.0),
    "shares turned": shares_turned,
    "mnist-usps": partial(digits_pair, source="mnist", target="usps"),
    "optdigits-usps": partial(digits_pair, source="optdigits", target="usps"),
    "surf amazon-caltech": partial(surf, source="amazon", target="caltech10"),
    "office amazon-webcam": partial(office, source="amazon", target="webcam"),
    "reviews books-kitchen": partial(amazon, source="books", target="kitchen"),
    "cancer": partial(covariate_shift, load=load_breast_cancer, strength=2),
    "machine": partial(series, make=make_machine_faults, length=512),
    "photographs blurred": partial(spoiled_photographs, spoiled="blurred"),
}
REPORT = {
    "digits turned 30": partial(shifted, angle=30),
    "no shift, reviews": partial(halves, load=word_components, domain="dvd"),
    "digits 0-4": classes_missing,
    "usps-mnist": partial(digits_pair, source="usps", target="mnist"),
    "usps-optdigits": partial(digits_pair, source="usps", target="optdigits"),
    "mnist-mnistm": partial(digits_pair, source="mnist", target="mnist-m"),
    "surf caltech-amazon": partial(surf, source="caltech10", target="amazon"),
    "office webcam-caltech": partial(office, source="webcam", target="caltech10"),
    "reviews electronics-dvd": partial(amazon, source="electronics", target="dvd"),
    "wine": partial(covariate_shift, load=load_wine, strength=1),
    "wearables": partial(series, make=make_wearable_activity),
    "photographs noisy": partial(spoiled_photographs, spoiled="noisy"),
}


def load_task(name, seed, cache):
    """Return rows as float32 and labels as codes from 0."""
    task = {**TUNING, **REPORT}[name]
    of_photographs = {"cache": cache} if name.startswith("photographs") else {}
    X, y, X_target, y_target = task(seed, **of_photographs)
    return X.astype(np.float32), y.astype(int), X_target.astype(np.float32), y_target.astype(int)
