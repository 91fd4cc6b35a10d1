"""The built documentation, which ``SKDA_SITE`` names, served as a web server serves it."""

import functools
import http.server
import os
import threading
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def site():
    """The folder with the pages."""
    if "SKDA_SITE" not in os.environ:
        pytest.skip("SKDA_SITE names no built documentation")
    folder = Path(os.environ["SKDA_SITE"])
    assert (folder / "index.html").exists(), f"{folder} holds no documentation"
    return folder


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and says nothing of it."""

    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def address(site):
    """Where the pages are served."""
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
