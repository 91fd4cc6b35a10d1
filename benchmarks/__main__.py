"""The evidence: what the methods do with their defaults, and the page that says so.

    python -m benchmarks                 # quick: four small tasks, under five minutes on two cores
    python -m benchmarks full            # everything; goes on where it was stopped
    python -m benchmarks full --tasks shifted office --methods DANN CDAN --states 0 1 2
    python -m benchmarks page            # docs/benchmarks.rst from what has been measured

Every fit adds a line to the file of results, and those that it holds are not done again. Methods
have their defaults, accuracies are those of the last epoch, and no target label is used for
anything but them. ``python benchmarks/compare.py old.jsonl new.jsonl`` says what has changed.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # benchmarks find each other, however they are started

from _evidence_methods import KNOWN, LINEAR, METHODS, SOURCE_ONLY  # noqa: E402
from _evidence_page import write_page  # noqa: E402
from _evidence_run import left_over, missing, read, run  # noqa: E402
from _evidence_tasks import TASKS  # noqa: E402

RESULTS = HERE / "results"
QUICK_METHODS = [*SOURCE_ONLY, LINEAR, *KNOWN[:5], "CORAL", "SubspaceAlignment"]


def parse():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("what", nargs="?", default="quick", choices=("quick", "full", "page"))
    parser.add_argument("--tasks", "--parts", nargs="+", choices=TASKS, help="default: all")
    parser.add_argument("--methods", nargs="+", choices=METHODS, help="default: all")
    parser.add_argument("--states", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--max-epochs", type=int, help="fewer than the default, for a trial")
    parser.add_argument("--jobs", type=int, help="fits at a time (default: 2 of quick, else 1)")
    parser.add_argument("--out", type=Path, help="file of results (JSON lines)")
    parser.add_argument("--page", type=Path, help="where to write the page (.rst)")
    options = parser.parse_args()
    if options.max_epochs is not None and options.out is None:
        parser.error("--max-epochs is for trials, which need a file of their own: give --out")
    return options


def main():
    options = parse()
    is_quick = options.what == "quick"
    quick_tasks = [name for name, task in TASKS.items() if task.is_quick]
    tasks = options.tasks or (quick_tasks if is_quick else list(TASKS))
    methods = options.methods or (QUICK_METHODS if is_quick else METHODS)
    out = options.out or RESULTS / ("quick.jsonl" if is_quick else "full.jsonl")
    if options.what != "page":
        params = {} if options.max_epochs is None else {"max_epochs": options.max_epochs}
        n_jobs = options.jobs or (2 if is_quick else 1)
        run(out, left_over(read(out), tasks, methods, options.states), params, n_jobs)
    cells = read(out)
    default = out.with_suffix(".rst") if is_quick else HERE.parent / "docs" / "benchmarks.rst"
    page = options.page or default
    write_page(page, cells, options.states, None if is_quick else RESULTS)
    print(f"wrote {page}")
    left = missing(cells, options.states, tasks, methods)
    print("nothing is missing" if not left else "not measured yet:\n  " + "\n  ".join(left))


if __name__ == "__main__":
    main()
