"""Results that are appended as they come, and survive an interruption."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from vidpred.errors import ResultError
from vidpred.evaluation.averages import summarize
from vidpred.evaluation.clips import ClipSource
from vidpred.evaluation.extras import Extras, Features, video_distance
from vidpred.evaluation.protocol import NamedProtocol
from vidpred.evaluation.results import FORMAT, ClipCounts, ClipRow, Method, Result, read_result
from vidpred.files import write_json

MEASURED = ("value", "clips")
"""Entries of a result's extras that were measured; the others decide."""


class ResultWriter:
    """Collects the scores of one method in a file, a line a clip, and makes a result of them.

    `<folder>/<method>.partial.jsonl` grows while clips are scored; `finish` writes
    `<folder>/<method>.json`. A writer for the same method, protocol and clip list goes on where
    another was interrupted.

    Args:
        folder: Where results go; made when it does not exist.
        method: What is scored.
        protocol: How.
        source: The clip list.
        provenance: Versions, seed, device and so on; a measurement goes on with the same versions
            on the same device only.
        extras: What is measured beside the protocol.
        overwrite: Throw away what another method or protocol left under this name.

    Attributes:
        done: Clips that are scored.
        failed: By clip, why it could not be scored this time.

    Raises:
        ResultError: When the place is taken by something else.
    """

    def __init__(
        self,
        folder: Path,
        method: Method,
        protocol: NamedProtocol,
        source: ClipSource,
        provenance: dict[str, Any],
        extras: Extras,
        *,
        overwrite: bool = False,
    ) -> None:
        self.method = method
        self.provenance = provenance
        self.extras = extras
        self.protocol = protocol
        self.source = source
        self.path = folder / f"{method['name']}.json"
        self.failed: dict[str, str] = {}
        self._partial = folder / f"{method['name']}.partial.jsonl"
        self._header = {
            "method": method,
            "protocol_digest": protocol.digest,
            "list_digest": digest_of_names(source.names),
            "mask": source.mask,
            "versions": provenance["versions"],
            "device": provenance["device"],
            "extras": extras.describe(),
        }
        self._appended = False
        folder.mkdir(parents=True, exist_ok=True)
        if overwrite:
            self.path.unlink(missing_ok=True)
            self._partial.unlink(missing_ok=True)
        if not self._partial.exists():
            rows = self._rows_of_result()
            lines = [self._header, *({**row, "features": None} for row in rows)]
            self._partial.write_text("".join(map(_line, lines)), encoding="utf-8")
        self.done = {row["clip"] for row in self._resume()}
        self._file = self._partial.open("a", encoding="utf-8")

    def append(self, row: ClipRow, features: Features | None = None) -> None:
        """Keep the scores of a clip, on the disk at once."""
        self._file.write(_line({**row, "features": features}))
        self._file.flush()
        self.done.add(row["clip"])
        self._appended = True

    def fail(self, clip: str, reason: str) -> None:
        """Note that a clip could not be scored; the next run tries it again."""
        self.failed[clip] = reason

    def rows(self) -> Iterator[ClipRow]:
        """Yield the scores so far, as they were appended."""
        for row, _ in self._kept():
            yield row

    def _kept(self) -> Iterator[tuple[ClipRow, Features | None]]:
        with self._partial.open(encoding="utf-8") as file:
            next(file)
            for line in file:
                row = json.loads(line)
                yield row, row.pop("features")

    def close(self) -> None:
        """Leave what is there for the next run."""
        self._file.close()

    def finish(self) -> Result:
        """Write the result, whole or not at all; one that nothing was added to stays as it is.

        Returns:
            What is in the file.
        """
        self.close()
        if self.path.exists() and not self._appended and not self.failed:
            self._partial.unlink()
            return read_result(self.path)
        kept = sorted(self._kept(), key=lambda pair: pair[0]["clip"])
        rows = [row for row, _ in kept]
        result: Result = {
            "format": FORMAT,
            "method": self.method,
            "protocol": self.protocol.values,
            "protocol_digest": self.protocol.digest,
            "clips": self._counts(rows),
            "mask": dict(self.source.mask),
            "provenance": self.provenance,
            "extras": self._extras([features for _, features in kept if features is not None]),
            "summary": summarize(rows, self.protocol.protocol),
            "rows": rows,
        }
        write_json(self.path, result)
        if not self.failed:  # else the next run goes on from there
            self._partial.unlink()
        return result

    def _extras(self, features: list[Features]) -> dict[str, Any]:
        described = self.extras.describe()
        if "fvd" in described:
            described["fvd"] |= {"value": video_distance(features), "clips": len(features)}
        return described

    def _counts(self, rows: list[ClipRow]) -> ClipCounts:
        return {
            "videos_expected": self.source.videos_expected,
            "videos_listed": self.source.videos_listed,
            "videos_scored": len({row["video"] for row in rows}),
            "clips_listed": len(self.source.names),
            "clips_scored": len(rows),
            "list_digest": digest_of_names(self.source.names),
            "scored_digest": digest_of_names(row["clip"] for row in rows),
            "missing": sorted(self.source.missing),
            "failed": dict(sorted(self.failed.items())),
        }

    def _rows_of_result(self) -> list[ClipRow]:
        """Give the rows of a result that is there already, when it is of the same measurement."""
        if not self.path.exists():
            return []
        result = read_result(self.path)
        found = {
            "method": result["method"],
            "protocol_digest": result["protocol_digest"],
            "list_digest": result["clips"]["list_digest"],
            "mask": result["mask"],
            "versions": result["provenance"]["versions"],
            "device": result["provenance"]["device"],
            "extras": {
                name: {key: value for key, value in said.items() if key not in MEASURED}
                for name, said in result["extras"].items()
            },
        }
        self._require_same(found, self.path)
        return result["rows"]

    def _resume(self) -> Iterator[ClipRow]:
        """Yield the rows that are whole; what an interruption cut off is dropped."""
        whole = 0
        with self._partial.open("rb+") as file:
            for number, line in enumerate(file):
                try:
                    content = json.loads(line)
                except ValueError:
                    break
                if not line.endswith(b"\n"):
                    break
                if number == 0:
                    self._require_same(content, self._partial)
                else:
                    yield content
                whole += len(line)
            file.truncate(whole)
        if not whole:
            self._partial.write_text(_line(self._header), encoding="utf-8")

    def _require_same(self, found: dict[str, Any], path: Path) -> None:
        different = [key for key, value in self._header.items() if found.get(key) != value]
        if different:
            raise ResultError(
                f"{path}: holds the scores of another measurement (other {', '.join(different)}); "
                "choose another --output, another name, or replace it with --overwrite"
            )


def digest_of_names(names: Iterable[str]) -> str:
    """Give the SHA-256 of a set of names, whatever their order."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()


def _line(content: object) -> str:
    return json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n"
