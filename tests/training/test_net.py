"""The skorch net that trains on two domains."""

import copy
import pickle
import shutil
import warnings

import numpy as np
import pytest
import torch
from devices import on_cpu
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    GradientNormClipping,
    LRScheduler,
    ProgressBar,
)
from skorch.dataset import Dataset
from torch import nn

from skda.losses import coral, domain_cross_entropy, mmd
from skda.nn import MLP, DomainAdversary, LayerwiseAlignment
from skda.training import AdaptationModule, AdaptationNet, DomainDataset, annealing, progressive

RNG = np.random.default_rng(0)
X = RNG.standard_normal((48, 5)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)
TARGET = (RNG.standard_normal((40, 5)) + 1).astype(np.float32)
DATA = DomainDataset(X, Y, (TARGET,))
STEPS = 3  # an epoch of 48 source rows, 16 a batch


def _module(n_targets=1, dropout=0.2, **keywords):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = MLP(5, hidden_layer_sizes=(8,), dropout=dropout)
        return AdaptationModule(backbone, nn.Linear(8, 2), n_targets=n_targets, **keywords)


def _net(module=None, **keywords):
    defaults = {
        "alignment": LayerwiseAlignment({"features": coral}),
        "max_epochs": 2,
        "batch_size": 16,
        "lr": 0.01,
        "verbose": 0,
    }
    return AdaptationNet(module or _module(), **{**defaults, **keywords})


def _fit(net, data=DATA):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return net.fit(data, None)


def _weights(net):
    return torch.cat([p.flatten() for p in on_cpu(net.module_.parameters())])


def _hold_out(dataset):
    training = DomainDataset(dataset.X[:32], dataset.y[:32], dataset.targets)
    return training, Dataset(dataset.X[32:], dataset.y[32:])


class _Spy(Callback):
    """Writes down what stands in the net after every step."""

    def __init__(self):
        self.lrs, self.batch_losses = [], []

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.lrs.append([group["lr"] for group in net.optimizer_.param_groups])
            self.batch_losses.append(net.history[-1, "batches", -1, "train_loss"])


# -- schedules --------------------------------------------------------------------------------


def _recorded(factor):
    seen = []

    def schedule(progress):
        seen.append(progress)
        return factor(progress)

    return schedule, seen


@pytest.mark.parametrize("max_epochs", [1, 3])
def test_progress_goes_from_0_to_exactly_1_step_by_step(max_epochs):
    lr_schedule, of_lr = _recorded(annealing)
    trade_off_schedule, of_trade_off = _recorded(progressive)
    _fit(
        _net(max_epochs=max_epochs, lr_schedule=lr_schedule, trade_off_schedule=trade_off_schedule)
    )
    n_steps = STEPS * max_epochs
    assert of_lr == of_trade_off == [step / (n_steps - 1) for step in range(n_steps)]
    assert of_lr[-1] == 1.0


def test_a_single_step_is_the_last_one():
    schedule, seen = _recorded(progressive)
    _fit(_net(max_epochs=1, batch_size=64, trade_off_schedule=schedule))
    assert seen == [1.0]


def test_progress_stays_at_1_beyond_the_planned_epochs():
    schedule, seen = _recorded(annealing)
    net = _net(max_epochs=1, lr_schedule=schedule).initialize()
    net.partial_fit(DATA, None, epochs=2)
    assert seen == [0, 0.5, 1, 1, 1, 1]


def test_learning_rate_follows_the_annealing_at_every_step():
    net = _net(callbacks=[("spy", _Spy())], head_lr_multiplier=10.0)
    _fit(net)
    factors = [annealing(step / (2 * STEPS - 1)) for step in range(2 * STEPS)]
    lrs = dict(net.callbacks_)["spy"].lrs
    assert lrs == [[pytest.approx(0.01 * f), pytest.approx(0.1 * f)] for f in factors]


def test_constant_learning_rate():
    net = _fit(_net(callbacks=[("spy", _Spy())], lr_schedule="constant"))
    assert dict(net.callbacks_)["spy"].lrs == [[0.01]] * 2 * STEPS


def test_annealing_starts_anew_with_the_next_fit():
    spy = _Spy()
    net = _fit(_net(callbacks=[spy]))
    first = len(net.callbacks_[-1][1].lrs)
    net.partial_fit(DATA, None)
    lrs = net.callbacks_[-1][1].lrs
    assert lrs[first:] == lrs[:first] and lrs[0] == [0.01]


