"""Type checkers accept what README and examples write, and find mistakes."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TYPING = ROOT / "tests" / "typing"
# The first snippet of the README leaves these to the reader.
GIVEN = "import numpy\n\nX = y = X_target = X_target_new = numpy.zeros((4, 2))\n"


@pytest.fixture(scope="module")
def errors(tmp_path_factory):
    """The lines of every file in which pyright finds an error, with what it says."""
    pytest.importorskip("pyright", reason='needs pyright: pip install "skda[types]"')
    folder = tmp_path_factory.mktemp("readme")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    snippets = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    paths = [folder / f"readme_{number}.py" for number in range(len(snippets))]
    for path, snippet in zip(paths, snippets, strict=True):
        path.write_text(snippet if path != paths[0] else GIVEN + snippet, encoding="utf-8")
    paths += [*sorted(ROOT.glob("examples/*.py")), *sorted(TYPING.glob("*.py"))]
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    result = subprocess.run(
        [*command, *map(str, paths)], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    report = json.loads(result.stdout)
    assert report["summary"]["filesAnalyzed"] == len(paths)
    found = {path.name: {} for path in paths}
    for entry in report["generalDiagnostics"]:
        if entry["severity"] == "error":
            line = entry["range"]["start"]["line"] + 1
            found[Path(entry["file"]).name][line] = entry["message"]
    return found


def test_readme(errors):
    snippets = [name for name in errors if name.startswith("readme_")]
    assert len(snippets) == 4
    assert {name: errors[name] for name in snippets if errors[name]} == {}


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*.py")), ids=lambda path: path.stem)
def test_examples(errors, path):
    assert errors[path.name] == {}


def test_usage(errors):
    assert errors["usage.py"] == {}


def test_mistakes_are_found_where_they_are(errors):
    lines = (TYPING / "mistakes.py").read_text(encoding="utf-8").splitlines()
    marked = {number for number, line in enumerate(lines, start=1) if line.endswith("# error")}
    assert set(errors["mistakes.py"]) == marked


@pytest.mark.filterwarnings("ignore::skda.exceptions.NoTargetWarning")
def test_usage_runs():
    runpy.run_path(str(TYPING / "usage.py"))
