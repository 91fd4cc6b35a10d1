"""What makes a network ready to run: in torch, compiled, in OpenVINO and in ONNX Runtime."""

import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

LIBRARIES = {"openvino": ["openvino"], "onnxruntime": ["onnxruntime", "onnxscript"], "eager": []}


def _make_eager(feature_module, example, precision):
    device = example.device

    def run(batch):
        with autocast(device, precision):
            return feature_module(batch.to(device).contiguous(memory_format=memory_format))

    # Channels last is faster, but some networks need their activations contiguous, for a view.
    formats = [torch.channels_last] if example.ndim == 4 else []
    for memory_format in (*formats, torch.contiguous_format):
        feature_module.to(memory_format=memory_format)
        try:
            with torch.inference_mode():
                run(example)
            break
        except RuntimeError:
            if memory_format == torch.contiguous_format:
                raise
    return run


def _make_compiled(feature_module, example, precision):
    from torch._inductor import config

    device, size = example.device, 0
    with autocast(device, precision):  # an exported graph checks types of activations
        graph = _export(feature_module, example).module()
    compiled = torch.compile(graph, dynamic=False)

    def run(batch):
        nonlocal size
        # Every size is compiled for itself, so smaller batches are filled up to the largest.
        n_rows = max(size, len(batch))
        full = torch.cat([batch, batch[-1:].expand(n_rows - len(batch), *batch.shape[1:])])
        with config.patch(freezing=True), autocast(device, precision):
            outputs = compiled(_as_channels_last(full.to(device)))
        size = n_rows  # memory has held it
        return tuple(output[: len(batch)] for output in outputs)

    return run


def _make_openvino(feature_module, example, precision):
    (openvino,) = _import_libraries("openvino")
    core = openvino.Core()
    capabilities = {"float32": "FP32", "bfloat16": "BF16", "float16": "FP16"}
    if capabilities[precision] not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise ValueError("this CPU does not have that precision.")
    model = core.compile_model(
        openvino.convert_model(_export(feature_module, example)),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}[
                precision
            ],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        },
    )
    return lambda batch: _as_tensors(model(_as_array(batch), share_inputs=True).values())


def _make_onnxruntime(feature_module, example, precision):
    onnxruntime, _ = _import_libraries("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        program = _export(feature_module, example)
        exported: Any = torch.onnx.export(program, dynamo=True, verbose=False)
        exported.save(path)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: _as_tensors(session.run(None, {name: _as_array(batch)}))


BUILDERS = {
    "eager": _make_eager,
    "compile": _make_compiled,
    "openvino": _make_openvino,
    "onnxruntime": _make_onnxruntime,
}


def _import_libraries(engine):
    try:
        return [import_module(library) for library in LIBRARIES[engine]]
    except ImportError as error:
        raise ImportError(
            f"engine={engine!r} needs {' and '.join(LIBRARIES[engine])}, and that cannot be "
            f"imported ({error}); install it with: pip install skda[{engine}], in a checkout: "
            f"pip install .[{engine}]"
        ) from error


def _export(feature_module, example):
    """Return the network as a graph, for batches of any size."""
    batch = torch.export.Dim("batch")
    with torch.no_grad():
        return torch.export.export(
            feature_module, (example,), dynamic_shapes=({0: batch},), strict=False
        )


def autocast(device, precision):
    """Return the context in which torch runs a network in a precision."""
    return torch.autocast(
        device.type, dtype=getattr(torch, precision), enabled=precision != "float32"
    )


def _as_channels_last(batch):
    return batch.contiguous(memory_format=torch.channels_last) if batch.ndim == 4 else batch


def _as_array(batch):
    return np.ascontiguousarray(batch.cpu().numpy())


def _as_tensors(arrays):
    return tuple(torch.from_numpy(np.array(array)) for array in arrays)
