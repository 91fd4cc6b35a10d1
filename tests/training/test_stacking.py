"""Fits whose networks take their steps together give what each of them gives by itself."""

import copy

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn
from torch.func import functional_call, vmap

import skda._torch
from skda._random import drawing
from skda.adaptation import (
    AdaBNClassifier,
    CDANClassifier,
    DANClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    JANClassifier,
    MCDClassifier,
)
from skda.base import DeepAdaptationClassifier
from skda.nn import MLP, DomainBatchNorm, DomainRows
from skda.training import AdaptationModule, StackedFits
from skda.training._fused_adam import FusedAdam
from skda.training._lockstep import ask_leader, run_in_lockstep
from skda.training._stacked_layers import use_layers_of_stacks

METHODS = [
    AdaBNClassifier(),
    CDANClassifier(discriminator__hidden_layer_sizes=(8,)),
    DANClassifier(),
    DANNClassifier(discriminator__hidden_layer_sizes=(8, 8), discriminator__dropout=0.3),
    DeepCORALClassifier(batch_norm="shared"),
    JANClassifier(optimizer="sgd", optimizer__momentum=0.9),
]


@pytest.fixture
def rows():
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((60, 6)).astype("float32"), np.arange(60) % 3
    X[np.arange(60), y] += 2
    return X, y, (X[:50] + 0.5,)


def task(estimator, rows):
    X, y, targets = rows
    return lambda: estimator.fit(X, y, X_target=targets)


def both(estimators, rows):
    """Fit copies one by one, and in stacks; return them, and what the stacks report."""
    alone, together = ([clone(estimator) for estimator in estimators] for _ in range(2))
    for estimator in alone:
        task(estimator, rows)()
    fits = StackedFits()
    for _, error in fits.run([task(estimator, rows) for estimator in together]):
        if error is not None:
            raise error
    return alone, together, fits


def variants(estimator, **params):
    base = {"max_epochs": 2, "batch_size": 16, "module__hidden_layer_sizes": (8, 4)}
    estimator = clone(estimator).set_params(**{**base, **params})
    return [
        clone(estimator).set_params(random_state=0),
        clone(estimator).set_params(random_state=1, lr=1e-2),
        clone(estimator).set_params(random_state=1, optimizer__weight_decay=0.1),
    ]


def assert_alike(alone, together, rows, tolerance=1e-4):
    for one, other in zip(alone, together, strict=True):
        for a, b in zip(one.history_, other.history_, strict=True):
            numbers = [k for k in a if k not in ("dur", "batches") and np.isscalar(a[k])]
            assert set(a) == set(b)
            np.testing.assert_allclose(
                [a[k] for k in numbers], [b[k] for k in numbers], rtol=tolerance, atol=tolerance
            )
        for a, b in zip(
            one.net_.module_.state_dict().values(),
            other.net_.module_.state_dict().values(),
            strict=True,
        ):
            torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_stacked_fits_are_those_of_plain_ones(method, rows):
    alone, together, fits = both(variants(method, module__dropout=0.2), rows)
    assert fits.n_stacked == 6 and not fits.n_alone
    assert_alike(alone, together, rows)


@pytest.mark.parametrize("weights", [{}, {"class_weight": {0: 1, 1: 2, 2: 3}}])
def test_labels_may_be_smooth_to_different_degrees(rows, weights):
    smooth = {"criterion__label_smoothing": 0.3, **weights}
    estimators = variants(DeepCORALClassifier(), **smooth)
    estimators[2].set_params(criterion__label_smoothing=0.05)
    alone, together, fits = both(estimators, rows)
    assert fits.n_stacked == 6 and not fits.n_alone
    assert_alike(alone, together, rows)
    plain = clone(estimators[0]).set_params(criterion__label_smoothing=0)
    _, _, fits = both([plain, *estimators[:2]], rows)
    assert fits.n_stacked == 4  # nets without it keep the plain loss


@pytest.fixture
def double(monkeypatch):
    """Let estimators train in float64."""
    as_input = AdaptationModule.as_input
    monkeypatch.setattr(skda._torch, "_FLOAT", torch.float64)
    monkeypatch.setattr(AdaptationModule, "as_input", staticmethod(lambda X: as_input(X).double()))


def test_what_differs_after_many_epochs_is_rounding(rows, double):
    dann = DANNClassifier(discriminator__hidden_layer_sizes=(8, 8))
    estimators = variants(dann, max_epochs=20, lr=1e-2, trade_off=3)
    alone, together, fits = both(estimators, rows)
    assert fits.n_stacked == 60
    assert next(together[0].net_.module_.parameters()).dtype == torch.float64
    assert_alike(alone, together, rows, tolerance=1e-9)


