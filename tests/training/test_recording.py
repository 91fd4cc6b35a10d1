"""Recorded steps, with a recorder for the CPU that replays operators as CUDA graphs do kernels."""

import copy
import warnings
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, GradientNormClipping
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from skda._random import current_generators
from skda.adaptation import (
    ADDAClassifier,
    CDANClassifier,
    DAANClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    MCDClassifier,
    SANClassifier,
    WDGRLClassifier,
)
from skda.base import DeepAdaptationClassifier
from skda.exceptions import DivergenceError
from skda.fine_tuning import FineTuneClassifier
from skda.training import _graphs, annealing


class Tape(TorchDispatchMode):
    """Takes a step, and again by its operators alone: no Python of the step runs.

    As in a CUDA graph every operator finds its arguments in the memory that they had, and leaves
    its results in the memory that they had. What waits for the device is an error.
    """

    def __init__(self):
        super().__init__()
        self.n_recorded = self.n_replayed = 0
        self._entries = []

    def epoch(self):
        return nullcontext()

    def record(self, step):
        self._entries = []
        # A CUDA graph draws from the generator of the process; no mode is to give it another.
        assert current_generators() is None
        with self:
            step()
        self.n_recorded += 1
        return self._replay

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if "_local_scalar_dense" in func._schema.name:
            raise RuntimeError("operation not permitted when stream is capturing")
        results = func(*args, **kwargs)
        before = {_memory(t) for t in _tensors((args, kwargs))}
        fresh = [t if _memory(t) not in before else None for t in _tensors(results)]
        self._entries.append((func, args, kwargs, fresh))
        return results

    def _replay(self):
        self.n_replayed += 1
        with torch.no_grad():
            for func, args, kwargs, fresh in self._entries:
                results = _tensors(func(*args, **kwargs))
                for result, place in zip(results, fresh, strict=True):
                    if place is not None:
                        place.copy_(result)


def _tensors(values):
    return [value for value in tree_flatten(values)[0] if isinstance(value, torch.Tensor)]


def _memory(tensor):
    return tensor.untyped_storage().data_ptr()


@pytest.fixture
def tapes(monkeypatch):
    """The recorders of the fits to come."""
    made = []

    def make_recorder(device):
        made.append(Tape())
        return made[-1]

    monkeypatch.setattr(_graphs, "make_recorder", make_recorder)
    return made


# Of 200 and 150 rows: 7 steps an epoch. Numbers of float32, which tensors hold as they are.
N_STEPS = 42
EXACT = {
    "max_epochs": 6,
    "batch_size": 32,
    "random_state": 0,
    "lr": 2**-10,
    "lr_schedule": "constant",
}
FIXED = {"trade_off": 0.5, "trade_off_schedule": "constant"}
METHODS = {
    "coral": partial(DeepCORALClassifier, **EXACT, **FIXED),
    "dann": partial(DANNClassifier, module__dropout=0.3, **EXACT, **FIXED),
    "cdan": partial(CDANClassifier, **EXACT, **FIXED),
    "mcd": partial(MCDClassifier, **EXACT, **FIXED),
    "wdgrl": partial(WDGRLClassifier, n_critic=2, **EXACT, **FIXED),
    "adda": partial(ADDAClassifier, adaptation_lr=2**-12, **EXACT, **FIXED),
    "sgd": partial(DANNClassifier, optimizer="sgd", optimizer__momentum=0.5, **EXACT, **FIXED),
    "source alone": partial(DeepCORALClassifier, **{**EXACT, **FIXED, "trade_off": 0}),
    "early stopping": partial(
        DeepCORALClassifier, early_stopping=True, validation_fraction=0.2, **EXACT, **FIXED
    ),
    "weights": partial(SANClassifier, **{**EXACT, **FIXED, "trade_off": 0.3}),
    "clipping": partial(
        DeepCORALClassifier, callbacks=[GradientNormClipping(0.5)], **EXACT, **FIXED
    ),
    "augment": partial(
        DeepCORALClassifier, augment=lambda X: X + torch.randn_like(X), **EXACT, **FIXED
    ),
}


def _fit(make, few, **params):
    return make(**params).fit(few["X"], few["y"], X_target=few["X_target"])


