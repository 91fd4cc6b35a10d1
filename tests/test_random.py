"""Generators of a thread's own: what draws from them, and that nothing draws from others."""

import inspect
import threading
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from skda._drawing_functions import FUNCTIONS_THAT_DRAW
from skda._process import SharedSetting
from skda._random import _CudaStandIns, drawing, own_generators, seed_generators

X = torch.linspace(-1, 1, 1200).view(6, 8, 5, 5)
SERIES = X[:, :, 0, :].transpose(1, 2).contiguous()
with torch.random.fork_rng(devices=[]):
    LSTM = nn.LSTM(8, 8, num_layers=2, dropout=0.5)
    ATTENTION = nn.MultiheadAttention(8, 2, dropout=0.4)
    TRANSFORMER = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2)

CASES = {
    "dropout": lambda: F.dropout(X, 0.3),
    "dropout of float64": lambda: F.dropout(X.double(), 0.3),
    "dropout of float16": lambda: F.dropout(X.half(), 0.3),
    "dropout of a view": lambda: F.dropout(X.transpose(1, 2), 0.3),
    "dropout of channels last": lambda: F.dropout(X.to(memory_format=torch.channels_last), 0.3),
    "dropout in place": lambda: F.dropout(X.clone(), 0.3, inplace=True),
    "dropout of all": lambda: F.dropout(X, 1.0),
    "dropout of none": lambda: F.dropout(X, 0.0),
    "dropout2d": lambda: F.dropout2d(X, 0.3),
    "alpha_dropout": lambda: F.alpha_dropout(X, 0.3),
    "feature_alpha_dropout": lambda: F.feature_alpha_dropout(X, 0.3),
    "lstm": lambda: LSTM(SERIES)[0],
    "attention": lambda: ATTENTION(SERIES, SERIES, SERIES, need_weights=False)[0],
    "transformer": lambda: TRANSFORMER(SERIES),
    "scaled_dot_product_attention": lambda: F.scaled_dot_product_attention(X, X, X, dropout_p=0.3),
    "rrelu": lambda: F.rrelu(X, training=True),
    "gumbel_softmax": lambda: F.gumbel_softmax(X),
    "fractional_max_pool2d": lambda: F.fractional_max_pool2d(X, 2, output_size=3),
    "rand": lambda: torch.rand(3),
    "rand with out": lambda: torch.rand(4, out=torch.empty(4)),
    "randn": lambda: torch.randn(20),
    "randint": lambda: torch.randint(5, (9,)),
    "randperm": lambda: torch.randperm(50),
    "rand_like": lambda: torch.rand_like(X),
    "randn_like": lambda: torch.randn_like(X),
    "randint_like": lambda: torch.randint_like(X, 9),
    "normal": lambda: torch.normal(X, 1.0),
    "bernoulli": lambda: X.sigmoid().bernoulli(),
    "multinomial": lambda: torch.multinomial(torch.ones(9), 4),
    "poisson": lambda: torch.poisson(X.exp()),
    "binomial": lambda: torch.binomial(torch.full((5,), 9.0), torch.full((5,), 0.4)),
    "beta": lambda: torch.distributions.Beta(2.0, 3.0).sample((4,)),
    "linear layer": lambda: nn.Linear(4, 5).weight,
    "recurrent layer": lambda: nn.LSTM(3, 4).weight_ih_l0,
    "embedding": lambda: nn.Embedding(3, 4).weight,
    "trunc_normal_": lambda: nn.init.trunc_normal_(torch.empty(50)),
    "orthogonal_": lambda: nn.init.orthogonal_(torch.empty(5, 5)),
}
CONTEXTS = {"grad": torch.enable_grad, "no_grad": torch.no_grad, "inference": torch.inference_mode}


def _twice(draw, context):
    with CONTEXTS[context]():
        return [draw().detach().clone() for _ in range(2)]


@pytest.fixture
def own():
    with own_generators("cpu") as own:
        seed_generators(5, "cpu")
        yield own


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("name", CASES)
def test_numbers_are_those_of_torch_and_its_generator_stays(name, context):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        expected = _twice(CASES[name], context)
    state = torch.get_rng_state()
    for level in ("operators", "functions"):
        with own_generators("cpu") as own:
            seed_generators(5, "cpu")
            if level == "operators":
                drawn = _twice(CASES[name], context)
            else:
                with own.operators_suspended():
                    drawn = _twice(CASES[name], context)
        assert all(map(torch.equal, drawn, expected)), level
        assert torch.equal(torch.get_rng_state(), state), level


def _python_functions():
    for place in (torch, F, nn.init, torch._lowrank):
        for name in dir(place):
            function = getattr(place, name)
            if inspect.isfunction(function) and not name.startswith("__"):
                yield function


