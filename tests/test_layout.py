"""The rooms of the package: what they may import, and how large files and functions are."""

import ast
from pathlib import Path

import pytest

import skda
import skda.adaptation
import skda.fine_tuning
from skda.base import DeepAdaptationClassifier
from skda.estimators import DeepEstimator
from skda.training import AdaptationNet, TwoPlayerNet

ROOT = Path(skda.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
# What any room may use: the shims for other libraries, and checks of arguments.
SHIMS = {
    "_callers",
    "_checks",
    "_code",
    "_columns",
    "_digest",
    "_drawing_functions",
    "_naming",
    "_optional",
    "_process",
    "_random",
    "_safetensors",
    "_sklearn_compat",
    "_threads",
    "_torch",
}


def rooms_of(path):
    """Return the packages that a file is in, from the outside."""
    return path.relative_to(ROOT).parts[:-1]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_of_a_private_module_of_another_room(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("skda."):
            continue
        *packages, module = node.module.split(".")[1:]
        if module.startswith("_") and module not in SHIMS:
            assert rooms_of(path)[: len(packages)] == tuple(packages), (path, node.module)


def test_top_level_is_public_but_for_the_shims():
    private = {path.stem for path in ROOT.glob("_[a-z]*.py")}
    assert private == SHIMS


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path):
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) < 450
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            has_doc = ast.get_docstring(node) is not None
            first = node.body[1] if has_doc and len(node.body) > 1 else node.body[0]
            assert node.end_lineno - first.lineno < 60, node.name


def test_there_are_eight_hooks_and_all_are_documented():
    assert len(DeepAdaptationClassifier._hooks) == 8
    for hook in DeepAdaptationClassifier._hooks:
        assert f"``{hook}(" in skda.base.__doc__
        assert callable(getattr(DeepAdaptationClassifier, hook))


@pytest.mark.parametrize("name", [*skda.adaptation.__all__, "FineTuneClassifier"])
def test_methods_override_public_hooks_alone(name):
    cls = getattr(skda.adaptation, name, None) or getattr(skda.fine_tuning, name)
    if not issubclass(cls, DeepEstimator):
        pytest.skip("is trained without a network")
    # What is made of the declaration, and by scikit-learn.
    made = {"_parameter_constraints", "_sklearn_auto_wrap_output_keys"}
    own = {key for key in vars(cls) if key.startswith("_") and not key.startswith("__")} - made
    assert not [key for key in own if any(hasattr(base, key) for base in cls.__bases__)]
    own_net = set(vars(cls.net_class)) if cls.net_class.__module__ == cls.__module__ else set()
    engine = set(dir(AdaptationNet)) | set(dir(TwoPlayerNet))
    assert not {key for key in own_net & engine if key.startswith("_") and key[1] != "_"}
