"""Checkpoints as training programs write them."""

import argparse
from collections import OrderedDict

import pytest
import torch
from torch import nn

from skda.backbones import BackboneResolver, load_weights


def network(n_classes=4):
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(3, 2, 3),
            norm=nn.BatchNorm2d(2),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(2, n_classes),
        )
    )


def trained(**params):
    torch.manual_seed(1)
    return network(**params).state_dict()


def prefixed(prefix, state=None):
    return {f"{prefix}{key}": value for key, value in (state or trained()).items()}


FORMS = {
    "plain": trained,
    "DataParallel": lambda: prefixed("module."),
    "compiled": lambda: prefixed("_orig_mod."),
    "Lightning": lambda: {
        "state_dict": prefixed("model."),
        "hyper_parameters": {"lr": 0.1},
        "epoch": 3,
        "optimizer_states": [{"state": {0: {"step": torch.ones(())}}}],
    },
    "nested": lambda: prefixed("module.net.backbone."),
    "model": lambda: {"model": trained(), "optimizer": {"state": {}}, "epoch": 3},
    "average": lambda: {
        "model": {key: value + 1 for key, value in trained().items()},
        "model_ema": {**prefixed("module."), "n_averaged": torch.tensor(3)},
    },
    "timm": lambda: {
        "state_dict": {key: value + 1 for key, value in trained().items()},
        "state_dict_ema": trained(),
        "args": argparse.Namespace(lr=0.1),
    },
    "numbers of batches": lambda: {k: v for k, v in trained().items() if "num_batches" not in k},
    "float16": lambda: {k: v.half() if v.is_floating_point() else v for k, v in trained().items()},
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_checkpoints(form, tmp_path):
    if form == "timm" and not hasattr(torch.serialization, "safe_globals"):
        pytest.skip("this torch can allow no class for one file alone")
    torch.save(FORMS[form](), tmp_path / "weights.pt")
    module = network()
    load_weights(module, tmp_path / "weights.pt")
    for name, value in trained().items():
        tolerance = 1e-3 if form == "float16" else 0
        torch.testing.assert_close(module.state_dict()[name], value, rtol=tolerance, atol=tolerance)


def test_what_was_chosen_is_noted():
    assert load_weights(network(), FORMS["average"]()) == [
        "weights: of 'model_ema', 'model' in the mapping, 'model_ema' was taken.",
        "weights: the prefix 'module.' of the keys was dropped.",
        "weights: left out 'n_averaged'.",
    ]
    assert load_weights(network(), trained()) == []


def test_prefix_that_the_network_has_too_stays():
    module = nn.Sequential(OrderedDict(model=nn.Linear(2, 2)))
    state = {"model.weight": torch.eye(2), "model.bias": torch.zeros(2)}
    assert load_weights(module, state) == [] and torch.equal(module.model.weight, torch.eye(2))


def test_two_networks_in_one_file():
    state = prefixed("encoder_q.") | prefixed("encoder_k.")
    with pytest.raises(ValueError, match=r"2 networks .* 'encoder_q\.', 'encoder_k\.'"):
        load_weights(network(), state)


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda s: s, []),
        (lambda s: {k: v for k, v in s.items() if "fc" not in k}, ["does not hold 'fc.weight'"]),
        (lambda s: s | trained(n_classes=7), ["weights: left out 'fc.weight', 'fc.bias'."]),
        (lambda s: s | {"fc.2.weight": torch.ones(1)}, ["weights: left out 'fc.2.weight'."]),
    ],
    ids=["fits", "none", "other classes", "deeper"],
)
def test_heads(change, note):
    module = network()
    notes = load_weights(module, change(trained()), head=["fc"])
    assert torch.equal(module.conv.weight, trained()["conv.weight"])
    assert len(notes) == len(note) and all(
        part in line for part, line in zip(note, notes, strict=True)
    )
    if note:
        with pytest.raises(ValueError, match="does not fit Sequential"):
            load_weights(network(), change(trained()))


