"""One step of the optimiser for several batches."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, GradientNormClipping
from torch import nn

from skda.adaptation import (
    ADDAClassifier,
    CoGANClassifier,
    DANClassifier,
    DANNClassifier,
    MCDClassifier,
    SDAEClassifier,
    ShallowDANNClassifier,
    WDGRLClassifier,
)
from skda.fine_tuning import FineTuneClassifier
from skda.nn import MLP
from skda.training import (
    AdaptationModule,
    AdaptationNet,
    DomainDataset,
    PairedBatches,
    progressive,
)

RNG = np.random.default_rng(0)
X = RNG.standard_normal((96, 5)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)
TARGET = (RNG.standard_normal((96, 5)) + 1).astype(np.float32)
EXACT = {
    "module__hidden_layer_sizes": (8,),
    "module__batch_norm": False,
    "max_epochs": 3,
    "lr": 0.01,
    "random_state": 0,
    "device": "cpu",
}


def weights(fitted):
    return torch.cat([p.detach().flatten() for p in fitted.net_.module_.parameters()])


def fit(cls, size, n_batches, targets=TARGET, **params):
    clf = cls(**{**EXACT, **params}, batch_size=size, gradient_accumulation_steps=n_batches)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clf.fit(X, Y) if targets is None else clf.fit(X, Y, X_target=targets)


@pytest.mark.parametrize("params", [{}, {"optimizer": "sgd"}, {"lr_schedule": "cosine"}])
def test_batches_together_are_a_large_batch(params):
    large = fit(FineTuneClassifier, 48, 1, None, **params)
    small = fit(FineTuneClassifier, 16, 3, None, **params)
    torch.testing.assert_close(weights(small), weights(large), atol=1e-6, rtol=1e-5)
    plain = fit(FineTuneClassifier, 16, 1, None, **params)
    assert not torch.allclose(weights(plain), weights(large), atol=1e-3)
    assert small.history_[-1, "train_loss"] == pytest.approx(large.history_[-1, "train_loss"])
    assert small.history_[-1, "train_batch_count"] == 3 * large.history_[-1, "train_batch_count"]


def test_an_adversary_and_the_schedules_of_both_see_steps():
    """A domain loss is a mean over rows, as a batch norm or an MMD is not."""
    large, small = (fit(DANNClassifier, 48 // n, n) for n in (1, 3))
    torch.testing.assert_close(weights(small), weights(large), atol=1e-6, rtol=1e-5)
    assert small.history_[:, "trade_off"] == large.history_[:, "trade_off"]
    assert small.history_[-1, "trade_off"] == progressive(1.0)


class Gradients(Callback):
    """Writes down gradients, and learning rates, where they are looked at."""

    def __init__(self):
        self.seen, self.rates = [], []

    def on_grad_computed(self, net, named_parameters, **kwargs):
        """Keep a copy."""
        self.seen.append(torch.cat([p.grad.flatten() for _, p in named_parameters]))
        self.rates.append(net.optimizer_.param_groups[0]["lr"])


def net_of(**params):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = AdaptationModule(
            MLP(5, hidden_layer_sizes=(8,), batch_norm=False), nn.Linear(8, 2)
        )
    callbacks = [("gradients", Gradients()), *params.pop("callbacks", [])]
    given = {"max_epochs": 1, "verbose": 0, "lr_schedule": "constant", "callbacks": callbacks}
    return AdaptationNet(module, **{**given, **params})


def test_the_batches_that_are_left_count_as_much_as_others():
    """Of 5 batches, two together, the last is a step of its own, with its whole gradient."""
    data = DomainDataset(X[:80], Y[:80])
    params = {"batch_size": 16, "optimizer": torch.optim.SGD, "lr": 1e-9}
    one = net_of(**params).fit(data, None)
    two = net_of(**params, gradient_accumulation_steps=2).fit(data, None)
    alone, together = (dict(net.callbacks_)["gradients"].seen for net in (one, two))
    assert (len(alone), len(together)) == (5, 3)
    for number, parts in enumerate([alone[:2], alone[2:4], alone[4:]]):
        mean = torch.stack(parts).mean(dim=0)
        torch.testing.assert_close(together[number], mean, atol=1e-6, rtol=1e-4)


def test_schedules_go_by_steps():
    data = DomainDataset(X[:80], Y[:80])
    params = {"batch_size": 16, "max_epochs": 2, "lr": 0.01, "lr_schedule": lambda p: 1 - p}
    net = net_of(**params, gradient_accumulation_steps=2).fit(data, None)
    rates = dict(net.callbacks_)["gradients"].rates
    np.testing.assert_allclose(rates, 0.01 * (1 - np.arange(6) / 5), atol=1e-12)


def test_gradients_are_clipped_when_they_are_whole():
    clip = ("clip", GradientNormClipping(1e-3))
    data, params = DomainDataset(X, Y), {"optimizer": torch.optim.SGD, "lr": 1.0}
    large = net_of(**params, callbacks=[clip], batch_size=48).fit(data, None)
    small = net_of(**params, callbacks=[clip], batch_size=16, gradient_accumulation_steps=3).fit(
        data, None
    )
    for first, second in zip(small.module_.parameters(), large.module_.parameters(), strict=True):
        torch.testing.assert_close(first, second, atol=1e-7, rtol=1e-6)


def test_the_scale_of_float16_is_looked_at_once_a_step(monkeypatch):
    n_updates = []
    update = torch.amp.GradScaler.update
    monkeypatch.setattr(
        torch.amp.GradScaler, "update", lambda self: (n_updates.append(1), update(self))
    )
    large = fit(FineTuneClassifier, 48, 1, None, precision="float16", callbacks=[Gradients()])
    n_large = len(n_updates)
    small = fit(FineTuneClassifier, 16, 3, None, precision="float16", callbacks=[Gradients()])
    assert len(n_updates) == 2 * n_large == 12
    seen = [dict(e.net_.callbacks_)["Gradients"].seen for e in (small, large)]
    torch.testing.assert_close(seen[0][0], seen[1][0], atol=1e-3, rtol=1e-2)


@pytest.mark.parametrize("cls", [ADDAClassifier, CoGANClassifier, MCDClassifier, WDGRLClassifier])
def test_methods_of_players_in_turns_say_so_before_they_train(cls, monkeypatch):
    monkeypatch.setattr(AdaptationNet, "fit", lambda *_: pytest.fail("it trains"))
    rows = X if cls is not CoGANClassifier else X.clip(-1, 1)
    clf = cls(batch_size=16, gradient_accumulation_steps=2, max_epochs=1)
    with pytest.raises(ValueError, match=f"gradient_accumulation_steps=2: {cls.__name__} takes"):
        clf.fit(rows, Y, X_target=(rows,))


def test_without_an_opponent_there_are_no_turns():
    large, small = (fit(WDGRLClassifier, 48 // n, n, trade_off=0) for n in (1, 3))
    torch.testing.assert_close(weights(small), weights(large), atol=1e-6, rtol=1e-5)


def test_row_by_row_there_is_no_such_parameter():
    with pytest.raises(TypeError, match="no parameter 'gradient_accumulation_steps'"):
        ShallowDANNClassifier(gradient_accumulation_steps=2).fit(X, Y, X_target=TARGET)


def test_layers_are_trained_one_by_one_in_such_steps_too():
    params = {"module__hidden_layer_sizes": (6,), "pretrain_epochs": 1, "corruption": 0.0}
    params |= {"pretrain_trade_off": 0, "trade_off": 0}
    large, small = (fit(SDAEClassifier, 48 // n, n, **params) for n in (1, 3))
    torch.testing.assert_close(weights(small), weights(large), atol=1e-5, rtol=1e-4)


class Descends(AdaptationNet):
    """Takes a step within a batch."""

    def train_step_single(self, batch, **fit_params):
        """Do so."""
        step = super().train_step_single(batch, **fit_params)
        self.step_optimizers(self.optimizer_)
        return step


class PassesOver(AdaptationNet):
    """Adds gradients past the net."""

    def train_step_single(self, batch, **fit_params):
        """Do so."""
        loss = self.get_classification_loss(self.infer(batch[0])[0], batch[1])
        loss.backward()
        return {"loss": loss, "y_pred": None}


class OwnStep(AdaptationNet):
    """Takes the whole step by itself."""

    def learn_from(self, batch, **fit_params):
        """Do so."""
        return super().learn_from(batch, **fit_params)


class Short(PairedBatches):
    """Ends an epoch early."""

    def __iter__(self):
        yield from list(super().__iter__())[:-1]


@pytest.mark.parametrize(
    ("cls", "params", "message"),
    [
        (Descends, {}, "Descends takes steps of its own within every batch"),
        (PassesOver, {}, "train_step_single of PassesOver must call self.backward"),
        (OwnStep, {"alignment": nn.Identity()}, "OwnStep takes steps of its own"),
        (AdaptationNet, {"iterator_train": Short}, "had 2 of Short, whose len.. says 3"),
        (AdaptationNet, {"gradient_accumulation_steps": 0}, "whole number of 1 or more, got 0"),
    ],
)
def test_what_cannot_wait_for_other_batches_is_told(cls, params, message):
    net = net_of()
    given = {**net.get_params(deep=False), "gradient_accumulation_steps": 2, "batch_size": 32}
    net = net.successor(cls, **{k: v for k, v in {**given, **params}.items() if k in _NAMES})
    with pytest.raises(ValueError, match=message):
        net.fit(DomainDataset(X, Y), None)


_NAMES = {"gradient_accumulation_steps", "batch_size", "alignment", "iterator_train"}


def test_a_net_of_such_kinds_learns_with_single_batches():
    net_of().successor(Descends, batch_size=32).fit(DomainDataset(X, Y), None)


def test_it_is_a_parameter_like_others():
    clf = DANClassifier(**EXACT, gradient_accumulation_steps=2)
    assert clone(clf).get_params()["gradient_accumulation_steps"] == 2
    search = GridSearchCV(
        FineTuneClassifier(**EXACT, batch_size=8),
        {"gradient_accumulation_steps": [1, 4]},
        cv=2,
        error_score="raise",
    ).fit(X, Y)
    assert len(search.cv_results_["params"]) == 2
    assert search.best_estimator_.net_.gradient_accumulation_steps in (1, 4)
    with pytest.raises(ValueError, match="'gradient_accumulation_steps' parameter"):
        clf.set_params(gradient_accumulation_steps=0).fit(X, Y, X_target=TARGET)
    with pytest.raises(TypeError, match="here it is 'gradient_accumulation_steps'"):
        FineTuneClassifier(accumulate_grad_batches=2).fit(X, Y)


def test_training_that_goes_on_by_epochs_takes_the_same_steps():
    whole = fit(FineTuneClassifier, 16, 4, None, lr_schedule="constant")
    parts = clone(whole)
    for _ in range(3):
        parts.partial_fit(X, Y, classes=[0, 1])
    assert torch.equal(weights(parts), weights(whole))


class Stops(Callback):
    """Interrupts the third epoch, where it is on."""

    is_on = True

    def on_epoch_begin(self, net, **kwargs):
        """Do so."""
        if self.is_on and len(net.history) == 3:
            raise KeyboardInterrupt


def test_training_goes_on_from_a_checkpoint(tmp_path, monkeypatch):
    whole = fit(DANNClassifier, 16, 4)
    cut = clone(whole).set_params(checkpoint=tmp_path, callbacks=[Stops()])
    with pytest.raises(KeyboardInterrupt):
        cut.fit(X, Y, X_target=TARGET)
    monkeypatch.setattr(Stops, "is_on", False)
    cut.fit(X, Y, X_target=TARGET, resume=True)
    assert len(cut.history_) == 3
    assert torch.equal(weights(cut), weights(whole))
