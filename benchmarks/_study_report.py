"""Tables and the picture of the study of accuracy without labels."""

import json
from math import isnan

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from _study_estimates import BOUND
from _study_judge import KINDS, best_combination, bound_summary, column, combined, summary

# Of Okabe and Ito, with a shape each for who sees no colour.
LOOKS = {
    "plain": ("#000000", "s"),
    "adapted": ("#0072B2", "o"),
    "collapsed": ("#D55E00", "X"),
    "classic": ("#009E73", "^"),
}
COLUMNS = {
    "mae": "mean absolute error",
    "mae_spread": "spread",
    "bias": "bias",
    "coverage": "coverage",
    "width": "width",
    "rank": "rank correlation",
    "rank_within": "within a task",
    **{f"mae_{kind}": kind for kind in KINDS},
    "cost": "part of a fit",
}
DIGITS = {"mae_spread": 1, "coverage": 0, "rank": 2, "rank_within": 2, "cost": 3}


def cell(name, value):
    if isnan(value):
        return "-"
    value = 100 * value if name == "coverage" else value
    return f"{value:.{DIGITS.get(name, 1)}f}"


def of_half(records, half):
    """Return the records of a half by method."""
    by_method = {}
    for record in records:
        if record["half"] == half:
            by_method.setdefault(record["method"], []).append(record)
    return by_method


def summaries(records):
    """Return {half: {method: figures}}, with the combination that is best on the tuning half."""
    halves = {half: of_half(records, half) for half in ("tuning", "report")}
    for by_method in halves.values():
        by_method.pop(BOUND, None)
    singles = [name for name in halves["tuning"] if name not in ("source score", "combined")]
    chosen = best_combination(halves["tuning"], singles) if len(singles) > 1 else None
    for by_method in halves.values():
        if chosen and by_method:
            by_method[f"simple: {chosen[0]}"] = combined(by_method, *chosen[1:])
    return {
        half: {method: summary(part) for method, part in by_method.items()}
        for half, by_method in halves.items()
    }


def worst_cases(records, method, n_cases=12):
    """Return the records of the report half on which an estimate was off most."""
    own = [r for r in records if r["method"] == method and r["half"] == "report"]
    return sorted(own, key=lambda record: -abs(record["estimate"] - record["truth"]))[:n_cases]


def by_task(records, method):
    """Return {task: (mean truth, figures)} of one method over the tasks of both halves."""
    groups = {}
    for record in records:
        if record["method"] == method:
            groups.setdefault((record["half"], record["task"]), []).append(record)
    return {
        key: (100 * column(group, "truth").mean(), summary(group)) for key, group in groups.items()
    }


def show(records):
    tables = summaries(records)
    for half, table in tables.items():
        print(f"\n{half}: points of accuracy, coverage in per cent")
        print(" " * 30 + "".join(f"{title[:13]:>14}" for title in COLUMNS.values()))
        for method, figures in table.items():
            cells = "".join(f"{cell(name, figures[name]):>14}" for name in COLUMNS)
            print(f"{method[:30]:30}{cells}  n = {figures['n']}")
            if method.startswith("simple"):
                print(f"    {method}")
    for half in ("tuning", "report"):
        bounds = of_half(records, half).get(BOUND)
        if bounds:
            figures = bound_summary(bounds)
            print(f"{half}, bound: " + ", ".join(f"{k} {v:.3g}" for k, v in figures.items()))
    return tables


def show_failures(records, method):
    print(f"\n{method} by task: true accuracy, then error and bias of the estimate, coverage")
    for (half, task), (truth, figures) in by_task(records, method).items():
        cells = [f"{cell(name, figures[name]):>8}" for name in ("mae", "bias", "coverage")]
        print(f"  {half:8}{task:26}{truth:8.1f}{''.join(cells)}")
    print(f"{method}, where it is off most")
    for record in worst_cases(records, method):
        print(
            f"  {record['task']:26}{record['model']:16}{record['random_state']}"
            f"  {100 * record['estimate']:5.1f} for {100 * record['truth']:5.1f}"
        )


# -- files -----------------------------------------------------------------------------------------


def write_rst(file, table):
    """Write figures of the report half as a list-table of reStructuredText."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    rows = [["estimate", *COLUMNS.values()]]
    for method, figures in table.items():
        rows.append([method, *(cell(name, figures[name]) for name in COLUMNS)])
    for row in rows:
        lines += [f"   {'-' if number else '* -'} {text}" for number, text in enumerate(row)]
    lines = [line.replace("   - ", "     - ", 1) if line[:5] == "   - " else line for line in lines]
    file.write_text("\n".join(lines) + "\n")


def draw(folder, records, methods):
    """Draw the estimates against what came true, a panel for each method."""
    by_method = of_half(records, "report")
    methods = [method for method in methods if method in by_method]
    n_columns = min(len(methods), 4)
    n_rows = -(-len(methods) // n_columns)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(3 * n_columns, 3.1 * n_rows),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat[len(methods) :]:
        axis.set_axis_off()
    for axis, method in zip(axes.flat, methods, strict=False):
        axis.plot([0, 100], [0, 100], color="0.5", linewidth=1, zorder=1)
        for kind, (color, marker) in LOOKS.items():
            part = [record for record in by_method[method] if record["kind"] == kind]
            estimates, truths = (100 * column(part, name) for name in ("estimate", "truth"))
            axis.scatter(
                estimates,
                truths,
                s=18,
                c=color,
                marker=marker,
                alpha=0.6,
                linewidths=0.3,
                edgecolors="white",
                label=kind,
            )
        error = summary(by_method[method])["mae"]
        axis.set(title=f"{method}: off by {error:.1f}", xlim=(0, 102), ylim=(0, 102))
        axis.grid(alpha=0.25)
    for axis in axes[:, 0]:
        axis.set_ylabel("true accuracy in %")
    for axis in axes[-1]:
        axis.set_xlabel("estimate in %")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(folder / "target_accuracy.png", dpi=120)
    figure.savefig(folder / "target_accuracy.svg")
    plt.close(figure)


def write(folder, records, tables, methods):
    folder.mkdir(parents=True, exist_ok=True)
    bounds = {
        half: bound_summary(of_half(records, half)[BOUND])
        for half in tables
        if BOUND in of_half(records, half)
    }
    contents = {"estimates": tables, "bound": bounds}
    (folder / "target_accuracy.json").write_text(json.dumps(contents, indent=1))
    write_rst(folder / "target_accuracy.rst", tables["report"])
    draw(folder, records, methods)
