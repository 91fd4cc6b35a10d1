"""The tables of the page about the choice of a method, from the classes and from what was measured.

    python docs/_tables.py

writes docs/guide/which_method_takes.inc and docs/guide/which_method_costs.inc. What a method takes
is read from its class; time, memory and accuracy are those of docs/costs.json, which
``benchmarks/bench_costs.py --store`` writes. tests/test_which_method.py compares the files with the
classes.
"""

import inspect
import json
import math
from pathlib import Path

import skda.adaptation
import skda.subspace
from skda.base import DeepAdaptationClassifier

DOCS = Path(__file__).parent
ROWS = {"table": "table", "image": "image", "series": "series"}
METHODS = [
    getattr(module, name)
    for module in (skda.adaptation, skda.subspace)
    for name in sorted(module.__all__, key=str.lower)
    if inspect.isclass(getattr(module, name))
]


def is_deep(method):
    """Whether it trains a network."""
    return issubclass(method, DeepAdaptationClassifier)


def link(method):
    """Return a reference to a class, without what all names have in common."""
    package = method.__module__.split("._")[0]
    package = "skda.adaptation" if package.startswith("skda.adaptation") else package
    name = method.__name__
    return f":class:`{name.removesuffix('Classifier')} <{package}.{name}>`"


def rows(method):
    """Return what it can be trained on."""
    if not is_deep(method):
        return "table"
    kinds = [kind for kind in ROWS if kind in method.row_kinds]
    return "any" if set(method.row_kinds) >= {*ROWS, "text"} else ", ".join(kinds)


def several_targets(method):
    """Return how it sees more than one target."""
    if not is_deep(method):
        return "as one" if method.__name__ in skda.subspace.__all__ else "own mean"
    return "own norms" if method().batch_norm == "domain" else "shared norms"


def takes_target_labels(method):
    """Whether labels of a few target rows reach the loss, which those of AdaBN cannot."""
    return is_deep(method) and "trade_off" in method().get_params()


def takes_shares(method):
    """Whether the shares of the target's classes can be given or estimated."""
    return "target_shares" in method().get_params()


def own_parameters(method):
    """Return the parameters that other methods of its kind do not have."""
    if is_deep(method):
        known = set(DeepAdaptationClassifier().get_params())
    else:
        known = {"coef0", "degree", "gamma", "kernel", "n_landmarks", "random_state"}
    return sorted(set(method().get_params()) - known)


def list_table(header, widths, lines):
    """Return a table of reStructuredText."""
    text = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for cells in (header, *lines):
        for number, cell in enumerate(cells):
            text.append(f"   {'*' if not number else ' '} - {cell}".rstrip())
    return "\n".join(text) + "\n"


def takes():
    """Return the table of what every method takes."""
    lines = [
        (
            link(method),
            rows(method),
            several_targets(method),
            "yes" if takes_target_labels(method) else "",
            "yes" if takes_shares(method) else "",
            ", ".join(f"``{name}``" for name in own_parameters(method)),
        )
        for method in METHODS
    ]
    header = (
        "method",
        "rows",
        "several targets",
        "``y_target``",
        "shares",
        "parameters of its own",
    )
    return list_table(header, "20 14 12 9 9 36", lines)


def costs():
    """Return the table of what every method costs, by what it gains over the plain network."""
    measured = json.loads((DOCS / "costs.json").read_text(encoding="utf-8"))
    lines = []
    for method in METHODS:
        entry = measured.get(method.__name__)
        if entry is None:
            lines.append((-math.inf, (link(method), *["not measured"] * 4)))
            continue
        accuracy, spread = entry["accuracy"]
        gain = accuracy - entry["plain"][0]
        cells = (f"{accuracy:.1f} ± {spread:.1f}", f"{gain:+.1f}", f"{entry['times_plain']:.2g}")
        lines.append((gain, (link(method), *cells, str(entry["mib_over_plain"]))))
    header = ("method", "accuracy in %", "gain", "times plain", "MiB more")
    ordered = [cells for _, cells in sorted(lines, key=lambda line: -line[0])]
    return list_table(header, "32 22 14 16 16", ordered)


PAGES = {"which_method_takes.inc": takes, "which_method_costs.inc": costs}


def main():
    for name, table in PAGES.items():
        (DOCS / "guide" / name).write_text(table(), encoding="utf-8")


if __name__ == "__main__":
    main()
