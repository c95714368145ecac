"""The clips worth looking at: why, with which scores, and their pictures."""

from collections.abc import Callable
from typing import TypedDict

from vidpred.evaluation.compare.comparison import Comparison
from vidpred.evaluation.compare.wording import group_of, metric_name, number
from vidpred.evaluation.report.appearance import Appearance, appearances
from vidpred.evaluation.report.clip_pictures import ClipPictures, clip_pictures, no_pictures

MEDIA_BUDGET = 24_000_000
"""Bytes of all pictures and videos in the page; plotly.js adds 5 MB.

A strip of four methods and eight predicted frames of UCF101 (240 x 320) takes about 2 MB, so that
about a dozen clips are shown; frames half as high take a quarter."""


class Tag(TypedDict):
    """Why a clip is shown.

    Attributes:
        method: Whose clip.
        look: Its look.
        end: "best" or "worst".
        place: 1 for the very best or worst.
        words: Such as "best clip of l2: +3.21 dB over copy last".
    """

    method: str
    look: Appearance
    end: str
    place: int
    words: str


class ClipScores(TypedDict):
    """A method's scores on one clip.

    Attributes:
        name: The method.
        look: Its look.
        cells: Scores by measure.
        gain: Over the baseline, by the ranking measure.
    """

    name: str
    look: Appearance
    cells: list[str]
    gain: str


class ClipWords(TypedDict):
    """What is said of one clip.

    Attributes:
        clip: Its name.
        motion: In words; empty when not known.
        frames: At which frames the scores are taken; empty for all.
        tags: Why it is shown.
        heads: Names of the measures.
        scores: By method.
    """

    clip: str
    motion: str
    frames: str
    tags: list[Tag]
    heads: list[str]
    scores: list[ClipScores]


class ClipCard(ClipWords):
    """One clip.

    Attributes:
        pictures: What can be seen of it.
    """

    pictures: ClipPictures


def clip_cards(
    comparison: Comparison, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> list[ClipCard]:
    """Make a card of every best or worst clip, each clip once.

    Args:
        comparison: What `compare` gave.
        progress: Called with clips done and in all.

    Returns:
        Cards; the very best and worst come first, so that they get pictures while room lasts.
    """
    found = sorted(comparison["extremes"], key=lambda extreme: extreme["place"])
    names = list(dict.fromkeys(extreme["clip"] for extreme in found))
    room = MEDIA_BUDGET
    cards: dict[str, ClipCard] = {}
    for done, clip in enumerate(names):
        progress(done, len(names))
        pictures = clip_pictures(comparison, clip)
        if pictures["size"] > room:
            pictures = no_pictures("Left without pictures to keep this page small.")
        room -= pictures["size"]
        cards[clip] = {**_words(comparison, clip), "pictures": pictures}
    progress(len(names), len(names))
    # On the page: by method and end, as the extremes are listed.
    return [cards[clip] for clip in dict.fromkeys(e["clip"] for e in comparison["extremes"])]


def _words(comparison: Comparison, clip: str) -> ClipWords:
    key, looks = comparison["measure"], appearances(comparison)
    point = next(point for point in comparison["points"] if point["clip"] == clip)
    keys = sorted(group_of(comparison, key), key=lambda other: other != key)
    higher, baseline = comparison["measures"][key]["higher_is_better"], comparison["baseline"]
    unit = comparison["measures"][key]["unit"]
    tags: list[Tag] = []
    for extreme in comparison["extremes"]:
        if extreme["clip"] != clip:
            continue
        amount = number(extreme["amount"], key, signed=extreme["by"] == "gain")
        over = " over copy last" if extreme["by"] == "gain" else ""
        tags.append(
            {
                "method": extreme["method"],
                "look": looks[extreme["method"]],
                "end": extreme["end"],
                "place": extreme["place"],
                "words": " ".join(filter(None, (amount, unit))) + over,
            }
        )
    first = next(extreme for extreme in comparison["extremes"] if extreme["clip"] == clip)
    raw, frames = first["scores"], [f"t+{frame + 1}" for frame in first["frames"]]
    scores: list[ClipScores] = []
    for name, look in looks.items():
        value = raw[key][name]
        other = raw[key][baseline] if baseline else None
        gain = None if value is None or other is None else (value - other) * (1 if higher else -1)
        scores.append(
            {
                "name": name,
                "look": look,
                "cells": [number(raw[k][name], k) for k in keys],
                "gain": number(gain, key, signed=True),
            }
        )
    return {
        "clip": clip,
        "frames": ""
        if len(frames) == len(comparison["measures"][key]["clips"])
        else f"scores at {', '.join(frames)}",
        "motion": "" if point["motion"] is None else f"{point['motion']:.1f} % motion",
        "tags": tags,
        "heads": [metric_name(k) for k in keys],
        "scores": scores,
    }
