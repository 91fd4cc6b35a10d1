"""Engines: agreement with eager torch, choice, precision, missing libraries."""

import copy
import importlib
import logging
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from skda.feature_extraction import DeepFeatureExtractor, _builders, _engines
from skda.feature_extraction._builders import LIBRARIES
from skda.feature_extraction._engines import engine_choices, make_engine
from skda.feature_extraction._features import FeatureModule

IMAGES = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LAYERS = ("0", "features")


@pytest.fixture
def module():
    """A network of 40 million operations per row."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
        nn.Conv2d(64, 64, 3, stride=2, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    ).eval()


@pytest.fixture
def features(module):
    return FeatureModule(module, LAYERS, "avg").eval()


def expected_from(module, x=IMAGES):
    with torch.no_grad():
        return FeatureModule(copy.deepcopy(module), LAYERS, "avg")(x)


def needs(engine):
    for library in LIBRARIES.get(engine, ()):
        pytest.importorskip(library)


def relative_error(got, expected):
    return float((got - expected).norm() / expected.norm())


@pytest.mark.parametrize(
    "engine",
    ["eager", "openvino", "onnxruntime", pytest.param("compile", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("layers", [("0", "features"), ("3",)], ids=["all", "inner"])
def test_float32_engines_agree_with_torch(engine, layers, module):
    needs(engine)
    with torch.no_grad():
        expected = FeatureModule(copy.deepcopy(module), layers, "max")(IMAGES)
    features = FeatureModule(module, layers, "max").eval()
    run = make_engine(features, IMAGES[:1], engine=engine, precision="float32")
    assert (run.name, run.precision) == (engine, "float32")
    for n in (6, 1, 4):  # batches vary
        for got, want in zip(run(IMAGES[:n]), expected, strict=True):
            assert got.dtype == torch.float32 and got.shape == want[:n].shape
            assert relative_error(got, want[:n]) < 1e-4


@pytest.mark.parametrize(
    "engine", ["eager", "openvino", pytest.param("compile", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(("precision", "error"), [("bfloat16", 2e-2), ("float16", 2e-3)])
def test_half_precisions_are_close(engine, precision, error, module, features):
    needs(engine)
    expected = expected_from(module)
    try:
        run = make_engine(features, IMAGES[:1], engine=engine, precision=precision)
    except ValueError as failure:
        pytest.skip(f"not on this CPU: {failure}")
    for got, want in zip(run(IMAGES), expected, strict=True):
        assert got.dtype == torch.float32
        assert 1e-6 < relative_error(got, want) < error  # it is half precision, and near


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize(("layer", "n_convolutions"), [("0", 1), ("3", 2)])
def test_converted_networks_hold_no_later_layers(engine, layer, n_convolutions, module):
    needs(engine)
    program = _builders._export(FeatureModule(module, (layer,), "avg").eval(), IMAGES[:2])
    if engine == "openvino":
        operations = importlib.import_module("openvino").convert_model(program).get_ops()
        kinds = [operation.get_type_name() for operation in operations]
    else:
        graph = torch.onnx.export(program, dynamo=True, verbose=False).model_proto.graph
        kinds = [node.op_type for node in graph.node]
    assert sum("Conv" in kind and "Convert" not in kind for kind in kinds) == n_convolutions


@pytest.mark.parametrize("engine", ["eager", "openvino"])
@pytest.mark.parametrize("inference", [False, True])
def test_network_stays_trainable(engine, inference, module, features):
    needs(engine)
    with torch.inference_mode(inference):
        make_engine(features, IMAGES[:1], engine=engine)(IMAGES)
    module(IMAGES).sum().backward()
    assert module[0].weight.grad is not None and module[0].weight.dtype == torch.float32


def test_tables(module):
    network = nn.Linear(4, 3)
    run = make_engine(FeatureModule(network, ("features",), "avg"), torch.zeros(1, 4))
    assert run.name == "eager"
    torch.testing.assert_close(run(torch.ones(2, 4))[0], network(torch.ones(2, 4)))


def test_batches_of_another_layout(features):
    run = make_engine(features, IMAGES[:1], engine="eager")
    (first, _) = run(IMAGES)
    (second, _) = run(IMAGES.contiguous(memory_format=torch.channels_last))
    assert torch.equal(first, second)


@pytest.mark.parametrize("engine", ["eager", "openvino"])
def test_threads_share_an_engine(engine, features):
    needs(engine)
    run = make_engine(features, IMAGES[:1], engine=engine)
    expected = [run(row[None])[0] for row in IMAGES]
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda n: run(IMAGES[n : n + 1])[0], list(range(6)) * 5))
    for number, result in enumerate(results):
        torch.testing.assert_close(result, expected[number % 6])


@pytest.mark.parametrize("engine", ["eager", "openvino", "onnxruntime"])
def test_pickle_makes_the_engine_again(engine, features):
    needs(engine)
    run = make_engine(features, IMAGES[:1], engine=engine)
    again = pickle.loads(pickle.dumps(run))
    assert again._run is None
    assert torch.equal(again(IMAGES)[0], run(IMAGES)[0]) and again.name == engine


def test_pickle_holds_no_rows(features):
    run = make_engine(features, IMAGES[:1], engine="eager")
    assert IMAGES[0].numpy().tobytes() not in pickle.dumps(run)
    assert not pickle.loads(pickle.dumps(run))._example.any()


# -- auto ---------------------------------------------------------------------------------------


@pytest.fixture
def installed(monkeypatch):
    """Pretend which libraries are installed."""

    def pretend(*names):
        monkeypatch.setattr(_engines, "find_spec", lambda name: name in names or None)

    return pretend


@pytest.mark.parametrize("first", ["openvino", "onnxruntime"])
def test_auto_takes_the_first_that_is_installed(first, features, installed):
    needs(first)
    installed(*LIBRARIES[first])
    assert make_engine(features, IMAGES[:1]).name == first


def test_auto_without_libraries(features, installed):
    installed()
    assert make_engine(features, IMAGES[:1]).name == "eager"


def test_auto_does_not_convert_small_networks(features, monkeypatch):
    monkeypatch.setattr(_engines, "MIN_FLOPS", 1e8)
    assert make_engine(features, IMAGES[:1]).name == "eager"


@pytest.mark.parametrize(
    ("arguments", "choices"),
    [
        (("auto", "float32", "cpu"), ("openvino", "onnxruntime", "eager")),
        (("auto", "bfloat16", "cpu"), ("openvino", "eager")),
        (("auto", "float32", "meta"), ("eager",)),
        (("compile", "float32", "cpu"), ("compile",)),
    ],
)
def test_order_of_choices(arguments, choices, installed):
    installed(*LIBRARIES["openvino"], *LIBRARIES["onnxruntime"])
    expected = tuple((name, arguments[1]) for name in choices)
    assert engine_choices(*arguments) == expected


class Branch(nn.Module):
    """What no graph can hold: a branch on values."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x) if x.sum() > 0 else -self.inner(x)


