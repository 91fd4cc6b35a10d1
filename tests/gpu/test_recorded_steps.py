"""CUDA graphs: what the recorder of ``tests/training/test_recording.py`` stands for."""

import threading
import warnings
from functools import partial

import pytest
import torch

from skda.adaptation import (
    CDANClassifier,
    DANClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    MCDClassifier,
    WDGRLClassifier,
)
from skda.base import DeepAdaptationClassifier
from skda.training._waiting import WaitingWatch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

# Numbers of float32, which tensors on the device hold as they are.
EXACT = {
    "max_epochs": 8,
    "batch_size": 32,
    "random_state": 0,
    "device": "cuda",
    "lr": 2**-10,
    "lr_schedule": "constant",
    "trade_off": 0.5,
    "trade_off_schedule": "constant",
}
METHODS = {
    "coral": partial(DeepCORALClassifier, **EXACT),
    "dan": partial(DANClassifier, **EXACT),
    "dann with dropout": partial(DANNClassifier, module__dropout=0.3, **EXACT),
    "cdan": partial(CDANClassifier, **EXACT),
    "mcd": partial(MCDClassifier, **EXACT),
    "wdgrl": partial(WDGRLClassifier, n_critic=2, **EXACT),
    "augment": partial(DeepCORALClassifier, augment=lambda X: X + torch.randn_like(X), **EXACT),
}


def _fit(make, few, **params):
    return make(**params).fit(few["X"], few["y"], X_target=few["X_target"])


def _state(clf):
    tensors = clf.net_.module_.state_dict().values()
    return torch.cat([tensor.detach().double().flatten().cpu() for tensor in tensors])


@pytest.mark.parametrize("method", METHODS)
def test_replays_are_the_plain_steps_bit_by_bit(method, few):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Steps are not recorded")
        recorded = _fit(METHODS[method], few, cuda_graphs=True)
    plain = _fit(METHODS[method], few, cuda_graphs=False)
    assert torch.equal(_state(recorded), _state(plain))


def test_a_recorded_training_leaves_the_generators_of_the_process(few):
    before = torch.cuda.get_rng_state()
    _fit(METHODS["dann with dropout"], few, cuda_graphs=True)
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_trainings_in_several_threads_are_those_of_one(few):
    makes = [METHODS["dann with dropout"], METHODS["coral"]]
    alone = [_state(_fit(make, few, cuda_graphs=True)) for make in makes]
    together = [None] * len(makes)

    def fit(number):
        together[number] = _state(_fit(makes[number], few, cuda_graphs=True))

    threads = [threading.Thread(target=fit, args=(number,)) for number in range(len(makes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(map(torch.equal, alone, together))


def _waits_unseen(source, target):
    torch.cuda.current_stream().synchronize()  # no operator, which a watch would see
    return (source.mean(dim=0) - target.mean(dim=0)).square().sum()


def test_after_a_recording_that_fails_all_goes_on(few):
    class Own(DeepAdaptationClassifier):
        alignment = staticmethod(_waits_unseen)
        trade_off: float = 0.5

    params = {name: value for name, value in EXACT.items() if "trade_off" not in name}
    make = partial(Own, module__dropout=0.3, **params)
    with pytest.warns(UserWarning, match="a step could not be recorded"):
        recorded = _fit(make, few, cuda_graphs=True)
    assert torch.equal(_state(recorded), _state(_fit(make, few, cuda_graphs=False)))
    test_replays_are_the_plain_steps_bit_by_bit("dann with dropout", few)
    assert torch.rand(3, device="cuda").isfinite().all()


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: x.cpu(),
        lambda x: x.tolist(),
        lambda x: x.new_tensor([1.0]),
        lambda x: torch.tensor([1.0], device="cuda"),
        lambda x: torch.tensor([1.0]).to("cuda"),
        lambda x: x[x > 0],
    ],
)
def test_what_waits_for_the_device_is_found(wait):
    x = torch.ones(3, device="cuda")
    with WaitingWatch() as watch:
        wait(x)
    assert watch.found
