"""Comparisons in words: names of measures, numbers, and what the numbers say."""

from collections.abc import Sequence

from vidpred.evaluation.compare.bootstrap import Interval
from vidpred.evaluation.compare.common_clips import describe_measure
from vidpred.evaluation.compare.comparison import Comparison
from vidpred.evaluation.compare.measure_table import MeasureTable
from vidpred.evaluation.compare.whole_frame import (
    behind_in_whole_frame,
    ruined,
    whole_frame_measure,
)
from vidpred.metrics.registry import AREA_NAMES, convention_name, metric_info

_SPELLED_OUT = 4  # counts of frames; more are given by their range


def metric_name(key: str) -> str:
    """Name a measure in a column head, such as "PSNR"."""
    return metric_info(describe_measure(key)["metric"]).label


def area_name(area: str) -> str:
    """Name an area, such as "moving area"."""
    return AREA_NAMES.get(area, area)


def variant_name(variant: str) -> str:
    """Name a convention, such as "mean over moving pixels"."""
    return convention_name(variant)


def number(value: float | None, key: str, *, signed: bool = False) -> str:
    """Write a score: two decimals for decibels, three for what is small; a true minus."""
    if value is None:
        return "\N{EN DASH}"
    digits = metric_info(describe_measure(key)["metric"]).digits
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "\N{MINUS SIGN}")


def interval(bounds: Interval | None, key: str, *, signed: bool = False) -> str:
    """Write an interval such as "[20.10, 21.32]"; empty for None."""
    if bounds is None:
        return ""
    return "[" + ", ".join(number(bound, key, signed=signed) for bound in bounds) + "]"


def clips_by_frame(counts: Sequence[int]) -> str:
    """Say how many clips count, once when frames agree."""
    if len(set(counts)) <= 1:
        count = counts[0] if counts else 0
        return f"{count} {'clip' if count == 1 else 'clips'}"
    if len(counts) > _SPELLED_OUT:
        return f"{min(counts)} to {max(counts)} clips, by frame"
    return " / ".join(map(str, counts)) + " clips, by frame"


def groups(comparison: Comparison) -> list[list[str]]:
    """Sort measures into tables: of one area, by one convention.

    Metrics with a convention of their own (LPIPS by its network) join the first table of their
    area.

    Returns:
        Keys, group by group, each in the comparison's order.
    """
    found: dict[tuple[str, str], list[str]] = {}
    guests: dict[str, list[str]] = {}
    for key, table in comparison["measures"].items():
        if metric_info(table["metric"]).variants:
            found.setdefault((table["area"], table["variant"]), []).append(key)
        else:
            guests.setdefault(table["area"], []).append(key)
    for area, keys in guests.items():
        host = next((group for place, group in found.items() if place[0] == area), None)
        if host is None:
            found[area, ""] = keys
        else:
            host.extend(keys)
    return list(found.values())


def group_of(comparison: Comparison, key: str) -> list[str]:
    """Give the group that a measure is in."""
    return next(group for group in groups(comparison) if key in group)


def verdict(comparison: Comparison, key: str | None = None) -> list[str]:
    """Say what the numbers say.

    Args:
        comparison: The numbers.
        key: By which measure; by default the one that ranks.

    Returns:
        Plain sentences: who is best, who is not significantly different, who beats copying the last
        frame;
        for the moving area, how the same methods rank in the whole frame.
    """
    key = key or comparison["measure"]
    table = comparison["measures"][key]
    ranked = [name for name in table["ranking"] if table["scores"][name]["mean"] is not None]
    what = f"{metric_name(key)} ({area_name(table['area'])})"
    if not ranked:
        whole = whole_frame_measure(list(comparison["measures"]), key)
        rank_by = f" Whole frames: vidpred compare --measure {whole}." if whole else ""
        empty = [f"t+{t}" for t, count in enumerate(table["clips"], 1) if not count]
        if len(empty) < len(table["clips"]):
            what += f" at {_and(empty)}" if empty else ""
        return [f"No clip counts for {what}, so nothing is ranked.{rank_by}"]
    best, *others = ranked
    score = table["scores"][best]
    unit = f" {table['unit']}" if table["unit"] else ""
    if not others:
        return [
            f"{best} reaches {number(score['mean'], key)}{unit} in {what}; nothing else is here."
        ]
    sentences = [
        f"{best} is best in {what}: {number(score['mean'], key)}{unit}"
        f"{_gain(comparison, best, key)}."
    ]
    ties = [name for name in others if table["scores"][name]["as_good_as_best"]]
    if any(table["scores"][name]["lead_interval"] is None for name in others):
        sentences.append("The clips are too few to say how sure that is.")
    elif ties:
        verb = "is" if len(ties) == 1 else "are"
        sentences.append(
            f"{_and(ties)} {verb} not significantly different from it with {table['videos']} "
            "videos (95 %)."
        )
    else:
        sentences.append("Every other method is significantly worse (95 %).")
    return [*sentences, *_against_copying(comparison, table, ranked), *_whole(comparison, key)]