def test_growing_trade_off_stands_in_the_history():
    net = _fit(_net(trade_off=3.0, trade_off_schedule="progressive"))
    last_steps = [(STEPS - 1) / (2 * STEPS - 1), 1.0]
    assert net.history[:, "trade_off"] == pytest.approx([3 * progressive(p) for p in last_steps])


# -- the loss ---------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [1.0, 0.3])
def test_one_adversarial_step_is_the_manual_update(strength):
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Linear(5, 6), nn.Tanh()).double()
    head = nn.Linear(6, 2).double()
    adversary = DomainAdversary(6, hidden_layer_sizes=(7,)).double()
    parts = copy.deepcopy((backbone, head, adversary))
    data = DomainDataset(X[:16].astype(float), Y[:16], (TARGET[:12].astype(float),))
    net = AdaptationNet(
        AdaptationModule(backbone, head, n_targets=1),
        alignment=LayerwiseAlignment({"features": adversary}),
        trade_off=strength,
        optimizer=torch.optim.SGD,
        lr=0.5,
        lr_schedule="constant",
        max_epochs=1,
        batch_size=16,
        verbose=0,
    ).fit(data, None)

    feature, label, discriminator = (list(part.parameters()) for part in parts)
    source, target = parts[0](torch.from_numpy(data.X)), parts[0](torch.from_numpy(data.targets[0]))
    label_loss = nn.functional.cross_entropy(parts[1](source), torch.from_numpy(data.y))
    domain_loss = domain_cross_entropy(
        parts[2].discriminator(source), parts[2].discriminator(target)
    )
    of_label = torch.autograd.grad(label_loss, feature + label, retain_graph=True)
    of_domain = torch.autograd.grad(domain_loss, feature + discriminator)
    expected = [
        *(
            theta - 0.5 * (a - strength * b)
            for theta, a, b in zip(feature, of_label, of_domain, strict=False)
        ),
        *(theta - 0.5 * a for theta, a in zip(label, of_label[len(feature) :], strict=True)),
        *(
            theta - 0.5 * b
            for theta, b in zip(discriminator, of_domain[len(feature) :], strict=True)
        ),
    ]
    trained = [*backbone.parameters(), *head.parameters(), *adversary.parameters()]
    for parameter, value in zip(trained, expected, strict=True):
        torch.testing.assert_close(parameter, value, rtol=1e-12, atol=1e-14)
    assert net.history[-1, "alignment_loss"] == pytest.approx(domain_loss.item())
    assert net.history[-1, "classification_loss"] == pytest.approx(label_loss.item())


def test_one_step_of_a_discrepancy_is_the_manual_update():
    torch.manual_seed(0)
    backbone, head = nn.Linear(5, 6).double(), nn.Linear(6, 2).double()
    parts = copy.deepcopy((backbone, head))
    data = DomainDataset(X[:16].astype(float), Y[:16], (TARGET[:12].astype(float),))
    AdaptationNet(
        AdaptationModule(backbone, head, n_targets=1),
        alignment=LayerwiseAlignment({"features": coral}),
        trade_off=0.7,
        optimizer=torch.optim.SGD,
        lr=0.5,
        lr_schedule="constant",
        max_epochs=1,
        batch_size=16,
        verbose=0,
    ).fit(data, None)
    source, target = parts[0](torch.from_numpy(data.X)), parts[0](torch.from_numpy(data.targets[0]))
    loss = nn.functional.cross_entropy(parts[1](source), torch.from_numpy(data.y))
    (loss + 0.7 * coral(source, target)).backward()
    for parameter, start in zip(
        [*backbone.parameters(), *head.parameters()],
        [*parts[0].parameters(), *parts[1].parameters()],
        strict=True,
    ):
        torch.testing.assert_close(parameter, start - 0.5 * start.grad, rtol=1e-12, atol=1e-14)


def test_total_loss_is_classification_plus_trade_off_times_alignment():
    history = _fit(_net(trade_off=2.5)).history
    for row in history:
        expected = row["classification_loss"] + 2.5 * row["alignment_loss"]
        assert row["train_loss"] == pytest.approx(expected, rel=1e-6)
        assert row["alignment_loss"] > 0


