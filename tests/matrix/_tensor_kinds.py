"""Kinds of batches and of class numbers, as the functions of torch take them."""

import numpy as np
import torch

from ._judge import Kind
from ._kinds import ANYTHING, NUMBERS, pd


class SubTensor(torch.Tensor):
    """A subclass of tensors that adds nothing."""


def _set(value, *index):
    def make(good):
        values = good.clone()
        values[index] = value
        return values

    return make


def _inference(good):
    with torch.inference_mode():
        return good.clone()


_OTHERS = [
    *(kind for kind in ANYTHING if kind.name not in ("datetimes", "meta tensor", "complex")),
    Kind("array", lambda good: good.detach().numpy()),
    Kind("list", lambda good: good.tolist()),
    Kind("tuple of tensors", lambda good: (good, good)),
    Kind("list of one tensor", lambda good: [good]),
    Kind("objects", lambda good: good.numpy().astype(object)),
    *([] if pd is None else [Kind("Series", lambda good: pd.Series(good.flatten().numpy()))]),
]

_SAME = [
    Kind("strided", lambda good: good.repeat_interleave(2, dim=-1)[..., ::2], True),
    Kind("column major", lambda good: good.mT.contiguous().mT if good.ndim > 1 else good, True),
    Kind("parameter", lambda good: torch.nn.Parameter(good.clone(), requires_grad=False), True),
    Kind("inference tensor", _inference, True),
    Kind("subclass", lambda good: good.clone().as_subclass(SubTensor), True),
]

BATCHES = [
    *_OTHERS,
    *_SAME,
    Kind("float64", lambda good: good.double(), True),
    Kind("float16", lambda good: good.half(), True),
    Kind("bfloat16", lambda good: good.bfloat16(), True),
    Kind("with grad", lambda good: good.clone().requires_grad_(), True),
    Kind("int64", lambda good: (good * 10).long()),
    Kind("uint8", lambda good: (good * 10).abs().byte()),
    Kind("bool", lambda good: good > 0),
    Kind("complex", lambda good: good + 1j, False, True),
    Kind("float8", lambda good: good.to(torch.float8_e4m3fn)),
    Kind("0-d tensor", lambda good: good.flatten()[0]),
    Kind("0 rows", lambda good: good[:0], False, True),
    Kind("1 row", lambda good: good[:1]),
    Kind("2 rows", lambda good: good[:2]),
    Kind("1-d", lambda good: good.flatten(1)[:, 0]),
    Kind("one dimension more", lambda good: good[..., None]),
    Kind("one dimension more in front", lambda good: good[None]),
    Kind("5-d", lambda good: good.flatten(1)[..., None, None, None]),
    Kind("0 columns", lambda good: good[:, :0], False, True),
    Kind("1 column", lambda good: good[:, :1]),
    Kind("one column more", lambda good: torch.cat([good, good[:, :1]], dim=1)),
    Kind("one column less", lambda good: good[:, 1:]),
    Kind("one row more", lambda good: torch.cat([good, good[:1]])),
    Kind("one row less", lambda good: good[1:]),
    Kind("transposed", lambda good: good.transpose(0, 1)),
    Kind("meta", lambda good: good.to("meta")),
    Kind("sparse", lambda good: good.to_sparse()),
    Kind("sparse csr", lambda good: good.flatten(1).to_sparse_csr()),
    Kind("NaN", _set(torch.nan, 1), beyond=True),
    Kind("inf", _set(torch.inf, 1), beyond=True),
    Kind("1e30", lambda good: good * 1e30, beyond=True),
    Kind("1e200", lambda good: good.double() * 1e200, beyond=True),
    Kind("1e-30", lambda good: good * 1e-30),
    Kind("zeros", torch.zeros_like),
    Kind("expanded", lambda good: good[:1].expand_as(good)),
]

CLASS_NUMBERS = [
    *_OTHERS,
    *_SAME,
    Kind("int32", lambda good: good.int(), True),
    Kind("int8", lambda good: good.to(torch.int8), True),
    Kind("uint8", lambda good: good.byte(), True),
    Kind("floats", lambda good: good.float()),
    Kind("with grad", lambda good: good.float().requires_grad_()),
    Kind("bool", lambda good: good > 0),
    Kind("complex", lambda good: good + 1j, False, True),
    Kind("fractions", lambda good: good + 0.5, False, True),
    Kind("NaN", lambda good: good * torch.nan, False, True),
    Kind("0-d tensor", lambda good: good[0], False, True),
    Kind("a column", lambda good: good[:, None]),
    Kind("one-hot", lambda good: torch.eye(int(good.max()) + 1)[good]),
    Kind("0 rows", lambda good: good[:0], False, True),
    Kind("1 row", lambda good: good[:1], False, True),
    Kind("one row more", lambda good: torch.cat([good, good[:1]]), False, True),
    Kind("one row less", lambda good: good[1:], False, True),
    Kind("meta", lambda good: good.to("meta"), False, True),
    Kind("sparse", lambda good: good.to_sparse()),
    Kind("minus one", _set(-1, 1), False, True),
    Kind("too large", _set(99, 1), False, True),
    Kind("one too large", lambda good: good + 1, False, True),
    Kind("huge", _set(2**40, 1), False, True),
    Kind("unlabeled", _set(-100, 1)),
    Kind("all unlabeled", lambda good: torch.full_like(good, -100)),
    Kind("one class", torch.zeros_like),
]

_SEQUENCES = [
    Kind("list of numbers", lambda good: [1.0, 2.0]),
    Kind("list of arrays", lambda good: [layer.numpy() for layer in good]),
    Kind("list of None", lambda good: [None] * len(good)),
    Kind("one layer less", lambda good: good[1:]),
    Kind("one layer more", lambda good: [*good, good[0]]),
    Kind("one tensor", lambda good: good[0]),
    Kind("tuple", tuple, True),
    Kind("generator of layers", lambda good: (layer for layer in good), True),
    Kind("dict of layers", lambda good: dict(enumerate(good)), False, True),
    Kind("other rows in one layer", lambda good: [good[0], *(layer[1:] for layer in good[1:])]),
]
LAYERS = [
    *(
        kind
        for kind in ANYTHING
        if kind.name
        not in ("datetimes", "meta tensor", "complex", "a generator", "a structured array")
    ),
    *_SEQUENCES,
    *(
        Kind(
            f"last layer: {kind.name}",
            lambda good, kind=kind: [*good[:-1], kind.make(good[-1])],
            kind.same,
            kind.refused,
            kind.beyond,
        )
        for kind in BATCHES
    ),
    Kind("object array", lambda good: np.array([None, 1.0], dtype=object)),
]
SCALARS = NUMBERS
