"""How the trainer reads checkpoints: plain data only, and errors that say what is wrong."""

from typing import Any

from pytorch_lightning.plugins.io import TorchCheckpointIO

from vidpred.models.checkpoint import read_checkpoint


class SafeCheckpointIO(TorchCheckpointIO):
    """Lightning's storage, which writes atomically, with the reader of `vidpred.models`."""

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
