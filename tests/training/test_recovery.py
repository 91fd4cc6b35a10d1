"""What a net is after a training that was cut."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skda.exceptions import DivergenceError
from skda.losses import coral
from skda.nn import MLP, LayerwiseAlignment
from skda.training import AdaptationModule, AdaptationNet, DomainDataset

RNG = np.random.default_rng(0)
X = RNG.standard_normal((48, 5)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)
X_TARGET = (RNG.standard_normal((40, 5)) + 1).astype(np.float32)


class Failing(nn.Module):
    """An alignment that does something in one of its calls."""

    def __init__(self, at, act):
        super().__init__()
        self.at, self.act, self.calls = at, act, 0

    def forward(self, source, target):
        self.calls += 1
        loss = coral(source, target)
        return self.act(loss) if self.calls == self.at else loss


class Lazy(nn.Module):
    """An alignment with a statistic that comes with the first epoch, and grows."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", None)

    def forward(self, source, target):
        return coral(source, target)

    def end_epoch(self):
        self.seen = torch.zeros(1 if self.seen is None else len(self.seen) + 1)


def _raise(error):
    raise error


def _net(alignment=None, backbone=None, **params):
    torch.manual_seed(0)
    module = AdaptationModule(
        backbone or MLP(5, hidden_layer_sizes=(8,)), nn.Linear(8, 2), n_targets=1
    )
    alignment = LayerwiseAlignment({"features": alignment or coral})
    return AdaptationNet(
        module, alignment=alignment, verbose=0, **{"max_epochs": 3, "batch_size": 16, **params}
    )


def _fit(net):
    return net.fit(DomainDataset(X, Y, (X_TARGET,)), None)


def _state(net):
    return {name: value.clone() for name, value in net.module_.state_dict().items()}


class Raising(Callback):
    """Raises in a hook of one epoch."""

    def __init__(self, error, epoch=2):
        self.error, self.epoch = error, epoch

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("disk"), SystemExit()])
def test_error_in_a_step_takes_back_its_epoch(error):
    net = _net(Failing(5, lambda loss: _raise(error)))
    with pytest.raises(type(error)):
        _fit(net)
    whole = _fit(_net(max_epochs=3, callbacks=[Raising(KeyboardInterrupt(), 1)]))
    assert len(net.history) == 1
    state = _state(net)
    assert all(torch.equal(state[name], value) for name, value in _state(whole).items())


def test_callback_that_stops_keeps_its_epoch():
    net = _fit(_net(callbacks=[Raising(KeyboardInterrupt(), 2)]))
    assert len(net.history) == 2


def test_error_of_a_callback_takes_back_its_epoch():
    net = _net(callbacks=[Raising(OSError("disk"), 2)])
    with pytest.raises(OSError):
        _fit(net)
    assert len(net.history) == 1


def test_statistic_that_came_with_the_epoch_goes_with_it():
    alignment = Lazy()
    net = _net(alignment, callbacks=[Raising(OSError("disk"), 1)])
    with pytest.raises(OSError):
        _fit(net)
    assert alignment.seen is None


def test_statistic_that_grew_in_the_epoch_is_that_of_before():
    alignment = Lazy()
    net = _net(alignment, callbacks=[Raising(OSError("disk"), 3)])
    with pytest.raises(OSError):
        _fit(net)
    assert len(alignment.seen) == 2


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_loss_that_is_not_finite_is_named_with_its_step(value):
    net = _net(Failing(5, lambda loss: loss * value))  # 3 steps in an epoch
    with pytest.raises(DivergenceError, match=r"alignment_loss was (nan|inf) in step 2 of epoch 2"):
        _fit(net)
    assert len(net.history) == 1 and net.is_finite()


def test_error_of_a_loss_that_checks_for_itself_is_a_divergence():
    class Strict(nn.Module):
        calls = 0

        def forward(self, source, target):
            self.calls += 1
            if self.calls == 5:
                with torch.no_grad():
                    net.module_.head.weight.fill_(float("nan"))
                raise ValueError("no singular values")
            return coral(source, target)

    net = _net(Strict())
    with pytest.raises(
        DivergenceError, match=r"module\.head\.weight was not finite in step 2"
    ) as e:
        _fit(net)
    assert str(e.value.__cause__) == "no singular values"
    assert len(net.history) == 1 and net.is_finite()


def test_error_of_a_finite_network_is_what_it_was():
    net = _net(Failing(5, lambda loss: _raise(ValueError("of the loss"))))
    with pytest.raises(ValueError, match="of the loss") as e:
        _fit(net)
    assert not isinstance(e.value, DivergenceError)


def test_weights_that_are_not_finite_are_found_before_training():
    backbone = MLP(5, hidden_layer_sizes=(8,))
    next(backbone.parameters()).data[0] = float("nan")
    with pytest.raises(DivergenceError, match="weight is not finite before training"):
        _fit(_net(backbone=backbone))


def test_mask_that_holds_infinity_is_no_divergence():
    class Masked(MLP):
        def __init__(self):
            super().__init__(5, hidden_layer_sizes=(8,))
            self.register_buffer("mask", torch.full((3,), float("-inf")))

    net = _fit(_net(backbone=Masked()))
    assert len(net.history) == 3 and net.is_finite()


def test_statistics_of_the_target_that_are_not_finite_raise():
    net = _net(trade_off=0.0)
    rows = np.concatenate([X_TARGET, X_TARGET[:1] * 1e30])
    with pytest.raises(DivergenceError, match=r"running_var is not finite: .* rows of X_target"):
        net.fit(DomainDataset(X, Y, (rows,)), None)


def test_ignored_divergence_goes_on():
    net = _fit(_net(Failing(5, lambda loss: loss * float("nan")), on_divergence="ignore"))
    assert len(net.history) == 3 and not net.is_finite()
