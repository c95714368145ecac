"""Checkpoints of a training: read without running anybody's code."""

import errno
import pickle
from pathlib import Path
from typing import Any

import torch

from vidpred.errors import DAMAGED, CheckpointError
from vidpred.files import is_irregular, require_whole_zip

CHECKPOINT_KEY = "vidpred"
"""Entry of a checkpoint that says what the predictor is."""

WEIGHTS_ENDING = ".safetensors"
"""Of files that hold weights alone; see `vidpred.storage.safetensors`."""


def read_checkpoint(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are accepted, so loading runs no code.

    Args:
        path: A file that a task of `vidpred.tasks` saved.
        map_location: Where tensors go; see `torch.load`.

    Raises:
        CheckpointError: When the file is missing, damaged, holds objects other than plain data, or
            is not ours.
    """
    if Path(path).suffix.lower() == WEIGHTS_ENDING and Path(path).is_file():
        raise weights_alone(path)
    if is_irregular(Path(path)):  # opening a pipe would wait for its other end
        raise CheckpointError(f"{path}: is a pipe or a device; expected a checkpoint file")
    checkpoint: Any
    try:
        require_whole_zip(Path(path))
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(
            f"{path}: no such checkpoint; expected a file that `vidpred fit` wrote, "
            "such as runs/<name>/checkpoints/last.ckpt"
        ) from None
    except IsADirectoryError:
        raise CheckpointError(f"{path}: is a folder; expected a checkpoint file in it") from None
    except OSError as error:
        if error.errno == errno.EINVAL:  # torch went beyond the end of a file that was cut
            raise CheckpointError(
                f"{path}: damaged, its end is missing; use an earlier one from the same folder"
            ) from error
        raise CheckpointError(
            f"{path}: cannot be read ({error.strerror or error}); expected a file that you may read"
        ) from error
    except pickle.UnpicklingError as error:
        # Not torch's own text, which advises to load it anyway.
        raise CheckpointError(
            f"{path}: refused, because it is no checkpoint or holds objects that would run code "
            "when loaded; expected a file that `vidpred fit` wrote"
        ) from error
    except DAMAGED as error:
        # Nor what it advises of a TorchScript program.
        held = "TorchScript" if "TorchScript" in str(error) else first_line(error)
        raise CheckpointError(
            f"{path}: damaged or not a checkpoint ({held}); use an earlier one from the same folder"
        ) from error
    description = checkpoint.get(CHECKPOINT_KEY) if isinstance(checkpoint, dict) else None
    whole = isinstance(description, dict) and description.keys() >= {"predictor", "batches_seen"}
    if not whole or not checkpoint.keys() >= {"state_dict", "pytorch-lightning_version"}:
        raise CheckpointError(
            f"{path}: holds no description of a predictor; expected a checkpoint of vidpred"
        )
    return dict(checkpoint)


def read_resumable(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint from which a training can resume; see `read_checkpoint`.

    Raises:
        CheckpointError: Also when it holds no state of optimizers, as
            `ModelCheckpoint(save_weights_only=True)` writes it.
    """
    checkpoint = read_checkpoint(path)
    if not checkpoint.keys() >= {"optimizer_states", "loops"}:
        raise weights_alone(path)
    states = checkpoint["optimizer_states"]
    loops = checkpoint["loops"]
    kept = (checkpoint.get(name, {}) for name in ("vidpred_resume", "vidpred_configuration"))
    if not (
        isinstance(states, list)
        and all(isinstance(state, dict) for state in states)
        and isinstance(loops, dict)
        and isinstance(loops.get("fit_loop"), dict)
        and all(isinstance(part, dict) for part in kept)
    ):
        raise CheckpointError(
            f"{path}: damaged, the state of its training is not as `vidpred fit` writes it; use an "
            "earlier one from the same folder"
        )
    return checkpoint


def weights_alone(path: str | Path) -> CheckpointError:
    """Refuse a file because it holds no state of a training."""
    return CheckpointError(
        f"{path}: holds weights alone, from which no training can resume; expected a checkpoint "
        "that `vidpred fit` wrote with the state of its training, such as "
        "runs/<name>/checkpoints/last.ckpt"
    )


def first_line(error: Exception) -> str:
    """Give the first line of an error's text, or its name."""
    return next(iter(str(error).splitlines()), type(error).__name__)
