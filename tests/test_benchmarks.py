"""The evidence: the command, the page that it makes, and what a comparison of two runs flags."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def load(monkeypatch):
    """Import a module of benchmarks/, which is no package of the library."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def cell(method, state, accuracy, seconds=1.0, task="shifted", **changed):
    scores = ("information maximization", "nuclear norm", "class correlation")
    return {
        "task": task,
        "pair": "",
        "method": method,
        "state": state,
        "date": "2026-01-02",
        "versions": "skda 0.1.0",
        "seconds": seconds,
        "accuracy": accuracy,
        # By them the least accurate one is the best.
        "scores": {name: -accuracy for name in (*scores, "neighbourhood density")},
        **changed,
    }


def run_of(**accuracies):
    """Cells of three random states around the accuracies of methods."""
    cells = [
        cell(method.replace("_", " "), state, accuracy + (state - 1))
        for method, accuracy in accuracies.items()
        for state in range(3)
    ]
    return {(c["task"], c["pair"], c["method"], c["state"]): c for c in cells}


def test_the_command_measures_and_makes_a_page(tmp_path):
    out = tmp_path / "quick.jsonl"
    command = [sys.executable, "-m", "benchmarks", "quick", "--out", out, "--max-epochs", "1"]
    command += ["--tasks", "table", "--states", "0", "1", "--methods", "source only", "AdaBN"]
    command += ["logistic regression", "CORAL", "--jobs", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, check=True, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    cells = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(cells) == 8 and {c["task"] for c in cells} == {"table"}
    assert all(0 <= c["accuracy"] <= 100 and c["seconds"] > 0 for c in cells)
    assert "CORAL" in out.with_suffix(".rst").read_text()
    assert done.stdout.endswith("nothing is missing\n")


def test_a_trial_is_not_mixed_with_the_results(load, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setattr(sys, "argv", ["benchmarks", "full", "--max-epochs", "1"])
    with pytest.raises(SystemExit):
        load("benchmarks.__main__").parse()
    assert "give --out" in capsys.readouterr().err


def test_a_run_goes_on_where_it_was_cut_off(load, tmp_path):
    evidence = load("_evidence_run")
    out = tmp_path / "cut.jsonl"
    wanted = ["table"], ["logistic regression", "CORAL"], [0, 1]
    evidence.run(out, evidence.left_over({}, *wanted), {})
    first = out.read_text()
    out.write_text(first[:-20])
    evidence.run(out, evidence.left_over(evidence.read(out), *wanted), {})
    again = out.read_text().splitlines()
    # The last line was cut off: it is done again, alone, and gives the same.
    assert len(again) == 5 and again[:3] == first.splitlines()[:3]
    assert json.loads(again[4])["accuracy"] == json.loads(first.splitlines()[3])["accuracy"]


def test_gains_are_over_the_better_network_without_a_target(load):
    page = load("_evidence_page").page
    cells = run_of(source_only=30, DANN=50, AdaBN=35)
    assert "+20.0" in page(cells, [0, 1, 2])
    cells |= run_of(**{"source only, plain": 40})
    text = page(cells, [0, 1, 2])
    assert "50.0 ± 0.8" in text and "+10.0" in text
    assert ":negative:`35.0 ± 0.8`" in text and ":negative:`\N{MINUS SIGN}5.0`" in text


def test_gains_are_of_the_same_random_states(load):
    figures = load("_evidence_figures").Figures
    cells = run_of(source_only=30, DANN=50)
    del cells["shifted", "", "DANN", 0], cells["shifted", "", "DANN", 1]
    assert figures(cells).gain("shifted", "DANN") == 20


def test_a_page_tells_what_is_missing(load):
    page = load("_evidence_page").page
    cells = run_of(source_only=30, DANN=50)
    del cells["shifted", "", "DANN", 2]
    text = page(cells, [0, 1, 2])
    assert "49.5 ± 0.5 (2 of 3 states)" in text
    assert "not full yet" in text and "- Shifted digits: " in text and "- Amazon reviews: " in text


def test_a_state_counts_with_all_its_pairs_alone(load):
    tasks, figures = load("_evidence_tasks").TASKS, load("_evidence_figures").Figures
    cells = {
        (pair, state): cell("DANN", state, 10 * number, task="digits", pair=pair)
        for state in range(2)
        for number, pair in enumerate(tasks["digits"].pairs)
    }
    assert figures(cells).accuracies("digits", "DANN") == [5, 5]
    del cells[tasks["digits"].pairs[0], 1]
    assert figures(cells).accuracies("digits", "DANN") == [5]


def test_costs_are_over_source_only_on_the_same_rows(load):
    cells = {
        (method, state): cell(method, state, 50, seconds=seconds * (1 + state))
        for method, seconds in (("source only", 2), ("DANN", 6))
        for state in range(3)
    }
    assert load("_evidence_figures").Figures(cells).cost("shifted", "DANN") == 3


def test_the_choice_of_a_scorer_is_of_its_scores(load):
    figures = load("_evidence_figures").Figures(run_of(source_only=30, DANN=50, DAN=40))
    assert figures.chosen("shifted", "nuclear norm") == [29, 30, 31]
    assert figures.chosen("shifted", "hindsight") == [49, 50, 51]


def test_what_has_no_scores_is_not_chosen(load):
    cells = run_of(source_only=30, DANN=50, DAN=40)
    del cells["shifted", "", "DANN", 1]["scores"]
    assert load("_evidence_figures").Figures(cells).candidates("shifted") == ["source only", "DAN"]


def test_a_method_that_cannot_is_said_to(load):
    cells = run_of(source_only=30)
    broken = {"task": "shifted", "pair": "", "method": "DSN", "state": 0, "error": "no pixels"}
    cells["DSN"] = {**broken, "date": "2026-01-02", "versions": "skda 0.1.0"}
    text = load("_evidence_page").page(cells, [0, 1, 2])
    assert "- cannot" in text and "*DSN* cannot: no pixels" in text


def test_transformers_are_fitted_once_where_nothing_is_random(load):
    run = load("_evidence_run")
    cells = run.plan(["surf", "shifted", "series"], ["TCA", "DANN"], [0, 1, 2])
    counts = {}
    for found in cells:
        key = found["task"], found["method"]
        counts[key] = counts.get(key, 0) + 1
    one_pair = {("shifted", "TCA"): 3, ("shifted", "DANN"): 3, ("series", "DANN"): 3}
    assert counts == {("surf", "TCA"): 12, ("surf", "DANN"): 36, **one_pair}


def test_a_comparison_flags_a_regression_and_no_noise(load):
    changes = load("compare").changes
    old = run_of(source_only=30, DANN=50, DAN=40)
    assert list(changes(old, run_of(source_only=31, DANN=48, DAN=41))) == []
    found = list(changes(old, run_of(source_only=30, DANN=42, DAN=48)))
    assert [is_worse for is_worse, _ in found] == [True, False]
    assert "DANN: accuracy 50.0 -> 42.0 (-8.0)" in found[0][1]


def test_a_comparison_flags_what_got_dear_or_is_missing(load):
    changes = load("compare").changes
    old = run_of(source_only=30, DANN=50)
    dear = {key: {**c, "seconds": 2.0} if "DANN" in key else c for key, c in old.items()}
    assert [line for is_worse, line in changes(old, dear) if is_worse] == [
        "shifted, DANN: cost 1.00 -> 2.00 (2.00 times)"
    ]
    assert list(changes(old, run_of(source_only=30))) == [(True, "shifted, DANN: is missing")]


def test_a_regression_ends_the_comparison_with_a_status(load, monkeypatch, tmp_path, capsys):
    for name, accuracy in (("old", 50), ("new", 40)):
        lines = map(json.dumps, run_of(source_only=30, DANN=accuracy).values())
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    paths = [str(tmp_path / f"{name}.jsonl") for name in ("old", "new")]
    for order, status in ((paths, True), (paths[::-1], False), (paths[:1] * 2, False)):
        monkeypatch.setattr(sys, "argv", ["compare.py", *order])
        with pytest.raises(SystemExit) as ended:
            load("compare").main()
        assert ended.value.code == status
    assert "worse  shifted, DANN" in capsys.readouterr().out


def test_peers_stand_side_by_side(load, tmp_path):
    common = {"task": "digits", "method": "DAN", "state": 0, "version": "1"}
    fits = [
        {"library": "skda", "accuracy": 60.0, "seconds": 1.0, "megabytes": 7.0, "lines": 5},
        {"library": "skada", "accuracy": 70.0, "seconds": 2.0, "megabytes": 8.0, "lines": 34},
        {"library": "pytorch-adapt", "error": "no"},
    ]
    path = tmp_path / "peers.jsonl"
    path.write_text("\n".join(json.dumps({**fit, **common}) for fit in fits))
    lines = load("_other_tables").peer_lines(path)
    best = lines.index("     - **70.0**")
    assert lines[best - 2 : best] == ["     - 60.0", "     - cannot"]
    costs = lines.index("   * - skada")
    assert lines[costs + 1 : costs + 4] == ["     - 2.0", "     - 8 MB", "     - 34"]


def test_the_chapter_has_a_column_for_every_pair(load, tmp_path):
    path = tmp_path / "chapter.jsonl"
    fits = [("DAN", "a-b", 60.0), ("DAN", "a-b", 62.0), ("DAN", "b-a", 50.0), ("DDC", "a-b", 40.0)]
    names = ("method", "pair", "accuracy")
    path.write_text("\n".join(json.dumps(dict(zip(names, fit, strict=True))) for fit in fits))
    lines = load("_other_tables").chapter_lines(path)
    start = lines.index("   * - DAN")
    assert lines[start : start + 6] == [
        *("   * - DAN", "     - 61.0 ± 1.0", "     - 50.0"),
        *("   * - DDC", "     - 40.0", "     - \N{EN DASH}"),  # a lone hyphen is a bullet
    ]
