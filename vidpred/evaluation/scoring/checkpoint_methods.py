"""Checkpoints as methods to be scored."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import torch

from vidpred.errors import CheckpointError
from vidpred.evaluation.results.result import Method
from vidpred.evaluation.scoring.methods import PredictorMethod, class_of
from vidpred.evaluation.scoring.scored_method import require_method_name
from vidpred.files import file_sha256
from vidpred.kernels import accelerate
from vidpred.models import BASELINES
from vidpred.storage.saved import find_saved, named_checkpoint, read_saved


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
            these; see `vidpred.storage.saved.named_checkpoint`.
        device: Where predictors run.
        taken: Names that others have.
        modules: Where classes of networks may be, next to `vidpred.models`.

    Raises:
        CheckpointError: When a file cannot be loaded, or a name is no name or taken.
    """
    methods: list[PredictorMethod] = []
    for argument in arguments:
        name, checkpoint = named_checkpoint(argument)
        require_method_name(name)
        if name in taken and name in BASELINES:
            raise CheckpointError(
                f"{name} is a baseline, and baselines are scored without being named; leave it "
                "out, or give a checkpoint another name: NAME=CHECKPOINT"
            )
        if name in taken:
            raise CheckpointError(
                f"two methods are named {name!r}; name them on the command line: NAME={checkpoint}"
            )
        taken = taken | {name}
        methods.append(_method(name, find_saved(checkpoint), device, modules))
    return methods


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
    method: Method = {"name": name, "kind": "model", "details": details}
    return PredictorMethod(predictor, method, device, seen_videos=saved.seen_videos)
