"""Trainings and predictions in several threads at once."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import joblib
import numpy as np
import pytest
import torch
from devices import on_cpu
from sklearn.base import clone
from sklearn.pipeline import FeatureUnion

from skda.adaptation import (
    CoGANClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    DSNClassifier,
    WDGRLClassifier,
)
from skda.feature_extraction import DeepFeatureExtractor
from skda.nn import ConvNet, joint

FEW_EPOCHS = {"max_epochs": 2, "random_state": 0, "batch_size": 32}


class Noise:
    """An augmentation that begins to draw in the middle of an epoch."""

    n_calls = 0

    def __call__(self, X):
        """Return other rows."""
        self.n_calls += 1
        return X + 0.1 * torch.randn_like(X) if self.n_calls > 3 else X


class Noisy(torch.nn.Module):
    """A network that begins to draw in the middle of an epoch."""

    def __init__(self, in_features):
        super().__init__()
        self.linear, self.n_steps = torch.nn.Linear(in_features, 8), 0

    def forward(self, x):
        """Return features."""
        self.n_steps += self.training
        x = self.linear(x)
        return x + torch.randn_like(x) if self.training and self.n_steps > 3 else x


# Another seed for every fit: what one has drawn cannot pass for what another should have.
METHODS = {
    "plain": partial(DeepCORALClassifier, **FEW_EPOCHS),
    "dropout": partial(DeepCORALClassifier, module__dropout=0.5, **FEW_EPOCHS),
    "augment": partial(DeepCORALClassifier, augment=Noise(), **FEW_EPOCHS),
    "early stopping": partial(
        DeepCORALClassifier, early_stopping=True, module__dropout=0.2, **FEW_EPOCHS
    ),
    "a network that draws later": partial(DeepCORALClassifier, module=Noisy, **FEW_EPOCHS),
    "dann": partial(DANNClassifier, **FEW_EPOCHS),
    "cogan": partial(CoGANClassifier, **FEW_EPOCHS),
    "wdgrl": partial(WDGRLClassifier, **FEW_EPOCHS),
    "dsn": partial(DSNClassifier, **FEW_EPOCHS),
}


@pytest.fixture(autouse=True)
def frequent_switches():
    """Let threads take turns every few microseconds, not every 5 ms."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def _fit(estimator, data):
    estimator = estimator.fit(data["X"], data["y"], X_target=data["X_target"])
    return estimator.predict_proba(data["X_target"])


def _seeds(make, n):
    return [clone(make()).set_params(random_state=seed) for seed in range(n)]


def _differences(serial, threaded):
    return sum(not np.array_equal(*pair) for pair in zip(serial, threaded, strict=True))


class Watcher(threading.Thread):
    """A thread of the caller that draws from the generators of the process all the time."""

    def __init__(self):
        super().__init__(daemon=True)
        self.generator = torch.Generator()
        self.generator.set_state(torch.default_generator.get_state())
        self.numpy = np.random.RandomState()
        self.numpy.set_state(np.random.get_state())  # noqa: NPY002, the caller's
        self.ends, self.n_draws, self.n_wrong = threading.Event(), 0, 0

    def run(self):
        """Draw, and compare with generators that nobody else has."""
        while not self.ends.is_set():
            expected = torch.rand(3, generator=self.generator)
            self.n_wrong += not torch.equal(torch.rand(3), expected)
            self.n_wrong += np.random.uniform() != self.numpy.uniform()  # noqa: NPY002
            self.n_wrong += torch.initial_seed() != torch.default_generator.initial_seed()
            self.n_draws += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.ends.set()
        self.join()


@pytest.mark.parametrize("name", METHODS)
def test_fits_in_threads_are_those_one_after_the_other(name, few):
    serial = [_fit(estimator, few) for estimator in _seeds(METHODS[name], 4)]
    with ThreadPoolExecutor(4) as pool:
        threaded = list(pool.map(partial(_fit, data=few), _seeds(METHODS[name], 4)))
    assert _differences(serial, threaded) == 0


@pytest.mark.parametrize("name", METHODS)
def test_the_callers_generators_stay_at_every_moment(name, few):
    state = torch.get_rng_state()
    _fit(clone(METHODS[name]()), few)
    assert torch.equal(torch.get_rng_state(), state)
    with Watcher() as watcher:
        _fit(clone(METHODS[name]()), few)
    assert watcher.n_draws > 10
    assert watcher.n_wrong == 0