def _state(estimator):
    net = estimator.net_
    tensors = [*net.module_.state_dict().values(), *net.alignment_.state_dict().values()]
    return torch.cat([tensor.detach().double().flatten() for tensor in tensors])


def _figures(estimator):
    return [
        {name: value for name, value in row.items() if name not in ("dur", "batches")}
        for row in estimator.history_
    ]


@pytest.mark.parametrize("method", METHODS)
def test_recorded_steps_are_the_plain_ones_bit_by_bit(method, few, tapes):
    plain = _fit(METHODS[method], few, cuda_graphs=False)
    assert not tapes
    recorded = _fit(METHODS[method], few, cuda_graphs=True)
    assert torch.equal(_state(recorded), _state(plain))
    assert _figures(recorded) == _figures(plain)
    assert recorded.net_._recording is None
    n_steps = [N_STEPS] * len(tapes) if method != "early stopping" else [30]
    assert [tape.n_recorded for tape in tapes] == [1] * len(tapes)
    assert [tape.n_replayed for tape in tapes] == [n - 3 for n in n_steps]


@pytest.mark.parametrize("cls", [DeepCORALClassifier, DANNClassifier])
def test_schedules_reach_recorded_steps(cls, few, tapes):
    make = partial(cls, max_epochs=6, batch_size=32, random_state=0)
    recorded, plain = (_fit(make, few, cuda_graphs=graphs) for graphs in (True, False))
    assert tapes[0].n_replayed == N_STEPS - 3
    # A rounding of the trade-off grows with the steps, to 1e-5 or 3e-5 by the processor; without
    # its schedule it is off by 4e-4.
    rounding = (_state(recorded) - _state(plain)).abs().mean()
    assert rounding < 1e-4
    for schedule in ("trade_off_schedule", "lr_schedule"):
        if getattr(plain, schedule) != "constant":
            without = _fit(make, few, cuda_graphs=False, **{schedule: "constant"})
            assert rounding < (_state(without) - _state(plain)).abs().mean() / 5
    for name in ("trade_off", "train_loss"):
        assert np.allclose(recorded.history_[:, name], plain.history_[:, name], atol=1e-3)
    fixed = _fit(make, few, cuda_graphs=True, lr_schedule="constant")
    assert (_state(fixed) - _state(plain)).abs().mean() > 1e-3


class Looks(Callback):
    """Looks at the net after every epoch."""

    def __init__(self):
        self.rates, self.consents, self.copies = [], [], []

    def on_epoch_end(self, net, **kwargs):
        """Note what an optimiser holds."""
        (group,) = net.optimizer_.param_groups
        self.rates.append(group["lr"])
        self.consents.append(group["capturable"])
        self.copies.append(copy.deepcopy(net)._recording)


def test_between_epochs_a_net_is_as_with_plain_steps(few, tapes):
    make = partial(DeepCORALClassifier, max_epochs=6, batch_size=32, random_state=0)
    looks = _fit(make, few, callbacks=[Looks()], head_lr_multiplier=1).net_.callbacks_
    (looks,) = [callback for _, callback in looks if isinstance(callback, Looks)]
    assert tapes[0].n_recorded == 1
    steps = np.arange(7, N_STEPS + 1, 7) - 1
    assert looks.rates == [1e-3 * annealing(step / (N_STEPS - 1)) for step in steps]
    assert all(type(rate) is float for rate in looks.rates)
    assert looks.consents == [False] * 6
    assert looks.copies == [None] * 6


def _sees_values(source, target):
    distance = (source.mean(dim=0) - target.mean(dim=0)).square().sum()
    return distance if distance.item() > 1e-3 else 2 * distance


N_CALLS = [0]


def _counts(source, target):
    N_CALLS[0] += 1
    return (source.mean(dim=0) - target.mean(dim=0)).square().sum() * (N_CALLS[0] % 3)


def _draws_by_numpy(source, target):
    return (source - target[: len(source)]).square().mean() * np.random.rand()  # noqa: NPY002


