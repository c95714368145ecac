"""Where benchmarks are, and what their files hold before it is checked; nothing heavy is loaded."""

from pathlib import Path
from typing import Any

import yaml

from vidpred.errors import BenchmarkError, did_you_mean
from vidpred.resources import packaged_configurations

YAML_ENDINGS = (".yaml", ".yml")


def available_benchmarks() -> list[str]:
    """Give the names of the benchmarks in the package."""
    return sorted(path.stem for path in (packaged_configurations() / "benchmark").glob("*.yaml"))


def benchmark_path(name: str | Path) -> Path:
    """Find a benchmark.

    Args:
        name: One of `available_benchmarks`, or the path of a YAML file.

    Raises:
        BenchmarkError: When the package has none of this name, or the file is not there.
    """
    path = Path(name)
    if path.suffix.lower() in YAML_ENDINGS:
        packaged = packaged_configurations() / str(name).removeprefix("configs/")
        if not path.is_file() and packaged.is_file():
            return packaged
        if not path.is_file():
            raise BenchmarkError(
                f"{path}: there is no such file; expected the path of a YAML file or one of "
                f"{', '.join(available_benchmarks())}"
            )
        return path
    packaged = packaged_configurations() / "benchmark" / f"{name}.yaml"
    if not packaged.is_file():
        raise BenchmarkError(
            f"there is no benchmark {str(name)!r}{did_you_mean(str(name), available_benchmarks())};"
            f" expected the path of a YAML file or one of {', '.join(available_benchmarks())}"
        )
    return packaged


def read_benchmark(path: Path) -> dict[str, Any]:
    """Read the file of a benchmark.

    Raises:
        BenchmarkError: When it is not there, or holds no keys and values in YAML.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BenchmarkError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise BenchmarkError(
            f"{path}: holds no benchmark; expected keys name, protocols, budget, experiments, ..."
        )
    return content
