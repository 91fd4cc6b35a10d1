"""Files of data sets: found, downloaded from a server that misbehaves, and what is said then."""

import threading
import time
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from skda.datasets import _files, get_data_home
from skda.datasets._files import DataFile, find_file

CONTENT = bytes(range(256)) * 40
DIGEST = sha256(CONTENT).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        kind = self.path.strip("/")
        if kind == "moved":
            self.send_response(302)
            self.send_header("Location", "/whole")
            self.end_headers()
            return
        if kind == "gone" or (kind == "flaky" and len(self.server.asked) == 1):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:1000])
        if kind == "truncated":
            return
        if kind == "stalled":
            self.server.released.wait(10)
            return
        self.wfile.write(CONTENT[1000:] if kind != "corrupt" else bytes(len(CONTENT) - 1000))

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.asked, server.released = [], threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()


def _file(server, kind="whole", sha256=DIGEST):
    url = f"http://127.0.0.1:{server.server_address[1]}/{kind}"
    return DataFile("letters/train.bin", sha256, url, "the letters of N. Body")


@pytest.mark.parametrize("kind", ["whole", "moved"])
@pytest.mark.parametrize("digest", [DIGEST, DIGEST[:16]])
def test_a_missing_file_is_downloaded_once(server, tmp_path, kind, digest):
    pytest.importorskip("pooch")
    for _ in range(2):
        path = find_file(_file(server, kind, digest), tmp_path)
        assert path == tmp_path / "letters/train.bin" and path.read_bytes() == CONTENT
    assert server.asked.count(f"/{kind}") == 1


@pytest.mark.parametrize("kind", ["truncated", "corrupt", "stalled", "gone"])
@pytest.mark.parametrize("digest", [DIGEST, DIGEST[:16]])
def test_a_download_that_fails_leaves_nothing(server, tmp_path, monkeypatch, kind, digest):
    pytest.importorskip("pooch")
    monkeypatch.setattr(_files, "_PATIENCE", 0.2)
    start = time.monotonic()
    with pytest.raises(OSError, match="could not be downloaded") as caught:
        find_file(_file(server, kind, digest), tmp_path, n_retries=0)
    assert time.monotonic() - start < 5
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    for part in (f"/{kind}", "the letters of N. Body", DIGEST[:16], "SKDA_DATA", str(tmp_path)):
        assert part in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_failed_download_is_tried_again(server, tmp_path):
    pytest.importorskip("pooch")
    assert find_file(_file(server, "flaky"), tmp_path, n_retries=1).read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_a_server_that_is_dead(server, tmp_path):
    pytest.importorskip("pooch")
    file = DataFile("letters/train.bin", DIGEST, "http://127.0.0.1:9/x", "the letters of N. Body")
    with pytest.raises(OSError, match=r"the letters of N\. Body"):
        find_file(file, tmp_path, n_retries=0)


def test_a_file_that_is_there_needs_no_server(tmp_path):
    file = DataFile("letters/train.bin", DIGEST, "http://127.0.0.1:9/x", "N. Body")
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/train.bin").write_bytes(CONTENT)
    assert find_file(file, tmp_path).read_bytes() == CONTENT
    (tmp_path / "letters/train.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(OSError, match=r"not the file that is wanted.*delete it"):
        find_file(file, tmp_path)
    assert (tmp_path / "letters/train.bin").stat().st_size == len(CONTENT) - 1


def test_missing_files_that_are_not_downloaded(tmp_path):
    file = DataFile("letters/train.bin", DIGEST, None, "the letters of N. Body")
    with pytest.raises(OSError, match="download_if_missing is False"):
        find_file(file, tmp_path, download_if_missing=False)
    with pytest.raises(OSError, match=r"cannot be downloaded.*the letters of N. Body"):
        find_file(file, tmp_path)
    assert not list(tmp_path.iterdir())


def test_data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("SKDA_DATA", str(tmp_path))
    assert get_data_home() == tmp_path
    assert get_data_home("~/x").is_absolute() and get_data_home("~/x").name == "x"
    monkeypatch.delenv("SKDA_DATA")
    assert get_data_home().name == "skda_data"
