"""Digests of rows, networks and settings."""

import functools
import logging
import os
import pickle
import re
import subprocess
import sys
import textwrap
import threading
import types

import numpy as np
import pytest
import torch
from torch import nn

from skda._code import _version_of
from skda._digest import digest
from skda.feature_extraction._digests import content_keys

IMAGES = np.random.RandomState(0).randint(256, size=(6, 8, 9, 3)).astype(np.uint8)


# -- rows ---------------------------------------------------------------------------------------


def test_rows_of_the_same_content_have_the_same_key():
    keys = content_keys(np.concatenate([IMAGES, IMAGES[2:3]]))
    assert len(set(keys)) == 6 and keys[6] == keys[2]


def test_subsets_have_the_keys_of_their_rows():
    assert content_keys(IMAGES[::2]) == content_keys(IMAGES)[::2]


@pytest.mark.parametrize(
    "other",
    [IMAGES.astype(np.int8), IMAGES.reshape(6, 9, 8, 3), IMAGES.astype(np.float32)],
    ids=["dtype", "shape", "float"],
)
def test_keys_depend_on_type_and_shape(other):
    assert not set(content_keys(IMAGES)) & set(content_keys(other))


def test_keys_do_not_depend_on_the_layout_in_memory(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    expected = content_keys(IMAGES)
    assert content_keys(np.asfortranarray(IMAGES)) == expected
    assert content_keys(np.load(tmp_path / "images.npy", mmap_mode="r")) == expected
    assert content_keys(torch.from_numpy(IMAGES)) == expected
    assert content_keys(list(IMAGES)) == expected


def test_files_count_with_their_bytes(tmp_path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    first, second, third = content_keys([str(tmp_path / "a"), tmp_path / "b", tmp_path / "c"])
    assert first == second != third
    assert content_keys([b"1"]) == [first]
    (tmp_path / "a").write_bytes(b"3")
    assert content_keys([tmp_path / "a"]) != [first]


def test_a_file_that_cannot_be_read_has_no_key(tmp_path):
    assert content_keys([tmp_path / "nothing", b"1"])[0] is None


def test_pictures_count_with_their_pixels():
    pillow = pytest.importorskip("PIL.Image")
    pictures = [pillow.fromarray(image) for image in IMAGES]
    assert content_keys(pictures) == content_keys(IMAGES)


# -- networks and settings ----------------------------------------------------------------------


class Scale(nn.Module):
    def __init__(self, factor=1.0):
        super().__init__()
        self.factor = factor
        self.register_buffer("offset", torch.zeros(2), persistent=False)

    def forward(self, x):
        return x * self.factor + self.offset


class Negative(Scale):
    def forward(self, x):
        return -x * self.factor


def networks():
    changed = Scale()
    changed.offset[0] = 1
    return [
        Scale(),
        Scale(2.0),
        changed,
        Negative(),
        nn.Sequential(Scale()),
        nn.Sequential(nn.ReLU(), Scale()),
        nn.Sequential(Scale(), nn.ReLU()),
    ]


def test_different_networks_differ():
    digests = {digest(network) for network in networks()}
    assert len(digests) == len(networks())


def test_what_does_not_change_features_does_not_count():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    expected = digest(network)
    network.register_forward_hook(print)
    network.train().to(memory_format=torch.channels_last)
    assert digest(network) == expected


def test_weights_count():
    network = nn.Linear(2, 2)
    before = digest(network)
    with torch.no_grad():
        network.bias[0] += 1e-6
    assert digest(network) != before


def test_copies_agree():
    network = nn.Linear(2, 2)
    assert digest(pickle.loads(pickle.dumps(network))) == digest(network)


@pytest.mark.parametrize(
    "values",
    [
        [1, 1.0, True, "1", b"1", None],
        [("a", "b"), ("ab",), ["a", "b"], {"a": "b"}],
        [lambda x: x + 1, lambda x: x + 2, lambda x, y=1: x + y, lambda x, y=2: x + y],
        [functools.partial(round, ndigits=1), functools.partial(round, ndigits=2)],
        [np.zeros(2), np.zeros((2, 1)), np.zeros(2, np.float32), torch.zeros(2)],
    ],
    ids=["scalars", "containers", "functions", "partials", "arrays"],
)
def test_settings_differ(values):
    assert len({digest(value) for value in values}) == len(values)


def test_closures_count():
    def scale(factor):
        return lambda x: x * factor

    assert digest(scale(2)) == digest(scale(2)) != digest(scale(3))


def test_sets_have_no_order():
    words = [f"word{number}" for number in range(50)]
    assert digest(set(words)) == digest(set(reversed(words)))


def test_networks_that_hold_themselves():
    network = Scale()
    network.__dict__["parent"] = network
    assert digest(network) != digest(Scale())


def test_processes_agree():
    code = (
        "from torch import nn; import torch; "
        "from skda._digest import digest; "
        "layer = nn.Linear(2, 2); nn.init.ones_(layer.weight); nn.init.ones_(layer.bias); "
        "result = digest(layer, len, {'a', 'b', 'c'}, torch.relu).hex(); print(result)"
    )
    names = {}
    exec(code, names)
    # Sets and dicts of texts have another order there.
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    there = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
    )
    assert there.stdout.strip() == names["result"]


def test_objects_without_value_are_refused():
    with pytest.raises(TypeError, match="object objects have no digest"):
        digest(object())


# -- what code reads ----------------------------------------------------------------------------


def _digest_of(code, name="f", **values):
    """Return the digest of what a module of a user defines under a name."""
    module = types.ModuleType("of_a_user")
    vars(module).update(values)
    exec(textwrap.dedent(code), vars(module))
    return digest(vars(module)[name])


USES = {
    "constant": "def f(x): return x * VALUE",
    "constant of a helper": "def helper(x): return x * VALUE\ndef f(x): return helper(x)",
    "constant of an inner function": "def f(x): return [(lambda y: y * VALUE)(y) for y in x]",
    "attribute of a module": "import types; m = types.ModuleType('m'); m.VALUE = VALUE\n"
    "def f(x): return x * m.VALUE",
    "default": "def f(x, y=VALUE): return x * y",
    "keyword default": "def f(x, *, y=VALUE): return x * y",
    "closure": "def make(y):\n    return lambda x: x * y\nf = make(VALUE)",
    "partial": "import functools\ndef g(x, y): return x * y\nf = functools.partial(g, y=VALUE)",
    "bound method": "class A:\n    def __init__(self, y): self.y = y\n"
    "    def g(self, x): return x * self.y\nf = A(VALUE).g",
    "method of a dict": "f = {1: VALUE}.get",
    "class attribute": "class A:\n    y = VALUE\n    def __call__(self, x): return x * self.y\n"
    "f = A()",
    "class attribute of a base": "class B:\n    y = VALUE\nclass A(B):\n"
    "    def __call__(self, x): return x * self.y\nf = A()",
    "property": "class A:\n    @property\n    def y(self): return VALUE\nf = A()",
    "static method": "class A:\n    @staticmethod\n    def y(): return VALUE\nf = A()",
    "callable class": "class A:\n    def __call__(self, x): return x * VALUE\nf = A()",
    "global object": "class A: pass\na = A(); a.y = VALUE\ndef f(x): return x * a.y",
    "cached function": "import functools\n@functools.lru_cache\ndef f(x): return x * VALUE",
    "wrapped function": "import functools\ndef twice(g):\n    @functools.wraps(g)\n"
    "    def h(x): return g(g(x))\n    return h\n@twice\ndef f(x): return x * VALUE",
}


@pytest.mark.parametrize("code", USES.values(), ids=USES)
def test_what_a_callable_reads_counts(code):
    first, again, other = (_digest_of(code, VALUE=value) for value in (2.0, 2.0, 3.0))
    assert first == again != other


def test_what_no_function_reads_does_not_count():
    first, other = (_digest_of(USES["constant"], VALUE=2.0, OTHER=n) for n in (1, 2))
    assert first == other


def test_functions_that_call_themselves():
    code = "def f(n): return 1 if n < 2 else n * f(n - 1) + VALUE"
    assert _digest_of(code, VALUE=1) == _digest_of(code, VALUE=1) != _digest_of(code, VALUE=2)


@pytest.mark.parametrize(
    "value", [threading.Lock(), object(), iter([1])], ids=["lock", "object", "iterator"]
)
def test_a_function_that_reads_what_cannot_be_told_is_refused(value):
    with pytest.raises(TypeError, match="have no digest"):
        _digest_of(USES["constant"], VALUE=value)


def test_functions_of_libraries_count_with_their_version(monkeypatch):
    pytest.importorskip("torchvision")
    from torchvision.transforms import Resize, functional

    def f(x):
        return Resize(3)(functional.hflip(x))

    before = digest(f), digest(Resize(3)), digest(functional.hflip)
    assert before == (digest(f), digest(Resize(3)), digest(functional.hflip))
    monkeypatch.setattr("torchvision.__version__", "0.0")
    _version_of.cache_clear()
    after = digest(f), digest(Resize(3)), digest(functional.hflip)
    _version_of.cache_clear()
    assert not set(before) & set(after)


def test_functions_of_libraries_of_every_kind_have_a_digest():
    pattern, log = re.compile("a"), logging.getLogger("skda.tests")

    def f(x):
        log.debug("%s", x)
        return np.sqrt(torch.relu(nn.functional.relu(x))), pattern.match("a"), len(x), max(x)

    assert digest(f) == digest(f)
