"""What the fetchers of data sets have in common."""

from collections.abc import Sequence
from typing import Any

from sklearn.utils import Bunch


def check_domains(source: Any, target: Any, domains: Sequence[str]) -> None:
    """Raise unless two domains are among those that there are, and different.

    Parameters
    ----------
    source, target : object
        What a user has given.

    domains : sequence of str
        All of them.

    Raises
    ------
    ValueError
        If one is no domain, or if both are the same.
    """
    for name, domain in {"source": source, "target": target}.items():
        if domain not in domains:
            raise ValueError(f"{name} must be one of {', '.join(domains)}, got {domain!r}.")
    if source == target:
        raise ValueError(f"source and target must be different domains, both are {source!r}.")


def as_result(
    X: Any, y: Any, X_target: Any, y_target: Any, *, return_X_y: bool, **entries: Any
) -> Any:
    """Return domains as the fetchers do.

    Parameters
    ----------
    X, y, X_target, y_target : arrays
        Rows and labels.

    return_X_y : bool
        Whether they are all that is wanted.

    **entries : object
        Others of the Bunch.

    Returns
    -------
    result : sklearn.utils.Bunch, or tuple of X, y, X_target and y_target
        As wanted.
    """
    if return_X_y:
        return X, y, X_target, y_target
    return Bunch(X=X, y=y, X_target=X_target, y_target=y_target, **entries)
