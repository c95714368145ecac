"""torch.export: one file for PyTorch alone, without the code of the network."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

EXTRA_FILE = "vidpred.json"
"""File within the archive; `torch.export.load(path, extra_files={"vidpred.json": ""})` reads it."""


def write_program(path: Path, program: ExportedProgram, header: Mapping[str, Any]) -> None:
    """Write a graph.

    Args:
        path: The file, ending in `.pt2`.
        program: See `vidpred.export.graph.record`.
        header: Plain values (JSON) that are stored with it.
    """
    text = json.dumps(header, allow_nan=False)
    torch.export.save(program, path, extra_files={EXTRA_FILE: text})


class TorchProgram:
    """A file of torch.export, on the CPU.

    Args:
        path: The file; one that we wrote just now: reading others could run code.
    """

    def __init__(self, path: Path) -> None:
        self._module = torch.export.load(path).module()

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Predict from (B, T, C, H, W) in [0, 1], and whatever else the graph takes."""
        frames: Tensor = self._module(*inputs)
        return frames
