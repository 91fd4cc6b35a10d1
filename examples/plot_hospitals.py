"""
Several hospitals: some with labels, some without
=================================================

Five hospitals measure the same things with instruments of their own. In three of them it is known
who fell ill; two new ones send measurements alone. This tutorial answers the questions of such a
study in their order: what an adaptation is worth in a hospital that is left out, how to adapt to
several new hospitals at once, how to keep all rows in one table with a column of sites, and what
to do for a hospital that was not there when the network was trained.
"""

# %%
# Five sites
# ----------
# Four hidden quantities of a patient, 12 measurements of them. Every site multiplies each
# measurement by a gain of its own and adds an offset, and Caen sees more of the ill than others.

import sys
import time
import warnings
from functools import partial

import matplotlib

if "sphinx_gallery" not in sys.modules:
    matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.model_selection import LeaveOneGroupOut

from skda import stack_domains
from skda.adaptation import AdaBNClassifier, DANNClassifier, DeepCORALClassifier
from skda.base import DeepAdaptationClassifier
from skda.exceptions import NoTargetWarning

# Networks this small gain nothing from more threads, and lose much on a busy machine.
torch.set_num_threads(1)
warnings.simplefilter("ignore", NoTargetWarning)  # the baseline learns without a target
start = time.perf_counter()
EPOCHS = 15

fixed = np.random.RandomState(4)
directions, centers = fixed.randn(4, 12), 1.2 * fixed.randn(3, 4)
instruments = {
    site: (np.exp(0.3 * fixed.randn(12)), 2.5 * fixed.randn(12))
    for site in ("Arles", "Brest", "Caen", "Dijon", "Evian")
}


def patients(site, n, rng):
    """Return measurements and diagnoses at a site."""
    shares = (0.3, 0.3, 0.4) if site == "Caen" else (0.5, 0.3, 0.2)
    y = rng.choice(["healthy", "flu", "pneumonia"], n, p=shares)
    hidden = centers[np.unique(y, return_inverse=True)[1]] + rng.randn(n, 4)
    gains, offsets = instruments[site]
    X = (hidden @ directions + 0.4 * rng.randn(n, 12)) * gains + offsets
    return X.astype(np.float32), y


rng = np.random.RandomState(0)
LABELLED = ("Arles", "Brest", "Caen")
data = {site: patients(site, 400 if site in LABELLED else 300, rng) for site in instruments}
X = np.concatenate([data[site][0] for site in LABELLED])
y = np.concatenate([data[site][1] for site in LABELLED])
sites = np.repeat(LABELLED, 400)

# %%
# What is it worth? Leave a site out
# ----------------------------------
# Each labelled hospital plays the new one in turn: the network learns from the other two, and sees
# of the one that is left out what it will see of a new hospital, rows without labels. Its labels
# measure, and nothing else; choose a method by these figures, and its parameters too. In Caen more
# patients are ill, and what makes whole distributions alike gains least; ``target_shares`` helps
# there, and loses where its estimate goes astray.

methods = {
    "no target": DeepAdaptationClassifier,
    "AdaBN": AdaBNClassifier,
    "Deep CORAL": DeepCORALClassifier,
    "DANN": DANNClassifier,
    "DANN, shares": partial(DANNClassifier, target_shares="estimate"),
}
left_out = {name: [] for name in methods}
for train, test in LeaveOneGroupOut().split(X, y, sites):
    for name, method in methods.items():
        clf = method(max_epochs=EPOCHS, random_state=0)
        clf.fit(X[train], y[train], X_target=None if name == "no target" else X[test])
        left_out[name].append(100 * clf.score(X[test], y[test]))
print(f"{'left out':14}" + "".join(f"{site:>8}" for site in LABELLED) + f"{'mean':>8}")
for name, scores in left_out.items():
    print(f"{name:14}" + "".join(f"{score:8.1f}" for score in (*scores, np.mean(scores))))

# %%
# Two new hospitals at once
# -------------------------
# ``X_target`` takes a tuple, one array per hospital. The network keeps statistics for each, and
# ``domain`` tells whose rows are to be predicted: 0 for the first of the tuple, 1 for the second.
# Without it rows are taken for rows of the mixture.

NEW = ("Dijon", "Evian")
X_new = tuple(data[site][0] for site in NEW)
both = DANNClassifier(max_epochs=EPOCHS, random_state=0).fit(X, y, X_target=X_new)
alone = DeepAdaptationClassifier(max_epochs=EPOCHS, random_state=0).fit(X, y)
print(f"\n{'':10}{'no target':>12}{'as its own':>12}{'as mixture':>12}{'as the other':>14}")
for number, site in enumerate(NEW):
    rows, labels = data[site]
    scores = (
        alone.score(rows, labels),
        both.score(rows, labels, domain=number),
        both.score(rows, labels),
        both.score(rows, labels, domain=1 - number),
    )
    print(
        f"{site:10}"
        + "".join(f"{100 * s:{w}.1f}" for s, w in zip(scores, (12, 12, 12, 14), strict=True))
    )

# %%
# One table, one column of sites
# ------------------------------
# Often all rows are in one table. ``sample_domain`` says what they are: positive numbers are
# sources, negative ones targets, each number a hospital. Labels of target rows are not looked at.
# :func:`skda.stack_domains` makes such a table; it is the same training, to the last bit.

X_all, y_all, domain = stack_domains(X, y, X_new)
print("\nrows by domain:", dict(zip(*np.unique(domain, return_counts=True), strict=True)))
stacked = DANNClassifier(max_epochs=EPOCHS, random_state=0)
stacked.fit(X_all, y_all, sample_domain=domain)
assert np.array_equal(stacked.predict(X_new[0]), both.predict(X_new[0]))

# %%
# A hospital that comes later
# ---------------------------
# Nobody wants to train anew for each. AdaBN replaces the statistics of the norms by those of the
# new rows, in a few forwards; ``adapt`` does so for a fitted model.

late = AdaBNClassifier(max_epochs=EPOCHS, random_state=0).fit(X, y)
for site in NEW:
    rows, labels = data[site]
    before = 100 * late.score(rows, labels)
    after = 100 * late.adapt(rows).score(rows, labels)
    print(f"{site}: {before:.1f} % before, {after:.1f} % after")

# %%
# The picture
# -----------

figure, axis = plt.subplots(figsize=(7, 3.8), layout="constrained")
width = 0.2
for number, (name, scores) in enumerate(left_out.items()):
    places = np.arange(len(LABELLED)) + width * (number - 1.5)
    axis.bar(places, scores, 0.9 * width, label=name)
axis.set(xticks=range(len(LABELLED)), xticklabels=LABELLED, ylim=(0, 100))
axis.set(xlabel="hospital that is left out", ylabel="accuracy there (%)")
axis.legend(ncols=4, loc="lower center")
figure.savefig("hospitals.png", dpi=120)
plt.show()
print(f"saved hospitals.png after {time.perf_counter() - start:.0f} s")
