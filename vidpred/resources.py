"""What comes with the package: configurations and bundled pretrained models."""

from collections.abc import Iterable
from pathlib import Path

from vidpred.errors import CheckpointError


def packaged_configurations() -> Path:
    """Give the folder of configurations: in the installed package, or atop a checkout."""
    package = Path(__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def packaged_weights() -> dict[str, Path]:
    """Give the bundled pretrained models, by name."""
    folder = Path(__file__).parent / "weights"
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def no_such_checkpoint(path: str | Path, *, others: Iterable[str] = ()) -> CheckpointError:
    """Say that a name means no checkpoint, and which do.

    Args:
        path: What was given.
        others: Names that the command takes as well as those of the bundled models.
    """
    return CheckpointError(
        f"{path}: no such checkpoint; expected a file of `vidpred fit` or `vidpred export`, such "
        f"as runs/<name>/checkpoints/last.ckpt, or a name: "
        f"{', '.join([*packaged_weights(), *others])}"
    )