@pytest.mark.parametrize("alignment", [coral, mmd, DomainAdversary(8)])
def test_alignment_changes_the_weights(alignment):
    alignment = LayerwiseAlignment({"features": alignment})
    aligned = _fit(_net(alignment=alignment))
    assert not torch.equal(_weights(aligned), _weights(_fit(_net(trade_off=0))))


@pytest.mark.parametrize("callbacks", [[], [_Spy()]])
def test_trade_off_0_is_training_without_a_target_bit_for_bit(callbacks):
    without = _fit(
        _net(_module(n_targets=0), alignment=None, callbacks=callbacks), DomainDataset(X, Y)
    )
    zero = _fit(_net(trade_off=0, callbacks=callbacks))
    assert torch.equal(_weights(zero), _weights(without))
    assert zero.history[:, "train_loss"] == without.history[:, "train_loss"]
    source_norm = zero.module_.domain_batch_norms()[0].norms[0]
    assert torch.equal(source_norm.running_mean, without.module_.backbone[0][1].running_mean)


def test_alignment_that_is_no_scalar_raises():
    alignment = LayerwiseAlignment({"features": lambda s, t: s.mean(dim=0) - t.mean(dim=0)})
    with pytest.raises(ValueError, match=r"alignment must return a scalar .* shape \(8,\)"):
        _fit(_net(alignment=alignment))


def test_labelled_target_rows_take_part_in_the_classification_loss():
    labels = np.where(TARGET[:, 0] > 1, 0, 1)
    data = DomainDataset(X, Y, (TARGET,), (labels,))
    net = _fit(_net(trade_off=0), data)
    assert not torch.equal(_weights(net), _weights(_fit(_net(trade_off=0))))


def test_unlabeled_target_rows_leave_the_classification_loss_alone():
    unlabeled = DomainDataset(X, Y, (TARGET,), (np.full(len(TARGET), -100),))
    expected, net = _fit(_net()), _fit(_net(), unlabeled)
    torch.testing.assert_close(_weights(net), _weights(expected), rtol=1e-4, atol=1e-6)


def test_faster_head_learns_faster_than_the_backbone():
    keywords = {"optimizer": torch.optim.SGD, "max_epochs": 1, "batch_size": 64}
    start = _module(dropout=0)
    plain = _fit(_net(_module(dropout=0), **keywords))
    fast = _fit(_net(_module(dropout=0), head_lr_multiplier=10.0, **keywords))
    for name, ratio in (("head", 10), ("backbone", 1)):
        first, slow, quick = (
            nn.utils.parameters_to_vector(getattr(module, name).parameters()).detach()
            for module in (start, plain.module_, fast.module_)
        )
        torch.testing.assert_close(quick - first, ratio * (slow - first), rtol=1e-3, atol=1e-6)


# -- the history and callbacks ----------------------------------------------------------------


def test_a_batch_callback_changes_neither_weights_nor_history():
    plain, watched = _fit(_net()), _fit(_net(callbacks=[_Spy()]))
    assert torch.equal(_weights(plain), _weights(watched))
    keys = ("train_loss", "classification_loss", "alignment_loss", "trade_off", "train_loss_best")
    assert plain.history[:, keys] == watched.history[:, keys]
    spy = watched.callbacks_[-1][1]
    means = np.reshape(spy.batch_losses, (2, STEPS)).mean(axis=1)
    assert plain.history[:, "train_loss"] == pytest.approx(means.tolist())


def test_best_training_loss_is_marked():
    history = _fit(_net(max_epochs=6)).history
    losses = history[:, "train_loss"]
    best = [loss < min(losses[:n], default=np.inf) for n, loss in enumerate(losses)]
    assert history[:, "train_loss_best"] == best


def test_held_out_source_rows_are_judged_with_source_statistics():
    net = _fit(_net(train_split=_hold_out))
    module = net.module_.eval()
    with torch.no_grad(), module.rows.of((1,)):
        logits, _ = module(torch.from_numpy(X[32:]))
    y = torch.from_numpy(Y[32:])
    loss = nn.functional.cross_entropy(logits, y).item()
    assert net.history[-1, "valid_loss"] == pytest.approx(loss, rel=1e-5)
    accuracy = (logits.argmax(dim=1) == y).float().mean().item()
    assert net.history[-1, "valid_accuracy"] == pytest.approx(accuracy)


