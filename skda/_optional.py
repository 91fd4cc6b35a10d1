"""Libraries that only some of the package needs."""

from importlib import import_module


def import_optional(name, extra):
    """Import a library that comes with an extra.

    Parameters
    ----------
    name : str
        Of the module.

    extra : str
        Of the package, with which the library is installed.

    Returns
    -------
    module : module
        The module.

    Raises
    ------
    ImportError
        With the command that installs it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{name} is needed and cannot be imported ({error}); install it with: "
            f'pip install "skda[{extra}]", in a checkout: pip install ".[{extra}]"'
        ) from error
