"""Whether results may be compared at all, and what a reader has to know before trusting it."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import copy
from typing import Any

from vidpred.errors import ResultError
from vidpred.evaluation.results.result import Result
from vidpred.plain import counted, differences, leaves

FEW_VIDEOS = 20
"""Below this many, 95 % intervals by percentiles of draws hold the truth in about 80 to 92 %."""

OTHER_MOTION = 0.05
"""Share by which the motion of a clip may differ: decoders round otherwise."""

_VERSIONS = {
    "commit",
    "vidpred",
    "torch",
    "torchvision",
    "torchmetrics",
    "kornia",
    "numpy",
    "av",
    "opencv",
    "cv2",
    "opencv-python-headless",
    "opencv_python_headless",
}
"""Entries of the provenance that can move a score: the code that decodes, masks and measures."""


def check_alike(results: Mapping[str, Result]) -> None:
    """Refuse results that were not measured alike.

    Args:
        results: By file.

    Raises:
        ResultError: For no result, one method name twice, protocols that differ (every field that
            differs is named with its values), or clips of the same names from other videos.
    """
    if not results:
        raise ResultError(
            "no result to compare; give files that `vidpred test` or `vidpred score` wrote"
        )
    files: dict[str, str] = {}
    for file, result in results.items():
        name = result["method"]["name"]
        if name in files:
            raise ResultError(
                f"two different results are of a method called {name!r}: {files[name]} and {file}; "
                f"leave one out, or give one a name of its own: NAME={file}"
            )
        files[name] = file
    first, *others = results
    for other in others:
        if results[first]["protocol_digest"] != results[other]["protocol_digest"]:
            raise ResultError(_differing_protocols(results, first, other))
        if problem := _other_videos(results, first, other):
            raise ResultError(problem)


def with_scores(results: Mapping[str, Result]) -> dict[str, Result]:
    """Leave out results in which no clip was scored: nothing could be ranked against them.

    Raises:
        ResultError: When that leaves none.
    """
    kept = {file: result for file, result in results.items() if result["rows"]}
    if results and not kept:
        raise ResultError(
            f"no clip was scored in {', '.join(results)}; see clips.failed there for why"
        )
    return kept


def left_out(results: Mapping[str, Result]) -> list[str]:
    """Say which results `with_scores` leaves out, and why they have none."""
    return [
        f"{result['method']['name']} ({file}) is left out: none of its clips could be scored "
        f"({next(iter(result['clips']['failed'].values()), 'no clip was there').rstrip('.')})."
        for file, result in results.items()
        if not result["rows"]
    ]


def cautions(results: Mapping[str, Result], apart: Collection[str], ranked: int) -> list[str]:
    """Say what a reader has to know: missing clips, other masks, other versions.

    Args:
        results: By file, measured by one protocol.
        apart: Clips that are left out; see `of_same_videos`.
        ranked: Videos of the clips that count for every method.

    Returns:
        Whole sentences, the gravest first; none when all is well.
    """
    by_method = {result["method"]["name"]: result for result in results.values()}
    by_method = dict(sorted(by_method.items()))
    return [
        *_seen_videos(by_method),
        *_left_out_clips(apart),
        *_missing_videos(by_method),
        *_few_videos(by_method, ranked),
        *_failures(by_method),
        *_disagreements(by_method),
    ]


def _differing_protocols(results: Mapping[str, Result], first: str, other: str) -> str:
    differing = differences(results[first]["protocol"], results[other]["protocol"])
    fields = [
        f"{path}: {one} ({first}), {two} ({other})"
        for path, (one, two) in differing.items()
        # Names do not decide numbers, so they are not what the digests differ by.
        if path not in ("name", "description")
    ] or [
        f"protocol_digest: {results[first]['protocol_digest']} ({first}), "
        f"{results[other]['protocol_digest']} ({other})"
    ]
    return (
        "these results were measured by different protocols and cannot be ranked. They differ in:\n"
        + "\n".join(f"  {field}" for field in fields)
        + "\nScore again with one protocol."
    )


def _other_videos(results: Mapping[str, Result], first: str, other: str) -> str | None:
    """Say that clips of the same names show other videos: the truth of most moves otherwise."""
    one, two = (_motion(results[file]) for file in (first, other))
    common = one.keys() & two.keys()
    apart = _clips_apart([results[first], results[other]])
    if 2 * len(apart) <= len(common):
        return None
    clip = min(apart)
    motions = " and ".join(", ".join(_percent(m) for m in rows[clip]) for rows in (one, two))
    return (
        f"{first} and {other} are of different videos: {len(apart)} of {len(common)} clips of the "
        f"same names move otherwise, such as {clip} ({motions} of full scale). Score both methods "
        "on the same data."
    )


def of_same_videos(results: Mapping[str, Result]) -> tuple[dict[str, Result], set[str]]:
    """Leave out clips whose truth moves otherwise in some of these results than in others.

    They show other videos under the same names: decoders differ by rounding alone.

    Returns:
        The results without these clips, and their names.
    """
    apart = _clips_apart(results.values())
    if not apart:
        return dict(results), apart
    kept: dict[str, Result] = {}
    for name, result in results.items():
        kept[name] = copy(result)
        kept[name]["rows"] = [row for row in result["rows"] if row["clip"] not in apart]
    return kept, apart


def _clips_apart(results: Iterable[Result]) -> set[str]:
    moved: dict[str, list[list[float | None]]] = {}
    for result in results:
        for row in result["rows"]:
            moved.setdefault(row["clip"], []).append(row["motion"])
    return {
        clip for clip, motions in moved.items() if not all(map(_close, zip(*motions, strict=True)))
    }


def _motion(result: Result) -> dict[str, list[float | None]]:
    return {row["clip"]: row["motion"] for row in result["rows"]}


def _seen_videos(results: Mapping[str, Result]) -> Iterator[str]:
    for name, result in results.items():
        if seen := result["clips"].get("videos_seen", 0):
            yield (
                f"{name} was trained or validated on videos of these names: {seen} of "
                f"{result['clips']['videos_scored']} that were scored. Unless these are other "
                "videos of the same names, its scores say nothing of videos that it has not seen."
            )


def _left_out_clips(apart: Collection[str]) -> Iterator[str]:
    if apart:
        yield (
            f"{counted(len(apart), 'clip')}, such as {min(apart)}, of the same "
            f"{'name moves' if len(apart) == 1 else 'names move'} otherwise in some of these "
            "results, so they show other videos and are left out: score all methods on the same "
            "data."
        )


def _close(motions: Iterable[float | None]) -> bool:
    """Say whether the motions of one frame of a clip are those of one video."""
    known = [motion for motion in motions if motion is not None]
    least, most = min(known, default=0.0), max(known, default=0.0)
    return math.isclose(least, most, rel_tol=OTHER_MOTION, abs_tol=OTHER_MOTION)


def _percent(motion: float | None) -> str:
    return "unknown" if motion is None else f"{motion:.2f} %"


def _few_videos(results: Mapping[str, Result], ranked: int) -> Iterator[str]:
    if not 1 < ranked < FEW_VIDEOS:
        return
    counts = min((r["clips"] for r in results.values()), key=lambda clips: clips["videos_scored"])
    scored = counts["videos_scored"]
    if scored >= FEW_VIDEOS:
        advice = "no more count for every method."
    elif scored < (counts["videos_expected"] or counts["videos_listed"]):
        advice = f"take at least {FEW_VIDEOS}."
    else:
        advice = (
            f"this protocol has no more: for numbers to report, take one of at least {FEW_VIDEOS}."
        )
    yield f"Intervals from {ranked} videos are too narrow; {advice}"


def _missing_videos(results: Mapping[str, Result]) -> Iterator[str]:
    seen = {
        name: (
            result["clips"]["videos_scored"],
            result["clips"]["videos_expected"] or result["clips"]["videos_listed"],
        )
        for name, result in results.items()
    }
    for scored, expected in sorted(set(seen.values())):
        if scored < expected:
            names = [name for name, counts in seen.items() if counts == (scored, expected)]
            who = "" if len(names) == len(seen) else f" ({', '.join(names)})"
            yield f"{scored} of {expected} videos were scored{who}: not a benchmark number."


def _failures(results: Mapping[str, Result]) -> Iterator[str]:
    for name, result in results.items():
        failed = result["clips"]["failed"]
        if failed:
            clip, why = min(failed.items())
            more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
            yield f"{name}: {clip} could not be scored ({why.rstrip('.')}){more}."


def _disagreements(results: Mapping[str, Result]) -> Iterator[str]:
    def differ(what: str, values: Mapping[str, Any]) -> Iterator[str]:
        groups: dict[str, list[str]] = {}
        for name, value in values.items():
            groups.setdefault(str(value), []).append(name)
        if len(groups) > 1:
            said = "; ".join(f"{value} ({', '.join(names)})" for value, names in groups.items())
            yield f"{what}: {said}."

    yield from differ(
        "The lists of clips differ, and only common clips are ranked. Clips listed",
        {
            name: f"{r['clips']['clips_listed']} with digest {r['clips']['list_digest'][:10]}"
            for name, r in results.items()
        },
    )
    for entry in ("source", "description"):
        yield from differ(
            f"The masks differ in their {entry}, so moving areas are not the same",
            {name: r["mask"].get(entry) for name, r in results.items()},
        )
    yield from differ(
        "Measures that not all results have are left out. Measures",
        {name: ", ".join(sorted(r["summary"])) for name, r in results.items()},
    )
    for extra in sorted({extra for r in results.values() for extra in r["extras"]}):
        own = {n: r["extras"][extra] for n, r in results.items() if extra in r["extras"]}
        yield from differ(
            f"Networks of {extra.upper()} differ, so its values do not compare",
            {
                name: ", ".join(f"{k} {v}" for k, v in entry.items() if k not in ("value", "clips"))
                for name, entry in own.items()
            },
        )
    entries = {name: dict(leaves(r["provenance"])) for name, r in results.items()}
    for path in sorted({path for own in entries.values() for path in own}):
        entry = path.rpartition(".")[2]
        if entry in _VERSIONS:
            yield from differ(
                f"Scored with different versions of {'the code' if entry == 'commit' else entry}",
                {
                    name: own.get(path) if entry != "commit" else str(own.get(path))[:10]
                    for name, own in entries.items()
                },
            )
