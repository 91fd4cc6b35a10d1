"""Figures of the evidence: from fits to accuracies by random state, gains, costs and choices."""

from collections import defaultdict

import numpy as np
from _evidence_methods import LINEAR, METHODS, SOURCE_ONLY, has_no_target, is_shallow
from _evidence_tasks import TASKS


class Figures:
    """What the fits of a file say, by task and method.

    A random state counts only where every pair of the task is measured.
    """

    def __init__(self, cells):
        self.fits = defaultdict(dict)  # task, method -> (state, pair) -> fit
        self.errors = {}
        for cell in cells.values():
            if "error" in cell:
                self.errors[cell["task"], cell["method"]] = cell["error"]
            else:
                place = cell["state"], cell["pair"]
                self.fits[cell["task"], cell["method"]][place] = cell

    def states(self, task, method):
        """The random states that are measured whole."""
        fits = self.fits.get((task, method), {})
        states = sorted({state for state, _ in fits})
        return [s for s in states if all((s, pair) in fits for pair in TASKS[task].pairs)]

    def accuracies(self, task, method):
        """Accuracies in per cent by random state, means over the pairs."""
        fits = self.fits.get((task, method), {})
        return [
            float(np.mean([fits[state, pair]["accuracy"] for pair in TASKS[task].pairs]))
            for state in self.states(task, method)
        ]

    def reference(self, task, method):
        """The better of what a method must beat: networks that saw no target, or the regression."""
        names = [LINEAR] if is_shallow(method) else list(SOURCE_ONLY)
        names = [name for name in names if self.states(task, name)]
        return max(names, key=lambda name: np.mean(self.accuracies(task, name)), default=None)

    def gain(self, task, method):
        """Points over the reference in the same random states, None if there are none."""
        reference = self.reference(task, method)
        if has_no_target(method) or reference is None:
            return None
        own, other = (
            dict(zip(self.states(task, name), self.accuracies(task, name), strict=True))
            for name in (method, reference)
        )
        differences = [own[state] - other[state] for state in own if state in other]
        return float(np.mean(differences)) if differences else None

    def cost(self, task, method):
        """Processor time over that of source only, the median over fits of the same rows."""
        plain = self.fits.get((task, "source only"), {})
        ratios = [
            fit["seconds"] / plain[place]["seconds"]
            for place, fit in self.fits.get((task, method), {}).items()
            if place in plain
        ]
        return float(np.median(ratios)) if ratios else None

    def measured(self, task):
        return [method for method in METHODS if self.states(task, method)]

    def candidates(self, task):
        """Networks with scores in all states in which any has them, among which to choose."""
        networks = [
            method
            for method in self.measured(task)
            if not is_shallow(method)
            and all("scores" in fit for fit in self.fits[task, method].values())
        ]
        most = max((len(self.states(task, method)) for method in networks), default=0)
        return [method for method in networks if len(self.states(task, method)) == most]

    def chosen(self, task, scorer):
        """Accuracies by state of what a scorer chooses for every pair, or "hindsight" does."""
        candidates = self.candidates(task)
        accuracies = []
        for state in self.states(task, candidates[0]):
            own = []
            for pair in TASKS[task].pairs:
                fits = [self.fits[task, method][state, pair] for method in candidates]
                if scorer == "hindsight":
                    own.append(max(fit["accuracy"] for fit in fits))
                else:
                    own.append(max(fits, key=lambda fit: fit["scores"][scorer])["accuracy"])
            accuracies.append(float(np.mean(own)))
        return accuracies