def _signed_gain(comparison: Comparison, key: str, name: str) -> str:
    table = comparison["measures"][key]
    score = table["scores"][name]
    parts = (
        number(score["gain"], key, signed=True),
        table["unit"],
        interval(score["gain_interval"], key, signed=True),
    )
    return " ".join(filter(None, parts))


def _whole(comparison: Comparison, key: str) -> list[str]:
    """Rank in the whole frame what was ranked in the moving area."""
    whole = whole_frame_measure(list(comparison["measures"]), key)
    if whole is None:
        return []
    table = comparison["measures"][whole]
    ranked = [
        f"{name} {number(score['mean'], whole)}"
        for name, score in table["scores"].items()
        if score["mean"] is not None
    ]
    if len(ranked) < 2:
        return []
    unit = f" {table['unit']}" if table["unit"] else ""
    return [f"In the whole frame, {metric_name(whole)}, best first: {', '.join(ranked)}{unit}."]


def ruins(comparison: Comparison) -> list[str]:
    """Warn of methods that are ahead in the moving area and behind in the whole frame."""
    key = comparison["measure"]
    whole = whole_frame_measure(list(comparison["measures"]), key)
    if whole is None:
        return []
    tables, baseline = comparison["measures"], comparison["baseline"]
    badly = ruined(tables, key, baseline)
    sentences = []
    for name in behind_in_whole_frame(tables, key, baseline):
        gains = (f"{metric_name(k)} {_signed_gain(comparison, k, name)}" for k in (key, whole))
        moving, frame = gains
        verdict_of_frame = "ruins the whole frame" if name in badly else "harms what does not move"
        sentences.append(
            f"{name} {verdict_of_frame}: in the moving area it is ahead of copying the last "
            f"frame ({moving}), in the whole frame behind it ({frame})."
        )
    return sentences


def _gain(comparison: Comparison, name: str, key: str) -> str:
    score = comparison["measures"][key]["scores"][name]
    if name == comparison["baseline"] or score["gain"] is None:
        return ""
    unit = comparison["measures"][key]["unit"]
    size = number(abs(score["gain"]), key) + (f" {unit}" if unit else "")
    side = "better" if score["gain"] >= 0 else "worse"
    bounds = score["gain_interval"]
    sure = (
        f" (95 % interval of the gain: {number(bounds[0], key, signed=True)} to "
        f"{number(bounds[1], key, signed=True)})"
        if bounds
        else ""
    )
    return f", {size} {side} than copying the last frame{sure}"


def _against_copying(
    comparison: Comparison, table: MeasureTable, ranked: Sequence[str]
) -> list[str]:
    baseline = comparison["baseline"]
    if baseline is None:
        return ["Copying the last frame is not among the methods, so gains over it are not known."]
    if table["scores"][baseline]["mean"] is None or table["videos"] < 2:
        return []
    sides: dict[str, list[str]] = {"better": [], "not significantly different": [], "worse": []}
    for name in ranked:
        bounds = table["scores"][name]["gain_interval"]
        if name != baseline and bounds is not None:
            side = "better" if bounds[0] > 0 else "worse" if bounds[1] < 0 else None
            sides[side or "not significantly different"].append(name)
    said = [f"{side}: {_and(names)}" for side, names in sides.items() if names]
    return [f"Against copying the last frame (95 %), {'; '.join(said)}."] if said else []


def distances(comparison: Comparison) -> list[str]:
    """Say what was measured of all clips together and so has no interval: FVD."""
    found = {
        name: entrant["extras"]["fvd"]
        for name, entrant in comparison["entrants"].items()
        if entrant["extras"].get("fvd", {}).get("value") is not None
    }
    if not found:
        return []
    said = ", ".join(
        f"{name} {fvd['value']:.1f} ({fvd['clips']} clips)"
        for name, fvd in sorted(found.items(), key=lambda pair: float(pair[1]["value"]))
    )
    return [f"Fréchet video distance, lower is better, each on its own clips: {said}."]


def footnotes(comparison: Comparison, keys: Sequence[str]) -> list[str]:
    """Say why cells of a table are empty.

    Args:
        comparison: The numbers.
        keys: Of the table's measures.
    """
    without = {name for key in keys for name in comparison["measures"][key]["lacking"]}
    if not without:
        return []
    named = _and([name for name in comparison["entrants"] if name in without])
    return [
        f"\N{EN DASH}: no likelihood is defined for {named}. NLL is the negative log-likelihood of "
        "the true frames."
    ]


def coverage(comparison: Comparison) -> str:
    """Say on how much was ranked, such as "97 of 379 videos, 55 and 60 clips"."""
    counts = [entrant["clips"] for entrant in comparison["entrants"].values()]
    scored = min(count["videos_scored"] for count in counts)
    expected = max(count["videos_expected"] or count["videos_listed"] for count in counts)
    clips = len(comparison["points"])
    return f"{scored} of {expected} videos, {clips} {'clip' if clips == 1 else 'clips'}"


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