@pytest.mark.parametrize(
    ("alignment", "why"),
    [
        (_sees_values, "_local_scalar_dense waits for the device"),
        (_counts, "every step changes an entry of N_CALLS"),
        (_draws_by_numpy, "every step changes the generator of numpy.random"),
    ],
)
def test_what_cannot_be_recorded_is_told_and_taken_step_by_step(alignment, why, few, tapes, capsys):
    chosen = alignment

    class Own(DeepAdaptationClassifier):
        alignment = staticmethod(chosen)
        trade_off: float = 0.5

    fits = []
    for graphs in (False, "auto"):
        N_CALLS[0] = 0
        np.random.seed(0)  # noqa: NPY002
        fits.append(_fit(partial(Own, **EXACT), few, cuda_graphs=graphs, verbose=1))
    assert torch.equal(_state(fits[1]), _state(fits[0]))
    assert tapes[0].n_replayed == 0
    assert why in capsys.readouterr().out
    with pytest.warns(UserWarning, match=why.split("changes")[-1]):
        _fit(partial(Own, **EXACT), few, cuda_graphs=True)


class Batches(Callback):
    """Looks at batches."""

    def on_batch_end(self, net, **kwargs):
        """Do nothing."""


class Gradients(Callback):
    """Looks at gradients."""

    def on_grad_computed(self, net, **kwargs):
        """Do nothing."""


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"callbacks": [Batches()]}, "a callback looks at batches"),
        ({"callbacks": [Gradients()]}, "a callback looks at gradients"),
        ({"optimizer": "rmsprop"}, "RMSprop has no fused form"),
        ({"optimizer__foreach": True}, "Adam has no fused form"),
        ({"precision": "float16"}, "float16"),
        ({"gradient_accumulation_steps": 2}, "gradients of several batches"),
        ({"gradient_checkpointing": True}, "computed once more"),
        ({"iterator_train__num_workers": 0}, "rows are not on the device"),
    ],
)
def test_obstacles_are_seen_before_training(params, why, few, tapes):
    make = partial(DeepCORALClassifier, **{**EXACT, "max_epochs": 1})
    with pytest.warns(UserWarning, match=why):
        _fit(make, few, cuda_graphs=True, **params)
    assert [tape.n_recorded for tape in tapes] == [0]


def test_few_steps_are_not_worth_a_recording(few, tapes):
    make = partial(DeepCORALClassifier, **{**EXACT, "max_epochs": 4})
    _fit(make, few)
    assert tapes[0].n_recorded == 0
    _fit(make, few, cuda_graphs=True)
    assert tapes[1].n_recorded == 1


def test_on_a_device_without_a_recorder_steps_are_plain(few):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _fit(METHODS["coral"], few, cuda_graphs="auto", max_epochs=1)
    with pytest.warns(UserWarning, match="the device is cpu"):
        _fit(METHODS["coral"], few, cuda_graphs=True, max_epochs=1)


class Freezes(Callback):
    """Keeps the head from learning in the third epoch."""

    def on_epoch_begin(self, net, **kwargs):
        """Freeze it or let it learn."""
        net.module_.head.requires_grad_(len(net.history) != 3)


def test_what_learns_from_another_epoch_on_is_recorded_anew(few, tapes):
    fits = [
        _fit(METHODS["coral"], few, callbacks=[Freezes()], cuda_graphs=g) for g in (False, True)
    ]
    assert torch.equal(_state(fits[1]), _state(fits[0]))
    assert tapes[0].n_recorded == 3


class Reloads(Callback):
    """Puts other groups of parameters in the place of those of an optimiser."""

    def on_epoch_begin(self, net, **kwargs):
        """Do so in the third epoch."""
        if len(net.history) == 3:
            net.optimizer_.load_state_dict(copy.deepcopy(net.optimizer_.state_dict()))
            net.optimizer_.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))]})
            net.optimizer_.param_groups[-1]["initial_lr"] = 0.0


def test_groups_of_an_optimizer_that_are_replaced_are_recorded_anew(few, tapes):
    make = partial(METHODS["coral"], lr_schedule=_halves, callbacks=[Reloads()])
    fits = [_fit(make, few, cuda_graphs=graphs) for graphs in (False, True)]
    assert torch.equal(_state(fits[1]), _state(fits[0]))
    assert sum(tape.n_recorded for tape in tapes) == 2


def _halves(progress):
    return 2.0 ** -round(4 * progress)


