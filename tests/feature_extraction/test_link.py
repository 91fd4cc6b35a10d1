"""Batches on their way to a device: order, streams, and what is kept until when."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn

from skda.feature_extraction import DeepFeatureExtractor, _computation, _engines, _link
from skda.feature_extraction._batch_size import BatchSize
from skda.feature_extraction._link import CudaLink, Link, ahead, make_link

X = np.random.RandomState(0).rand(10, 6).astype(np.float32)


class FakeStream:
    def __init__(self, log, name):
        self.log, self.name = log, name

    def record_event(self):
        number = sum(entry[0] == "record" for entry in self.log)
        self.log.append(("record", self.name, number))
        return FakeEvent(self.log, number)

    def wait_event(self, event):
        self.log.append(("wait", self.name, event.number))


class FakeEvent:
    def __init__(self, log, number):
        self.log, self.number = log, number

    def synchronize(self):
        self.log.append(("synchronize", self.number))


class FakeCuda:
    """What ``torch.cuda`` has of streams, which write down what they are asked for."""

    def __init__(self):
        self.log, self.inside = [], None
        self.main = FakeStream(self.log, "main")

    def Stream(self, device):
        return FakeStream(self.log, "copies")

    def current_stream(self, device):
        return self.inside or self.main

    @contextmanager
    def stream(self, stream):
        self.inside = stream
        yield
        self.inside = None


@pytest.fixture
def fake(monkeypatch):
    cuda = FakeCuda()

    def record_stream(values, stream):
        cuda.log.append(("keep for", stream.name))

    def pinned_like(values):
        cuda.log.append(("pinned", len(values) if values.ndim else 0))
        return torch.empty_like(values)

    monkeypatch.setattr(torch.Tensor, "record_stream", record_stream)
    monkeypatch.setattr(_link, "_pinned_like", pinned_like)
    return cuda


def test_a_batch_is_copied_on_a_stream_of_its_own_and_waited_for(fake):
    link = CudaLink(torch.device("cpu"), fake)
    sent = link.send(torch.arange(3.0))
    assert fake.log == [("pinned", 3), ("record", "copies", 0)]
    assert sent.host is not None
    assert link.receive(sent).tolist() == [0, 1, 2]
    assert fake.log[2:] == [("wait", "main", 0), ("keep for", "main")]


def test_every_input_by_name_is_kept(fake):
    link = CudaLink(torch.device("cpu"), fake)
    batch = {"a": torch.ones(2), "b": torch.zeros(3)}
    got = link.receive(link.send(batch))
    assert got.keys() == batch.keys() and fake.log.count(("keep for", "main")) == 2


def test_features_are_fetched_behind_their_batch(fake):
    link = CudaLink(torch.device("cpu"), fake)
    fetched = link.fetch(torch.tensor([[1.0], [torch.inf]]), to_host=True)
    assert fake.log == [("pinned", 0), ("pinned", 2), ("record", "main", 0)]
    values, is_finite = link.wait(fetched)
    assert values.tolist() == [[1], [torch.inf]] and not is_finite
    assert fake.log[-1] == ("synchronize", 0)


def test_features_of_tensors_stay(fake):
    link = CudaLink(torch.device("cpu"), fake)
    given = torch.ones(2, 1)
    values, is_finite = link.wait(link.fetch(given, to_host=False))
    assert values is given and is_finite and ("pinned", 2) not in fake.log


def test_rows_on_the_device_are_not_sent(fake):
    link = CudaLink(torch.device("meta"), fake)
    sent = link.send(torch.ones(2, device="meta"))
    assert link.receive(sent).device.type == "meta" and not fake.log


def test_pinned_rows_are_not_copied_again(fake, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "is_pinned", lambda values: True)
    CudaLink(torch.device("cpu"), fake).send(torch.ones(2))
    assert fake.log == [("record", "copies", 0)]


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("n_items", [0, 1, 2, 5])
def test_items_come_in_order_once_others_have_begun(n, n_items):
    begun, most = [], []

    def items():
        for item in range(n_items):
            begun.append(item)
            yield item

    for item in ahead(items(), n):
        most.append(len(begun) - item)
    assert len(most) == n_items and begun == list(range(n_items))
    assert most == [min(n, n_items - item) for item in range(n_items)]


def test_only_cuda_devices_have_streams():
    assert type(make_link("cpu")) is Link and Link.depth == 1 and CudaLink.depth == 2


# -- in an extractor ----------------------------------------------------------------------------


class Logged(nn.Module):
    def __init__(self):
        super().__init__()
        self.log = []

    def forward(self, x):
        self.log.append(("network", int(x[0, 0])))
        return x * 2


@pytest.fixture
def through_cuda(fake, monkeypatch):
    """Let the CPU be reached by way of streams."""
    monkeypatch.setattr(_computation, "make_link", lambda device: CudaLink("cpu", fake))
    return fake


ROWS = np.repeat(np.arange(7, dtype=np.float32)[:, None], 2, axis=1)


def _extractor(network=None, **params):
    params = {"batch_size": 2, "device": "cpu", "engine": "eager", **params}
    return DeepFeatureExtractor(network or Logged(), **params).fit(ROWS)


def test_the_next_batch_is_launched_before_the_features_of_this_one_are_waited_for(through_cuda):
    extractor = _extractor()
    extractor.transform(ROWS)
    through_cuda.log.clear()
    extractor.module_.log = through_cuda.log
    np.testing.assert_array_equal(extractor.transform(ROWS), 2 * ROWS)
    steps = [entry for entry in through_cuda.log if entry[0] in ("network", "synchronize")]
    # Every batch records two events: that it has arrived, and that it is done.
    assert steps == [
        ("network", 0),
        ("network", 2),
        ("synchronize", 1),
        ("network", 4),
        ("synchronize", 3),
        ("network", 6),
        ("synchronize", 5),
        ("synchronize", 7),
    ]


@pytest.mark.parametrize("with_cache", [False, True])
def test_features_are_those_without_streams(with_cache, through_cuda, tmp_path):
    extractor = _extractor(nn.Linear(2, 3), cache=tmp_path if with_cache else None)
    got = extractor.transform(ROWS)
    with torch.no_grad():
        expected = torch.nn.functional.linear(
            torch.from_numpy(ROWS), *(p.cpu() for p in extractor.module_.parameters())
        )
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_rows_that_are_not_finite_are_named_with_a_batch_under_way(through_cuda):
    rows = ROWS.copy()
    rows[3] = 3e38
    with pytest.raises(ValueError, match=r"features of row 3 are not finite"):
        _extractor().transform(rows)


@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_a_network_in_place_does_not_write_into_the_rows(kind, through_cuda):
    rows = ROWS.copy()
    given = torch.from_numpy(rows) if kind == "tensor" else rows
    features = _extractor(nn.Threshold(100, -1, inplace=True)).transform(given)
    assert (np.asarray(features) == -1).all()
    np.testing.assert_array_equal(rows, ROWS)


class InPlace(nn.Module):
    """Writes into its inputs, and runs out of memory, or out of numbers, in the middle of that."""

    def __init__(self, fits=100):
        super().__init__()
        self.fits = fits
        self.linear = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.linear.weight.copy_(torch.eye(2))

    def forward(self, x):
        x += 1
        if len(x) > self.fits:
            raise RuntimeError("CUDA out of memory.")
        return self.linear(x)


@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_a_batch_that_memory_did_not_hold_is_done_again_as_it_was(kind, through_cuda, monkeypatch):
    monkeypatch.setattr(
        _computation, "make_batch_size", lambda *args, **kwargs: BatchSize(6, may_shrink=True)
    )
    given = torch.from_numpy(ROWS.copy()) if kind == "tensor" else ROWS.copy()
    features = _extractor(InPlace(fits=2)).transform(given)
    np.testing.assert_array_equal(np.asarray(features), ROWS + 1)


def test_a_batch_that_float16_did_not_hold_is_done_again_as_it_was(through_cuda, monkeypatch):
    monkeypatch.setattr(_engines, "half_precision", lambda device: "float16")
    monkeypatch.setattr(_engines, "MIN_FLOPS", 0)
    rows = ROWS.copy()
    rows[3] = 2.0**20
    np.testing.assert_array_equal(_extractor(InPlace()).transform(rows), rows + 1)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["pixels", "floats", "resident", "pictures"])
def test_features_on_a_cuda_device_are_those_of_the_cpu(kind):
    pixels = np.random.RandomState(0).randint(256, size=(300, 16, 16, 3)).astype(np.uint8)
    floats = pixels.transpose(0, 3, 1, 2) / np.float32(255)
    rows = {"pixels": pixels, "floats": floats, "resident": torch.from_numpy(floats).cuda()}
    if kind == "pictures":
        Image = pytest.importorskip("PIL.Image")
        rows["pictures"] = [Image.fromarray(row) for row in pixels]
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True))
    params = {"precision": "float32", "pooling": "flatten"}
    features = DeepFeatureExtractor(network, device="cuda", **params).fit_transform(rows[kind])
    assert isinstance(features, torch.Tensor) == (kind == "resident")
    expected = DeepFeatureExtractor(network, device="cpu", **params).fit_transform(floats)
    np.testing.assert_allclose(torch.as_tensor(features).cpu(), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.gpu
def test_memory_of_a_cuda_device_that_is_out_makes_smaller_batches():
    class Greedy(nn.Module):
        def forward(self, x):
            # More than there is for more than 8 rows.
            share = torch.cuda.get_device_properties(x.device).total_memory // 8
            torch.empty(len(x) * share, dtype=torch.uint8, device=x.device)
            return x * 2

    rows = np.random.RandomState(0).rand(100, 3).astype(np.float32)
    features = DeepFeatureExtractor(Greedy(), device="cuda").fit_transform(rows)
    np.testing.assert_array_equal(features, 2 * rows)
