"""The hub of Hugging Face, which may be out of reach."""

import socket
import urllib.request
from contextlib import contextmanager
from urllib.parse import urlsplit

from skda._optional import import_optional

# A machine that needs longer for a connection would need hours for the weights.
_TIMEOUT = 10.0


@contextmanager
def quick_hub(is_needed: bool = True):
    """Let a library read its cache at once where the hub is out of reach, and try no further.

    Without, huggingface_hub tries again and again: 48 to 87 s for one name. Where the hub can be
    reached nothing changes.

    Parameters
    ----------
    is_needed : bool, default=True
        Whether the hub will be asked at all; without, nothing is done.

    Yields
    ------
    is_online : bool
        Whether the hub can be reached.
    """
    if not is_needed:
        yield True
        return
    constants = import_optional("huggingface_hub", "vision").constants
    is_online = not constants.HF_HUB_OFFLINE and is_reachable(constants.ENDPOINT)
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, not is_online
    try:
        yield is_online
    except OSError as error:
        if is_online or before:
            raise
        raise OSError(
            f"{constants.ENDPOINT} cannot be reached, and {constants.HF_HUB_CACHE} does not hold "
            "all that is needed"
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = before


def is_reachable(url: str) -> bool:
    """Return whether a connection to a server, or to the proxy before it, can be opened.

    Parameters
    ----------
    url : str
        Of the server.

    Returns
    -------
    is_reachable : bool
        True where this cannot be told.

    Examples
    --------
    >>> from skda.backbones._hub import is_reachable
    >>> is_reachable("http://127.0.0.1:9")
    False
    """
    server = urlsplit(url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(server.scheme) or proxies.get("all")
    if proxy and not urllib.request.proxy_bypass(server.hostname or ""):
        server = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    try:
        port = server.port or {"https": 443, "http": 80}.get(server.scheme, 1080)
    except ValueError:
        return True
    try:
        socket.create_connection((server.hostname or "", port), timeout=_TIMEOUT).close()
    except OSError:
        return False
    return True
