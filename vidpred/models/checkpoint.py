"""Rebuild a predictor from a checkpoint alone, without running anybody's code."""

import pickle
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

import vidpred.models
from vidpred.errors import CheckpointError
from vidpred.models.predictor import Predictor, ScalePredictor

CHECKPOINT_KEY = "vidpred"
"""Entry of a checkpoint that says what the predictor is."""


def read_checkpoint(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are accepted, so loading runs no code.

    Args:
        path: A file that a task of `vidpred.tasks` saved.
        map_location: Where tensors go; see `torch.load`.

    Raises:
        CheckpointError: When the file is missing, damaged, holds objects other than plain data, or
            is not ours.
    """
    checkpoint: Any
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(
            f"{path}: no such checkpoint; expected a file that `vidpred fit` wrote, "
            "such as runs/<name>/checkpoints/last.ckpt"
        ) from None
    except IsADirectoryError:
        raise CheckpointError(f"{path}: is a folder; expected a checkpoint file in it") from None
    except pickle.UnpicklingError as error:
        # Not torch's own text, which advises to load it anyway.
        raise CheckpointError(
            f"{path}: refused, because it is no checkpoint or holds objects that would run code "
            "when loaded; expected a file that `vidpred fit` wrote"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{path}: damaged or not a checkpoint ({_first_line(error)}); "
            "use an earlier one from the same folder"
        ) from error
    description = checkpoint.get(CHECKPOINT_KEY) if isinstance(checkpoint, dict) else None
    whole = isinstance(description, dict) and description.keys() >= {"predictor", "batches_seen"}
    if not whole or not checkpoint.keys() >= {"state_dict", "pytorch-lightning_version"}:
        raise CheckpointError(
            f"{path}: holds no description of a predictor; expected a checkpoint of vidpred"
        )
    return dict(checkpoint)


def describe_predictor(predictor: Predictor) -> dict[str, Any]:
    """Say what a predictor is in plain values: the name of its class and its arguments."""
    return {"class": type(predictor).__name__, "arguments": predictor.config()}


def build_predictor(
    description: dict[str, Any], *, modules: Sequence[ModuleType] = ()
) -> Predictor:
    """Build the predictor that `describe_predictor` described, with fresh weights.

    Args:
        description: Class and arguments.
        modules: Where its class may be, beside `vidpred.models`: a file may not choose what to
            import.

    Raises:
        CheckpointError: When its class is in none of them.
    """
    name = str(description["class"])
    found = (getattr(module, name, None) for module in modules)
    ours = getattr(vidpred.models, name, None) if name in vidpred.models.__all__ else None
    for cls in (ours, *found):
        if isinstance(cls, type) and issubclass(cls, Predictor):
            try:
                return cls.from_config(description["arguments"])
            except (TypeError, KeyError, ValueError) as error:
                raise CheckpointError(
                    f"{name} cannot be built from what its config() gave "
                    f"({type(error).__name__}: {error}); its config() has to give what its "
                    "from_config() takes, the constructor's arguments: write both, and train again"
                ) from error
    raise CheckpointError(
        f"the checkpoint holds a {name}, which is none of this version's predictors. "
        "Name the module that has it (`vidpred test --module NAME`, "
        "`load_predictor(path, modules=[...])`), or run `vidpred test` with its configuration"
    )


def load_predictor(path: str | Path, *, modules: Sequence[ModuleType] = ()) -> Predictor:
    """Load the predictor of a checkpoint, in evaluation mode on the CPU.

    Args:
        path: A file that a task of `vidpred.tasks` saved.
        modules: Where the class of its network may be, beside `vidpred.models`.

    Raises:
        CheckpointError: When the file is missing, damaged or not ours.
    """
    checkpoint = read_checkpoint(path)
    predictor = build_predictor(checkpoint[CHECKPOINT_KEY]["predictor"], modules=modules)
    prefix = "generator."
    weights = {
        name.removeprefix(prefix): value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith(prefix)
    }
    predictor.load_state_dict(weights)
    return predictor.eval()


def trained_generator(path: str) -> ScalePredictor:
    """Load the generator of a checkpoint to train it further, under any losses or patch size.

    In a configuration it takes the place of a preset: `generator: {class_path:
    vidpred.models.trained_generator, init_args: {path: runs/l2/checkpoints/best.ckpt}}`. Resuming a
    run (`--ckpt_path`) is another thing: it goes on with optimisers and samples as well.

    Args:
        path: A file that a task of `vidpred.tasks` saved.

    Raises:
        CheckpointError: When the file is missing, damaged or not ours, or its predictor is none
            that is trained.
    """
    predictor = load_predictor(path)
    if not isinstance(predictor, ScalePredictor):
        raise CheckpointError(
            f"{path}: holds a {type(predictor).__name__}; expected a predictor of several scales, "
            "such as MultiScaleGenerator"
        )
    return predictor.train()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
