"""References to other libraries, with a network and without one.

Where their inventories can be fetched, intersphinx links to them. Elsewhere, and for a name that
an inventory lacks, the address is made of the name, as the sites of these libraries make theirs. A
name that cannot be imported stays a dead reference, and ``sphinx -n -W`` reports it.
"""

import pkgutil
import zlib
from pathlib import Path

from docutils import nodes
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  (its classes are named)

SITES = {
    "joblib": "https://joblib.readthedocs.io/en/stable/",
    "matplotlib": "https://matplotlib.org/stable/",
    "numpy": "https://numpy.org/doc/stable/",
    "pandas": "https://pandas.pydata.org/docs/",
    "python": "https://docs.python.org/3/",
    "scipy": "https://docs.scipy.org/doc/scipy/",
    "skorch": "https://skorch.readthedocs.io/en/stable/",
    "sklearn": "https://scikit-learn.org/stable/",
    "torch": "https://docs.pytorch.org/docs/stable/",
}
PAGES = {
    "joblib": "generated/{name}.html#{name}",
    "matplotlib": "api/_as_gen/{name}.html#{name}",
    "numpy": "reference/generated/{name}.html#{name}",
    "pandas": "reference/api/{name}.html#{name}",
    "scipy": "reference/generated/{name}.html#{name}",
    "skorch": "{file}.html#{module}.{attribute}",
    "sklearn": "modules/generated/{name}.html#{name}",
    "torch": "generated/{name}.html#{name}",
}
# What stands on a page with others.
SHARED_PAGES = {"torch.utils.data": "data.html#{name}"}


def intersphinx_mapping(folder):
    """Return the sites, each with an empty inventory for a build without a network."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mapping = {}
    for project, site in SITES.items():
        file = folder / f"{project}.inv"
        head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n# zlib\n"
        file.write_bytes(head.encode() + zlib.compress(b""))
        mapping[project] = (site, (None, str(file)))
    return mapping


def address(name):
    """Return where a library documents a name, or None for what is nobody's."""
    library = name.partition(".")[0]
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError):
        return None
    module, _, attribute = name.rpartition(".")
    if library == "skorch" and module == "skorch.NeuralNet":
        module, attribute = "skorch.net", f"NeuralNet.{attribute}"
    elif name == "skorch.NeuralNet":
        module = "skorch.net"
    page = SHARED_PAGES.get(module) or PAGES.get(library)
    if page is None and library != "skda":
        library, page = "python", "library/{module}.html#{name}"
    if page is None:
        return None
    file = module.rpartition(".")[2]
    return SITES[library] + page.format(name=name, module=module, attribute=attribute, file=file)


def link_by_name(app, env, node, contnode):
    """Turn a reference that is in no inventory into a link."""
    if node.get("refdomain") != "py" or "." not in node.get("reftarget", ""):
        return None
    target = address(node["reftarget"])
    if target is None:
        return None
    link = nodes.reference("", "", internal=False, refuri=target, classes=["external"])
    link += contnode
    return link


def setup(app):
    """Connect the hook; intersphinx, which is set up before, is asked first."""
    app.connect("missing-reference", link_by_name, priority=900)
    return {"parallel_read_safe": True}