@pytest.fixture
def branch(module):
    return FeatureModule(Branch(module), ("features",), "avg").eval()


def test_auto_falls_back_to_eager(branch):
    assert make_engine(branch, IMAGES[:1]).name == "eager"


def test_engine_that_cannot_run_the_network(branch):
    needs("openvino")
    with pytest.raises(ValueError, match="engine: 'openvino' cannot run Branch in float32"):
        make_engine(branch, IMAGES[:1], engine="openvino")


def test_engine_that_computes_something_else(features, monkeypatch):
    def make_wrong(feature_module, example, precision):
        return lambda batch: tuple(1.01 * output for output in feature_module(batch))

    monkeypatch.setitem(_engines.BUILDERS, "openvino", make_wrong)
    with pytest.raises(ValueError, match="its features are not those of torch"):
        make_engine(features, IMAGES[:1], engine="openvino")


@pytest.mark.parametrize(
    ("has_amx", "engine", "precision"),
    [(True, "eager", "bfloat16"), (False, "eager", "float32"), (True, "onnxruntime", "float32")],
)
def test_auto_precision_on_the_cpu(has_amx, engine, precision, features, monkeypatch):
    needs(engine)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: has_amx, raising=False)
    assert make_engine(features, IMAGES[:1], engine=engine).precision == precision


def test_auto_precision_of_small_networks(features, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    monkeypatch.setattr(_engines, "MIN_FLOPS", 1e8)
    assert make_engine(features, IMAGES[:1]).precision == "float32"


def test_auto_avoids_engines_without_the_precision(features, installed):
    installed(*LIBRARIES["onnxruntime"])
    assert make_engine(features, IMAGES[:1], precision="bfloat16").name == "eager"


# -- what is not possible -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("engine", "library"),
    [("openvino", "openvino"), ("onnxruntime", "onnxruntime"), ("onnxruntime", "onnxscript")],
)
def test_missing_library_names_the_extra(engine, library, features, monkeypatch):
    for name in LIBRARIES[engine]:
        if name != library:
            pytest.importorskip(name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf"pip install skda\[{engine}\]"):
        make_engine(features, IMAGES[:1], engine=engine)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_onnxruntime_computes_in_float32_only(precision, features):
    with pytest.raises(ValueError, match=f"engine='onnxruntime' .*precision is '{precision}'"):
        make_engine(features, IMAGES[:1], engine="onnxruntime", precision=precision)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_engines_of_the_cpu(engine):
    features = FeatureModule(nn.Linear(2, 2, device="meta"), ("features",), "avg")
    with pytest.raises(ValueError, match=f"engine='{engine}' runs on the CPU, .*'meta'"):
        make_engine(features, torch.zeros(2, 2), engine=engine, device="meta")


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_engines_of_the_cpu_take_it_where_the_device_is_automatic(engine, module, monkeypatch):
    needs(engine)
    monkeypatch.setattr("skda._torch._accelerator", lambda: "meta")
    given = DeepFeatureExtractor(module, engine=engine, precision="float32").fit_transform(IMAGES)
    torch.testing.assert_close(
        torch.as_tensor(given), expected_from(module)[-1], rtol=1e-3, atol=1e-4
    )


def test_precision_that_the_cpu_does_not_have(features, monkeypatch):
    needs("openvino")
    core = importlib.import_module("openvino").Core
    monkeypatch.setattr(core, "get_property", lambda *args: ["FP32"])
    with pytest.raises(ValueError, match="in bfloat16: this CPU does not have that precision"):
        make_engine(features, IMAGES[:1], engine="openvino", precision="bfloat16")


@pytest.mark.parametrize(
    ("name", "value"), [("engine", "tensorrt"), ("precision", "int8")], ids=["engine", "precision"]
)
def test_unknown_names(name, value, features):
    with pytest.raises(ValueError, match=f"{name} must be one of auto, .*; got '{value}'"):
        make_engine(features, IMAGES[:1], **{name: value})


def test_errors_of_the_network_are_its_own(features):
    with pytest.raises(RuntimeError, match="channels"):
        make_engine(features, IMAGES[:1, :2])


def test_nothing_is_printed(features, capfd, recwarn):
    for engine in ("openvino", "onnxruntime"):
        needs(engine)
        make_engine(features, IMAGES[:1], engine=engine)
    assert capfd.readouterr() == ("", "") and logging.getLogger().level == logging.WARNING
