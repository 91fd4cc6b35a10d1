"""Estimators of scikit-learn that are more than arrays and numbers, by way of skops."""

import io
import zipfile
from typing import Any

from skda._optional import import_optional


def dump_with_skops(estimator: Any) -> bytes:
    """Return what skops writes.

    Parameters
    ----------
    estimator : estimator
        Of scikit-learn.

    Returns
    -------
    content : bytes
        A file of skops.

    Raises
    ------
    ImportError
        If skops is not installed.

    ValueError
        If it consists of more than what scikit-learn and the libraries below it have.
    """
    skops = import_optional("skops.io", "skops")
    content = skops.dumps(estimator, compression=zipfile.ZIP_STORED)
    # Of those skops asks to be told of some, such as trees, when the file is loaded.
    strangers = [
        name
        for name in skops.get_untrusted_types(data=content)
        if name.partition(".")[0] not in ("sklearn", "scipy", "numpy")
    ]
    if strangers:
        raise ValueError(f"{type(estimator).__name__} holds {', '.join(sorted(strangers))}")
    return content


def load_with_skops(content: bytes, trusted: list[str]) -> Any:
    """Return the estimator of a file of skops.

    Parameters
    ----------
    content : bytes
        What :func:`dump_with_skops` returned.

    trusted : list of str
        Types that skops does not trust by itself.

    Returns
    -------
    estimator : estimator
        Of scikit-learn.

    Raises
    ------
    ImportError
        If skops is not installed.

    ValueError
        If it names other types, or is larger than it says.
    """
    skops = import_optional("skops.io", "skops")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or sum(
        entry.file_size for entry in entries
    ) > len(content):
        raise ValueError("a part of skops is compressed")
    untrusted = set(skops.get_untrusted_types(data=content)) - set(trusted)
    if untrusted:
        raise UntrustedError(sorted(untrusted))
    return skops.loads(content, trusted=trusted)


class UntrustedError(ValueError):
    """A file names what is neither of the package nor passed as trusted."""

    def __init__(self, names: list[str]):
        shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        passed = ", ".join(repr(name) for name in names[:10])
        super().__init__(
            f"The file names {shown}, which skda does not know. It could be made to run any code: "
            f"if you know who wrote the file, pass trusted=({passed},) or the objects themselves."
        )