@pytest.mark.parametrize("optimizer", ["adamw", "adam"])
def test_steps_of_adam_are_those_of_the_optimiser(rows, optimizer, monkeypatch):
    own = {"lr": 1e-2, "optimizer__amsgrad": True, "optimizer__betas": (0.8, 0.9)}
    own["optimizer__weight_decay"] = 0.3
    estimators = variants(DeepCORALClassifier(optimizer=optimizer))
    estimators.append(clone(estimators[0]).set_params(**own))
    _, together, _ = both(estimators, rows)
    monkeypatch.setattr(FusedAdam, "serves", staticmethod(lambda optimizer: False))
    _, plain, _ = both(estimators, rows)
    for one, other in zip(plain, together, strict=True):
        for a, b in zip(
            one.net_.optimizer_.state.values(), other.net_.optimizer_.state.values(), strict=True
        ):
            assert all(torch.equal(a[name], b[name]) for name in a)
        assert_alike([one], [other], rows, tolerance=0)


def test_steps_are_counted_weight_by_weight(rows):
    _, (first, *_), _ = both(variants(DeepCORALClassifier()), rows)
    counts = [state["step"] for state in first.net_.optimizer_.state.values()]
    assert len({id(count) for count in counts}) == len(counts)
    assert {count.item() for count in counts} == {first.net_._step}


@pytest.mark.parametrize("sizes", [(4, 4), (6, 2), (0, 8), (4, 2, 2)])
def test_batch_norms_of_a_stack_are_those_of_its_networks(sizes):
    rows = DomainRows(sizes)
    norms = [DomainBatchNorm(nn.BatchNorm1d(5), len(sizes), rows).train() for _ in range(3)]
    for norm in norms:
        nn.init.uniform_(norm.norms[0].weight)
        nn.init.uniform_(norm.norms[0].bias)
    x, weights = torch.randn(3, 8, 5), torch.randn(3, 8, 5)
    tensors = [{**dict(n.named_parameters()), **dict(n.named_buffers())} for n in norms]
    stacked = {k: torch.stack([t[k].detach() for t in tensors]) for k in tensors[0]}
    learning = [x.clone().requires_grad_()]
    learning += [stacked[f"norms.0.{name}"].requires_grad_() for name in ("weight", "bias")]
    layer = copy.deepcopy(norms[0])
    use_layers_of_stacks(layer)
    outputs = vmap(lambda t, x: functional_call(layer, t, (x,)))(stacked, learning[0])
    gradients = torch.autograd.grad((outputs * weights).sum(), learning)
    for number, norm in enumerate(norms):
        own = [x[number].clone().requires_grad_(), norm.norms[0].weight, norm.norms[0].bias]
        output = norm(own[0])
        torch.testing.assert_close(outputs[number], output)
        expected = torch.autograd.grad((output * weights[number]).sum(), own)
        for gradient, of_one in zip(gradients, expected, strict=True):
            torch.testing.assert_close(gradient[number], of_one)
        for name, buffer in norm.named_buffers():
            torch.testing.assert_close(stacked[name][number], buffer)


def test_several_targets(rows):
    X, y, targets = rows
    three = X, y, (targets[0], targets[0] - 1)
    alone, together, fits = both(variants(DeepCORALClassifier()), three)
    assert fits.n_stacked == 6 and not fits.n_alone
    assert_alike(alone, together, three)


def test_trade_offs_and_schedules_may_differ(rows):
    first, second, third = variants(DANNClassifier(discriminator__hidden_layer_sizes=(8,)))
    second.set_params(trade_off=5, lr_schedule="cosine")
    third.set_params(trade_off=0.1, trade_off_schedule="constant")
    alone, together, fits = both([first, second, third], rows)
    assert fits.n_stacked == 6
    assert_alike(alone, together, rows)
    assert together[1].history_[-1]["trade_off"] != together[2].history_[-1]["trade_off"]


def test_other_shapes_have_stacks_of_their_own(rows):
    estimators = [
        *variants(DeepCORALClassifier())[:2],
        *variants(DeepCORALClassifier())[1:],
    ]
    for estimator in estimators[2:]:
        estimator.set_params(module__hidden_layer_sizes=(5,))
    alone, together, fits = both(estimators, rows)
    assert fits.n_stacked == 8
    assert_alike(alone, together, rows)


def test_weights_of_rows_count(rows):
    alone, together, fits = both(variants(AdaBNClassifier(), class_weight={0: 5, 1: 1, 2: 1}), rows)
    assert fits.n_stacked == 6
    assert_alike(alone, together, rows)


def test_early_stopping_ends_one_fit_and_not_the_others(rows):
    first, *others = variants(AdaBNClassifier())
    params = {"early_stopping": True, "n_iter_no_change": 1, "max_epochs": 6}
    first.set_params(lr=1e-9, **params)
    for other in others:
        other.set_params(validation_fraction=0.1, max_epochs=6)
    alone, together, _ = both([first, *others], rows)
    assert [e.n_iter_ for e in together] == [e.n_iter_ for e in alone]
    assert together[0].n_iter_ < 6
    assert_alike(alone, together, rows)


