"""The extensions of the documentation: links to other libraries, and the order of the examples."""

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def load(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / "_extensions" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("functools.partial", "docs.python.org/3/library/functools.html#functools.partial"),
        ("sklearn.pipeline.Pipeline", "modules/generated/sklearn.pipeline.Pipeline.html#sklearn"),
        ("skorch.NeuralNet", "net.html#skorch.net.NeuralNet"),
        ("skorch.NeuralNet.partial_fit", "net.html#skorch.net.NeuralNet.partial_fit"),
        ("skorch.callbacks.LRScheduler", "callbacks.html#skorch.callbacks.LRScheduler"),
        ("torch.nn.Linear", "generated/torch.nn.Linear.html"),
        ("torch.utils.data.DataLoader", "stable/data.html#torch.utils.data.DataLoader"),
    ],
)
def test_address(name, page):
    pytest.importorskip("docutils", reason="needs sphinx, of the extra docs")
    assert page in load("foreign_links").address(name)


@pytest.mark.parametrize("name", ["sklearn.pipeline.Pipline", "nosuch.thing", "skda.nosuch"])
def test_what_cannot_be_imported_has_no_address(name):
    pytest.importorskip("docutils", reason="needs sphinx, of the extra docs")
    assert load("foreign_links").address(name) is None


def test_every_example_has_a_place():
    order = load("gallery_order").ORDER
    examples = {path.stem.removeprefix("plot_") for path in DOCS.parent.glob("examples/plot_*.py")}
    assert examples - set(order) == set()


def test_the_quickstart_comes_first():
    by_task = load("gallery_order").ByTask("examples")
    names = sorted(["plot_text.py", "plot_a_new_one.py", "plot_quickstart.py"], key=by_task)
    assert names == ["plot_quickstart.py", "plot_text.py", "plot_a_new_one.py"]
