"""How many threads of torch networks take, and that nobody else's number changes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback
from torch import nn

from skda import _threads
from skda._threads import counted, threads_at_most, threads_that_fill
from skda.adaptation import DeepCORALClassifier
from skda.feature_extraction import DeepFeatureExtractor
from skda.training import StackedFits
from skda.training._stacked_epoch import StackedEpoch

FEW_EPOCHS = {"max_epochs": 2, "random_state": 0, "batch_size": 32}


@pytest.fixture(autouse=True)
def four_threads():
    """Let torch take four threads, as on a larger machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def _of_a_new_thread():
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


class Threads(Callback):
    """Notes how many threads there are in every epoch."""

    def __init__(self, numbers):
        self.numbers = numbers

    def on_epoch_end(self, net, **kwargs):
        """Note it."""
        self.numbers.append(torch.get_num_threads())

    def __deepcopy__(self, memo):
        return self


class Linear(nn.Linear):
    """A layer that notes how many threads there are."""

    def __init__(self, in_features):
        super().__init__(in_features, 8)
        self.numbers = []

    def forward(self, x):
        """Return features."""
        self.numbers.append(torch.get_num_threads())
        return super().forward(x)


def _fit(few, numbers, **params):
    classifier = DeepCORALClassifier(**{**FEW_EPOCHS, "callbacks": [Threads(numbers)], **params})
    return classifier.fit(few["X"], few["y"], X_target=few["X_target"])


