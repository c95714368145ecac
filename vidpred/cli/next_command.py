"""Which command tests what a run has trained, on videos that it has not seen."""

import shlex
from pathlib import Path

from pytorch_lightning import LightningDataModule

from vidpred.data import UCF101DataModule, VideoFolderDataModule


def test_command(
    data: LightningDataModule, checkpoint: str | Path, run_dir: Path, *, module: str | None
) -> str:
    """Give the command line.

    The protocols `quick` and `folder` take color frames of any size, and know the test videos of
    UCF101's first split and of a folder that is split by names. Otherwise the run knows its own.

    Args:
        data: Of the training.
        checkpoint: What to test.
        run_dir: Folder of the run.
        module: Where the class of the network is, when it is not one of vidpred.
    """
    protocol, root = None, getattr(data, "root", None)
    if getattr(data, "color", None) == "rgb" and getattr(data, "resize", None) is None:
        if isinstance(data, UCF101DataModule) and data.split == 1 and data.list_dir is None:
            protocol = "quick"
        if isinstance(data, VideoFolderDataModule) and not data.lists:
            default = (VideoFolderDataModule.val_fraction, VideoFolderDataModule.test_fraction)
            protocol = "folder" if (data.val_fraction, data.test_fraction) == default else None
    if protocol is None:
        words = ["validate", "-c", run_dir / "config.yaml", "--ckpt-path", checkpoint]
        return f"vidpred {shlex.join(map(str, words))} --split test"
    words = ["test", checkpoint, "--root", root, "--protocol", protocol]
    return f"vidpred {shlex.join(map(str, words))}" + (f" --module {module}" if module else "")