def test_stages_of_one_net_are_recorded_one_by_one(few, tapes):
    make = partial(FineTuneClassifier, n_frozen=1, unfreeze_every=3, **EXACT)
    fits = [make(cuda_graphs=graphs).fit(few["X"], few["y"]) for graphs in (False, True)]
    assert torch.equal(_state(fits[1]), _state(fits[0]))
    assert tapes[0].n_recorded == 2


def test_factors_that_change_between_epochs_are_not_those_of_the_recording(few, tapes):
    make = partial(DAANClassifier, **EXACT, **FIXED)
    plain, recorded = (_fit(make, few, cuda_graphs=graphs) for graphs in (False, True))
    assert len(set(plain.history_[:, "omega"])) > 3
    assert torch.equal(_state(recorded), _state(plain))
    assert tapes[0].n_recorded > 3


class Fails(Tape):
    """A recorder that gives up in the middle of a step."""

    def record(self, step):
        super().record(lambda: None)
        raise RuntimeError("operation not permitted when stream is capturing")


def test_a_recording_that_fails_loses_no_step(few, monkeypatch):
    plain = _fit(METHODS["dann"], few, cuda_graphs=False)
    monkeypatch.setattr(_graphs, "make_recorder", lambda device: Fails())
    with pytest.warns(UserWarning, match="could not be recorded .operation not permitted"):
        recorded = _fit(METHODS["dann"], few, cuda_graphs=True)
    assert torch.equal(_state(recorded), _state(plain))


class Interrupts(Tape):
    """A recorder during whose replays somebody presses Ctrl-C."""

    def record(self, step):
        replay = super().record(step)

        def interrupted():
            replay()
            if self.n_replayed == 20:
                raise KeyboardInterrupt

        return interrupted


def test_an_interruption_leaves_the_last_whole_epoch(few, monkeypatch):
    whole = _fit(METHODS["dann"], few, cuda_graphs=False, max_epochs=3)
    monkeypatch.setattr(_graphs, "make_recorder", lambda device: Interrupts())
    with pytest.warns(UserWarning, match="after 3 whole epochs"):
        cut = _fit(METHODS["dann"], few, cuda_graphs=True, on_interrupt="return")
    assert torch.equal(_state(cut), _state(whole))
    (group,) = cut.net_.optimizer_.param_groups
    assert group["lr"] == 2**-10 and type(group["lr"]) is float


def test_a_divergence_is_found_at_the_end_of_its_epoch(few, tapes):
    X = few["X"] * 1e18
    make = partial(DeepCORALClassifier, **{**EXACT, "lr": 1e12}, module__batch_norm=False)
    errors = []
    for graphs in (False, True):
        with pytest.raises(DivergenceError) as error:
            make(cuda_graphs=graphs).fit(X, few["y"], X_target=X[:150])
        errors.append(str(error.value))
    assert errors[0] == errors[1]


class Dies(Callback):
    """Ends a training without a way back."""

    at = 0

    def on_epoch_begin(self, net, **kwargs):
        """Raise in an epoch."""
        if len(net.history) == self.at:
            raise MemoryError


def test_a_training_goes_on_from_a_checkpoint_of_recorded_steps(few, tapes, tmp_path, monkeypatch):
    make = partial(METHODS["dann"], cuda_graphs=True, checkpoint=tmp_path)
    whole = _fit(METHODS["dann"], few, cuda_graphs=True)

    data = few["X"], few["y"]
    monkeypatch.setattr(Dies, "at", 4)
    with pytest.raises(MemoryError):
        make(callbacks=[Dies()]).fit(*data, X_target=few["X_target"])
    monkeypatch.setattr(Dies, "at", 0)
    resumed = make(callbacks=[Dies()]).fit(*data, X_target=few["X_target"], resume=True)
    assert torch.equal(_state(resumed), _state(whole))
    assert tapes[-1].n_replayed == 21 - 3


def test_a_recorded_training_leaves_the_generators_of_the_process(few, tapes):
    before = torch.get_rng_state()
    _fit(METHODS["dann"], few, cuda_graphs=True)
    assert tapes[0].n_replayed
    assert torch.equal(torch.get_rng_state(), before)
