"""The page of the evidence, as reStructuredText."""

import numpy as np
from _evidence_figures import Figures
from _evidence_methods import KNOWN, LEFT_OUT, METHODS, SOURCE_ONLY, has_no_target
from _evidence_run import SCORERS, missing, states_of
from _evidence_tasks import TASKS
from _other_tables import chapter_lines, peer_lines
from _rst import headed, list_table, red, signed, spread, wrapped

HEAD = """\
.. Made by ``python -m benchmarks page``: edit benchmarks/_evidence_page.py instead.

.. role:: negative

.. raw:: html

   <style>.negative {{ color: var(--pst-color-danger, #b00020); }}</style>

What it brings, measured
========================

What adaptation brings on ten tasks, with the defaults of every method, and where it does harm.

**Protocol.** Every method has its defaults; the random states are {states}, and nothing is chosen
by them. Accuracies in % are on the target, of the last epoch, mean ± standard deviation over the
random states. No target label was used for anything but these figures. *Source only* is the
network of the adaptation methods trained without a target, *plain* the same without batch norms;
a method's **gain** is over the better of the two, that of a transformer in front of a logistic
regression over the regression alone. A figure below that reference is :negative:`red`: there
adaptation does harm. A dash: that method takes tables alone. **Cost** is processor time over that
of *source only* on the same rows, one thread, measured while the machine did other work: a fifth
more or less says nothing, and of the series, SURF, deep features and the two digits, where it did
most, a cost may be twice that of a quiet machine.

"""
ORIGIN = (
    "Measured {dates} with {versions}. ``python -m benchmarks full`` measures it again, a part at "
    "a time, and ``python benchmarks/compare.py old.jsonl new.jsonl`` says what has changed beyond "
    "the spread of the random states."
)
PARTIAL = """\
.. note::

   The tables are not full yet: other dashes are figures that have not been measured; none is
   guessed. Where a random state is missing, the number of those that are there stands in
   brackets, in the table of all methods as *of 1*.

"""
CHOICE = """\
Chosen without labels
---------------------

What somebody gets who trains all networks of a task, source only among them, and keeps the one
that a scorer of :mod:`skda.model_selection` likes best on the target's unlabeled rows, in every
random state. *Hindsight* is the best one by target labels, which nobody has.
"""


def said(figures, task, method, n_states, note="{} of {} states"):
    """Mean ± spread of the accuracies, and of how many random states if some are missing."""
    values = figures.accuracies(task, method)
    if not values:
        return "-"
    # Nothing is random about a transformer where the rows are not: one fit says it all.
    is_short = len(values) < len(states_of(task, method, range(n_states)))
    return spread(values) + (f" ({note.format(len(values), n_states)})" if is_short else "")


def overview(figures, n_states):
    """All methods, a column for every task."""
    tasks = [name for name in TASKS if figures.measured(name)]
    rows = [["Method", *(TASKS[name].title for name in tasks), "mean gain (tasks)"]]
    for method in METHODS:
        cells, gains = [], []
        for task in tasks:
            gain = figures.gain(task, method)
            text = said(figures, task, method, n_states, note="of {}")
            text = "cannot" if (task, method) in figures.errors else text
            cells.append(red(text) if gain is not None and gain < 0 else text)
            gains += [] if gain is None else [gain]
        if any(cell != "-" for cell in cells):
            mean = f"{signed(np.mean(gains))} ({len(gains)})" if gains else ""
            rows.append([method, *cells, mean])
    return list_table(rows)


def by_gain(figures, task):
    """References first, then what was measured from the greatest gain to the greatest loss."""
    measured = figures.measured(task)
    references = [method for method in measured if has_no_target(method)]
    others = [method for method in measured if not has_no_target(method)]
    gains = {method: figures.gain(task, method) for method in others}
    unknown = -np.inf
    return [
        *references,
        *sorted(others, key=lambda name: unknown if gains[name] is None else gains[name])[::-1],
    ]


def task_lines(figures, name, n_states):
    task = TASKS[name]
    rows = [["Method", "Accuracy", "Gain", "Cost"]]
    for method in by_gain(figures, name):
        gain, cost = figures.gain(name, method), figures.cost(name, method)
        rows.append(
            [
                method,
                said(figures, name, method, n_states),
                "" if gain is None else signed(gain),
                "-" if cost is None else f"{cost:.2f}",
            ]
        )
    lines = [*headed(task.title), *wrapped(task.protocol), *list_table(rows)]
    for (of, method), error in figures.errors.items():
        if of == name:
            lines += wrapped(f"*{method}* cannot: {error}")
    return lines


def choice_lines(figures):
    head = ["Task", "networks", "source only", *SCORERS, "hindsight"]
    rows = [head]
    for name, task in TASKS.items():
        candidates = figures.candidates(name)
        # A choice between a few says little.
        if len(candidates) < 5 or not set(SOURCE_ONLY) <= set(candidates):
            continue
        chosen = [spread(figures.chosen(name, scorer)) for scorer in (*SCORERS, "hindsight")]
        reference = spread(figures.accuracies(name, figures.reference(name, KNOWN[0])))
        rows.append([task.title, len(candidates), reference, *chosen])
    return [CHOICE, *list_table(rows)] if len(rows) > 1 else []


def page(cells, states, results=None):
    """Return the text of the page; `results` is the folder of the other tables."""
    figures = Figures(cells)
    dates = sorted({cell["date"] for cell in cells.values()})
    versions = sorted({cell["versions"] for cell in cells.values()})
    origin = ORIGIN.format(
        dates=" to ".join(dict.fromkeys([dates[0], dates[-1]])), versions="; ".join(versions)
    )
    lines = [HEAD.format(states=", ".join(map(str, states))), *wrapped(origin)]
    left = missing(cells, states)
    lines += [PARTIAL] if left else []
    lines += [*headed("All methods"), *overview(figures, len(states))]
    left_out = "; ".join(f"*{name}* {reason}" for name, reason in LEFT_OUT.items())
    lines += wrapped(f"Not in the table: {left_out}.")
    for name in TASKS:
        if figures.measured(name):
            lines += task_lines(figures, name, len(states))
    lines += choice_lines(figures)
    if results is not None:
        lines += [*chapter_lines(results / "chapter.jsonl"), *peer_lines(results / "peers.jsonl")]
    if left:
        lines += [*headed("Not measured yet"), *(f"- {line}" for line in left), ""]
    return "\n".join(lines).rstrip() + "\n"


def write_page(path, cells, states, results=None):
    path.write_text(page(cells, states, results), encoding="utf-8")
