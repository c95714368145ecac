"""Results that are appended as they come, and survive an interruption."""

import json
import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from vidpred.errors import ResultError
from vidpred.evaluation.clips import ClipSource
from vidpred.evaluation.fingerprints import digest_of_names
from vidpred.evaluation.protocol import NamedProtocol
from vidpred.evaluation.results.averages import summarize, summarize_samples
from vidpred.evaluation.results.reading import check_row, read_result
from vidpred.evaluation.results.result import FORMAT, ClipCounts, ClipRow, Method, Result
from vidpred.evaluation.scoring.extras import Extras, Features, video_distance
from vidpred.files import replacing, write_json
from vidpred.plain import differences, refuse_constant
from vidpred.seen_videos import SeenVideos

MEASURED = ("value", "clips")
"""Entries of a result's extras that were measured; the others decide."""

_MOST_SHOWN = 4
"""Differences that a refusal names."""

_LONGEST_SHOWN = 70
"""Characters of a value in it."""

_Kept = Iterator[tuple[ClipRow, Features | None]]


class ResultWriter:
    """Collects the scores of one method in a file, a line a clip, and makes a result of them.

    `<folder>/<method>.partial.jsonl` grows while clips are scored; `finish` writes
    `<folder>/<method>.json`. A writer for the same method, protocol and clip list resumes where
    another was interrupted; clips whose files have changed since are scored again. First `check`,
    then `open`, so that of several writers all can refuse before one leaves anything.

    Args:
        folder: Where results go; made when it does not exist.
        method: What is scored.
        protocol: How.
        source: The clip list.
        provenance: Versions, seed, device and so on; a measurement resumes with the same versions
            on the same device only.
        extras: What is measured in addition to the protocol.
        fingerprint: Identifies the files of a clip and their state.
        kernels: Gives by which kernels predictions were computed, once they are.
        seen_videos: Those that the method was trained or validated on; None when unknown.

    Attributes:
        done: Clips that are scored.
        failed: By clip, why it could not be scored this time.
    """

    def __init__(
        self,
        folder: Path,
        method: Method,
        protocol: NamedProtocol,
        source: ClipSource,
        provenance: dict[str, Any],
        extras: Extras,
        fingerprint: Callable[[str], str],
        kernels: Callable[[], str | None],
        seen_videos: SeenVideos | None = None,
    ) -> None:
        self.seen_videos = seen_videos
        self.method = method
        self.protocol = protocol
        self.source = source
        self.provenance = provenance
        self.extras = extras
        self.fingerprint = fingerprint
        self.kernels = kernels
        self.path = folder / f"{method['name']}.json"
        self.done: set[str] = set()
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
        # What differs is said by name; the digest alone would not say that it is the seed.
        if protocol.protocol.samples is not None:
            self._header["samples"] = protocol.values["samples"]

    def check(self) -> None:
        """Refuse a place that another measurement has taken.

        Raises:
            ResultError: Naming what differs.
        """
        for _ in self._before():
            return

    def clear(self) -> None:
        """Throw away what is there under this name."""
        self.path.unlink(missing_ok=True)
        self._partial.unlink(missing_ok=True)

    def open(self, there: Collection[str]) -> None:
        """Take up what was scored before.

        Args:
            there: Clips that are on the disk.
        """
        kept: dict[str, tuple[ClipRow, Features | None]] = {}
        for row, features in self._before():
            if row["fingerprint"] == self.fingerprint(row["clip"]):
                kept[row["clip"]] = (row, features)
        # A result holds no features, so a distance cannot be taken of some of its clips and others.
        if self.extras.fvd is not None and not set(there) <= kept.keys():
            kept = {clip: pair for clip, pair in kept.items() if pair[1] is not None}
        with replacing(self._partial) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.write(_line(self._header))
            file.writelines(_line({**row, "features": seen}) for row, seen in kept.values())
        self.done = set(kept)
        self._file = self._partial.open("a", encoding="utf-8")

    def append(self, row: ClipRow, features: Features | None = None) -> None:
        """Keep the scores of a clip, on the disk at once."""
        self._file.write(_line({**row, "features": features}))
        self._file.flush()
        self.done.add(row["clip"])

    def fail(self, clip: str, reason: str) -> None:
        """Note that a clip could not be scored; the next run tries it again."""
        self.failed[clip] = reason

    def rows(self) -> Iterator[ClipRow]:
        """Yield the scores so far, as they were appended."""
        return (row for row, _ in self._lines())

    def close(self) -> None:
        """Leave what is there for the next run."""
        self._file.close()

    def finish(self) -> Result:
        """Write the result, whole or not at all; one that nothing was added to stays as it is.

        Where no clip could be scored there is nothing to be written.

        Returns:
            What is in the file, or would be.
        """
        self.close()
        before = read_result(self.path) if self.path.exists() else None
        kept = sorted(self._lines(), key=lambda pair: pair[0]["clip"])
        rows = [row for row, _ in kept]
        if before is not None and rows == before["rows"] and not self.failed:
            self._partial.unlink()
            return before
        protocol = self.protocol.protocol
        result: Result = {
            "format": FORMAT,
            "method": self.method,
            "protocol": self.protocol.values,
            "protocol_digest": self.protocol.digest,
            "clips": self._counts(rows),
            "mask": dict(self.source.mask),
            "provenance": {**self.provenance, "kernels": self.kernels()},
            "extras": self._extras([features for _, features in kept if features is not None]),
            "summary": summarize(
                rows,
                keys=[measure.key for measure in protocol.measures],
                skip=protocol.skip,
                horizon=protocol.clips.horizon,
            ),
            "rows": rows,
        }
        if protocol.samples is not None:
            result["samples"] = summarize_samples(
                rows,
                keys=[measure.key for measure in protocol.measures],
                skip=protocol.skip,
                horizon=protocol.clips.horizon,
            )
        if rows:
            write_json(self.path, result)
        if not self.failed:  # else the next run resumes from there
            self._partial.unlink()
        return result

    def _counts(self, rows: list[ClipRow]) -> ClipCounts:
        videos = {row["video"] for row in rows}
        counts: ClipCounts = {
            "videos_expected": self.source.videos_expected,
            "videos_listed": self.source.videos_listed,
            "videos_scored": len(videos),
            "clips_listed": len(self.source.names),
            "clips_scored": len(rows),
            "list_digest": digest_of_names(self.source.names),
            "scored_digest": digest_of_names(row["clip"] for row in rows),
            "missing": sorted(self.source.missing),
            "failed": dict(sorted(self.failed.items())),
        }
        if self.seen_videos is not None:
            seen = sum(video in self.seen_videos for video in videos)
            if seen:  # of none it cannot be said: what came before a training may be unknown
                counts["videos_seen"] = seen
        return counts

    def _extras(self, features: list[Features]) -> dict[str, Any]:
        described = self.extras.describe()
        if "fvd" in described:
            described["fvd"] |= {"value": video_distance(features), "clips": len(features)}
        return described

    def _before(self) -> _Kept:
        """Yield what an earlier run left, from its unfinished file or from its result."""
        if self._partial.exists() and self._partial.stat().st_size:
            unfinished = self._lines(check=True)
            first = next(unfinished, None)
            if first is not None:
                yield first
                yield from unfinished
                return
        if not self.path.exists():
            return
        result = read_result(self.path)
        samples = result["protocol"].get("samples")
        self._require_same(
            {
                **({} if samples is None else {"samples": samples}),
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
            },
            self.path,
        )
        for row in result["rows"]:
            yield row, None

    def _lines(self, *, check: bool = False) -> _Kept:
        """Yield the rows of the unfinished file; a line that an interruption cut off ends it."""
        keys = {measure.key for measure in self.protocol.protocol.measures}
        horizon = self.protocol.protocol.clips.horizon
        with self._partial.open(encoding="utf-8", errors="replace") as file:
            lines = _whole(file)
            header = next(lines, None)
            if not isinstance(header, dict):  # damaged: nothing behind it can be trusted
                return
            for number, row in enumerate(lines):
                if check and number == 0:
                    self._require_same(header, self._partial)
                if not _is_row(row, keys, horizon):
                    return
                features = row.pop("features")
                yield row, features

    def _require_same(self, found: dict[str, Any], path: Path) -> None:
        differing = differences(found, self._header)
        if "list_digest" in differing:
            raise ResultError(
                f"{path}: holds the scores of other videos; choose another folder, such as "
                f"--output {path.parent}-2, or replace it with --overwrite"
            )
        if differing:
            shown = [
                f"{field} is {_short(there)} there, {_short(here)} here"
                for field, (there, here) in list(differing.items())[:_MOST_SHOWN]
            ]
            if len(differing) > len(shown):
                shown.append(f"and {len(differing) - len(shown)} more")
            raise ResultError(
                f"{path}: holds the scores of another measurement ({'; '.join(shown)}); "
                "choose another --output, another name, or replace it with --overwrite"
            )


def _short(value: object) -> str:
    return textwrap.shorten(str(value), _LONGEST_SHOWN, placeholder=" ...")


def _whole(lines: Iterable[str]) -> Iterator[Any]:
    for line in lines:
        try:
            content = json.loads(line, parse_constant=refuse_constant)
        except (ValueError, RecursionError):
            return
        if not line.endswith("\n"):
            return
        yield content


def _is_row(row: Any, keys: Collection[str], horizon: int) -> bool:
    """Say whether a line holds a row and its features; what is damaged ends the file."""
    try:
        check_row(row, horizon)
        known = row["values"].keys() >= set(keys) and isinstance(row["fingerprint"], str)
        return bool(known and "features" in row)
    except (KeyError, TypeError, ValueError, AttributeError):
        return False


def _line(content: object) -> str:
    return json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n"
