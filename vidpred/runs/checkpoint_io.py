"""How the trainer keeps checkpoints: whole or not at all, and plain data only."""

import os
from pathlib import Path
from typing import Any, BinaryIO

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from vidpred.errors import CheckpointError
from vidpred.files import is_running, replacing
from vidpred.storage.checkpoint import read_checkpoint


class SafeCheckpointIO(TorchCheckpointIO):
    """Writes to a temporary file and renames it; reads with `vidpred.storage.checkpoint`.

    Lightning writes into the system's temporary folder first, so that on another disk its last step
    is a copy, which a full disk cuts off in the middle of the file that it replaces.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint; the file of this name stays as it is until the new one is whole.

        Args:
            checkpoint: What to save.
            path: Local file; its folder is made when it is not there.
            storage_options: None; there is nothing to choose.

        Raises:
            OSError: When it cannot be written.
            CheckpointError: When it holds what `load_checkpoint` would refuse.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_partial(path)
        with replacing(path, keep_suffix=False) as partial:
            with partial.open("wb") as file:
                _write(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            if unknown := torch.serialization.get_unsafe_globals_in_checkpoint(partial):
                raise CheckpointError(
                    f"{path} is not saved, because it could not be loaded again: it would hold "
                    f"{', '.join(sorted(unknown))}. Callbacks, schedulers and optimizers have to "
                    "keep their states in tensors and plain values"
                )

    def load_checkpoint(
        self, path: Any, map_location: Any = "cpu", weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint without running anything that it holds.

        Args:
            path: Checkpoint file.
            map_location: Where tensors go.
            weights_only: True or None; reading objects other than plain data is not offered.

        Raises:
            CheckpointError: When the file is missing, damaged, unsafe or not ours.
        """
        return read_checkpoint(path, map_location or "cpu")


def _write(checkpoint: dict[str, Any], file: BinaryIO) -> None:
    try:
        torch.save(checkpoint, file)
    except RuntimeError as error:
        # What PyTorch says of a file that it could not end hides why it could not write to it.
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def _remove_partial(path: Path) -> None:
    """Remove what processes that were killed in the middle of a save have left."""
    for partial in path.parent.glob(".*.ckpt.*"):
        pid = partial.suffix.removeprefix(".")
        if pid.isdecimal() and not is_running(int(pid)):
            partial.unlink(missing_ok=True)