@pytest.mark.exhaustive
def test_two_hundred_fits_of_all_methods_in_threads(few):
    jobs = [(name, seed) for seed in range(25) for name in METHODS][:200]

    def run(job):
        return _fit(clone(METHODS[job[0]]()).set_params(random_state=job[1]), few)

    serial = [run(job) for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        assert _differences(serial, list(pool.map(run, jobs))) == 0


def test_jobs_of_joblib_in_threads(few):
    make = METHODS["dropout"]
    serial = [_fit(estimator, few) for estimator in _seeds(make, 3)]
    parallel = joblib.Parallel(n_jobs=3, backend="threading")
    threaded = parallel(joblib.delayed(_fit)(estimator, few) for estimator in _seeds(make, 3))
    assert _differences(serial, threaded) == 0


def test_jobs_of_dask_in_threads(few):
    dask = pytest.importorskip("dask")
    make = METHODS["dropout"]
    serial = [_fit(estimator, few) for estimator in _seeds(make, 3)]
    jobs = [dask.delayed(_fit)(estimator, few) for estimator in _seeds(make, 3)]
    threaded = dask.compute(*jobs, scheduler="threads", num_workers=3)
    assert _differences(serial, threaded) == 0


def test_a_union_of_extractors_in_threads(few):
    images = few["X"].reshape(-1, 1, 8, 8).astype(np.float32)

    def union(n_jobs):
        parts = [(str(seed), DeepFeatureExtractor(ConvNet, random_state=seed)) for seed in range(3)]
        return FeatureUnion(parts, n_jobs=n_jobs)

    state = torch.get_rng_state()
    serial = union(None).fit_transform(images)
    with joblib.parallel_config("threading"):
        assert np.array_equal(union(3).fit_transform(images), serial)
    assert torch.equal(torch.get_rng_state(), state)


def test_one_estimator_predicts_in_threads(few):
    model = DeepCORALClassifier(layers=("hidden1",), **FEW_EPOCHS)
    model.fit(few["X"], few["y"], X_target=few["X_target"])
    jobs = [
        lambda: on_cpu(
            model.activations_of(few["X"], ("hidden1",), domain="source")["hidden1"]
        ).numpy(),
        lambda: model.predict_proba(few["X_target"]),
        lambda: model.transform(few["X_target"][:50]),
    ]
    serial = [job() for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        threaded = list(pool.map(lambda number: jobs[number % 3](), range(120)))
    assert _differences(serial * 40, threaded) == 0


def test_an_iteration_that_is_left_lets_other_threads_predict(few):
    model = DeepCORALClassifier(**FEW_EPOCHS).fit(few["X"], few["y"], X_target=few["X_target"])
    rows = few["X"].astype(np.float32)
    left = model.net_.iter_activations(rows, domain="source")
    next(left)
    with ThreadPoolExecutor(1) as pool:
        predicted = pool.submit(model.predict, few["X_target"]).result(timeout=60)
    assert np.array_equal(predicted, model.predict(few["X_target"]))


def test_a_default_type_of_the_caller_comes_back_after_fits_in_threads(few):
    make = METHODS["plain"]
    serial = [_fit(estimator, few) for estimator in _seeds(make, 4)]
    torch.set_default_dtype(torch.float64)
    try:
        with ThreadPoolExecutor(4) as pool:
            threaded = list(pool.map(partial(_fit, data=few), _seeds(make, 4)))
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert _differences(serial, threaded) == 0


def test_a_compiled_network_draws_what_it_draws_uncompiled(few):
    plain = DeepCORALClassifier(module__dropout=0.5, **FEW_EPOCHS)
    compiled = clone(plain).set_params(compile=True, compile__backend="eager")
    state = torch.get_rng_state()
    assert np.allclose(_fit(compiled, few), _fit(plain, few), atol=1e-5)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_loss_of_the_users_that_draws_late_is_reproducible(few):
    from skda.base import DeepAdaptationClassifier

    n_calls = [0]

    @joint
    def loss(source, target):
        n_calls[0] += 1
        features = target["features"]
        chosen = torch.randperm(len(features))[:5] if n_calls[0] > 4 else slice(5)
        return features[chosen].square().mean()

    def fit():
        n_calls[0] = 0
        return _fit(DeepAdaptationClassifier(alignment=loss, **FEW_EPOCHS), few)

    state = torch.get_rng_state()
    first = fit()
    torch.rand(3)
    assert np.array_equal(fit(), first)
    torch.set_rng_state(state)
    fit()
    assert torch.equal(torch.get_rng_state(), state)
