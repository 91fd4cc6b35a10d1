"""Configuration of the documentation.

Build it with ``python -m sphinx -n -W --keep-going -b html docs docs/_build/html``, which runs the
examples for their pictures; with the environment variable ``SKDA_GALLERY=0`` it does not, and takes
one minute instead of ten.
"""

import inspect
import os
import shutil
import sys
from pathlib import Path

import skda

here = Path(__file__).parent
sys.path.insert(0, str(here / "_extensions"))
from foreign_links import intersphinx_mapping as sites  # noqa: E402

project = "skda"
author = "the skda developers"
copyright = author
version = release = skda.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "sphinx-mathjax-offline",
    "sphinx_copybutton",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "foreign_links",
]
intersphinx_mapping = sites(here / "_build" / "inventories")
intersphinx_timeout = 5
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
examples = here / "_build" / "examples"
shutil.rmtree(examples, ignore_errors=True)
shutil.copytree(here.parent / "examples", examples)
shutil.copy(here / "gallery_header.rst", examples / "GALLERY_HEADER.rst")
sphinx_gallery_conf = {
    "examples_dirs": str(examples),
    "gallery_dirs": "gallery",
    # These read photographs and weights that are not shipped.
    "ignore_pattern": r"__init__\.py"
    + ("" if "SKDA_DATA" in os.environ else r"|plot_(transferable_)?photographs\.py"),
    "plot_gallery": os.environ.get("SKDA_GALLERY", "1") == "1",
    # Examples side by side: most of the time of a build is theirs.
    "parallel": 2,
    "within_subsection_order": "gallery_order.ByTask",
    "reset_modules": ("matplotlib", "gallery_order.fresh_start"),
    "thumbnail_size": (480, 336),
    "default_thumb_file": str(here / "_static" / "thumbnail.png"),
    # "Examples using X" of the API pages.
    "backreferences_dir": "api/examples_using",
    "doc_module": ("skda",),
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,
}

html_theme = "pydata_sphinx_theme"
html_title = "skda"
html_static_path = ["_static"]
html_css_files = ["site.css"]
toc_object_entries_show_parents = "hide"
html_show_sourcelink = False
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}
html_theme_options = {
    "logo": {"image_light": "_static/logo.svg", "image_dark": "_static/logo_dark.svg"},
    "show_prev_next": False,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
}
# The address of a file like _static/versions.json, once several versions stand side by side.
if "SKDA_VERSIONS_URL" in os.environ:
    html_theme_options |= {
        "switcher": {"json_url": os.environ["SKDA_VERSIONS_URL"], "version_match": version},
        "check_switcher": False,
        "navbar_end": ["version-switcher", "theme-switcher"],
    }
# What is copied is code alone, without prompts and results.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
viewcode_line_numbers = True
html_sidebars = {page: [] for page in ("architecture", "index", "methods", "your_own_method")}


def skip_foreign_member(app, what, name, obj, skip, options):
    """Leave out what a class inherits from others, and the parts that it names as classes."""
    if what == "class" and inspect.isclass(obj):
        return True
    function = getattr(obj, "fget", None) or obj
    module = getattr(function, "__module__", None) or ""
    return None if module.partition(".")[0] == "skda" else True


def setup(app):
    """Connect the hook."""
    app.connect("autodoc-skip-member", skip_foreign_member)
