"""Where the configurations of the package are, in a checkout and in an installed wheel."""

from pathlib import Path


def packaged_configurations() -> Path:
    """Give the folder of configurations: in the installed package, or atop a checkout."""
    package = Path(__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"
