"""Files of skorch's own hold all that a net learned."""

import io

import pytest
import torch
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, LoadInitState

from skda.adaptation import DANNClassifier, MCDClassifier

EPOCHS = 3
PLAIN, SAFE = {}, {"use_safetensors": True, "f_optimizer": None}


def _fit(cls, few, *callbacks, **params):
    params = {"max_epochs": EPOCHS, "random_state": 0, **params}
    named = [(f"own{number}", callback) for number, callback in enumerate(callbacks)]
    return cls(callbacks=named, **params).fit(**few)


class _Look(Callback):
    """Notes what is there when training begins, after the callbacks before it."""

    def on_train_begin(self, net, **kwargs):
        self.tensors = {name: tensor.clone() for name, tensor in net._tensors()}
        self.progress = net._step, net._n_steps
        self.n_states = [len(getattr(net, f"{name}_").state) for name in net._optimizers]


@pytest.mark.parametrize("cls", [DANNClassifier, MCDClassifier])
@pytest.mark.parametrize("options", [PLAIN, SAFE], ids=["torch", "safetensors"])
def test_a_checkpoint_brings_back_adversary_optimisers_and_progress(cls, options, few, tmp_path):
    def checkpoint():
        return Checkpoint(dirname=str(tmp_path), monitor=None, **options)

    first = _fit(cls, few, checkpoint(), max_epochs=2 if options is SAFE else EPOCHS)
    load = LoadInitState(checkpoint(), use_safetensors=options is SAFE)
    trained = {"net": first.net_}
    state = {name: tensor.clone() for name, tensor in trained["net"]._tensors()}
    if cls is MCDClassifier:
        apart = iter(first.net_._apart)
        for name in ("module.head.weight", "module.head.bias"):
            state[name] = next(apart)
    second = _fit(cls, few, load, _Look(), random_state=1)
    look = dict(second.net_.callbacks_)["own1"]
    assert {n for n, t in look.tensors.items() if not torch.equal(t, state[n])} == set()
    n_steps = first.net_._n_steps
    assert look.progress == (n_steps, n_steps)
    assert all(look.n_states) == (options is PLAIN)


def test_trade_off_goes_on_after_a_checkpoint(few, tmp_path):
    checkpoint = Checkpoint(dirname=str(tmp_path), monitor=None)
    first = _fit(DANNClassifier, few, checkpoint)
    second = _fit(DANNClassifier, few, LoadInitState(Checkpoint(dirname=str(tmp_path))))
    assert second.history_[EPOCHS]["trade_off"] == first.history_[-1]["trade_off"]


@pytest.mark.parametrize("safe", [False, True])
def test_parameters_of_all_parts_go_through_a_file(safe, few):
    first, second = _fit(DANNClassifier, few), _fit(DANNClassifier, few, random_state=1)
    file = io.BytesIO()
    first.net_.save_params(f_params=file, use_safetensors=safe)
    file.seek(0)
    second.net_.load_params(f_params=file, use_safetensors=safe)
    for (name, mine), (_, theirs) in zip(
        first.net_._tensors(), second.net_._tensors(), strict=True
    ):
        assert torch.equal(mine, theirs), name


def test_a_file_of_the_network_alone_is_told(few):
    first, second = _fit(DANNClassifier, few), _fit(DANNClassifier, few, random_state=1)
    file = io.BytesIO()
    torch.save(first.net_.module_.state_dict(), file)  # as 0.1.0 saved it
    file.seek(0)
    with pytest.warns(UserWarning, match="nothing of 'alignment'"):
        second.net_.load_params(f_params=file)
    assert torch.equal(second.net_.module_.head.weight, first.net_.module_.head.weight)


class _Worse(Callback):
    """Makes the loss of every epoch after the first one worse, and notes parts after it."""

    def on_epoch_end(self, net, **kwargs):
        net.history.record("valid_loss", float(len(net.history)))
        if len(net.history) == 1:
            self.best = {name: tensor.clone() for name, tensor in net._tensors()}


@pytest.mark.parametrize("own", [True, False], ids=["early_stopping=True", "EarlyStopping"])
def test_early_stopping_brings_back_all_parts(own, few, monkeypatch):
    kept = {}
    monkeypatch.setattr(MCDClassifier, "finish_fit", _keeping(MCDClassifier.finish_fit, kept))
    callbacks, params = [_Worse()], {"early_stopping": own, "n_iter_no_change": 2}
    if not own:
        callbacks.append(EarlyStopping(monitor="valid_loss", patience=2, load_best=True))
        params["validation_fraction"] = 0.1
    clf = _fit(MCDClassifier, few, *callbacks, max_epochs=10, **params)
    best = dict(clf.net_.callbacks_)["own0"].best
    assert len(clf.history_) == 3
    names = [n for n in best if n.startswith(("alignment", "module.head"))]
    assert len(names) == 4 and all(torch.equal(best[n], kept[n]) for n in names)


def _keeping(finish_fit, kept):
    def finish(self, training):
        kept.update({name: tensor.clone() for name, tensor in training.net._tensors()})
        finish_fit(self, training)

    return finish
