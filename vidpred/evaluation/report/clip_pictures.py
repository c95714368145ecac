"""Pictures and videos of a clip, small enough for a page."""

import base64
import io
import tempfile
from pathlib import Path
from typing import TypedDict

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from vidpred.errors import VideoError
from vidpred.evaluation.compare.comparison import Comparison
from vidpred.evaluation.results.clip_videos import clip_video, futures_video
from vidpred.evaluation.results.result import TRUTH
from vidpred.ops import to_unit
from vidpred.video import probe, read_clip, write_video
from vidpred.viz import comparison_strip, comparison_video

_STRIP_WIDTH = 320
"""Pixels of a frame in a strip, at most: frames of UCF101 are shown as they were scored."""

_FAN_WIDTH = 96
"""Pixels of a frame in the picture of several futures, at most; there are many."""

_VIDEO_WIDTH = 208
_STRIP_CONTEXT = 2
"""Known frames that a strip shows; two show the motion."""

_FPS = 5  # slower than life: a few frames are over before the eye has found the place
_LARGEST_PNG = 400_000
"""Bytes; larger strips are JPEG, else a page of twenty clips would have 100 MB."""

_POSTER_QUALITY = 85
"""JPEG, of what is shown only until the video plays, which is compressed as well."""

_QUALITY = 95
"""JPEG, with the color of every pixel (4:4:4): PSNR above 40 dB to the frames that were scored."""


class FanPicture(TypedDict):
    """Some futures that a method drew of a clip, below each other.

    Attributes:
        method: Which.
        picture: Data URI.
        alt: What it shows.
        width: Of the picture, pixels.
        height: Of the picture, pixels.
    """

    method: str
    picture: str
    alt: str
    width: int
    height: int


class ClipPictures(TypedDict):
    """What can be seen of a clip.

    Attributes:
        strip: Data URI of the picture; empty when there is none.
        strip_alt: What it shows.
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        video: Data URI; empty when there is none.
        poster: Data URI of the video's first predicted frame, for before it plays.
        fans: Of methods that drew several futures.
        size: Bytes of all, as they are in the page.
        absent: Why they are missing; empty when they are not.
    """

    strip: str
    strip_alt: str
    width: int
    height: int
    video: str
    poster: str
    fans: list[FanPicture]
    size: int
    absent: str


def no_pictures(why: str) -> ClipPictures:
    """Say in a sentence why there are none."""
    return {
        "strip": "",
        "strip_alt": "",
        "width": 0,
        "height": 0,
        "video": "",
        "poster": "",
        "fans": [],
        "size": 0,
        "absent": why,
    }


def clip_pictures(comparison: Comparison, clip: str) -> ClipPictures:
    """Make a strip and a video of the truth and all predictions that an evaluation left.

    Args:
        comparison: Whose entrants' files say where to look; see
            `vidpred.evaluation.scoring.gallery`.
        clip: Name of the clip.

    Returns:
        The pictures, or why there are none; videos that are missing or do not fit are left out.
    """
    horizon = int(comparison["protocol"]["clips"]["horizon"])
    try:
        frames = _frames(comparison, clip, horizon)
    except VideoError as error:
        return no_pictures(f"Its pictures cannot be read: {error}")
    if frames is None:
        return no_pictures("The evaluation left no pictures of this clip.")
    truth, preds = frames
    past = len(truth) - horizon
    known = _at_most(truth, _STRIP_WIDTH)
    picture = comparison_strip(
        known[max(0, past - _STRIP_CONTEXT) : past] if past else None,
        known[past:],
        {name: _at_most(pred, _STRIP_WIDTH) for name, pred in preds.items()},
    )
    large = _at_most(truth, _VIDEO_WIDTH)
    shown = {name: _at_most(pred, _VIDEO_WIDTH) for name, pred in preds.items()}
    film = comparison_video(large[:past] if past else None, large[past:], shown)
    video, poster = _mp4(film), _jpeg(film[-horizon])
    strip, width, height = _still(picture)
    fans = _fans(comparison, clip, truth[past:])
    return {
        "strip": strip,
        "strip_alt": f"Frames of {clip}. First row: the truth, {min(past, _STRIP_CONTEXT)} known "
        f"frames and {horizon} that came. Rows below, predictions: {', '.join(preds)}.",
        "width": width,
        "height": height,
        "video": video,
        "poster": poster,
        "fans": fans,
        "size": len(strip) + len(video) + len(poster) + sum(len(fan["picture"]) for fan in fans),
        "absent": "",
    }