def test_every_function_of_an_operator_that_draws_is_in_the_table():
    names = set()
    for full in torch._C._dispatch_get_all_op_names():
        space, _, rest = full.partition("::")
        base, _, overload = rest.partition(".")
        packet = getattr(torch.ops.aten, base, None) if space == "aten" else None
        operator = getattr(packet, overload or "default", None)
        if operator is not None and torch.Tag.nondeterministic_seeded in operator.tags:
            names.add(base)
    assert len(names) > 50
    places = (torch, torch.Tensor, F, torch._C._nn, torch._VF)
    functions = {
        (place.__name__, name): getattr(place, name)
        for place in places
        for name in names
        if callable(getattr(place, name, None))
    }
    # Kernels for one kind of device, which nobody calls by their names.
    missing = {
        name
        for (_, name), function in functions.items()
        if function not in FUNCTIONS_THAT_DRAW and not name.startswith(("_", "miopen_"))
    }
    assert not missing


def test_every_function_that_calls_one_of_the_table_is_in_it_too():
    names = {function.__name__ for function in FUNCTIONS_THAT_DRAW}
    missing = [
        function.__qualname__
        for function in _python_functions()
        if names & set(function.__code__.co_names)
        and function not in FUNCTIONS_THAT_DRAW
        and "has_torch_function" in " ".join(function.__code__.co_names)
    ]
    assert not missing


def test_another_thread_draws_from_the_generator_of_the_process(own):
    drawn = []
    with torch.random.fork_rng(devices=[]):
        state = torch.default_generator.get_state()
        thread = threading.Thread(target=lambda: drawn.append(torch.rand(3)))
        thread.start()
        thread.join()
        torch.default_generator.set_state(state)
        expected = torch.empty(3).uniform_(generator=torch.default_generator)
    assert torch.equal(drawn[0], expected)


def test_functions_for_states_of_generators_are_of_the_own_one(own):
    state = torch.default_generator.get_state()
    torch.manual_seed(3)
    first = torch.rand(4)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(4), first)
    with torch.random.fork_rng(devices=[]):
        forked = torch.rand(4)
    assert torch.equal(torch.rand(4), forked)
    assert torch.equal(torch.default_generator.get_state(), state)


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpoint_drops_the_same_units_again(reentrant, own):
    drop, x = nn.Dropout(0.5), torch.ones(64, requires_grad=True)
    state = torch.default_generator.get_state()
    y = checkpoint(lambda x: drop(x) * x, x, use_reentrant=reentrant)
    y.sum().backward()
    assert torch.equal(x.grad, 2 * y.detach())
    assert torch.equal(torch.default_generator.get_state(), state)


def test_a_watch_tells_functions_that_draw_from_others(own):
    own.begin_watch()
    torch.rand(3)
    assert not own.end_watch()
    own.begin_watch()
    with torch._C.DisableTorchFunction():  # as from C++
        torch.rand(3)
    assert own.end_watch()


def test_what_draws_by_itself_draws_while_the_modes_are_suspended(own):
    state = torch.default_generator.get_state()
    first = torch.rand(3)
    seed_generators(5, "cpu")
    with own.operators_suspended(), own.functions_suspended(), drawing():
        assert torch.equal(torch.rand(3), first)
    assert torch.equal(torch.default_generator.get_state(), state)


def test_what_stands_for_the_generators_of_cuda_takes_their_place():
    """As a tuple that equals theirs it would not be set, and a training would not go on."""
    library = SimpleNamespace(default_generators=(torch.default_generator,))
    setting = SharedSetting(
        lambda: library.default_generators,
        lambda generators: setattr(library, "default_generators", generators),
    )
    stand_ins = _CudaStandIns(library.default_generators)
    with setting.held_at(stand_ins):
        assert library.default_generators is stand_ins
    assert type(library.default_generators) is tuple


def test_a_setting_comes_back_whoever_ends_last():
    value = ["caller's"]
    setting = SharedSetting(lambda: value[0], lambda new: value.__setitem__(0, new))
    first, second = setting.held_at("ours"), setting.held_at("ours")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert value == ["ours"]
    second.__exit__(None, None, None)
    assert value == ["caller's"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("watched", [True, False])
@pytest.mark.parametrize(
    "draw",
    [
        lambda x: F.dropout(x, 0.3),
        lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.3),
        lambda x: torch.rand(9, device="cuda"),
        lambda x: torch.randn_like(x),
        lambda x: torch.randperm(50, device="cuda"),
        lambda x: checkpoint(lambda x: F.dropout(x, 0.5), x, use_reentrant=False),
    ],
    ids=["dropout", "attention", "rand", "randn_like", "randperm", "checkpoint"],
)
def test_numbers_on_cuda_are_those_of_torch_and_its_generator_stays(draw, watched):
    def results():
        x = torch.ones(2, 4, 64, 64, device="cuda", requires_grad=True)
        y = draw(x)
        if y.requires_grad:
            y.square().sum().backward()
            return [y.detach(), x.grad]
        return [y]

    with torch.random.fork_rng(devices=[0]):
        torch.manual_seed(5)
        expected = results()
    state = torch.cuda.get_rng_state()
    with own_generators("cuda") as own:
        seed_generators(5, "cuda")
        if watched:
            drawn = results()
        else:
            own.begin_watch()
            results()
            own.end_watch()
            seed_generators(5, "cuda")
            with own.operators_suspended():
                drawn = results()
    for value, number in zip(expected, drawn, strict=True):
        torch.testing.assert_close(value, number)
    assert torch.equal(torch.cuda.get_rng_state(), state)