def test_epoch_wise_scheduler_rules_alone():
    scheduler = LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.1)
    net = _fit(_net(callbacks=[("scheduler", scheduler), ("spy", _Spy())]))
    lrs = [lr for (lr,) in dict(net.callbacks_)["spy"].lrs]
    assert lrs == pytest.approx([0.01] * STEPS + [0.001] * STEPS)


def test_batch_wise_scheduler_rules_alone():
    scheduler = LRScheduler(
        torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5, step_every="batch"
    )
    net = _fit(_net(callbacks=[("spy", _Spy()), ("scheduler", scheduler)]))
    lrs = [lr for (lr,) in dict(net.callbacks_)["spy"].lrs]
    assert lrs == pytest.approx([0.01 * 0.5**step for step in range(2 * STEPS)])


def test_learning_rate_set_between_two_trainings_counts():
    spy = [("spy", _Spy())]
    net = _fit(_net(callbacks=spy))
    with_schedule = dict(net.callbacks_)["spy"].lrs
    assert with_schedule[0] == [0.01] and with_schedule[-1][0] < 0.002
    net.set_params(lr=0.5)
    net.partial_fit(DATA)
    assert with_schedule[2 * STEPS] == [0.5]


class _Logits(Callback):
    """Predicts the target rows in the middle of training."""

    def on_epoch_end(self, net, **kwargs):
        self.logits = net.predict_proba(TARGET)


@pytest.mark.parametrize("targets", [(TARGET,), (TARGET, TARGET + 1)])
def test_predictions_in_the_middle_of_training_use_learned_statistics(targets):
    net = _fit(
        _net(_module(len(targets)), callbacks=[("logits", _Logits())]), DomainDataset(X, Y, targets)
    )
    assert np.allclose(dict(net.callbacks_)["logits"].logits, net.predict_proba(TARGET), atol=1e-5)


def test_source_statistics_serve_until_those_of_the_target_are_estimated():
    net = _fit(_net(trade_off=0, callbacks=[("logits", _Logits())]))
    seen = dict(net.callbacks_)["logits"].logits
    assert not np.allclose(seen, net.predict_proba(TARGET), atol=1e-3)
    with net.source_statistics():
        assert np.allclose(seen, net.predict_proba(TARGET), atol=1e-5)


@pytest.mark.parametrize("use_caching", [True, False])
@pytest.mark.parametrize("on_train", [True, False])
def test_epoch_scoring(on_train, use_caching):
    scoring = EpochScoring("accuracy", name="mine", on_train=on_train, use_caching=use_caching)
    net = _fit(_net(callbacks=[scoring], train_split=_hold_out))
    assert 0 <= net.history[-1, "mine"] <= 1


class _Weights(Callback):
    def __init__(self):
        self.of_epochs = []

    def on_epoch_end(self, net, **kwargs):
        self.of_epochs.append(_weights(net))


@pytest.mark.parametrize("more", [[], [("spy", _Spy())]])
def test_checkpoint_writes_the_best_weights(tmp_path, more):
    checkpoint = Checkpoint(monitor="train_loss_best", dirname=str(tmp_path))
    net = _fit(_net(max_epochs=4, callbacks=[checkpoint, ("weights", _Weights()), *more]))
    other = _net().initialize()
    other.load_params(f_params=tmp_path / "params.pt")
    of_epochs = dict(net.callbacks_)["weights"].of_epochs
    best = np.argmin(net.history[:, "train_loss"])
    assert [torch.equal(_weights(other), weights) for weights in of_epochs] == [
        epoch == best for epoch in range(4)
    ]


def test_early_stopping_stops():
    stopper = EarlyStopping(monitor="valid_loss", patience=2, threshold=1e9, sink=lambda *_: None)
    net = _fit(_net(max_epochs=9, train_split=_hold_out, callbacks=[stopper]))
    assert len(net.history) < 9