def _frames(
    comparison: Comparison, clip: str, horizon: int
) -> tuple[Tensor, dict[str, Tensor]] | None:
    """Read the truth and all predictions of a clip that lie next to the result files."""
    truth: Tensor | None = None
    preds: dict[str, Tensor] = {}
    for name, entrant in comparison["entrants"].items():
        file = Path(entrant["file"])
        if truth is None and (video := clip_video(file.parent, clip, TRUTH)):
            truth = _whole(video)
        # Named by the file, as the evaluation did; the method may have been renamed since.
        if video := clip_video(file.parent, clip, file.stem):
            preds[name] = _whole(video)
    if truth is None or len(truth) < horizon:
        return None
    fitting = {
        name: pred
        for name, pred in preds.items()
        if len(pred) == horizon and pred.shape[1:] == truth.shape[1:]
    }
    return (truth, fitting) if fitting else None


def _fans(comparison: Comparison, clip: str, target: Tensor) -> list[FanPicture]:
    """Draw the futures that lie next to the result files, a picture a method."""
    pictures: list[FanPicture] = []
    for name, entrant in comparison["entrants"].items():
        file = Path(entrant["file"])
        video = futures_video(file.parent, clip, file.stem)
        if video is None:
            continue
        frames = _whole(video)
        if frames.shape[1:] != target.shape[1:] or len(frames) % len(target):
            continue
        futures = torch.split(_at_most(frames, _FAN_WIDTH), len(target))
        rows = {f"future {k}": future for k, future in enumerate(futures, 1)}
        picture, width, height = _still(comparison_strip(None, _at_most(target, _FAN_WIDTH), rows))
        alt = f"Frames of {clip}. First row: the truth. Rows below: {len(rows)} futures of {name}."
        pictures.append(
            {"method": name, "picture": picture, "alt": alt, "width": width, "height": height}
        )
    return pictures


def _whole(path: Path) -> Tensor:
    """Read all frames, shape (T, 3, H, W) in [0, 1]."""
    return to_unit(read_clip(path, 0, probe(path).num_frames))


def _at_most(frames: Tensor, width: int) -> Tensor:
    """Reduce frames to a width; smaller ones stay."""
    if frames.shape[-1] <= width:
        return frames
    height = max(1, round(frames.shape[-2] * width / frames.shape[-1]))
    return F.interpolate(frames, (height, width), mode="bilinear", antialias=True).clamp(0, 1)


def _still(picture: Tensor) -> tuple[str, int, int]:
    """Give a picture as a data URI, with its width and height; without loss where it is small."""
    image = Image.fromarray(picture.permute(1, 2, 0).numpy())
    kind, stream = "image/png", io.BytesIO()
    image.save(stream, "PNG")
    if stream.tell() > _LARGEST_PNG:
        kind, stream = "image/jpeg", io.BytesIO()
        image.save(stream, "JPEG", quality=_QUALITY, subsampling=0)
    return _data_uri(kind, stream.getvalue()), image.width, image.height


def _jpeg(picture: Tensor) -> str:
    stream = io.BytesIO()
    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(stream, "JPEG", quality=_POSTER_QUALITY)
    return _data_uri("image/jpeg", stream.getvalue())


def _mp4(frames: Tensor) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_video(path, frames, fps=_FPS)
        return _data_uri("video/mp4", path.read_bytes())


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
