"""When a network is converted, and who shares it."""

import multiprocessing
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch
from devices import on_cpu
from sklearn.base import clone
from torch import nn

from skda.feature_extraction import DeepFeatureExtractor, _engine_room, _engines
from skda.feature_extraction._engine_room import ROWS_THAT_REPAY, Shared

ROWS = np.random.RandomState(0).rand(400, 3, 8, 8).astype(np.float32)


def _network(in_channels):
    return nn.Sequential(nn.Conv2d(in_channels, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.fixture
def converted(monkeypatch):
    """Conversions, by the network's copy on another library that gives the features of torch."""
    made = []

    def convert(feature_module, example, precision):
        made.append(os.getpid())
        with torch.inference_mode(False):
            copied = pickle.loads(pickle.dumps(feature_module))
        return lambda batch: copied(batch)

    monkeypatch.setitem(_engines.BUILDERS, "openvino", convert)
    monkeypatch.setattr(_engines, "find_spec", lambda name: name == "openvino" or None)
    monkeypatch.setattr(_engines, "MIN_FLOPS", 0)
    for shared in (_engine_room._ENGINES, _engine_room._COUNTS):
        shared.forget()
    yield made
    for shared in (_engine_room._ENGINES, _engine_room._COUNTS):
        shared.forget()


def _extractor(**params):
    return DeepFeatureExtractor(_network, **{"random_state": 0, "device": "cpu", **params})


def test_few_rows_are_not_worth_a_conversion(converted):
    extractor = _extractor().fit(ROWS)
    extractor.transform(ROWS[: ROWS_THAT_REPAY - 1])
    assert not converted
    extractor.transform(ROWS[:1])  # with those before
    assert len(converted) == 1


def test_many_rows_of_one_call_are(converted):
    _extractor().fit(ROWS).transform(ROWS[:ROWS_THAT_REPAY])
    assert len(converted) == 1


def test_versions_of_an_image_count(converted):
    _extractor(augment="sixteen").fit(ROWS).transform(ROWS[:30])
    assert len(converted) == 1


def test_rows_that_the_cache_knows_do_not_count(converted, tmp_path):
    extractor = _extractor(cache=tmp_path).fit(ROWS)
    for _ in range(10):
        extractor.transform(ROWS[:100])
    assert not converted


def test_clones_with_the_same_weights_count_together_and_share_what_was_converted(converted):
    extractor = _extractor()
    for start in range(0, 400, 20):
        clone(extractor).fit(ROWS).transform(ROWS[start : start + 20])
    assert len(converted) == 1
    clone(extractor).set_params(random_state=1).fit(ROWS).transform(ROWS)
    assert len(converted) == 2


@pytest.mark.parametrize("other", [{"layers": "0"}, {"pooling": "max"}, {"random_state": 1}])
def test_other_networks_and_settings_do_not_share(converted, other):
    params = {"layers": "0", "pooling": "avg"} if "pooling" in other else {}
    one, two = _extractor(**params), _extractor(**{**params, **other})
    one.fit(ROWS).transform(ROWS)
    features = two.fit(ROWS).transform(ROWS)
    assert len(converted) == 2
    eager = clone(two).set_params(engine="eager").fit(ROWS).transform(ROWS)
    np.testing.assert_allclose(features, eager, rtol=1e-5, atol=1e-7)


def test_other_sizes_of_images_do_not_share(converted):
    for size in (8, 6):
        extractor = _extractor(engine="openvino").fit(ROWS[:, :, :size, :size])
        extractor.transform(ROWS[:5, :, :size, :size])
    assert len(converted) == 2


def test_a_network_of_other_weights_is_not_the_shared_one(converted):
    """Were it, the features of the example would differ, which is an error."""
    extractor = _extractor(engine="openvino").fit(ROWS)
    extractor.transform(ROWS[:5])
    with torch.no_grad():
        extractor.module_[0].weight.mul_(2)
    extractor._engines.clear()
    expected = _extractor(engine="eager").fit(ROWS).transform(ROWS[:5]) * 2
    bias = on_cpu(extractor.module_[0].bias).numpy()
    np.testing.assert_allclose(extractor.transform(ROWS[:5]), expected - bias, atol=1e-5)


def test_threads_convert_once(converted):
    extractors = [_extractor().fit(ROWS) for _ in range(4)]
    at_once = Barrier(4)

    def transform(extractor):
        at_once.wait()
        return extractor.transform(ROWS)

    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(transform, extractors)
    assert len(converted) == 1
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_a_network_that_cannot_be_converted_is_tried_once(converted, monkeypatch):
    tried = []

    def fail(*args):
        tried.append(1)
        raise RuntimeError("no")

    monkeypatch.setitem(_engines.BUILDERS, "openvino", fail)
    for _ in range(3):
        _extractor().fit(ROWS).transform(ROWS)
    assert len(tried) == 1
    with pytest.raises(ValueError, match=r"engine: 'openvino' cannot run .*no"):
        _extractor(engine="openvino").fit(ROWS).transform(ROWS[:2])


def test_features_do_not_depend_on_how_rows_are_cut():
    """With the libraries themselves: up to here torch computed, from here on they do."""
    pytest.importorskip("openvino")
    network = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 128, 3)).eval()
    rows = np.random.RandomState(0).rand(340, 3, 20, 20).astype(np.float32)
    make = DeepFeatureExtractor(network, device="cpu", precision="float32").fit
    whole, parts = make(rows).transform(rows), make(rows)
    _engine_room._COUNTS.forget()
    parts._engines.clear()
    parts = np.concatenate(
        [parts.transform(rows[start : start + 17]) for start in range(0, 340, 17)]
    )
    errors = np.linalg.norm(whole - parts, axis=1) / np.linalg.norm(parts, axis=1)
    assert 0 < errors.max() < 1e-4  # not the same engine throughout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_processes_convert_for_themselves(converted):
    extractor = _extractor().fit(ROWS)
    expected = extractor.transform(ROWS)

    def work(connection):
        features = extractor.transform(ROWS)
        connection.send((converted[-1] == os.getpid(), np.array_equal(features, expected)))

    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=work, args=(theirs,))
    child.start()
    assert ours.poll(60) and ours.recv() == (True, True)
    child.join()


def test_pickles_hold_no_engine(converted):
    extractor = _extractor().fit(ROWS)
    expected = extractor.transform(ROWS)
    again = pickle.loads(pickle.dumps(extractor))
    assert not again._engines
    np.testing.assert_array_equal(again.transform(ROWS), expected)
    assert len(converted) == 1  # of this process


# -- what is shared -----------------------------------------------------------------------------


def test_the_oldest_is_forgotten():
    shared, made = Shared(2), []
    for key in "abacab":  # c takes the place of b, and b that of c
        shared.get(key, lambda key=key: made.append(key))
    assert made == list("abcb")


def test_a_failure_leaves_nothing_behind():
    shared = Shared(2)
    with pytest.raises(ZeroDivisionError):
        shared.get("a", lambda: 1 / 0)
    assert shared.get("a", lambda: 1) == 1
