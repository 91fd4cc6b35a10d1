"""The hub of Hugging Face, out of reach and behind a server of this machine."""

import json
import os
import subprocess
import sys
import textwrap
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import torch

from skda.backbones import BackboneResolver
from skda.backbones._hub import is_reachable, quick_hub

COMMIT = "0" * 40


class Hub(SimpleHTTPRequestHandler):
    """Serves DIRECTORY/user/name/FILE at /user/name/resolve/main/FILE."""

    def translate_path(self, path):
        return super().translate_path(path.replace("/resolve/main", ""))

    def end_headers(self):
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{abs(hash(self.path))}"')
        super().end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(tmp_path):
    """A hub that knows the tiny network user/tiny; its address."""
    timm = pytest.importorskip("timm")
    pytest.importorskip("safetensors")
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=5)
    timm.models.save_for_hf(network, tmp_path / "hub" / "user" / "tiny")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, directory=str(tmp_path / "hub")))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", network
    server.shutdown()
    server.server_close()


PROGRAM = """
import json
import time
from skda.backbones import BackboneResolver
for name in {names!r}:
    found = dict()
    resolver = BackboneResolver(name, "pretrained", dict())
    start = time.perf_counter()
    try:
        resolver.start()
    except ValueError as error:
        found["error"] = str(error)
    else:
        found["sum"] = float(resolver.build((3, 32, 32)).conv1[0].weight.double().sum())
    print(json.dumps([found | dict(seconds=time.perf_counter() - start)]))
"""


def run(names, endpoint, home):
    """Return what the program finds of every name, in a process that has this hub and cache."""
    environment = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
    environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    program = textwrap.dedent(PROGRAM.format(names=names))
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line)[0] for line in done.stdout.splitlines() if line.startswith("[{")]


@pytest.mark.slow
def test_network_of_the_hub_is_had_and_then_remembered(hub, tmp_path):
    endpoint, network = hub
    expected = float(network.conv1[0].weight.detach().double().sum())
    for name, address in [
        ("hf-hub:user/tiny", endpoint),
        ("timm/hf-hub:user/tiny", "http://127.0.0.1:9"),  # out of reach: from the cache
    ]:
        (found,) = run([name], address, tmp_path / "home")
        assert found["sum"] == expected, found
        assert found["seconds"] < 30


def test_hub_out_of_reach(tmp_path):
    pytest.importorskip("timm")
    pytest.importorskip("huggingface_hub")
    names = ["timm/mobilenetv2_100", "hf-hub:user/tiny"]
    all_found = run(names, "http://127.0.0.1:9", tmp_path)
    assert len(all_found) == 2
    for found in all_found:
        assert "cannot be had" in found["error"]
        assert "http://127.0.0.1:9 cannot be reached" in found["error"]
        assert found["seconds"] < 20


def test_offline_mode_is_left_as_it_was(monkeypatch):
    constants = pytest.importorskip("huggingface_hub").constants
    for before in (False, True):
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", before)
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
        with pytest.raises(RuntimeError), quick_hub() as is_online:
            assert constants.HF_HUB_OFFLINE and not is_online
            raise RuntimeError
        assert constants.HF_HUB_OFFLINE is before


def test_hub_within_reach_changes_nothing(hub, monkeypatch):
    constants = pytest.importorskip("huggingface_hub").constants
    monkeypatch.setattr(constants, "ENDPOINT", hub[0])
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with quick_hub() as is_online:
        assert is_online and not constants.HF_HUB_OFFLINE


def test_proxy_is_what_must_be_reached(hub, monkeypatch):
    for name in ("no_proxy", "NO_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", hub[0])
    assert is_reachable("https://a.server.that.is.not")
    monkeypatch.setenv("https_proxy", "127.0.0.1:9")
    assert not is_reachable("https://a.server.that.is.not")


def test_random_weights_ask_no_hub(monkeypatch):
    pytest.importorskip("timm")
    monkeypatch.setattr("skda.backbones._hub.is_reachable", lambda url: 1 / 0)
    start = time.perf_counter()
    BackboneResolver("timm/test_resnet", None, {}).start()
    assert time.perf_counter() - start < 30
