"""What comes with the package: configurations and bundled pretrained models."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vidpred.errors import (
    BenchmarkError,
    CheckpointError,
    ProtocolError,
    VidpredError,
    did_you_mean,
)
from vidpred.files import read_text

YAML_ENDINGS = (".yaml", ".yml")


def packaged_configurations() -> Path:
    """Give the folder of configurations: in the installed package, or atop a checkout."""
    package = Path(__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


@dataclass(frozen=True)
class ConfigurationFolder:
    """One kind of YAML files: those of the package have names, users' own have paths.

    Attributes:
        kind: What a file is; the folder of the package has the same name.
        keys: The first keys of a file, for a message.
        error: What is raised for a mistake.
    """

    kind: str
    keys: str
    error: type[VidpredError]

    def names(self) -> list[str]:
        """Give the names of those in the package."""
        return sorted(path.stem for path in (packaged_configurations() / self.kind).glob("*.yaml"))

    def path(self, name: str | Path) -> Path:
        """Find a file.

        Args:
            name: One of `names`, or the path of a YAML file; a path below `configs` that is not
                there is looked for in the package as well.

        Raises:
            VidpredError: Of class `error`, when there is none.
        """
        path = Path(name)
        if path.suffix.lower() not in YAML_ENDINGS:
            packaged = packaged_configurations() / self.kind / f"{name}.yaml"
            missing = f"there is no {self.kind} {str(name)!r}"
        else:
            packaged = packaged_configurations() / str(name).removeprefix("configs/")
            missing = f"{path}: there is no such file"
            if path.is_file():
                return path
        if packaged.is_file():
            return packaged
        raise self.error(
            f"{missing}{did_you_mean(path.stem, self.names())}; expected the path of a YAML file "
            f"or one of {', '.join(self.names())}"
        )

    def read(self, path: Path) -> dict[str, Any]:
        """Read the keys and values of a file, which are not checked.

        Raises:
            VidpredError: Of class `error`, when it cannot be read or holds something else.
        """
        try:
            content = read_yaml(path)
        except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
            raise self.error(f"{path}: cannot be read as YAML: {error}") from error
        if not isinstance(content, dict):
            raise self.error(f"{path}: holds no {self.kind}; expected keys {self.keys}, ...")
        return content


def read_yaml(path: Path) -> Any:
    """Read a file of YAML in which no key is there twice, and nothing contains itself.

    YAML itself would take the last of two keys, and make a value that has no end.

    Raises:
        OSError, ValueError, yaml.YAMLError, RecursionError: When it is no such file.
    """
    return yaml.load(read_text(path), _PlainValues)


class _PlainValues(yaml.SafeLoader):
    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        node: yaml.Node | None = super().compose_node(parent, index)
        if node is not None and node.end_mark is None:  # an alias of what it is inside of
            mark: Any = node.start_mark
            raise yaml.MarkedYAMLError(
                problem="the value of this anchor contains itself; write out what it repeats",
                problem_mark=mark,
            )
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Here and not where mappings are made, as `<<` may have brought keys into them by then.
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise yaml.MarkedYAMLError(
                        problem=f"the key {key.value} is there twice; keep one of them",
                        problem_mark=key.start_mark,
                    )
                seen.add((key.tag, key.value))
        return node


PROTOCOLS = ConfigurationFolder("protocol", "name, videos, clips", ProtocolError)
BENCHMARKS = ConfigurationFolder(
    "benchmark", "name, protocols, budget, experiments", BenchmarkError
)


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
