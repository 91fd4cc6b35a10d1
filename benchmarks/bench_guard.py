"""How often AdaptationGuard keeps the better of an adaptation and a fallback, and what it costs.

The models are those of the study of accuracy without labels: bench_target_accuracy.py trains them
and leaves what they predict in a folder. Here the guard gets each of them again, as a classifier
that knows its predictions by heart, with the held-out source rows as X_val and the target rows
without their labels. The eight adaptations (two of them go astray on purpose) are candidates
against the plain network without a target, and against a random forest.

    python benchmarks/bench_target_accuracy.py train --cache FOLDER
    python benchmarks/bench_guard.py judge --cache FOLDER --out records.jsonl
    python benchmarks/bench_guard.py table --out records.jsonl

The first step goes on where it was stopped; the second prints, for the tuning half of the tasks,
on which the rule was chosen, and for the report half: how often the better one was kept (a
difference of at most one point is none), the mean and the greatest regret in points of accuracy,
and that beyond the spread, which is twice the standard error of the difference on the target
rows. "of all" lets the guard choose among the eight adaptations at once; its regret is that
against the fallback and against the best of all.
"""

import argparse
import json
import time
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch

from skda.model_selection import AdaptationGuard
from skda.model_selection._common_rows import CommonRows
from skda.model_selection._judgement import VIEWS

ADAPTED = ("AdaBN", "DANN", "CDAN", "DeepCORAL", "DAN", "MCD", "DANN astray", "entropy alone")
FALLBACKS = ("plain", "forest")
ROWS = "logistic"  # its features are the rows, or 64 principal components of them


class Remembered:
    """A function of rows and labels that is called again with the same ones: for both fallbacks."""

    def __init__(self, function, key):
        self.function, self.key, self.known = function, key, {}

    def __get__(self, rows, owner=None):
        return self if rows is None else lambda labels: self(rows, labels)

    def __call__(self, *args):
        key = hash(self.key(*args))
        if key not in self.known:
            self.known[key] = self.function(*args)
        return self.known[key]


# A model's labels come back alike against both fallbacks.
FOUND_BACK = mock.patch.object(
    CommonRows,
    "is_found_back",
    Remembered(
        CommonRows.is_found_back,
        lambda rows, labels: (rows.scalings[0][1].tobytes(), labels.tobytes()),
    ),
)
NO_BOUND = mock.Mock(return_value=Bunch(lower_bound=0.0))
MARGIN = 0.0
TIE = 0.01
# Weights of the views, and of the difference of estimated accuracies.
RULES = {
    "estimates": {"estimate": 1.0},
    "smoothness": {"smoothness": 1.0},
    "way back": {"way back": 1.0},
    "judges": {"judges": 1.0},
    "smoothness and way back": {"smoothness": 0.5, "way back": 0.5},
    "all three alike": dict.fromkeys(VIEWS, 1 / 3),
    "all three (the guard)": VIEWS,
}
GUARD = RULES["all three (the guard)"]


class Recorded(ClassifierMixin, BaseEstimator):
    """A classifier that knows its probabilities for rows of two domains by heart."""

    def __init__(self, source, target):
        self.source = source
        self.target = target
        self.classes_ = np.arange(source.shape[1])

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y):
        return self

    def predict_proba(self, X, domain="target"):
        return self.source if domain == "source" else self.target

    def predict(self, X, domain="target"):
        return self.predict_proba(X, domain).argmax(axis=1)


def file_of(cache, task, model, state):
    name = "__".join((task, model, str(state))).replace(" ", "_").replace(",", "")
    return cache / f"{name}.npz"


def load(file):
    with np.load(file) as arrays:
        return dict(arrays)


def recorded(arrays):
    """Return the classifier, and which of its target rows it has right."""
    probabilities = [
        p.astype(float) / p.sum(axis=1, keepdims=True)
        for p in (arrays["source_proba"], arrays["target_proba"])
    ]
    is_right = probabilities[1].argmax(axis=1) == arrays["target_y"]
    return FrozenEstimator(Recorded(*probabilities)), is_right


def judge_one(cache, task, state, name):
    """Return the record of a guard over all adaptations of a task."""
    rows = load(file_of(cache, task, ROWS, state))
    fallback, is_right = recorded(load(file_of(cache, task, name, state)))
    parts = {model: recorded(load(file_of(cache, task, model, state))) for model in ADAPTED}
    candidates = [(model, part) for model, (part, _) in parts.items()]
    # The estimate that is shown does not decide: the cheapest one. Nor does the bound.
    guard = AdaptationGuard(candidates, fallback, method="doc", margin=MARGIN, random_state=0)
    start = time.process_time()
    held_out = rows["source_features"].astype(float), rows["source_y"]
    with mock.patch("skda.model_selection._judgement.disagreement_bound", NO_BOUND), FOUND_BACK:
        guard.fit(
            *held_out,
            X_target=rows["target_features"].astype(float),
            X_val=held_out[0],
            y_val=held_out[1],
        )
    seconds = time.process_time() - start
    first, *others = guard.verdict_.candidates
    entries = []
    for part in others:
        right = parts[part.name][1]
        gain = right.astype(float) - is_right
        entries.append(
            {
                "model": part.name,
                "gain": gain.mean(),
                "spread": 2 * gain.std() / np.sqrt(len(gain)),
                "advantage": part.advantage,
                "interval": [part.advantage_lower, part.advantage_upper],
                "views": {**part.views, "estimate": part.estimate - first.estimate},
                "objection": part.objection,
            }
        )
    return {
        "task": task,
        "state": state,
        "fallback": name,
        "half": str(rows["half"]),
        "accuracy": is_right.mean(),
        "kept": guard.best_name_,
        "seconds": seconds,
        "candidates": entries,
    }