@pytest.mark.parametrize("trade_off", [0, 1.0])
@pytest.mark.parametrize("n_targets", [1, 2])
def test_restored_best_weights_have_target_statistics(trade_off, n_targets):
    data = DomainDataset(X, Y, (TARGET + 5, TARGET + 9)[:n_targets])
    stopper = EarlyStopping(
        monitor="valid_loss", patience=2, threshold=1e9, load_best=True, sink=lambda *_: None
    )
    net = _net(
        _module(n_targets=n_targets),
        trade_off=trade_off,
        max_epochs=9,
        train_split=_hold_out,
        callbacks=[stopper],
    )
    _fit(net, data)
    assert len(net.history) < 9
    last = net.module_.domain_batch_norms()[0].norms[-1]
    assert last.running_mean.abs().min() > 0
    # Restored weights: those of the first epoch.
    assert stopper.load_best and net.callbacks_[-1][1].best_epoch_ == 1


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_clipped_gradients_have_the_given_norm(precision):
    start = nn.utils.parameters_to_vector(_module().parameters()).detach()

    def moved(*callbacks):
        net = _net(
            optimizer=torch.optim.SGD,
            lr=1.0,
            lr_schedule="constant",
            max_epochs=1,
            batch_size=64,
            precision=precision,
            callbacks=list(callbacks),
        )
        return (_weights(_fit(net)) - start).norm().item()

    assert moved(GradientNormClipping(1e-3)) == pytest.approx(1e-3, rel=1e-2)
    assert moved() > 0.05


def test_progress_bar(capsys):
    pytest.importorskip("tqdm")
    _fit(_net(callbacks=[ProgressBar(detect_notebook=False)]))
    assert f"0/{STEPS}" in capsys.readouterr().err


@pytest.mark.parametrize("use_caching", [True, False])
def test_epoch_scoring_of_held_out_rows(use_caching):
    scoring = EpochScoring("accuracy", lower_is_better=False, name="score", use_caching=use_caching)
    net = _fit(_net(train_split=_hold_out, callbacks=[scoring]))
    assert len(net.history[:, "score"]) == 2
    if use_caching:
        assert net.history[:, "score"] == pytest.approx(net.history[:, "valid_accuracy"])


def test_epoch_scoring_of_training_rows():
    scoring = EpochScoring("accuracy", lower_is_better=False, name="score", on_train=True)
    net = _fit(_net(max_epochs=30, lr=0.05, callbacks=[scoring]))
    assert net.history[-1, "score"] > 0.85 > net.history[0, "score"]


class _Predict(Callback):
    def __init__(self):
        self.predictions = []

    def on_epoch_end(self, net, **kwargs):
        self.predictions.append(net.predict_proba(TARGET))


@pytest.mark.parametrize("train_split", [None, _hold_out])
def test_predictions_in_the_middle_of_training_are_for_the_target(train_split):
    plain = _fit(_net(train_split=train_split))
    watched = _fit(_net(train_split=train_split, callbacks=[_Predict()]))
    assert torch.equal(_weights(watched), _weights(plain))
    predictions = watched.callbacks_[-1][1].predictions
    np.testing.assert_array_equal(predictions[-1], plain.predict_proba(TARGET))
    assert not np.allclose(predictions[0], predictions[1])


# -- optimisers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "optimizer, keywords",
    [
        (torch.optim.SGD, {"optimizer__momentum": 0.9}),
        (torch.optim.AdamW, {"optimizer__weight_decay": 0.1}),
        (torch.optim.Adam, {"optimizer__foreach": True}),
        (torch.optim.RMSprop, {}),
        (torch.optim.Adagrad, {}),
        (torch.optim.Rprop, {}),
    ],
)
def test_optimizers_train(optimizer, keywords):
    start = nn.utils.parameters_to_vector(_module().parameters()).detach()
    net = _fit(_net(optimizer=optimizer, **keywords))
    assert type(net.optimizer_) is optimizer
    for name, value in keywords.items():
        assert net.optimizer_.param_groups[0][name.removeprefix("optimizer__")] == value
    assert torch.isfinite(_weights(net)).all() and not torch.equal(_weights(net), start)


def test_every_parameter_is_trained_once():
    net = _net(alignment=LayerwiseAlignment({"features": DomainAdversary(8)})).initialize()
    trained = [id(p) for group in net.optimizer_.param_groups for p in group["params"]]
    expected = {id(p) for p in [*net.module_.parameters(), *net.alignment_.parameters()]}
    assert len(trained) == len(set(trained)) and set(trained) == expected


