"""What comes with the package: configurations and bundled pretrained models."""

from pathlib import Path


def packaged_configurations() -> Path:
    """Give the folder of configurations: in the installed package, or atop a checkout."""
    package = Path(__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def packaged_weights() -> dict[str, Path]:
    """Give the bundled pretrained models, by name."""
    folder = Path(__file__).parent / "weights"
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}
