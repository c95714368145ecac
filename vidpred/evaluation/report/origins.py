"""Where the numbers of a report come from, method by method."""

from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

from vidpred.evaluation.compare.comparison import Comparison
from vidpred.evaluation.report.appearance import Appearance, appearances

_MOST_NAMES = 30  # of missing videos and failed clips, spelled out


class Origin(TypedDict):
    """One method's origin.

    Attributes:
        name: The method.
        look: Its look.
        entries: (term, value) pairs.
    """

    name: str
    look: Appearance
    entries: list[tuple[str, str]]


class Covered(TypedDict):
    """How much of the clip list one method was scored on.

    Attributes:
        name: The method.
        look: Its look.
        videos: Such as "97 of 379".
        clips: Such as "97 of 97".
        missing: Names of missing videos, and how many more there are.
        failed: (clip, why) pairs.
    """

    name: str
    look: Appearance
    videos: str
    clips: str
    missing: str
    failed: list[tuple[str, str]]


def coverage_of(comparison: Comparison) -> list[Covered]:
    """List for each method how much was scored."""
    rows: list[Covered] = []
    for name, look in appearances(comparison).items():
        counts = comparison["entrants"][name]["clips"]
        expected = counts["videos_expected"] or counts["videos_listed"]
        missing = counts["missing"]
        more = len(missing) - _MOST_NAMES
        names = ", ".join(missing[:_MOST_NAMES])
        rows.append(
            {
                "name": name,
                "look": look,
                "videos": f"{counts['videos_scored']} of {expected}",
                "clips": f"{counts['clips_scored']} of {counts['clips_listed']}",
                "missing": f"{names}, and {more} more" if more > 0 else names,
                "failed": sorted(counts["failed"].items())[:_MOST_NAMES],
            }
        )
    return rows


def origins(comparison: Comparison) -> list[Origin]:
    """List for each method what reproduces its scores."""
    rows: list[Origin] = []
    for name, look in appearances(comparison).items():
        entrant = comparison["entrants"][name]
        entries = [("kind", entrant["method"]["kind"]), ("file", entrant["file"])]
        entries += _entries(entrant["method"]["details"])
        entries += _entries(entrant["provenance"])
        entries += _entries(entrant["extras"])
        entries += [(f"mask, {key}", value) for key, value in _entries(entrant["mask"])]
        entries.append(("digest of the clip list", entrant["clips"]["list_digest"]))
        entries.append(("digest of the scored clips", entrant["clips"]["scored_digest"]))
        rows.append({"name": name, "look": look, "entries": entries})
    return rows


def _entries(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        term = f"{before}{key}".replace("_", " ")
        if isinstance(item, Mapping):
            yield from _entries(item, f"{term}, ")
        elif item is not None:
            yield term, ", ".join(map(str, item)) if isinstance(item, list) else str(item)
