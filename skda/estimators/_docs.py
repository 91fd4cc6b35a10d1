"""Docstrings of estimators that share most of their parameters."""

import re
from inspect import cleandoc

_TITLE = re.compile(r"^([A-Z][A-Za-z ]+)\n-{3,}\n", re.MULTILINE)


def inherit_entries(doc, parent_doc, parameters):
    """Return a docstring with the entries that it does not have itself.

    Parameters
    ----------
    doc : str
        A numpydoc docstring.

    parent_doc : str
        That of the parent class.

    parameters : iterable of str
        The parameters of the class, in the order of the signature. Entries of other parameters
        are not taken over; all attributes are.

    Returns
    -------
    doc : str
        With complete sections of parameters, in the order of the signature, and attributes.
    """
    summary, sections = _split(doc)
    _, inherited = _split(parent_doc)
    entries, attributes = (
        {**_entries(inherited.get(title, "")), **_entries(sections.get(title, ""))}
        for title in ("Parameters", "Attributes")
    )
    merged = {
        "Parameters": "".join(entries[name] for name in parameters if name in entries),
        "Attributes": "".join(attributes.values()),
    }
    merged |= {title: body for title, body in sections.items() if title not in merged}
    return (
        summary.rstrip()
        + "\n\n"
        + "\n".join(
            f"{title}\n{'-' * len(title)}\n{body.rstrip()}\n" for title, body in merged.items()
        )
    )


def _split(doc):
    """Return what precedes the first section, and the sections by title."""
    summary, *parts = _TITLE.split(cleandoc(doc))
    return summary, dict(zip(parts[::2], parts[1::2], strict=True))


def _entries(body):
    """Return the entries of a section by name."""
    entries = [entry for entry in re.split(r"^(?=\S)", body, flags=re.MULTILINE) if entry.strip()]
    return {entry.split(" :")[0].lstrip("*"): entry.rstrip() + "\n\n" for entry in entries}
