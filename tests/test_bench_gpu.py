"""The benchmark of a GPU runs where there is none, with little of everything."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "bench_gpu.py"


@pytest.mark.slow
def test_every_part_runs(tmp_path):
    pytest.importorskip("torchvision")
    command = [sys.executable, BENCHMARK, "--device", "cpu", "--quick"]
    subprocess.run(
        [*command, "--json", tmp_path / "results.json"],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(BENCHMARK.parents[1])},
    )
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert len(results) > 5
    assert {
        name: part.get("failed") for name, part in results.items() if "ratios" not in part
    } == {}
