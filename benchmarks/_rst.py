"""Lines of reStructuredText."""

from textwrap import wrap

import numpy as np

EN_DASH = "\N{EN DASH}"


def headed(title, line="-"):
    return [title, line * len(title), ""]


def wrapped(text):
    return [*wrap(text, 99, break_long_words=False, break_on_hyphens=False), ""]


def list_table(rows):
    """Lines of a list-table whose first row is its head."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        row = [EN_DASH if value == "-" else value for value in row]  # a lone hyphen is a bullet
        lines += [f"   {'*' if not n else ' '} - {value}".rstrip() for n, value in enumerate(row)]
    return [*lines, ""]


def red(text):
    return f":negative:`{text}`"


def signed(value):
    text = f"{value:+.1f}".replace("-", "\N{MINUS SIGN}")
    return red(text) if value < 0 else text


def spread(values):
    """Mean ± standard deviation, the mean alone of one value."""
    deviation = f" ± {np.std(values):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{deviation}"
