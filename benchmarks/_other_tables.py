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
over three random states; processor time of a fit; peak memory beyond data and imports; lines of
code that a user writes. *mended* is skada with a discriminator that ends in a sigmoid: its own
ends in a softmax over one unit, which gives no gradient. embetter adapts nothing; it stands for a
network in front of a logistic regression. ADAPT needs TensorFlow, which was not there. The best
figure of a line is bold. ``python benchmarks/bench_peers.py`` measures it again.
"""
CHAPTER = """\
From pixels to adversaries
--------------------------

The comparison of the book chapter, shallow < features of a network < DDC < DAN < DANN, on
photographs of Office-Caltech10 with a MobileNetV2 that was trained on ImageNet: the chapter has
Office-31 and AlexNet, with 20.8 (TCA), 18.8 (GFK), 52.5 (CNN), 59.5 (DDC), 65.0 (DAN) and 70.4
(DANN) from amazon to webcam. Last epoch, mean ± standard deviation over the random states.
``python benchmarks/bench_chapter.py`` measures it again.
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
    by_cell = defaultdict(list)
    for fit in fits:
        by_cell[fit["task"], fit["method"], fit["library"]].append(fit)
    libraries = list(dict.fromkeys(fit["library"] for fit in fits))
    libraries.sort(key=lambda name: (name == "embetter", name != "skda"))
    rows = [["Task", "Method", *libraries]]
    for task, method in dict.fromkeys(key[:2] for key in by_cell):
        own = {name: by_cell.get((task, method, name), []) for name in libraries}
        best = max(map(accuracy_of, own.values()))
        cells = [peer_cell(found, accuracy_of(found) == best) for found in own.values()]
        rows.append([task, method, *cells])
    versions = ", ".join(
        sorted({f"{fit['library'].partition(',')[0]} {fit['version']}" for fit in fits})
    )
    return [PEERS, *list_table(rows), f"Versions: {versions}.", ""]


def accuracy_of(fits):
    values = [fit["accuracy"] for fit in fits if "accuracy" in fit]
    return float(np.mean(values)) if values else -np.inf


def peer_cell(fits, is_best):
    if not fits:
        return "-"
    own = [fit for fit in fits if "accuracy" in fit]
    if not own:
        return "cannot"
    accuracy = spread([fit["accuracy"] for fit in own])
    seconds, megabytes = (
        np.median([fit[name] for fit in own]) for name in ("seconds", "megabytes")
    )
    accuracy = f"**{accuracy}**" if is_best else accuracy
    return f"{accuracy}; {seconds:.1f} s, {megabytes:.0f} MB, {own[0]['lines']} lines"
