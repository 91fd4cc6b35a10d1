"""float16 where a device is made for it, and something wider where its numbers are too small."""

import numpy as np
import pytest
import torch
from torch import nn

from skda.feature_extraction import DeepFeatureExtractor, _engines, _precision
from skda.feature_extraction._engines import engine_choices, make_engine
from skda.feature_extraction._features import FeatureModule
from skda.feature_extraction._precision import fits_float16, half_precision, wider_precision

X = np.random.RandomState(0).rand(24, 6).astype(np.float32)


@pytest.fixture
def float16(monkeypatch):
    """Let the CPU be a device that is made for float16, and for bfloat16."""
    monkeypatch.setattr(_engines, "half_precision", lambda device: "float16")
    monkeypatch.setattr(_engines, "wider_precision", lambda device: "bfloat16")
    monkeypatch.setattr(_engines, "MIN_FLOPS", 0)


def _network(scale=1.0, last=None):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 4), last or nn.Identity())
    with torch.no_grad():
        network[0].weight.copy_(torch.rand(8, 6) * scale)
        network[1].weight.copy_(torch.rand(4, 8))
    return network.eval()


def _extractor(network, **params):
    params = {"batch_size": 4, "device": "cpu", "engine": "eager", **params}
    return DeepFeatureExtractor(network, **params).fit(X)


def _engine_of(extractor):
    (engine,) = extractor._engine_room._made.values()
    return engine


def _expected(network, rows):
    with torch.no_grad():
        return network(torch.from_numpy(rows)).numpy()


def _error(got, expected):
    return np.linalg.norm(got - expected) / np.linalg.norm(expected)


def test_numbers_that_float16_holds_are_in_float16(float16):
    extractor = _extractor(_network())
    features = extractor.transform(X)
    engine = _engine_of(extractor)
    assert engine.precision == "float16"
    assert 1e-6 < _error(features, _expected(_network(), X)) < 1e-3
    assert 1e-6 < engine.drift < 1e-3


def test_float32_does_not_drift():
    extractor = _extractor(_network())
    extractor.transform(X)
    assert _engine_of(extractor).drift == 0


def test_rows_that_overflow_are_done_again(float16, capsys):
    rows = X.copy()
    rows[9] = 1e5
    extractor = _extractor(_network(), verbose=1)
    features = extractor.transform(rows)
    assert np.isfinite(features).all() and _engine_of(extractor).precision == "bfloat16"
    expected = _expected(_network(), rows)
    assert _error(features[9], expected[9]) < 2e-2
    assert _error(features[:8], expected[:8]) < 1e-3  # of batches before
    assert 2e-3 < np.abs(features[12:] / expected[12:] - 1).max() < 2e-2  # and from there on
    notes = [line for line in capsys.readouterr().out.splitlines() if "precision" in line]
    assert [note.split(";")[0] for note in notes] == [
        "precision: float16",
        "precision: features overflow in float16",
        "precision: bfloat16",
    ]
    assert "bfloat16 from here on" in notes[1]


def test_nothing_is_said_unasked(float16, capsys):
    _extractor(_network(1e6)).transform(X)
    assert capsys.readouterr() == ("", "")


def test_rows_of_a_cache_are_done_again(float16, tmp_path):
    rows = X.copy()
    rows[9] = 1e5
    extractor = _extractor(_network(), cache=tmp_path)
    for _ in range(2):
        assert _error(extractor.transform(rows)[9], _expected(_network(), rows)[9]) < 2e-2


def test_what_overflows_within_the_network_is_seen_in_the_first_rows(float16):
    """Its features are 6 in float16, a number like any other."""
    network = _network(1e5, last=nn.Sequential(nn.Linear(4, 4), nn.ReLU6()))
    with torch.no_grad():
        network[2][0].weight.copy_(torch.eye(4) * 5e-6)
        network[2][0].bias.zero_()
    expected = _expected(network, X)
    assert expected.max() < 5.9
    extractor = _extractor(network)
    assert _error(extractor.transform(X), expected) < 2e-2
    assert _engine_of(extractor).precision == "bfloat16"


def test_too_little_room_is_too_little(float16):
    run = make_engine(
        FeatureModule(_network(2000), ("features",), None), torch.ones(2, 6), engine="eager"
    )
    assert run.precision == "bfloat16"
    assert "too narrow" in run.notes[0] and len(run.notes) == 2


def test_features_that_drift_are_not_in_float16(float16, monkeypatch):
    monkeypatch.setitem(_engines._TOLERANCES, "float16", 1e-7)
    run = make_engine(
        FeatureModule(_network(), ("features",), None), torch.rand(2, 6), engine="eager"
    )
    assert run.precision == "bfloat16"


def test_float16_that_was_asked_for_stays(float16):
    rows = X.copy()
    rows[9] = 1e5
    extractor = _extractor(_network(), precision="float16")
    with pytest.raises(ValueError, match="features of row 9 are not finite"):
        extractor.transform(rows)
    assert _engine_of(extractor).precision == "float16"


def test_what_no_precision_holds_is_an_error(float16):
    rows = X.copy()
    rows[9] = 3e38
    with pytest.raises(ValueError, match="features of row 9 are not finite"):
        _extractor(_network(10)).transform(rows)


def test_pictures_that_cannot_be_read_are_no_overflow(float16):
    Image = pytest.importorskip("PIL.Image")

    class Inverse(nn.Module):
        def forward(self, x):
            return 1 / x.mean(dim=(2, 3))

    rows = [Image.fromarray(np.full((6, 6, 3), 80, dtype=np.uint8)) for _ in range(6)]
    rows[3] = b"no image"
    extractor = DeepFeatureExtractor(Inverse(), on_error="nan", device="cpu", engine="eager")
    with pytest.warns(UserWarning, match="1 of 6 images"):
        features = extractor.fit_transform(rows)
    assert np.isnan(features).all(axis=1).nonzero()[0].tolist() == [3]
    assert _engine_of(extractor).precision == "float16"


@pytest.mark.parametrize(
    ("capability", "first", "second"),
    [((9, 0), "float16", "bfloat16"), ((7, 5), "float16", "float32"), ((6, 1), None, "float32")],
)
def test_precisions_of_cuda_devices(capability, first, second, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    device = torch.device("cuda")
    assert half_precision(device) == first and wider_precision(device) == second
    assert engine_choices("auto", "auto", device) == (("eager", first or "float32"),)
    assert engine_choices("auto", "auto", device, is_small=True) == (("eager", "float32"),)


def test_cpus_do_not_take_float16():
    assert half_precision(torch.device("cpu")) in (None, "bfloat16")
    assert half_precision(torch.device("meta")) is None


def test_infinity_and_nan_do_not_fit():
    x = torch.full((2,), 6e4, dtype=torch.float16)
    assert not fits_float16(lambda: (x * 2 - x * 2).nan_to_num(0))
    assert fits_float16(lambda: x.float() * 1e9)  # in float32
    assert fits_float16(lambda: None)
    assert _precision._ROOM == 8
