"""Counts of all cells by room and outcome: ``python -m tests.matrix [room ...] [--cells]``."""

import importlib
import sys
from collections import Counter
from pathlib import Path

import torch

from ._judge import verdicts

ROOMS = ("losses", "metrics", "scorers", "subspace", "estimators")


def main(arguments):
    """Judge every cell of the rooms named, or of all."""
    torch.set_num_threads(1)
    sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest does
    for room in [name for name in arguments if not name.startswith("-")] or ROOMS:
        subjects = importlib.import_module(f".test_{room}", __package__).SUBJECTS
        counts = Counter()
        for subject in subjects:
            found = verdicts(subject)
            counts.update(verdict.outcome for _, _, verdict in found)
            if "--cells" in arguments:
                for parameter, kind, verdict in found:
                    if not verdict.good:
                        print(f"{subject.name}({parameter}={kind}): {': '.join(verdict)}")
        n_cells = sum(counts.values())
        n_bad = n_cells - counts["right"] - counts["clear"]
        print(f"{room}: {n_bad} bad of {n_cells} cells; {dict(counts.most_common())}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
