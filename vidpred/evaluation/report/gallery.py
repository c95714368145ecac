"""Pictures and videos of the clips worth looking at, small enough to stand inside the page."""

import base64
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from vidpred.errors import VideoError
from vidpred.evaluation.comparison import Comparison
from vidpred.evaluation.report.appearance import Appearance, appearances
from vidpred.evaluation.wording import group_of, metric_name, number
from vidpred.ops import to_unit
from vidpred.video import probe, read_clip, write_video
from vidpred.viz import comparison_strip, comparison_video

MEDIA_BUDGET = 9_000_000
"""Bytes of all pictures and videos as they stand in the page; plotly.js adds 5 MB."""

_STRIP_WIDTH = 160  # pixels of a frame
_VIDEO_WIDTH = 208
_WIDEST = 1500  # pixels of a whole strip; a page shows about 1100
_STRIP_CONTEXT = 2  # known frames that a strip shows; two tell the motion
_FPS = 5  # slower than life: a few frames are over before the eye has found the place
_QUALITY = 78  # JPEG


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


class ClipCard(TypedDict):
    """One clip.

    Attributes:
        clip: Its name.
        motion: In words; empty when not known.
        tags: Why it is shown.
        heads: Names of the measures.
        scores: By method.
        strip: Data URI of the picture; empty when there is none.
        strip_alt: What it shows.
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        video: Data URI; empty when there is none.
        absent: Why pictures are missing; empty when they are not.
    """

    clip: str
    motion: str
    tags: list[Tag]
    heads: list[str]
    scores: list[ClipScores]
    strip: str
    strip_alt: str
    width: int
    height: int
    video: str
    absent: str


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
        card = _card(comparison, clip)
        _add_pictures(card, comparison, room)
        room -= len(card["strip"]) + len(card["video"])
        cards[clip] = card
    progress(len(names), len(names))
    # On the page: by method and end, as the extremes are listed.
    return [cards[clip] for clip in dict.fromkeys(e["clip"] for e in comparison["extremes"])]


def _card(comparison: Comparison, clip: str) -> ClipCard:
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
    scores: list[ClipScores] = []
    for name, look in looks.items():
        value = point["values"][key][name]
        other = point["values"][key][baseline] if baseline else None
        gain = None if value is None or other is None else (value - other) * (1 if higher else -1)
        scores.append(
            {
                "name": name,
                "look": look,
                "cells": [number(point["values"][k][name], k) for k in keys],
                "gain": number(gain, key, signed=True),
            }
        )
    return {
        "clip": clip,
        "motion": "" if point["motion"] is None else f"{point['motion']:.1f} % motion",
        "tags": tags,
        "heads": [metric_name(k) for k in keys],
        "scores": scores,
        "strip": "",
        "strip_alt": "",
        "width": 0,
        "height": 0,
        "video": "",
        "absent": "",
    }


def _add_pictures(card: ClipCard, comparison: Comparison, room: int) -> None:
    horizon = int(comparison["protocol"]["clips"]["horizon"])
    try:
        frames = _frames(comparison, card["clip"], horizon)
    except VideoError as error:
        card["absent"] = f"Its pictures cannot be read: {error}"
        return
    if frames is None:
        card["absent"] = "The evaluation left no pictures of this clip."
        return
    truth, preds = frames
    past = len(truth) - horizon
    small = {name: _at_most(pred, _STRIP_WIDTH) for name, pred in preds.items()}
    known = _at_most(truth, _STRIP_WIDTH)
    seen = known[max(0, past - _STRIP_CONTEXT) : past] if past else None
    picture = comparison_strip(seen, known[past:], small)
    card["strip"], card["width"], card["height"] = _jpeg(picture)
    card["strip_alt"] = (
        f"Frames of {card['clip']}. First row: the truth, {min(past, _STRIP_CONTEXT)} known frames "
        f"and {horizon} that came. Rows below, predictions: {', '.join(preds)}."
    )
    large = _at_most(truth, _VIDEO_WIDTH)
    shown = {name: _at_most(pred, _VIDEO_WIDTH) for name, pred in preds.items()}
    card["video"] = _mp4(comparison_video(large[:past] if past else None, large[past:], shown))
    if len(card["strip"]) + len(card["video"]) > room:
        card["strip"] = card["video"] = ""
        card["absent"] = "Left without pictures to keep this page small."


def _frames(
    comparison: Comparison, clip: str, horizon: int
) -> tuple[Tensor, dict[str, Tensor]] | None:
    """Read the truth and all predictions of a clip that lie beside the result files."""
    truth: Tensor | None = None
    preds: dict[str, Tensor] = {}
    for name, entrant in comparison["entrants"].items():
        home = Path(entrant["file"]).parent / "clips" / clip
        if truth is None and (home / "truth.mp4").is_file():
            truth = _whole(home / "truth.mp4")
        if (home / f"{name}.mp4").is_file():
            preds[name] = _whole(home / f"{name}.mp4")
    if truth is None or len(truth) < horizon:
        return None
    fitting = {
        name: pred
        for name, pred in preds.items()
        if len(pred) == horizon and pred.shape[1:] == truth.shape[1:]
    }
    return (truth, fitting) if fitting else None


def _whole(path: Path) -> Tensor:
    """Read all frames, shape (T, 3, H, W) in [0, 1]."""
    return to_unit(read_clip(path, 0, probe(path).num_frames))


def _at_most(frames: Tensor, width: int) -> Tensor:
    """Reduce frames to a width; smaller ones stay."""
    if frames.shape[-1] <= width:
        return frames
    height = max(1, round(frames.shape[-2] * width / frames.shape[-1]))
    return F.interpolate(frames, (height, width), mode="bilinear", antialias=True).clamp(0, 1)


def _jpeg(picture: Tensor) -> tuple[str, int, int]:
    """Give a picture as a data URI, with its width and height."""
    image = Image.fromarray(picture.permute(1, 2, 0).numpy())
    if image.width > _WIDEST:
        image = image.resize((_WIDEST, round(image.height * _WIDEST / image.width)))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY)
    return _data_uri("image/jpeg", stream.getvalue()), image.width, image.height


def _mp4(frames: Tensor) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_video(path, frames, fps=_FPS)
        return _data_uri("video/mp4", path.read_bytes())


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