def test_own_number_is_put_back_and_not_that_of_others():
    with threads_at_most(2):
        assert (torch.get_num_threads(), _of_a_new_thread()) == (2, 4)
        with threads_at_most(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    assert (torch.get_num_threads(), _of_a_new_thread()) == (4, 4)


def test_number_is_put_back_after_an_error():
    with pytest.raises(ZeroDivisionError), threads_at_most(1):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize("n_threads", [None, 4, 9])
def test_number_is_never_raised(n_threads):
    with threads_at_most(n_threads):
        assert torch.get_num_threads() == 4


def test_threads_that_end_in_another_order_leave_nothing_behind():
    first_is_in, second_is_in = threading.Event(), threading.Event()
    inside = []

    def first():
        with threads_at_most(1):
            first_is_in.set()
            second_is_in.wait()
        inside.append(torch.get_num_threads())

    def second():
        first_is_in.wait()
        with threads_at_most(2):
            second_is_in.set()
            one.join()
            inside.append(torch.get_num_threads())
        inside.append(torch.get_num_threads())

    one, other = threading.Thread(target=first), threading.Thread(target=second)
    one.start(), other.start()
    one.join(), other.join()
    assert inside == [4, 2, 4]
    assert (torch.get_num_threads(), _of_a_new_thread()) == (4, 4)


@pytest.mark.parametrize(
    ("of_a_layer", "n_processors", "n_threads"),
    [(1e6, 64, 1), (12e6, 64, 2), (12e6, 4, 1), (200e6, 64, 16), (200e6, 2, 1), (600e6, 2, None)],
)
def test_layers_fill_threads(monkeypatch, of_a_layer, n_processors, n_threads):
    monkeypatch.setattr(_threads, "cpu_count", lambda: n_processors)
    assert threads_that_fill((3 * int(of_a_layer) // 100, 3), 100) == n_threads
    assert threads_that_fill((9 * int(of_a_layer) // 100, 3), 100, is_training=False) == n_threads


def test_work_that_is_not_known_takes_all_threads():
    assert threads_that_fill(None, 64) is None


@pytest.mark.parametrize(
    ("network", "shape", "expected"),
    [
        (nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)), (4, 3), [60, 40]),
        (nn.Conv2d(3, 8, 3, padding=1), (2, 3, 6, 6), [2 * 36 * 8 * 27]),
        (nn.Conv2d(4, 8, 3, padding=1, groups=4), (1, 4, 6, 6), [36 * 8 * 9]),
        (nn.ConvTranspose2d(3, 8, 2, stride=2), (1, 3, 6, 6), [36 * 3 * 8 * 4]),
        (nn.LSTM(3, 5, batch_first=True), (2, 7, 3), [2 * 60, 2 * 100] * 7),
        (nn.GRUCell(3, 5), (2, 3), [2 * 45, 2 * 75]),
        (nn.BatchNorm1d(3), (4, 3), []),
    ],
)
def test_multiply_adds_of_layers(network, shape, expected):
    with counted(network) as counts:
        network(torch.zeros(shape))
    assert counts == expected
    network(torch.zeros(shape))
    assert counts == expected  # nothing looks on


def test_rows_given_by_keyword_are_counted_too():
    network = nn.LSTM(3, 5, batch_first=True)
    with counted(network) as counts:
        network(input=torch.zeros(2, 7, 3))
    assert counts == [2 * 60, 2 * 100] * 7


@pytest.mark.parametrize(("n_threads", "expected"), [("auto", 1), (3, 3), (9, 4), (None, 4)])
def test_fit_takes_as_many_threads_as_it_says(few, n_threads, expected):
    numbers = []
    _fit(few, numbers, n_threads=n_threads)
    assert numbers == [expected, expected]
    assert torch.get_num_threads() == 4


def test_large_layers_take_all_threads(few, monkeypatch):
    monkeypatch.setattr(_threads, "_OUTLAST_A_TURN", 1000)
    numbers = []
    _fit(few, numbers)
    assert numbers == [4, 4]


def test_every_call_of_partial_fit_and_predict_is_as_fit(few):
    numbers = []
    classifier = DeepCORALClassifier(module=Linear, callbacks=[Threads(numbers)], **FEW_EPOCHS)
    for _ in range(2):
        classifier.partial_fit(few["X"], few["y"], X_target=few["X_target"], classes=np.arange(10))
    assert numbers == [1, 1]
    layer = next(m for m in classifier.net_.module_.modules() if isinstance(m, Linear))
    layer.numbers.clear()
    classifier.predict(few["X"][:5])
    assert set(layer.numbers) == {1}
    assert torch.get_num_threads() == 4


def test_a_fit_that_fails_puts_the_number_back(few):
    def fail(rows):
        assert torch.get_num_threads() == 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _fit(few, [], augment=fail)
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_fits_side_by_side_are_those_one_after_the_other(few, backend):
    rows = few["X"], few["y"]
    classifiers = [DeepCORALClassifier(trade_off=t, **FEW_EPOCHS) for t in (0.1, 1, 10)]
    alone = [clone(c).fit(*rows, X_target=few["X_target"]) for c in classifiers]
    fits = joblib.Parallel(n_jobs=2, backend=backend)(
        joblib.delayed(c.fit)(*rows, X_target=few["X_target"]) for c in classifiers
    )
    for one, other in zip(alone, fits, strict=True):
        assert np.array_equal(one.predict_proba(few["X"]), other.predict_proba(few["X"]))
    assert (torch.get_num_threads(), _of_a_new_thread()) == (4, 4)


def test_small_networks_learn_the_same_whatever_torch_takes(few):
    four = _fit(few, []).predict_proba(few["X"])
    torch.set_num_threads(1)
    assert np.array_equal(_fit(few, []).predict_proba(few["X"]), four)


@pytest.mark.parametrize(("n_threads", "expected"), [("auto", 1), (3, 3), (None, 4)])
def test_extraction_takes_as_many_threads_as_it_says(few, n_threads, expected):
    extractor = DeepFeatureExtractor(Linear, n_threads=n_threads).fit(few["X"])
    extractor.module_.numbers.clear()
    extractor.transform(few["X"])
    assert extractor.module_.numbers[-1] == expected  # before it, the engine is tried out
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize(("n_nets", "expected"), [(2, 1), (16, 4)])
def test_stacks_take_as_many_threads_as_all_their_networks_fill(few, monkeypatch, n_nets, expected):
    monkeypatch.setattr(_threads, "_OUTLAST_A_TURN", 4_000_000)  # of ten networks or so
    numbers, take_steps = [], StackedEpoch._take_steps

    def noted(epoch):
        numbers.append(torch.get_num_threads())
        return take_steps(epoch)

    monkeypatch.setattr(StackedEpoch, "_take_steps", noted)
    classifiers = [DeepCORALClassifier(**{**FEW_EPOCHS, "max_epochs": 1}) for _ in range(n_nets)]
    fits = StackedFits()
    fits.run([partial(c.fit, few["X"], few["y"], X_target=few["X_target"]) for c in classifiers])
    assert fits.n_stacked == n_nets
    assert numbers == [expected]
    assert torch.get_num_threads() == 4
