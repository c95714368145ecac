"""What a benchmark is refused for before torch is imported: its file, and where its data are."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vidpred.benchmark.packaged import benchmark_path, read_benchmark
from vidpred.errors import BenchmarkError
from vidpred.files import expand_home

ROOT = "data/ucf101"
"""Folder of the data set where neither the benchmark nor the command line names one."""


def require_data(name: str | Path, root: str | None) -> None:
    """Refuse folders that are not there, but for that of data that a training renders.

    Values of a wrong type are left to `load_benchmark`, which names them.

    Args:
        name: Of the benchmark, or the path of its file.
        root: What the command line says in place of the file's folders.

    Raises:
        BenchmarkError: When there is no such benchmark, or it has no data.
        DataError: When the user of a folder below ~ has none.
    """
    for protocol, folder in _folders(read_benchmark(benchmark_path(name)), root):
        if not expand_home(folder).is_dir():
            raise BenchmarkError(
                f"{folder}: no such folder, which protocol {protocol} reads; expected the "
                "folder of the data set: --root DIR"
            )


def _folders(content: Mapping[str, Any], root: str | None) -> Iterator[tuple[str, str]]:
    data, protocols = content.get("data") or {}, content.get("protocols")
    if not isinstance(data, dict) or not isinstance(protocols, list):
        return
    for scored in protocols:
        scored = scored if isinstance(scored, dict) else {"protocol": scored}
        own = None if root is not None else scored.get("root")
        rendered = own is None and data.get("file") is not None
        if not rendered:
            yield str(scored.get("protocol")), str(own or root or data.get("root") or ROOT)