def test_training_goes_on_by_itself_afterwards(rows):
    alone, together, _ = both(variants(AdaBNClassifier(), max_epochs=2)[:2], rows)
    X, y, targets = rows
    for estimator in [*alone, *together]:
        estimator.partial_fit(X, y, X_target=targets)
    assert_alike(alone, together, rows)


class Doubling(MLP):
    """A user's network."""

    def forward(self, X):
        return 2 * super().forward(X)


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        (MCDClassifier(), "has steps of its own"),
        (AdaBNClassifier(module=Doubling), "may do anything"),
        (AdaBNClassifier(augment=torch.neg), "augmented"),
        (AdaBNClassifier(precision="bfloat16"), "precision"),
        (AdaBNClassifier(gradient_accumulation_steps=2), "gradients of several batches"),
        (AdaBNClassifier(gradient_checkpointing=True), "computed once more"),
    ],
)
def test_what_cannot_be_stacked_is_fitted_by_itself(estimator, reason, rows):
    params = {"max_epochs": 1, "batch_size": 16}
    estimators = [clone(estimator).set_params(random_state=k, **params) for k in range(2)]
    alone, together, fits = both(estimators, rows)
    assert fits.n_stacked == 0
    assert any(reason in obstacle for obstacle in fits.n_alone)
    assert_alike(alone, together, rows, tolerance=0)


def drawn_difference(source, target):
    with drawing():
        columns = torch.randn(source.shape[1], 2)
    return ((source @ columns).mean(dim=0) - (target @ columns).mean(dim=0)).square().sum()


def test_losses_that_draw_do_so_from_the_generators_of_their_fit(rows, monkeypatch):
    monkeypatch.setattr("skda.training._stack_form.is_known", lambda part: True)
    base = DeepAdaptationClassifier(alignment=drawn_difference)
    alone, together, fits = both(variants(base), rows)
    assert "RuntimeError: its losses draw random numbers" in fits.n_alone
    assert_alike(alone, together, rows, tolerance=0)


def test_a_step_that_fails_is_taken_back(rows, monkeypatch):
    from skda.training import _stacked_epoch

    calls = []
    step = _stacked_epoch.StackedOptimizer.step

    def fail(self, number, gradients):
        calls.append(number)
        if number == 2:
            raise RuntimeError("no")
        step(self, number, gradients)

    monkeypatch.setattr(_stacked_epoch.StackedOptimizer, "step", fail)
    alone, together, fits = both(variants(DANClassifier(), module__dropout=0.2), rows)
    assert 2 in calls and fits.n_stacked == 0 and "RuntimeError: no" in fits.n_alone
    assert_alike(alone, together, rows, tolerance=0)


@pytest.mark.filterwarnings("ignore::skda.exceptions.DomainScaleWarning")
def test_an_error_reaches_the_fit_that_it_belongs_to(rows):
    estimators = variants(AdaBNClassifier())
    X, y, targets = rows
    tasks = [task(estimators[0], rows), task(estimators[1], rows), task(estimators[2], rows)]
    tasks[1] = lambda: estimators[1].fit(X * np.float32(1e30), y, X_target=targets)
    (_, none), (_, error), (_, none_too) = StackedFits().run(tasks)
    assert none is None and none_too is None
    assert error is not None


def test_the_generator_of_the_process_stays(rows):
    before = torch.get_rng_state()
    both(variants(DANNClassifier(), module__dropout=0.2)[:2], rows)
    assert torch.equal(before, torch.get_rng_state())


def test_tasks_wait_for_each_other():
    order = []

    def run(number):
        for _ in range(2):
            order.append(ask_leader(number))
        return number

    tasks = [lambda number=number: run(number) for number in range(3)]
    outcomes = run_in_lockstep(tasks, lambda asked: [(number, len(asked)) for number in asked])
    assert outcomes == [(0, None), (1, None), (2, None)]
    assert order == [(0, 3), (1, 3), (2, 3)] * 2


def test_ctrl_c_reaches_all_tasks():
    reached = []

    def run():
        try:
            ask_leader(None)
        except KeyboardInterrupt:
            reached.append(True)
            raise

    def interrupt(asked):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_in_lockstep([run, run], interrupt)
    assert reached == [True, True]


def test_linear_layers_of_stacks_take_rows_of_several_dimensions():
    from skda.training._stacked_layers import use_layers_of_stacks

    layer = nn.Linear(3, 2)
    use_layers_of_stacks(layer)
    assert layer(torch.zeros(4, 5, 3)).shape == (4, 5, 2)