def test_head_outside_of_the_prefix_is_left_out():
    state = prefixed("backbone.") | {"head.weight": torch.ones(9, 4), "head.bias": torch.ones(9)}
    notes = load_weights(network(), state)
    assert notes[-1] == "weights: left out 'head.weight', 'head.bias'."
    with pytest.raises(ValueError, match=r'Unexpected.*"criterion\.weight"'):
        load_weights(network(), prefixed("backbone.") | {"criterion.weight": torch.ones(4)})


def test_head_that_the_user_has_removed_is_left_out():
    module = network()
    module.fc = nn.Identity()
    assert load_weights(module, trained()) == ["weights: left out 'fc.weight', 'fc.bias'."]


@pytest.mark.parametrize("key", ["conv.weight", "norm.running_mean"])
def test_nothing_else_may_be_missing(key):
    state = trained()
    del state[key]
    with pytest.raises(ValueError, match=rf'Missing key\(s\): "{key}"'):
        load_weights(network(), state, head=["fc"])


def test_message_about_another_architecture_is_short():
    other = nn.Sequential(*(nn.Linear(2, 2) for _ in range(400)))
    with pytest.raises(ValueError, match=r"\(800 in all\)") as caught:
        load_weights(network(), other.state_dict())
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.full((2, 3, 3, 3), torch.nan), "holds NaN at 'conv.weight'"),
        (torch.ones(2, 3, 3, 3, dtype=torch.int8), "int8 values at 'conv.weight'"),
        (torch.ones(2, 3, 3, 3, dtype=torch.bool), "bool values at 'conv.weight'"),
    ],
    ids=["NaN", "int8", "bool"],
)
def test_weights_that_are_no_numbers(value, message):
    with pytest.raises(ValueError, match=f"weights: the mapping {message}|holds {message}"):
        load_weights(network(), trained() | {"conv.weight": value})


def test_nan_in_a_head_that_is_not_needed():
    load_weights(network(), trained() | {"fc.weight": torch.full((4, 2), torch.nan)}, head=["fc"])


class Settings:
    """An object that no file of weights may hold."""


def test_objects_beside_the_weights_are_refused_with_the_way_out(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"state_dict": trained(), "hyper_parameters": Settings()}, path)
    with pytest.raises(ValueError, match=r"hyper_parameters of Lightning.*\['state_dict'\]"):
        load_weights(network(), path)


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, {0: torch.ones(1)}], ids=str)
def test_no_state_dict(content):
    with pytest.raises(ValueError, match="holds no state dict"):
        load_weights(network(), content)


# -- of libraries -------------------------------------------------------------------------------


def heads(state, kind, path):
    """Return a state dict with another head."""
    body = {key: value for key, value in state.items() if not key.startswith(f"{path}.")}
    if kind == "none":
        return body
    return body | {f"{path}.weight": torch.ones(7, 512), f"{path}.bias": torch.ones(7)}


@pytest.mark.parametrize("kind", ["none", "other"])
@pytest.mark.parametrize("what", ["name", "instance", "headless instance"])
@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_checkpoints_with_another_head(library, what, kind):
    create = (
        pytest.importorskip("timm").create_model
        if library == "timm"
        else pytest.importorskip("torchvision.models").get_model
    )
    state = create("resnet18").state_dict()
    module = create("resnet18")
    if what == "headless instance":
        module.fc = nn.Identity()
    resolver = BackboneResolver(
        f"{library}/resnet18" if what == "name" else module, heads(state, kind, "fc"), {}
    )
    resolver.start()
    built = resolver.build((3, 32, 32))
    assert torch.equal(built.layer4[1].conv2.weight, state["layer4.1.conv2.weight"])
    left_out = [note for note in resolver.notes if note.startswith("weights: left out 'fc.weight'")]
    assert len(left_out) == (kind == "other")


def test_kept_classifier_must_be_in_the_checkpoint():
    timm = pytest.importorskip("timm")
    state = heads(timm.create_model("test_resnet").state_dict(), "none", "fc")
    resolver = BackboneResolver("timm/test_resnet", state, {}, keep=("fc",))
    with pytest.raises(ValueError, match=r'Missing key\(s\): "fc.weight"'):
        resolver.start()