def judge(cache, out):
    """Append a record for every task, random state and fallback whose files are all there."""
    lines = out.read_text().splitlines() if out.exists() else []
    known = {tuple(json.loads(line)[k] for k in ("task", "state", "fallback")) for line in lines}
    for file in sorted(cache.glob(f"[!.]*__{ROWS}__*.npz"), key=lambda path: path.stem[::-1]):
        task, _, state = file.stem.split("__")
        needed = [file_of(cache, task, model, state) for model in (*FALLBACKS, *ADAPTED)]
        if not all(path.exists() for path in needed):
            continue
        for name in FALLBACKS:
            if (task, state, name) not in known:
                record = judge_one(cache, task, state, name)
                with out.open("a") as stream:
                    stream.write(json.dumps(record, default=float) + "\n")
                print(task, state, name, "keeps", record["kept"], flush=True)


def is_vetoed(candidate):
    """Whether something else than its advantage speaks against an adaptation."""
    objection = candidate["objection"]
    return objection is not None and "margin" not in objection


def decisions(record, rule):
    """Yield gain, spread and whether it is kept, of every adaptation alone."""
    for candidate in record["candidates"]:
        advantage = sum(weight * candidate["views"][view] for view, weight in rule.items())
        kept = advantage > MARGIN and not is_vetoed(candidate)
        yield candidate["gain"], candidate["spread"], kept


def summary(pairs):
    """Return shares and regrets of decisions, in percent and points."""
    gain, spread, kept = (np.array(column) for column in zip(*pairs, strict=True))
    regret = np.maximum(np.where(kept, -gain, gain), 0)
    beyond = np.maximum(regret - spread, 0)
    figures = (np.mean(regret <= TIE), regret.mean(), regret.max(), beyond.mean(), beyond.max())
    return "  ".join(f"{100 * figure:6.1f}" for figure in figures)


def chosen_of_all(record):
    """Return what the guard loses against the fallback, and against the best of all."""
    gains = {candidate["model"]: candidate["gain"] for candidate in record["candidates"]}
    gain = gains.get(record["kept"], 0.0)
    return max(-gain, 0), max(0, *gains.values()) - gain, gain


def table(out):
    """Print the figures."""
    records = [json.loads(line) for line in out.read_text().splitlines()]
    print("kept the better (%)  mean and greatest regret  the same beyond the spread (points)")
    for half in ("tuning", "report"):
        for name in FALLBACKS:
            group = [r for r in records if (r["half"], r["fallback"]) == (half, name)]
            if not group:
                continue
            pairs = [pair for record in group for pair in decisions(record, {})]
            print(f"\n{half}, fallback {name}: {len(group)} guards, {len(pairs)} pairs")
            always, never = ([(g, s, keep) for g, s, _ in pairs] for keep in (True, False))
            print(f"  {'always adapted':28s}{summary(always)}")
            print(f"  {'never adapted':28s}{summary(never)}")
            for label, rule in RULES.items():
                made = [pair for record in group for pair in decisions(record, rule)]
                print(f"  {label:28s}{summary(made)}")
            kinds = {"adapted": ADAPTED[:6], "astray on purpose": ADAPTED[6:]}
            for label, models in kinds.items():
                made = [
                    pair
                    for record in group
                    for pair, part in zip(
                        decisions(record, GUARD), record["candidates"], strict=True
                    )
                    if part["model"] in models
                ]
                print(f"    {'of these ' + label:26s}{summary(made)}")
            harm, regret, gain = 100 * np.array([chosen_of_all(record) for record in group]).T
            print(
                f"  of all: gain {gain.mean():.1f} over the fallback, harm {harm.mean():.1f} "
                f"(at worst {harm.max():.1f}), behind the best {regret.mean():.1f}"
            )
            found = [c for record in group for c in record["candidates"] if not is_vetoed(c)]
            true, seen = (np.array([c[key] for c in found]) for key in ("gain", "advantage"))
            inside = np.mean([c["interval"][0] <= c["gain"] <= c["interval"][1] for c in found])
            print(
                f"  advantage against true gain: correlation {np.corrcoef(true, seen)[0, 1]:.2f}, "
                f"mean absolute error {100 * np.abs(true - seen).mean():.1f}, in the interval "
                f"{100 * inside:.0f} %"
            )
    seconds = np.mean([record["seconds"] for record in records])
    print(f"\nCPU seconds a guard without its fits and the bound: {seconds:.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("judge", "table"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "skda_study")
    parser.add_argument("--out", type=Path, default=Path("guard.jsonl"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.step == "judge":
        judge(args.cache, args.out)
    table(args.out)


if __name__ == "__main__":
    main()
