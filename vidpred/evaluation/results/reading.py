"""Result files read back, whole and as they were written."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vidpred.errors import ResultError
from vidpred.evaluation.clips import ClipSource
from vidpred.evaluation.fingerprints import digest_of_names
from vidpred.evaluation.measures import Measure
from vidpred.evaluation.protocol import NamedProtocol, Skip, digest_of
from vidpred.evaluation.results.averages import summarize, summarize_samples
from vidpred.evaluation.results.result import FORMAT, ClipRow, Result
from vidpred.evaluation.samples import REDUCTIONS
from vidpred.files import read_text
from vidpred.plain import refuse_constant


def read_result(path: str | Path) -> Result:
    """Read a result file.

    Its digests and averages are recomputed from its rows, and a file in which they differ, because
    it was edited or cut, is refused. This finds accidents, not deceit: a consistent file passes.

    Args:
        path: Of a file that `vidpred test`, `vidpred score` or `evaluate` wrote.

    Raises:
        ResultError: When it is missing, damaged, not ours, or not as it was written.
    """
    path = Path(path)
    try:
        content = json.loads(
            read_text(path),
            parse_constant=refuse_constant,
            parse_float=lambda text: float(_finite(text)),
            parse_int=lambda text: int(_finite(text)),
        )
    except FileNotFoundError:
        raise ResultError(
            f"{path}: there is no such file; expected a result of `vidpred test` or `vidpred score`"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ResultError(f"{path}: not a whole result file ({error}); score again") from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT or not Result.__required_keys__ <= content.keys():
        raise ResultError(
            f"{path}: {f'format {found!r}' if found else 'no result'}; expected {FORMAT!r}, "
            "a result of `vidpred test` or `vidpred score`"
        )
    try:
        problem = _problem(content)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        problem = f"{type(error).__name__}: {error}"
    if problem:
        raise ResultError(f"{path}: not as it was written ({problem}); score again")
    result: Result = content
    return result


def of_another_list(path: Path, protocol: NamedProtocol, source: ClipSource) -> bool:
    """Say whether a result is of this protocol for another list, next to which ours can be ranked.

    Args:
        path: Where a result may be.
        protocol: How is measured now.
        source: On which clips.

    Raises:
        ResultError: When there is a file that is no result.
    """
    if not path.exists():
        return False
    result = read_result(path)
    same_protocol = result["protocol_digest"] == protocol.digest
    return same_protocol and result["clips"]["list_digest"] != digest_of_names(source.names)


def _problem(content: Mapping[str, Any]) -> str | None:
    """Say what is wrong inside, if anything; raises what plain Python raises for wrong types."""
    protocol = content["protocol"]
    horizon = int(protocol["clips"]["horizon"])
    if digest_of(protocol) != content["protocol_digest"]:
        return "the protocol's digest does not belong to it"
    for entry in ("name", "kind"):
        if not isinstance(content["method"][entry], str):
            return f"method.{entry} is no text"
    if not isinstance(content["method"]["details"], dict):
        return "method.details is no mapping"
    for entry in ("extras", "provenance", "mask"):
        if not isinstance(content[entry], dict):
            return f"{entry} is no mapping"
    if not all(isinstance(extra, dict) for extra in content["extras"].values()):
        return "extras is no mapping of mappings"
    distance = content["extras"].get("fvd", {"value": None})
    if type(distance["value"]) not in (int, float, type(None)):
        return "extras.fvd.value is no number"
    if distance["value"] is not None and type(distance["clips"]) is not int:
        return "extras.fvd.clips is no number"
    for row in content["rows"]:
        check_row(row, horizon)
    names = [row["clip"] for row in content["rows"]]
    counts = content["clips"]
    if len(set(names)) < len(names):
        return "a clip is there twice"
    if counts["clips_scored"] != len(names) or counts["scored_digest"] != digest_of_names(names):
        return "the number or the digest of its clips does not belong to its rows"
    if counts["videos_scored"] != len({row["video"] for row in content["rows"]}):
        return "the number of its videos does not belong to its rows"
    for entry in ("videos_listed", "clips_listed"):
        if not isinstance(counts[entry], int):
            return f"clips.{entry} is no number"
    for entry in ("list_digest", "scored_digest"):
        if not isinstance(counts[entry], str):
            return f"clips.{entry} is no text"
    if not isinstance(counts.get("videos_seen", 0), int):
        return "clips.videos_seen is no number"
    if not isinstance(counts["videos_expected"], int | None):
        return "clips.videos_expected is no number"
    if not (isinstance(counts["failed"], dict) and _are_texts(counts["failed"].values())):
        return "clips.failed is no mapping of texts"
    if not (isinstance(counts["missing"], list) and _are_texts(counts["missing"])):
        return "clips.missing is no list of texts"
    keys = [Measure(**measure).key for measure in protocol["measures"]]
    rule = protocol["skip"]
    skip = rule and Skip(Measure(**rule["measure"]), float(rule["at_least"]))
    if summarize(content["rows"], keys=keys, skip=skip, horizon=horizon) != content["summary"]:
        return "the summary does not belong to its rows"
    samples = protocol.get("samples")
    if samples is None:
        return None
    for row in content["rows"]:
        reduced = row["samples"]["values"][samples["reduce"]]
        if reduced != {key: row["values"][key] for key in reduced}:
            return f"the scores of {row['clip']} are not the {samples['reduce']} of its futures"
    averages = summarize_samples(content["rows"], keys=keys, skip=skip, horizon=horizon)
    same = averages == content["samples"]
    return None if same else "the averages of its futures do not belong to its rows"


def _are_texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def check_row(row: ClipRow, horizon: int) -> None:
    """Refuse a row that is none of ours, by what plain Python raises for wrong types.

    Raises:
        KeyError: When something is missing.
        TypeError: When something is of another kind.
        ValueError: When something is too short, or not finite.
    """
    if not (isinstance(row["clip"], str) and isinstance(row["video"], str)):
        raise TypeError("a clip or a video is no text")
    if not isinstance(row["start"], int | None):
        raise TypeError(f"the start of {row['clip']} is no number")
    lists = [row["motion"], row["moving"], *row["values"].values()]
    if "samples" in row:
        reduced = [row["samples"]["values"][reduction] for reduction in REDUCTIONS]
        if type(row["samples"]["count"]) is not int:
            raise TypeError(f"the number of futures of {row['clip']} is no number")
        if any(values.keys() != reduced[0].keys() for values in reduced):
            raise ValueError(f"the futures of {row['clip']} have other measures at best or worst")
        lists += [v for values in reduced for v in values.values()]
    for values in lists:
        if len(values) != horizon:
            raise ValueError(f"{row['clip']} has {len(values)} frames, the protocol {horizon}")
        if not all(value is None or math.isfinite(value) for value in values):
            raise ValueError(f"{row['clip']} has a value that is not finite")


def _finite(number: str) -> str:
    """Refuse what no float holds, such as 1e999, of which Python makes infinity."""
    if not math.isfinite(float(number)):
        raise ValueError(f"it holds {number:.10}, which is too large for a number")
    return number
