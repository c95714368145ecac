"""Checkpoints as methods to be scored."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import torch

from vidpred.errors import CheckpointError
from vidpred.evaluation.scoring.methods import (
    PredictorMethod,
    class_of,
    require_method_name,
)
from vidpred.files import file_sha256
from vidpred.kernels import accelerate
from vidpred.storage.saved import find_saved, read_saved


def checkpoint_methods(
    arguments: list[str],
    device: torch.device,
    *,
    taken: set[str],
    modules: Sequence[ModuleType] = (),
) -> list[PredictorMethod]:
    """Load checkpoints to be scored.

    Args:
        arguments: Each a path, the name of a bundled pretrained model, or `NAME=` and one of
            these; the name otherwise is that of the run's folder or of the weights.
        device: Where predictors run.
        taken: Names that others have.
        modules: Where classes of networks may be, next to `vidpred.models`.

    Raises:
        CheckpointError: When a file cannot be loaded, or a name is no name or taken.
    """
    methods: list[PredictorMethod] = []
    for argument in arguments:
        name, path = _named(argument)
        require_method_name(name)
        if name in taken:
            raise CheckpointError(
                f"two methods are named {name!r}; name them on the command line: NAME={path}"
            )
        taken = taken | {name}
        methods.append(_method(name, path, device, modules))
    return methods


def _named(argument: str) -> tuple[str, Path]:
    name, separator, rest = argument.partition("=")
    if separator and not Path(argument).exists():
        return name, find_saved(rest)
    path = find_saved(argument)
    folder = path.absolute().parent
    run = folder.parent.name if folder.name == "checkpoints" else path.stem
    return run or path.stem, path


def _method(
    name: str, path: Path, device: torch.device, modules: Sequence[ModuleType]
) -> PredictorMethod:
    saved = read_saved(path)
    predictor = saved.build(modules=modules)
    details = {
        **class_of(predictor),
        "checkpoint": path.name,
        "sha256": file_sha256(path),
        "batches_seen": saved.batches_seen,
        "training": saved.training,
    }
    predictor = predictor.to(device)
    if device.type == "cpu":
        accelerate(predictor)
    return PredictorMethod(predictor, {"name": name, "kind": "model", "details": details}, device)