def test_frozen_parameters_stay():
    module = _module()
    module.backbone[0][0].weight.requires_grad_(False)
    before = module.backbone[0][0].weight.clone()
    net = _fit(_net(module))
    assert torch.equal(net.module_.backbone[0][0].weight, before)


def test_parameter_groups_are_chosen_by_name():
    groups = [("head.*", {"lr": 0.5}), ("backbone.*.bias", {"weight_decay": 0.0})]
    net = _net(
        optimizer__param_groups=groups, optimizer__weight_decay=0.1, lr_schedule="constant"
    ).initialize()
    head, bias, rest = net.optimizer_.param_groups
    assert {id(p) for p in head["params"]} == {id(p) for p in net.module_.head.parameters()}
    assert (head["lr"], bias["lr"], rest["lr"]) == (0.5, 0.01, 0.01)
    assert (head["weight_decay"], bias["weight_decay"], rest["weight_decay"]) == (0.1, 0.0, 0.1)


def test_head_multiplier_keeps_given_groups():
    groups = [("backbone.*", {"lr": 0.5})]
    net = _net(optimizer__param_groups=groups, head_lr_multiplier=10.0).initialize()
    lrs = {
        id(parameter): group["lr"]
        for group in net.optimizer_.param_groups
        for parameter in group["params"]
    }
    assert {lrs[id(p)] for p in net.module_.backbone.parameters()} == {0.5}
    assert {lrs[id(p)] for p in net.module_.head.parameters()} == {0.1}


# -- precision, compilation, pickling ---------------------------------------------------------


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("callbacks", [[], [GradientNormClipping(1.0)]])
def test_low_precision_trains_to_finite_float32_weights(precision, callbacks):
    start = nn.utils.parameters_to_vector(_module().parameters()).detach()
    alignment = LayerwiseAlignment({"features": mmd})
    net = _fit(_net(precision=precision, alignment=alignment, callbacks=callbacks))
    assert _weights(net).dtype == torch.float32
    assert torch.isfinite(_weights(net)).all() and not torch.equal(_weights(net), start)
    exact = _fit(_net(alignment=LayerwiseAlignment({"features": mmd})))
    assert net.history[0, "train_loss"] == pytest.approx(exact.history[0, "train_loss"], rel=0.05)
    assert net.history[0, "train_loss"] != exact.history[0, "train_loss"]
    assert net.predict_proba(X).dtype == np.float32


def test_float16_scales_the_loss_and_unscales_the_gradients():
    keywords = {"optimizer": torch.optim.SGD, "max_epochs": 1, "batch_size": 64}
    exact = _fit(_net(_module(dropout=0), **keywords))
    scaled = _fit(_net(_module(dropout=0), precision="float16", **keywords))
    torch.testing.assert_close(_weights(scaled), _weights(exact), rtol=0.05, atol=1e-3)


_COMPILER = any(map(shutil.which, ("g++", "c++", "clang++", "cl")))


def _compiled_like_plain(**keywords):
    plain = _fit(_net(_module(dropout=0)))
    compiled = _fit(_net(_module(dropout=0), compile=True, **keywords))
    assert compiled.module_._compiled_call_impl is not None
    torch.testing.assert_close(_weights(compiled), _weights(plain), rtol=1e-3, atol=1e-5)
    loaded = pickle.loads(pickle.dumps(compiled))
    np.testing.assert_allclose(
        loaded.predict_proba(TARGET), compiled.predict_proba(TARGET), atol=1e-5
    )


@pytest.mark.filterwarnings("ignore")
def test_compiled_net_trains_to_the_same_weights_and_pickles():
    _compiled_like_plain(compile__backend="aot_eager")


