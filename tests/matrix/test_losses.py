"""Losses against batches, class numbers and settings of every kind."""

from importlib.util import find_spec

import pytest
import torch

from skda import losses

from ._judge import Kind, Subject, bad_cells
from ._tensor_kinds import BATCHES, CLASS_NUMBERS, LAYERS, SCALARS

WORDS = [*SCALARS, Kind("another word", lambda good: "no such word", False, True)]
RULES = [*WORDS, Kind("tensor", lambda good: torch.tensor(2.0))]
LISTS = [
    *SCALARS,
    Kind("empty", lambda good: []),
    Kind("of texts", lambda good: ["a", "b"], False, True),
    Kind("of NaN", lambda good: [1.0, float("nan")], False, True),
    Kind("of inf", lambda good: [1.0, float("inf")], False, True),
    Kind("of zero", lambda good: [1.0, 0.0]),
    Kind("of minus one", lambda good: [1.0, -1.0]),
    Kind("of lists", lambda good: [[1.0], [2.0]]),
    Kind("of None", lambda good: [None, 1.0]),
    Kind("other length", lambda good: [*good, 1.0, 1.0, 1.0]),
    Kind("as tensor", lambda good: torch.ones(len(good))),
    Kind("2-d tensor", lambda good: torch.ones(2, 2)),
]
CRITICS = [
    *(kind for kind in SCALARS if kind.name != "a function"),
    Kind("to a scalar", lambda good: lambda rows: rows.sum()),
    Kind("to a number", lambda good: lambda rows: 1.0),
    Kind("to None", lambda good: lambda rows: None),
    Kind("constant", lambda good: lambda rows: torch.ones(len(rows), 1)),
    Kind("without graph", lambda good: lambda rows: rows.detach().sum(dim=1, keepdim=True)),
]


def batch(*shape, seed=0):
    """Return numbers that half precision holds exactly."""
    normal = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return (normal * 8).round() / 8


def shares(n, n_classes):
    """Return rows that sum to one."""
    return torch.eye(n_classes)[torch.arange(n) % n_classes] * 0.5 + 0.5 / n_classes


def pair(first="source", second="target", shape=(4,), n=8, m=6, **more):
    """Arguments of a loss between two batches."""
    return lambda: {first: batch(n, *shape), second: batch(m, *shape, seed=1), **more}


def scalar(result):
    """Complain about anything but a tensor of shape ()."""
    if not isinstance(result, torch.Tensor) or result.shape != ():
        return f"not a tensor of shape (): {type(result).__name__}"


def subject(name, arguments, kinds=None, check=scalar):
    """Return the subject of a loss; parameters of no other kind are batches."""
    kinds = kinds or {}
    every = {key: kinds.get(key, BATCHES) for key in [*arguments(), *kinds]}
    return Subject(name, getattr(losses, name), arguments, every, check, propagates=True)


def one(name, key, shape=(8, 4), kinds=None, **options):
    """Return the subject of a loss of one batch."""
    return subject(name, lambda: {key: batch(*shape)}, kinds, **options)


def labels(n, n_classes=4):
    """Return class numbers."""
    return torch.arange(n) % n_classes


def layers(n, seed=0):
    """Return two layers of n rows."""
    return [batch(n, 4, seed=seed), batch(n, 3, seed=seed + 10)]


def _distribution(result):
    return None if result.ndim == 2 else "not two-dimensional"


