"""ONNX: one file for onnxruntime and whatever else reads it."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from vidpred._version import __version__
from vidpred.errors import ExportError
from vidpred.export.graph import DYNAMIC, INPUT, OUTPUT

METADATA_KEY = "vidpred"
"""Entry of the model's `metadata_props`: JSON."""


def require_onnx() -> None:
    """Refuse where the packages are not installed, before any work is done.

    Raises:
        ExportError: Naming them.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ExportError(
            f"ONNX needs the package {error.name}, which is not installed: "
            'pip install "vidpred[export]"'
        ) from error


def write_onnx(
    path: Path,
    program: ExportedProgram,
    header: Mapping[str, Any],
    *,
    inputs: Sequence[str] = (INPUT,),
) -> None:
    """Write a graph.

    Args:
        path: The file.
        program: See `vidpred.export.graph.record`.
        header: Plain values (JSON) that are stored with it.
        inputs: Names of the graph's inputs.

    Raises:
        ExportError: When the graph has an operation that ONNX lacks.
    """
    import onnx

    # It prints which packages it found, and of every operator that it has several forms of.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        written = torch.onnx.export(
            program, dynamo=True, input_names=list(inputs), output_names=[OUTPUT], verbose=False
        )
    except torch.onnx.OnnxExporterError as error:
        raise ExportError(
            "the graph has an operation that ONNX lacks; --format torch-export or safetensors, "
            "with the ending .pt2 or .safetensors, takes the network"
        ) from error
    assert written is not None  # for mypy: None comes from the old exporter
    model = written.model_proto
    for value in (*model.graph.input, *model.graph.output):
        for dim, name in DYNAMIC.items():
            value.type.tensor_type.shape.dim[dim].dim_param = name
    # Shapes within the graph name the free dimensions as the recorder did.
    del model.graph.value_info[:]
    model.producer_name, model.producer_version = "vidpred", __version__
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(header, allow_nan=False)
    onnx.checker.check_model(model, full_check=True)
    onnx.save_model(model, path)


class OnnxProgram:
    """An ONNX file in onnxruntime, on the CPU.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Predict from (B, T, C, H, W) in [0, 1], and whatever else the graph takes."""
        names = [value.name for value in self._session.get_inputs()]
        given = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
        (frames,) = self._session.run([OUTPUT], given)
        return torch.from_numpy(frames)