@pytest.mark.slow
@pytest.mark.skipif(not _COMPILER, reason="no C++ compiler")
@pytest.mark.filterwarnings("ignore")
def test_net_compiled_to_machine_code_trains_to_the_same_weights_and_pickles():
    _compiled_like_plain()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copied_net_predicts_and_trains_alike(copied):
    alignment = LayerwiseAlignment({"hidden1": DomainAdversary(8)})
    net = _fit(_net(_module(dropout=0, layers=("hidden1",)), alignment=alignment))
    other = copied(net)
    np.testing.assert_array_equal(other.predict_proba(TARGET), net.predict_proba(TARGET))
    net.partial_fit(DATA, None)
    before = _weights(net)
    assert not torch.equal(_weights(other), before)
    other.partial_fit(DATA, None)
    torch.testing.assert_close(_weights(other), before)
    assert torch.equal(_weights(net), before)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_net_pickled_on_cuda_loads_on_the_cpu(monkeypatch):
    alignment = LayerwiseAlignment({"features": DomainAdversary(8)})
    net = _fit(_net(alignment=alignment, optimizer__momentum=0.9, optimizer=torch.optim.SGD))
    expected = net.predict_proba(TARGET)
    with monkeypatch.context() as patch:
        # Storages written now claim to be of a CUDA device.
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        net.device = "cuda:0"
        pickled = pickle.dumps(net)
    assert b"cuda:0" in pickled
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = pickle.loads(pickled)
    assert torch.device(loaded.device).type == "cpu"
    np.testing.assert_array_equal(loaded.predict_proba(TARGET), expected)
    loaded.partial_fit(DATA, None)
    assert np.isfinite(loaded.predict_proba(TARGET)).all()


# -- statistics of the target -----------------------------------------------------------------


def _raw_mean(net, rows):
    """Mean, over `rows`, of what enters the batch norm."""
    with torch.no_grad():
        return net.module_.backbone[0][0](torch.from_numpy(rows)).mean(dim=0)


def test_trade_off_0_still_estimates_the_statistics_of_the_target():
    net = _fit(_net(trade_off=0))
    (norm,) = net.module_.domain_batch_norms()
    torch.testing.assert_close(norm.norms[-1].running_mean, _raw_mean(net, TARGET))
    assert norm.norms[-1].momentum == 0.1 and not norm.training


def test_estimated_statistics_are_those_of_the_latest_weights():
    net = _fit(_net(trade_off=0))
    net.partial_fit(DATA, None)
    (norm,) = net.module_.domain_batch_norms()
    torch.testing.assert_close(norm.norms[-1].running_mean, _raw_mean(net, TARGET))


def test_training_rows_are_forgotten_after_fit():
    net = _fit(_net())
    assert net.module_.rows.sizes is None
    assert net.predict(X[:7]).shape == (7,)


def test_source_statistics_serve_within_their_context_alone():
    net = _fit(_net())
    for_target = net.predict_proba(X)
    with net.source_statistics():
        for_source = net.predict_proba(X)
    assert not np.allclose(for_source, for_target)
    module = net.module_.eval()
    with torch.no_grad(), module.rows.of((1,)):
        expected = module(torch.from_numpy(X))[0].softmax(dim=1).numpy()
    np.testing.assert_allclose(for_source, expected, rtol=1e-5)
    np.testing.assert_array_equal(net.predict_proba(X), for_target)


def test_several_targets_are_pooled_after_fit():
    data = DomainDataset(X, Y, (TARGET, TARGET + 5))
    net = _fit(_net(_module(n_targets=2), trade_off=0), data)
    (norm,) = net.module_.domain_batch_norms()
    assert len(norm.norms) == 4
    expected = _raw_mean(net, np.concatenate([TARGET, TARGET + 5]))
    torch.testing.assert_close(norm.norms[-1].running_mean, expected)


def test_a_single_target_row_gives_finite_statistics():
    net = _fit(_net(trade_off=0), DomainDataset(X, Y, (TARGET[:1],)))
    assert np.isfinite(net.predict_proba(TARGET)).all()


def test_the_backbone_of_an_adapted_net_can_be_adapted_again():
    backbone = _fit(_net()).module_.backbone
    for trade_off in (0, 1.0):
        module = AdaptationModule(copy.deepcopy(backbone), nn.Linear(8, 2), n_targets=1)
        net = _fit(_net(module, trade_off=trade_off))
        assert len(net.module_.domain_batch_norms()) == 1


def test_stale_statistics_do_not_disturb_shared_batch_norms():
    backbone = _fit(_net()).module_.backbone
    module = AdaptationModule(backbone, nn.Linear(8, 2), n_targets=2, batch_norm="shared")
    net = _fit(_net(module), DomainDataset(X, Y, (TARGET, TARGET + 5)))
    assert net.module_.domain_batch_norms() == []
