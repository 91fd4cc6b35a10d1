"""Alignments by name, lists of them, and alignments of one's own."""

from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from devices import on_cpu

from skda.base import ALIGNMENTS, DeepAdaptationClassifier
from skda.losses import coral
from skda.nn import Activations, ConvNet, JointAlignment, LayerwiseAlignment, joint

NAMES = sorted(ALIGNMENTS)
if find_spec("ot") is None:  # needs an extra
    NAMES.remove("transport")
# Whose value tells how far there is to go.
DECREASING = sorted(set(NAMES) - {"afn", "cdan", "dann"})


def _fit(data, **params):
    clf = DeepAdaptationClassifier(**{"max_epochs": 2, "random_state": 0, **params})
    return clf.fit(data["X"], data["y"], X_target=data["X_target"])


def _weights(clf):
    return torch.cat([p.flatten() for p in on_cpu(clf.net_.module_.parameters())])


def _images(few):
    return {
        "X": few["X"].reshape(-1, 1, 8, 8),
        "y": few["y"],
        "X_target": few["X_target"].reshape(-1, 1, 8, 8),
    }


def _layers(name):
    return {
        "attention_coral": ("conv1",),
        "tensor_mmd": ("features", "logits"),
        "jmmd": ("features", "logits"),
    }.get(name, ("features",))


@pytest.mark.parametrize("name", NAMES)
def test_every_name_trains_and_changes_the_weights(name, few):
    data = _images(few)
    # Attention maps have unit norm, and covariances far below it.
    trade_off = 1e4 if name == "attention_coral" else 10
    clf = _fit(data, alignment=name, layers=_layers(name), trade_off=trade_off)
    assert np.isfinite(clf.history_[:, "alignment_loss"]).all()
    assert not torch.allclose(_weights(clf), _weights(_fit(data, trade_off=0)), atol=1e-4)


@pytest.mark.parametrize("name", DECREASING)
def test_descent_makes_the_alignment_small(name):
    generator = torch.Generator().manual_seed(0)
    source = torch.rand(24, 3, 4, 4, generator=generator)
    target = (2 * torch.rand(20, 3, 4, 4, generator=generator) + 0.5).requires_grad_()
    logits = torch.randn(44, 3, generator=generator).requires_grad_()
    labels = torch.arange(24) % 3
    alignment = ALIGNMENTS[name]
    layers = ("conv1",) if name == "attention_coral" else ("conv1", "logits")
    if getattr(alignment, "joint", False):
        loss = JointAlignment(alignment, layers)
    else:
        losses = {name: alignment(48) if isinstance(alignment, type) else alignment}
        loss = LayerwiseAlignment({"conv1": losses[name]})

    def value():
        return loss(
            Activations({"conv1": source, "logits": logits[:24]}, (), labels),
            Activations({"conv1": target, "logits": logits[24:]}, ()),
        )

    optimizer = torch.optim.Adam([target, logits], lr=0.05)
    values = []
    for _ in range(60):
        optimizer.zero_grad()
        step = value()
        step.backward()
        optimizer.step()
        values.append(step.item())
    assert np.isfinite(values).all()
    assert np.mean(values[-10:]) < np.mean(values[:10])
    assert np.mean(np.diff(values)) < 0


# -- lists --------------------------------------------------------------------------------------


def test_a_list_of_one_is_that_alignment_with_its_weight(few):
    listed = _fit(few, alignment=[("coral", ("logits",), 20.0)], trade_off=0.5)
    alone = _fit(few, alignment="coral", layers=("logits",), trade_off=10.0)
    assert torch.equal(_weights(listed), _weights(alone))


def test_losses_of_a_list_are_added(few):
    parts = [("coral", ("logits",), 20.0), ("mmd", ("hidden1", "features"), 0.5)]
    single = [_fit(few, alignment=[part], max_epochs=1, lr=1e-12) for part in parts]
    both = _fit(few, alignment=parts, max_epochs=1, lr=1e-12)
    losses = [clf.history_[-1, "alignment_loss"] for clf in (*single, both)]
    assert losses[2] == pytest.approx(losses[0] + losses[1], rel=1e-5)


