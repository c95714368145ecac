"""A reader of `.wandb` files, to see what a run really logged.

Form: LevelDB's log in blocks of 32 KiB. The file begins with 7 bytes: `:W&B`, the number 0xBEE1 and
a version. A record is cut into chunks that never cross a block: CRC-32 of type and data (4 bytes),
length (2), type (1: full, 2: first, 3: middle, 4: last), data; numbers are little endian, and fewer
than 7 bytes at the end of a block are padding. Each record is one `Record` of W&B's protocol
buffers.
"""

import json
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

BLOCK = 32 * 1024
HEADER = struct.Struct("<IHB")
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def read_records(path: Path) -> Iterator[Any]:
    """Give the records in order; a file that was cut off ends with its last whole record."""
    content = path.read_bytes()
    magic, number, version = struct.unpack_from("<4sHB", content)
    if (magic, number, version) != (b":W&B", 0xBEE1, 0):
        raise ValueError(f"{path} begins with {content[:7]!r}; expected a .wandb file of version 0")
    position, parts = 7, b""
    while position < len(content):
        if BLOCK - position % BLOCK < HEADER.size:
            position += BLOCK - position % BLOCK
            continue
        if position + HEADER.size > len(content):
            return
        crc, length, kind = HEADER.unpack_from(content, position)
        data = content[position + HEADER.size : position + HEADER.size + length]
        if len(data) < length:
            return
        if zlib.crc32(bytes([kind]) + data) != crc:
            raise ValueError(f"{path}: wrong check sum at byte {position}")
        position += HEADER.size + length
        parts = data if kind in (FULL, FIRST) else parts + data
        if kind in (FULL, LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            yield record


@dataclass
class WandbRun:
    """What a run logged.

    Attributes:
        project: Name of the project.
        config: Configuration, with what was added later.
        history: One dictionary per logged step, in order.
        artifacts: Type, name, aliases and file names of each artifact.
        files: Names in the run's folder of the files that belong to the run.
        metrics: Axis of each defined metric, by name or pattern.
    """

    project: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    metrics: dict[str, str] = field(default_factory=dict)

    def series(self, key: str) -> list[tuple[float, Any]]:
        """Give (step, value) of one key."""
        return [(row["trainer/global_step"], row[key]) for row in self.history if key in row]


def read_run(path: Path) -> WandbRun:
    """Read one `.wandb` file."""
    run = WandbRun()
    for record in read_records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run.project = record.run.project
            run.config.update(_items(record.run.config.update))
        elif kind == "config":
            run.config.update(_items(record.config.update))
        elif kind == "history":
            run.history.append(_items(record.history.item))
        elif kind == "files":
            run.files.extend(file.path for file in record.files.files)
        elif kind == "metric":
            name = record.metric.name or record.metric.glob_name
            run.metrics[name] = record.metric.step_metric
        elif kind == "artifact" or (
            kind == "request" and record.request.WhichOneof("request_type") == "log_artifact"
        ):
            direct = kind == "artifact"
            artifact = record.artifact if direct else record.request.log_artifact.artifact
            run.artifacts.append(
                {
                    "type": artifact.type,
                    "name": artifact.name,
                    "aliases": list(artifact.aliases),
                    "files": [entry.path for entry in artifact.manifest.contents],
                    "metadata": json.loads(artifact.metadata or "{}"),
                }
            )
    return run


def find_run(folder: Path, *, patience: float = 20.0) -> WandbRun:
    """Read the only run below a folder, once it is finished: W&B writes the end in the background.

    Args:
        folder: Where to look, at any depth.
        patience: Seconds to wait for the record that ends a run.
    """
    deadline = time.monotonic() + patience
    while True:
        (path,) = folder.rglob("run-*.wandb")
        if any(record.WhichOneof("record_type") == "exit" for record in read_records(path)):
            return read_run(path)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} has no end after {patience} s; was the run finished?")
        time.sleep(0.05)


def _items(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
