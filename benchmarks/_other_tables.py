"""Sections of the page of the evidence on the peers and on the book chapter's comparison."""

import json
from collections import defaultdict

import numpy as np
from _rst import list_table, spread

PEERS = """\
Other libraries
---------------

The same arrays, the same network (128 and 64 units, with batch norms), 40 epochs of batches of 64
rows of either domain; everything else is what each library does by itself, such as weights,
schedules and the adversary. Accuracy on the target after the last epoch, mean ± standard deviation
over the random states; the best of a line is bold. *mended* is skada with a discriminator that ends
in a sigmoid: its own ends in a softmax over one unit, which has no gradient. embetter adapts
nothing: there it is a network in front of a logistic regression. An epoch of pytorch-adapt is one
over the target, as in its data sets, and so from amazon to webcam of 4 steps where others make 12.
MNIST to USPS are 2000 and 1800 digits as 256 columns of unit norm. skada's CORAL moves the mean of
the source onto that of the target too; skda's leaves means to a step before it.
ADAPT needs TensorFlow, which was not there. ``python benchmarks/bench_peers.py`` measures it again.
"""
COSTS = """\
What it costs: processor time over that of skda for the same method and rows by task, and peak
memory beyond data and imports, as medians over networks (those of all the methods above but CORAL
and TCA), and lines of code that a user writes, with the network where the library has none.
"""
NO_NETWORKS = ("CORAL", "TCA")
CHAPTER = """\
From pixels to adversaries
--------------------------

The comparison of the book chapter, shallow < features of a network < DDC < DAN < DANN, on
photographs of Office-Caltech10 with a MobileNetV2 that was trained on ImageNet: the chapter has
Office-31 and AlexNet, with 20.8 (TCA), 18.8 (GFK), 52.5 (CNN), 59.5 (DDC), 65.0 (DAN) and 70.4
(DANN) from amazon to webcam. Here 20 photographs of a class of the source have labels, and the
network's last block is trained for 10 epochs. *SURF* and *features* are a logistic regression on
histograms and on the network's pooled features, alone or after a transformer. Last epoch, mean ±
standard deviation over the random states. ``python benchmarks/bench_chapter.py`` measures it again.

As there, histograms are far below features, and these below DAN and DANN. Unlike there, DDC is no
better than fine-tuning on the source alone, at trade-offs of 1, 3 and 10 alike; and that no better
than a regression on the features: 80 to 200 photographs are few for the last block.
"""


def lines_of(path):
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def chapter_lines(path):
    """Lines of the section, none if nothing is measured."""
    accuracies = defaultdict(list)
    fits = lines_of(path)
    for fit in fits:
        accuracies[fit["method"], fit["pair"]].append(fit["accuracy"])
    if not fits:
        return []
    methods, pairs = (list(dict.fromkeys(key[n] for key in accuracies)) for n in (0, 1))
    rows = [["Method", *(pair.replace("-", " to ") for pair in pairs)]]
    for method in methods:
        own = [accuracies.get((method, pair)) for pair in pairs]
        rows.append([method, *("-" if values is None else spread(values) for values in own)])
    return [CHAPTER, *list_table(rows)]


def peer_lines(path):
    """Lines of the section, none if nothing is measured."""
    fits = lines_of(path)
    if not fits:
        return []
    names = sorted({fit["library"] for fit in fits}, key=lambda name: (name != "skda", name))
    by_cell = defaultdict(list)
    for fit in fits:
        by_cell[fit["task"], fit["method"], fit["library"]].append(fit)
    rows = [["Task", "Method", *names]]
    for task, method in dict.fromkeys(key[:2] for key in by_cell):
        own = [by_cell.get((task, method, name), []) for name in names]
        best = max(map(accuracy_of, own))
        cells = [peer_cell(found, accuracy_of(found) == best) for found in own]
        rows.append([task, method, *cells])
    versions = sorted({f"{fit['library'].partition(',')[0]} {fit['version']}" for fit in fits})
    versions = f"Versions: {', '.join(versions)}."
    return [PEERS, *list_table(rows), COSTS, *list_table(cost_rows(fits, names)), versions, ""]


def accuracy_of(fits):
    values = [fit["accuracy"] for fit in fits if "accuracy" in fit]
    return float(np.mean(values)) if values else -np.inf


def peer_cell(fits, is_best):
    own = [fit["accuracy"] for fit in fits if "accuracy" in fit]
    if not own:
        return "cannot" if fits else "-"
    return f"**{spread(own)}**" if is_best else spread(own)


def cost_rows(fits, names):
    """Time by task, memory and lines by library, of the networks."""
    fits = [fit for fit in fits if "accuracy" in fit and fit["method"] not in NO_NETWORKS]
    tasks = list(dict.fromkeys(fit["task"] for fit in fits))
    own = defaultdict(dict)
    for fit in fits:
        own[fit["library"]][fit["task"], fit["method"], fit["state"]] = fit
    rows = [["Library", *(f"time, {task}" for task in tasks), "memory", "lines of code"]]
    for name in names:
        times = []
        for task in tasks:
            ratios = [
                fit["seconds"] / own["skda"][key]["seconds"]
                for key, fit in own[name].items()
                if key in own["skda"] and key[0] == task
            ]
            times.append(f"{np.median(ratios):.1f}" if ratios else "-")
        lines = sorted({fit["lines"] for fit in own[name].values()})
        span = " to ".join(map(str, dict.fromkeys(lines[:1] + lines[-1:])))
        megabytes = [fit["megabytes"] for fit in own[name].values()]
        memory = f"{np.median(megabytes):.0f} MB" if megabytes else "-"
        rows.append([name, *times, memory, span or "-"])
    return rows
