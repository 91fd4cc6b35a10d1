"""Rows of dask collections and of ray data sets."""

import numpy as np
import pytest

from skda.feature_extraction import DeepFeatureExtractor

PIXELS = np.random.RandomState(0).randint(256, size=(10, 16, 12, 3)).astype(np.uint8)


@pytest.fixture
def dask():
    dask = pytest.importorskip("dask")
    with dask.config.set(scheduler="synchronous"):
        yield dask


@pytest.fixture(scope="module")
def extractor():
    return DeepFeatureExtractor(random_state=0, batch_size=3).fit(PIXELS)


@pytest.fixture
def array(dask):
    return pytest.importorskip("dask.array").from_array(PIXELS, chunks=(4, 8, 12, 3))


@pytest.fixture
def bag(dask):
    pillow = pytest.importorskip("PIL.Image")
    pictures = [pillow.fromarray(row) for row in PIXELS]
    return pytest.importorskip("dask.bag").from_sequence(pictures, npartitions=3)


def test_array_gives_lazy_features(array, extractor):
    features = extractor.transform(array)
    assert features.shape == (10, 100) and features.chunks[0] == (4, 4, 2)
    assert features.dtype == np.float32
    np.testing.assert_allclose(
        features.compute(), extractor.transform(PIXELS), rtol=1e-5, atol=1e-6
    )


def test_bag_gives_lazy_features(bag, extractor):
    features = extractor.transform(bag)
    assert features.shape[1] == 100
    np.testing.assert_allclose(
        features.compute(), extractor.transform(PIXELS), rtol=1e-5, atol=1e-6
    )


def test_empty_blocks(array, bag, extractor):
    few = array[(array > 300).any(axis=(1, 2, 3))]
    assert extractor.transform(few).compute().shape == (0, 100)
    assert extractor.transform(bag.filter(lambda image: False)).compute().shape == (0, 100)


@pytest.mark.parametrize("kind", ["array", "bag"])
def test_fit_reads_the_first_row(kind, request, extractor):
    X = request.getfixturevalue(kind)
    again = DeepFeatureExtractor(random_state=0).fit(X)
    assert again.input_shape_ == (3, 16, 12)
    np.testing.assert_allclose(
        again.transform(X).compute(), extractor.transform(PIXELS), rtol=1e-5, atol=1e-6
    )


def test_network_is_once_in_the_graph(array, extractor):
    graph = dict(extractor.transform(array.rechunk((1, -1, -1, -1))).__dask_graph__())
    assert sum("DeepFeatureExtractor" in str(key) for key in graph) == 1


def test_out_is_not_for_dask(array, extractor):
    with pytest.raises(ValueError, match=r"out: .*to_zarr"):
        extractor.transform(array, out=np.zeros((10, 100)))


def test_other_collections(dask):
    with pytest.raises(TypeError, match=r"X is a dask Delayed.*; pass a dask array or bag"):
        DeepFeatureExtractor().fit(dask.delayed(PIXELS))


@pytest.mark.slow
def test_map_batches_of_ray(extractor):
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        rows = ray.data.from_items(
            [{"row": number, "image": image} for number, image in enumerate(PIXELS)]
        )
        rows = rows.map_batches(
            lambda batch: {"row": batch["row"], "x": extractor.transform(batch["image"])},
            batch_size=4,
        ).take_all()
    finally:
        ray.shutdown()
    features = [row["x"] for row in sorted(rows, key=lambda row: row["row"])]
    np.testing.assert_allclose(features, extractor.transform(PIXELS), rtol=1e-5, atol=1e-6)
