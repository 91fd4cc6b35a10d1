"""What is shipped, and what it says of itself."""

import re
from configparser import ConfigParser
from pathlib import Path

import skda

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "skda"


def test_citation_names_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.*)$", citation, re.MULTILINE)[1] == skda.__version__


def test_changelog_has_a_place_for_what_comes():
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_types_are_shipped():
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    assert "py.typed" in config["options.package_data"]["skda"].split()
    assert (PACKAGE / "py.typed").is_file()


def test_pages_with_examples_run_as_tests():
    paths = re.search(
        r"testpaths = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.DOTALL
    )[1]
    pages = {
        f"docs/{page.name}"
        for page in (ROOT / "docs").glob("*.rst")
        if ">>> " in page.read_text(encoding="utf-8")
    }
    assert pages <= set(re.findall(r'"(.*?)"', paths))
