"""How well accuracy on a target without labels is estimated: 24 tasks, 13 models, 3 random states.

Two stages, each of which goes on where it was stopped. The first fits every model once and keeps,
in a file each, class probabilities, features and labels of held-out source rows and of the target:

    python benchmarks/bench_target_accuracy.py train --cache FOLDER

The second applies every estimate to the files and compares it with the true accuracy, apart for
the tasks on which constants and combinations were chosen and for those they never saw:

    python benchmarks/bench_target_accuracy.py judge --cache FOLDER --out FOLDER

Tasks with real data read the folder that SKDA_DATA names. The labels of the target are used by the
second stage alone, to judge.
"""

import argparse
import itertools
import json
import os
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from _study_models import MODELS, OTHER, fit
from _study_tasks import REPORT, TUNING, load_task

CACHE = Path(os.environ.get("SKDA_STUDY", Path.home() / ".cache" / "skda" / "target_accuracy"))


ROWS = "forest"  # the model whose features are the rows


def file_of(cache, task, model, seed):
    name = f"{task}__{model}__{seed}".replace(" ", "_").replace(",", "")
    return cache / f"{name}.npz"


def store(file, **arrays):
    """Write the whole file, or none: others may be reading the folder."""
    unfinished = file.with_name(f".{file.name}")
    np.savez_compressed(unfinished, **arrays)
    unfinished.rename(file)


def train(cache, tasks, models, seeds):
    cache.mkdir(parents=True, exist_ok=True)
    for seed, task in itertools.product(seeds, tasks):
        files = {name: file_of(cache, task, name, seed) for name in [OTHER, *models]}
        missing = [name for name, file in files.items() if not file.exists()]
        if not missing:
            continue
        data = load_task(task, seed, cache)
        start = time.process_time()
        for name in missing:
            arrays = fit(name, data, seed)
            if name != OTHER:
                with np.load(files[OTHER]) as other:
                    arrays["source_other_proba"] = other["source_proba"]
                    arrays["target_other_proba"] = other["target_proba"]
            names = {
                "task": task,
                "model": name,
                "random_state": seed,
                "half": "tuning" if task in TUNING else "report",
                "kind": "plain" if name == OTHER else MODELS[name][0],
            }
            store(files[name], **arrays, **names)
        accuracy = 100 * np.mean(arrays["target_proba"].argmax(axis=1) == arrays["target_y"])
        print(
            f"{task:26}{seed:3}{time.process_time() - start:8.1f} s"
            f"   {data[0].shape} {data[2].shape}, last model {accuracy:.1f} %",
            flush=True,
        )


# -- what judges them ---------------------------------------------------------------------------


def known(file, stored):
    """What is known of a file beside estimates."""
    accuracy = {
        domain: float(np.mean(stored[f"{domain}_proba"].argmax(axis=1) == stored[f"{domain}_y"]))
        for domain in ("source", "target")
    }
    return {
        "file": file.name,
        **{name: str(stored[name]) for name in ("task", "model", "half", "kind")},
        "random_state": int(stored["random_state"]),
        "fit_seconds": float(stored["fit_seconds"]),
        "truth": accuracy["target"],
        "source_accuracy": accuracy["source"],
    }


def judge(cache, out, methods, again):
    """Return a record for every file and method; those of an earlier call are not made again."""
    from _study_estimates import estimate

    out.mkdir(parents=True, exist_ok=True)
    lines = out / "estimates.jsonl"
    kept = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
    kept = [record for record in kept if record["method"] not in again]
    lines.write_text("".join(json.dumps(record) + "\n" for record in kept))
    done = {(record["file"], record["method"]) for record in kept}
    # By random state and task, whose references are the same for all models.
    for file in sorted(cache.glob("[!.]*__*__*.npz"), key=lambda file: (file.stem[-1], file.stem)):
        missing = [method for method in methods if (file.name, method) not in done]
        if OTHER.replace(" ", "_") in file.name or not missing:
            continue
        with np.load(file) as opened:
            stored = dict(opened)
        with np.load(file_of(cache, stored["task"], ROWS, stored["random_state"])) as opened:
            rows = dict(opened)
        for method in missing:
            record = {**known(file, stored), "method": method, **estimate(method, stored, rows)}
            kept.append(record)
            with lines.open("a") as appended:
                appended.write(json.dumps(record) + "\n")
    return kept


def report(records, out, methods):
    from _study_report import show, show_failures, write

    tables = show(records)
    best = min(
        (name for name in tables["tuning"] if not name.startswith("simple")),
        key=lambda name: tables["tuning"][name]["mae"],
    )
    show_failures(records, best)
    write(out, records, tables, methods)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("stage", choices=["train", "judge"])
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of the files")
    parser.add_argument("--tasks", nargs="+", default=[*TUNING, *REPORT])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--states", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=None, help="of tables and picture")
    parser.add_argument("--methods", nargs="+", default=None, help="estimates to judge")
    parser.add_argument("--again", nargs="+", default=[], help="estimates to make once more")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if options.stage == "train":
        train(options.cache, options.tasks, options.models, options.states)
        return
    from _study_estimates import BOUND, METHODS

    out = options.out or options.cache / "judged"
    records = judge(options.cache, out, options.methods or [*METHODS, BOUND], options.again)
    report(records, out, METHODS)


if __name__ == "__main__":
    main()
