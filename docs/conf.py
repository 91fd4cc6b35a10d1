"""Configuration of the documentation.

Build it with ``python -m sphinx -W --keep-going -b html docs docs/_build/html``. With the
environment variable ``SKDA_GALLERY=1`` the examples are run as well.
"""

import os
import shutil
from pathlib import Path

import skda

project = "skda"
author = "the skda developers"
copyright = author
version = release = skda.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx-mathjax-offline",
    "sphinx_copybutton",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates", "gallery_header.rst"]
templates_path = ["_templates"]

autosummary_generate = True
# Members come from the class template.
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
autodoc_inherit_docstrings = False
autodoc_typehints = "none"
maximum_signature_line_length = 80
add_module_names = False
# The gallery runs in a copy, so that no figure is left among the examples.
here = Path(__file__).parent
examples = here / "_build" / "examples"
shutil.rmtree(examples, ignore_errors=True)
shutil.copytree(here.parent / "examples", examples)
shutil.copy(here / "gallery_header.rst", examples / "GALLERY_HEADER.rst")
sphinx_gallery_conf = {
    "examples_dirs": str(examples),
    "gallery_dirs": "gallery",
    # These read photographs and weights that are not shipped.
    "ignore_pattern": r"__init__\.py" + ("" if "SKDA_DATA" in os.environ else r"|photographs\.py"),
    "plot_gallery": os.environ.get("SKDA_GALLERY") == "1",
    "download_all_examples": False,
    "show_signature": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "skda"
html_static_path = ["_static"]
html_show_sourcelink = False
html_favicon = "_static/favicon.svg"
html_theme_options = {
    "logo": {"image_light": "_static/logo.svg", "image_dark": "_static/logo_dark.svg"},
    "show_prev_next": False,
}
# What is copied is code alone, without prompts and results.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
viewcode_line_numbers = True
html_sidebars = {page: [] for page in ("architecture", "index", "methods", "your_own_method")}


def skip_foreign_member(app, what, name, obj, skip, options):
    """Leave out what a class inherits from scikit-learn, torch or skorch."""
    function = getattr(obj, "fget", None) or obj
    module = getattr(function, "__module__", None) or ""
    return None if module.partition(".")[0] == "skda" else True


def setup(app):
    """Connect the hook."""
    app.connect("autodoc-skip-member", skip_foreign_member)
