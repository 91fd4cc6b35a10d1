"""Networks in files of ONNX, with what a program needs to know to feed them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import torch
from torch import nn

from skda._optional import import_optional
from skda._safetensors import write_whole

_MOST_BYTES = 2**31 - 1  # of a message of protobuf


def write_onnx(
    network: nn.Module,
    path: Any,
    *,
    example: torch.Tensor,
    output: str,
    metadata: Mapping[str, Any],
) -> None:
    """Write a network with a batch of any size, whole or not at all.

    Parameters
    ----------
    network : torch.nn.Module
        From a tensor to a tensor, on the CPU, in eval mode.

    path : str or path
        Of the file.

    example : torch.Tensor of shape (2, ...)
        Two rows of inputs.

    output : str
        What the output is called; the input is called ``"input"``.

    metadata : mapping of str to object
        Goes into ``metadata_props``: texts as they are, all else as JSON.

    Raises
    ------
    ImportError
        If onnx or onnxscript is missing.

    ValueError
        If the network cannot be converted, or has more than 2 GB.
    """
    for library in ("onnx", "onnxscript"):
        import_optional(library, "onnx")
    batch = torch.export.Dim("batch")
    try:
        with torch.no_grad():
            program = torch.export.export(
                network, (example,), dynamic_shapes=({0: batch},), strict=False
            )
            exported: Any = torch.onnx.export(
                program, dynamo=True, verbose=False, input_names=["input"], output_names=[output]
            )
        model = exported.model_proto
    except Exception as error:  # the exporter has kinds of its own
        raise ValueError(
            f"The network cannot be converted to ONNX: {str(error)[:1000]} Use to_torch, and "
            "another way from torch to where it is to run."
        ) from error
    for name, value in metadata.items():
        text = value if isinstance(value, str) else json.dumps(value)
        model.metadata_props.add(key=name, value=text)
    if model.ByteSize() > _MOST_BYTES:
        raise ValueError("The network has more than 2 GB, which a file of ONNX cannot hold.")
    content = model.SerializeToString()
    write_whole(path, lambda file: file.write(content))


def describe_preprocess(preprocess: Any, kind: str) -> dict[str, Any]:
    """Return what makes inputs of rows, for the metadata of a file."""
    if kind != "image":
        return {"layout": {"series": "batch, channels, steps"}.get(kind, "batch, columns")}
    described: dict[str, Any] = {"layout": "batch, channels, height, width"}
    if preprocess is None:
        return {**described, "scale": "pixels of 0 to 255 are divided by 255"}
    if is_dataclass(preprocess) and not isinstance(preprocess, type):
        return {**described, "preprocess": asdict(preprocess)}
    return {**described, "preprocess": f"{type(preprocess).__name__} {preprocess!r}"[:2000]}
