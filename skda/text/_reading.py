"""Lists and columns of texts."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import numpy as np


def as_text_list(X: Any, name: str = "X") -> list[str] | None:
    """Return texts as a list, and None if X holds none of them.

    Strings can be the paths of images, too. Whether they are texts is for the caller to know.

    Parameters
    ----------
    X : object
        What a user passes to ``fit`` or ``transform``: a list, tuple, array, Series or column of
        str, or a table of one such column, of numpy, pandas, polars or pyarrow.

    name : str, default="X"
        Of the parameter, for messages.

    Returns
    -------
    texts : list of str, or None
        One per row.

    Raises
    ------
    TypeError
        If only some of the items are strings.

    ValueError
        If X is an empty list, or a text itself.

    Examples
    --------
    >>> import numpy as np
    >>> from skda.text import as_text_list
    >>> as_text_list(np.array([["It cuts well."], ["It broke."]]))
    ['It cuts well.', 'It broke.']
    >>> as_text_list([[0.5], [1.5]]) is None
    True
    """
    if isinstance(X, str):
        raise ValueError(f"{name} is a single text; pass a list of them: [{name}].")
    items = _items(X, name)
    if items is None or not any(isinstance(item, str) for item in items):
        return None
    return check_texts(items, name)


def check_texts(items: Iterable, name: str = "X") -> list[str]:
    """Return items as a list of str, if they all are.

    Parameters
    ----------
    items : iterable
        Texts; empty ones are texts as well.

    name : str, default="X"
        Of the items, for messages.

    Returns
    -------
    texts : list of str
        Without subclasses of str, such as numpy's.

    Raises
    ------
    TypeError
        With the number of the first item that is no text.

    ValueError
        With the number of the first text that is no valid Unicode.
    """
    if isinstance(items, str):
        raise TypeError(f"{name} is a single text; pass a list of them: [{name}].")
    texts = []
    for number, item in enumerate(items):
        if not isinstance(item, str):
            raise TypeError(
                f"{name}[{number}] is {item!r:.60} of type {type(item).__name__}, no text; drop "
                "the row, or replace what is missing with an empty text, ''."
            )
        try:
            item.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{name}[{number}] is no valid Unicode ({error}); read its file with the right "
                "encoding, or with errors='replace'."
            ) from error
        texts.append(str(item))
    return texts


def text_key(text: str) -> bytes:
    """Return what tells a text from all others, the same in every process.

    Parameters
    ----------
    text : str
        A text.

    Returns
    -------
    key : bytes
        Of length 16, of the UTF-8 bytes of the text.

    Examples
    --------
    >>> from skda.text import text_key
    >>> len(text_key("It broke.")), text_key("It broke.") == text_key("It broke")
    (16, False)
    """
    # A key of another kind than that of a file with the same bytes.
    return blake2b(b"text" + text.encode(), digest_size=16).digest()


def _items(X, name):
    """Return the items of one column, and None where there are none or several."""
    if isinstance(X, list | tuple):
        if not X:
            raise ValueError(f"{name} is an empty {type(X).__name__}; pass at least one row.")
        return X
    if isinstance(X, np.ndarray):
        is_text = X.dtype.kind in "OUT" and X.ndim > 0 and X.size == len(X)
        return X.ravel().tolist() if is_text else None
    if hasattr(X, "iloc"):  # pandas
        if X.ndim == 2 and X.shape[1] != 1:
            return None
        return (X.iloc[:, 0] if X.ndim == 2 else X).tolist()
    if hasattr(X, "columns"):  # polars and pyarrow: the names or the columns of a table
        if len(X.columns) != 1:
            return None
        X = X[X.columns[0]] if isinstance(X.columns[0], str) else X.columns[0]
    for method in ("to_list", "to_pylist"):
        # A tensor has another method, tolist.
        if hasattr(X, method):
            return getattr(X, method)()
    return None