def test_an_opponent_in_a_list_learns_against_the_features(few):
    listed = _fit(few, alignment=[("dann", ("features",), 0.3), ("coral", ("logits",), 0.0)])
    alone = _fit(few, alignment="dann", trade_off=0.3)
    assert torch.equal(_weights(listed), _weights(alone))


def test_keywords_of_an_entry_go_by_partial(few):
    entry = partial(ALIGNMENTS["mcc"], temperature=1.0)
    entry.joint = True
    listed = _fit(few, alignment=[(entry, (), 1.0)])
    named = _fit(few, alignment="mcc", layers=(), alignment__temperature=1.0)
    assert torch.equal(_weights(listed), _weights(named))
    with pytest.raises(TypeError, match="alignment__temperature: alignment is a list"):
        _fit(few, alignment=[("mcc", (), 1.0)], alignment__temperature=1.0)


@pytest.mark.parametrize(
    "entry",
    [
        "coral",
        ("coral", ("logits",)),
        ("corral", ("logits",), 1.0),
        ("coral", "logits", 1.0),
        ("coral", ("logits",), -1.0),
        (3, ("logits",), 1.0),
    ],
)
def test_an_entry_that_is_no_alignment_is_named(entry, few):
    with pytest.raises(ValueError, match=r"alignment\[1\] must be a tuple"):
        _fit(few, alignment=[("coral", ("logits",), 1.0), entry])


def test_unknown_layer_of_an_entry_is_named(few):
    with pytest.raises(ValueError, match="hiden1"):
        _fit(few, alignment=[("coral", ("hiden1",), 1.0)])


# -- alignments of one's own ----------------------------------------------------------------------


def test_a_joint_alignment_sees_layers_labels_and_predictions(few):
    seen = {}

    @joint
    def look(source, target):
        seen["layers"] = source.layers, target.layers
        seen["labels"] = source.labels, target.labels
        seen["keys"] = set(source)
        return source["logits"].square().mean()

    _fit(few, alignment=look, layers=("hidden1",), batch_size=32)
    assert seen["layers"] == (("hidden1",), ("hidden1",))
    assert seen["labels"][0].shape == (32,) and seen["labels"][1] is None
    assert seen["keys"] >= {"hidden1", "features", "logits"}


def test_a_joint_alignment_sees_the_labels_of_target_rows(few):
    seen = []

    @joint
    def look(source, target):
        seen.append(target.labels)
        return 0 * source["logits"].mean()

    labels = np.where(np.arange(150) < 75, few["y_target"], -1)
    clf = DeepAdaptationClassifier(alignment=look, max_epochs=1, random_state=0)
    clf.fit(few["X"], few["y"], X_target=few["X_target"], y_target=labels)
    assert (seen[0] >= 0).any() and (seen[0] == -100).any()


def test_a_joint_module_class_is_built_with_layers_and_widths(few):
    @joint
    class Projected(torch.nn.Module):
        def __init__(self, layers, widths, *, power=2):
            super().__init__()
            self.linear, self.power = torch.nn.Linear(widths[layers[0]], 2), power

        def forward(self, source, target):
            means = [self.linear(x["features"]).mean(dim=0) for x in (source, target)]
            return (means[0] - means[1]).norm() ** self.power

    clf = _fit(few, alignment=Projected, alignment__power=1)
    assert clf.net_.alignment_.loss.linear.in_features == 64
    assert clf.net_.alignment_.loss.power == 1


def test_alignment_needs_a_layer(few):
    with pytest.raises(ValueError, match="name at least one layer"):
        _fit(few, alignment=coral, layers=())


def test_several_targets_are_aligned_together(few):
    clf = DeepAdaptationClassifier(
        alignment=[("mmd", ("features",), 1.0), ("mcc", (), 1.0)], max_epochs=2, random_state=0
    )
    halves = few["X_target"][:75], few["X_target"][75:]
    clf.fit(few["X"], few["y"], X_target=halves)
    assert clf.predict(few["X_target"]).shape == (150,)


def test_alignment_of_convolutional_layers(few):
    clf = _fit(_images(few), module=ConvNet, alignment="coral", layers=("conv2",))
    assert clf.history_[-1, "alignment_loss"] > 0