SETTINGS = {"bandwidth": RULES, "multipliers": LISTS}
JOINT = {"source": LAYERS, "target": LAYERS, "estimator": WORDS}
SUBJECTS = [
    subject(
        "activation_divergence",
        lambda: {"source": shares(8, 4), "target": shares(6, 4) ** 2},
    ),
    one("adaptive_feature_norm", "features", kinds={"step": SCALARS}),
    subject("attention_coral", pair(shape=(3, 2, 2))),
    one("attention_map", "maps", (8, 3, 2, 2), check=_distribution),
    one("batch_nuclear_norm", "logits"),
    one("batch_spectral_penalty", "features", kinds={"n_singular_values": SCALARS}),
    one("class_balance", "logits"),
    subject(
        "class_soft_labels",
        lambda: {"logits": batch(8, 4), "labels": labels(8), "n_classes": 4},
        {"labels": CLASS_NUMBERS, "n_classes": SCALARS, "temperature": SCALARS},
        check=_distribution,
    ),
    subject("classifier_discrepancy", pair("first_logits", "second_logits", n=6)),
    subject("coral", pair()),
    subject("critic_distance", pair("source_scores", "target_scores", (1,))),
    subject("difference_loss", pair("shared", "private", n=6)),
    one("domain_confusion", "logits"),
    subject(
        "domain_cross_entropy",
        lambda: {
            **pair("source_logits", "target_logits", (1,))(),
            "source_weights": torch.ones(8, 1),
            "target_weights": torch.ones(6, 1),
        },
    ),
    one("entropy", "logits"),
    subject(
        "gradient_penalty",
        pair(critic=lambda rows: rows[:, :1] * 3),
        {"critic": CRITICS},
    ),
    one("hard_feature_norm", "features", kinds={"radius": SCALARS}),
    subject(
        "joint_mmd",
        lambda: {
            "source": layers(8),
            "target": layers(6, 1),
            "bandwidths": ["median", 1.0],
            "multipliers": (1.0, 2.0),
        },
        {**JOINT, "bandwidths": LISTS, "multipliers": LISTS},
    ),
    subject("linear_mmd", pair()),
    subject(
        "local_mmd",
        lambda: {
            **pair()(),
            "source_labels": labels(8),
            "target_probabilities": shares(6, 4),
            "multipliers": (1.0, 2.0),
        },
        {"source_labels": CLASS_NUMBERS, **SETTINGS},
    ),
    subject(
        "margin_disparity",
        lambda: {
            **pair("source_logits", "target_logits")(),
            "source_classes": labels(8),
            "target_classes": labels(6),
        },
        {"source_classes": CLASS_NUMBERS, "target_classes": CLASS_NUMBERS, "margin": SCALARS},
    ),
    one("minimum_class_confusion", "logits", kinds={"temperature": SCALARS}),
    subject(
        "mmd",
        pair(multipliers=(1.0, 2.0), kernel_weights=(0.5, 0.5)),
        {**SETTINGS, "kernel_weights": LISTS, "estimator": WORDS},
    ),
    subject(
        "mmd_kernel_weights",
        pair(multipliers=(1.0, 2.0)),
        {**SETTINGS, "regularization": SCALARS},
        check=lambda weights: None if weights.ndim == 1 else "not one-dimensional",
    ),
    subject("moment_distance", pair()),
    subject("nuclear_wasserstein", pair("source_logits", "target_logits")),
    subject("reconstruction_error", pair("reconstruction", "inputs", n=6)),
    subject("scale_invariant_mse", pair("reconstruction", "inputs", n=6)),
    subject(
        "soft_label_cross_entropy",
        lambda: {"logits": batch(8, 4), "soft_labels": shares(4, 4), "labels": labels(8)},
        {"labels": CLASS_NUMBERS, "temperature": SCALARS},
    ),
    subject(
        "tensor_mmd",
        lambda: {"source": layers(8), "target": layers(6, 1), "multipliers": (1.0, 2.0)},
        {**JOINT, **SETTINGS},
    ),
]
if find_spec("ot") is not None:
    SUBJECTS.append(
        subject(
            "transport_cost",
            lambda: {**pair()(), "source_labels": labels(8), "target_logits": batch(6, 4, seed=2)},
            {
                "source_labels": CLASS_NUMBERS,
                "feature_weight": SCALARS,
                "label_weight": SCALARS,
            },
        )
    )


def test_every_loss_is_here():
    missing = {"DAN_MULTIPLIERS"} if find_spec("ot") else {"DAN_MULTIPLIERS", "transport_cost"}
    assert {subject.name for subject in SUBJECTS} == set(losses.__all__) - missing


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_every_cell_is_right_or_a_clear_error(subject):
    bad = bad_cells(subject)
    assert not bad, "\n" + "\n".join(bad)
