"""The page about the choice of a method says what the classes do."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "guide" / "which_method.rst"

spec = importlib.util.spec_from_file_location("_tables", DOCS / "_tables.py")
tables = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tables)
NAMES = {method.__name__ for method in tables.METHODS}


@pytest.mark.parametrize("name", tables.PAGES)
def test_tables_are_those_of_the_classes(name):
    stored = (DOCS / "guide" / name).read_text(encoding="utf-8")
    assert stored == tables.PAGES[name](), "run python docs/_tables.py"


def test_every_method_has_its_line():
    text = PAGE.read_text(encoding="utf-8")
    described = set(re.findall(r"^   \* - :class:`~skda\.\w+\.(\w+)`", text, re.MULTILINE))
    assert described == NAMES


def test_the_page_is_short():
    assert len(PAGE.read_text(encoding="utf-8").split()) <= 2500


@pytest.mark.parametrize("method", tables.METHODS, ids=lambda method: method.__name__)
@pytest.mark.filterwarnings("ignore")
def test_what_the_table_says_holds(method):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(24, 6)).astype(np.float32), np.arange(24) % 2
    params = {"max_epochs": 1, "random_state": 0} if tables.is_deep(method) else {}
    method(**params).fit(X, y, X_target=(X[:12] + 0.5, X[12:] - 0.5))
    if not tables.is_deep(method):
        return
    if tables.takes_shares(method):
        method(target_shares=[0.3, 0.7], **params).fit(X, y, X_target=X)
    labels = np.where(np.arange(24) < 6, y, -1)
    if tables.takes_target_labels(method):
        method(**params).fit(X, y, X_target=X, y_target=labels)
        return
    with pytest.raises(ValueError, match="y_target"):
        method(**params).fit(X, y, X_target=X, y_target=labels)
