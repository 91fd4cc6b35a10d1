"""The cells of the evidence: what is to be measured, and a file of JSON lines with what was."""

import datetime
import json
import platform
import time
import warnings
from functools import cache

import numpy as np
import sklearn
import skorch
import torch
from _evidence_methods import FIRST, METHODS, has_no_target, is_shallow, make_estimator
from _evidence_tasks import TASKS
from joblib import Parallel, delayed

import skda
from skda.model_selection import (
    BatchNuclearNormScorer,
    ClassCorrelationScorer,
    InformationMaximizationScorer,
    SoftNeighborhoodDensityScorer,
)

# They cost next to nothing once the network is trained.
SCORERS = {
    "information maximization": InformationMaximizationScorer,
    "nuclear norm": BatchNuclearNormScorer,
    "class correlation": ClassCorrelationScorer,
    "neighbourhood density": SoftNeighborhoodDensityScorer,
}
# What is said of every fit.
ORIGIN = {
    "date": f"{datetime.date.today()}",
    "versions": ", ".join(
        f"{module.__name__} {module.__version__}" for module in (skda, torch, sklearn, skorch, np)
    ),
    "python": platform.python_version(),
}


def key_of(cell):
    """What a line of the file is about."""
    return cell["task"], cell["pair"], cell["method"], cell["state"]


def read(path):
    """Return what a file holds by `key_of`; a line that was cut off does not count."""
    cells = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            cell = json.loads(line)
        except json.JSONDecodeError:
            continue
        cells[key_of(cell)] = cell
    return cells


def plan(tasks, methods, states):
    """Return what is to be measured: the best known methods first, and the cheapest tasks."""
    known = [name for name in methods if name in FIRST]
    return [
        {"task": task, "pair": pair, "method": method, "state": state}
        for group in (known, [name for name in methods if name not in FIRST])
        for task in tasks
        for method in group
        for state in states_of(task, method, states)
        for pair in TASKS[task].pairs
    ]


def states_of(task, method, states):
    """Nothing is random about a transformer: it needs one state where the rows do not either."""
    if not is_shallow(method):
        return states
    if not TASKS[task].has_short_rows:
        return []
    return states if TASKS[task].is_drawn else states[:1]


def left_over(cells, tasks, methods, states):
    return [cell for cell in plan(tasks, methods, states) if key_of(cell) not in cells]


@cache
def warm_up():
    """Once in a process: the first fit of all takes seconds that are not a method's."""
    X, y = np.random.RandomState(0).rand(20, 4).astype(np.float32), np.arange(20) % 2
    make_estimator("AdaBN", 0, max_epochs=1).fit(X, y, X_target=X)


def measure(cell, params):
    """Fit a cell and return it with its figures, or with the error of a method that cannot."""
    torch.set_num_threads(1)
    with sklearn.config_context(enable_metadata_routing=True), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warm_up()
        return {**cell, **ORIGIN, **figures_of(cell, params)}


def figures_of(cell, params):
    X, y, X_target, X_test, y_test = TASKS[cell["task"]].load(cell["pair"], cell["state"])
    own = {} if is_shallow(cell["method"]) else params
    estimator = make_estimator(cell["method"], cell["state"], **own)
    target = {} if has_no_target(cell["method"]) else {"X_target": X_target}
    start = time.process_time()
    try:
        estimator.fit(X, y, **target)
    except (TypeError, ValueError) as error:  # the page says which methods cannot, and why
        return {"error": str(error)[:300]}
    seconds = time.process_time() - start
    scores = {name: scorer()(estimator, X, X_target=X_target) for name, scorer in SCORERS.items()}
    return {
        "seconds": round(seconds, 3),
        "accuracy": round(100 * float(np.mean(estimator.predict(X_test) == y_test)), 3),
        "scores": {name: round(float(score), 5) for name, score in scores.items()},
    }


def run(path, cells, params, n_jobs=1):
    """Measure cells, and add a line to the file for each as soon as it is done."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.read_text()[-1:] not in ("", "\n"):
        # A line that was cut off must not swallow the next one.
        with path.open("a") as file:
            file.write("\n")
    results = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
        delayed(measure)(cell, params) for cell in cells
    )
    for number, result in enumerate(results, 1):
        with path.open("a") as file:
            file.write(json.dumps(result) + "\n")
        said = f"{result['accuracy']:5.1f} %" if "accuracy" in result else "  cannot"
        print(
            f"{number:5} of {len(cells)}  {said}  {' '.join(map(str, key_of(result)))}", flush=True
        )


def missing(cells, states, tasks=tuple(TASKS), methods=tuple(METHODS)):
    """Return lines that say what is not measured yet."""
    lines = []
    for task in tasks:
        left = left_over(cells, [task], methods, states)
        names = list(dict.fromkeys(cell["method"] for cell in left))
        if left:
            said = ", ".join(names) if len(names) < 10 else f"{len(names)} methods"
            lines.append(f"{TASKS[task].title}: {len(left)} fits of {said}")
    return lines
