"""What a video is, without decoding it."""

from fractions import Fraction
from pathlib import Path

import av
from av.error import FFmpegError

from vidpred.errors import VideoError
from vidpred.video.container import decode, demux, open_video
from vidpred.video.folders import find_images
from vidpred.video.images import read_image
from vidpred.video.info import Clock, VideoInfo, pack
from vidpred.video.orientation import UPRIGHT, Orientation, orientation_of
from vidpred.video.packets import PacketFacts, decoding_times, display_times, look_into

# Where a display matrix can be: in these containers, or in messages of these codecs. Only frames
# show it, so one frame is decoded there.
_TURNING_CONTAINERS = ("mov", "matroska")
_TURNING_CODECS = ("h264", "hevc")


def probe(path: str | Path, *, count: bool = True) -> VideoInfo:
    """Read a video's packets once, without trusting its header.

    Nothing is decoded but, where a file can ask players to turn it, the first frame; and all of a
    file whose packets do not show how many pictures they become.

    Args:
        path: A video file, or a folder of PNG or JPEG frames.
        count: Whether to decode for an exact number of frames where that is necessary; without, it
            may be too high there.

    Raises:
        VideoError: When it is missing, empty or no video, or holds no frame.

    Example:
        >>> import tempfile
        >>> import torch
        >>> from vidpred.video import write_video
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_video(f"{folder}/a.avi", torch.zeros(5, 3, 32, 48, dtype=torch.uint8))
        ...     info = probe(f"{folder}/a.avi")
        >>> info.num_frames, info.height, info.width
        (5, 32, 48)
    """
    path = Path(path)
    if path.is_dir():
        return _probe_images(path)
    with open_video(path) as (container, stream):
        context = stream.codec_context
        codec, name = context.name, container.format.name
        ask = look_into(codec)
        facts, whole = PacketFacts(), True
        turned: Orientation | None = None
        if not (codec in _TURNING_CODECS or name.startswith(_TURNING_CONTAINERS)):
            turned = UPRIGHT
        for packet in demux(container, stream):
            if packet.is_corrupt:
                whole = False
            elif packet.size:
                facts.add(packet, ask)
            if turned is None:
                turned = _first_orientation(packet)
        turned = turned or UPRIGHT
        height, width, fps = context.height, context.width, stream.average_rate
        pixel_format, claimed = context.pix_fmt or "", stream.frames
        pts = display_times(
            facts,
            container=name,
            codec=codec,
            field_order=context.field_order,
            has_b_frames=context.has_b_frames,
        )
        later = decoding_times(facts, container=name, field_order=context.field_order)
    if not facts.pts or height < 1 or width < 1:
        raise VideoError(path, "it holds no whole frame; it is damaged or was cut, fetch it again")
    keys = facts.keys
    clock: Clock = "pts"
    if not whole:
        pts = None
    elif later is not None:
        # Where the others are shown is not known, and encoders that pack write hardly any.
        pts, clock, keys = later, "dts", keys[:1]
    elif pts is not None:
        place = {stamp: index for index, stamp in enumerate(pts)}
        shown = (place.get(facts.pts[key] or 0) for key in keys if key not in facts.hidden)
        keys = sorted(index for index in shown if index is not None)
    num_frames = len(facts.pts) - facts.unshown - len(facts.hidden) if pts is None else len(pts)
    if pts is None and count:
        num_frames = _count_shown(path, num_frames, packets=len(facts.pts))
    if turned.transposed:
        height, width = width, height
    return VideoInfo(
        path=path,
        num_frames=max(1, num_frames),
        height=height,
        width=width,
        fps=Fraction(fps) if fps else None,
        codec=codec,
        pixel_format=pixel_format,
        rotation=turned.rotation,
        mirrored=turned.mirrored,
        header_frames=claimed or None,
        packed_keys=pack(keys),
        packed_pts=None if pts is None else pack(pts),
        clock=clock,
    )


def _count_shown(path: Path, at_most: int, *, packets: int) -> int:
    """Count the frames of a video by decoding it; `at_most` for one that breaks off on the way.

    Raises:
        VideoError: When not one frame is shown.
    """
    try:
        shown = count_frames(path)
    except VideoError:  # damage in the middle, which whoever reads there will meet
        return at_most
    if not shown:
        raise VideoError(
            path,
            f"none of its {packets} packets becomes a picture; it is damaged, or lacks the key "
            "frame that they depend on, fetch it again",
        )
    return shown


def _first_orientation(packet: "av.Packet[av.VideoStream]") -> Orientation | None:
    """Decode on to the first frame; what cannot be decoded is upright, and reading will say so."""
    try:
        frames = packet.decode()
    except FFmpegError:
        return UPRIGHT
    return orientation_of(frames[0]) if frames else None


def _probe_images(folder: Path) -> VideoInfo:
    files = find_images(folder)
    height, width, channels = read_image(files[0]).shape
    return VideoInfo(
        path=folder,
        num_frames=len(files),
        height=height,
        width=width,
        fps=None,
        codec="images",
        pixel_format="rgb24" if channels == 3 else "gray",
        packed_keys=pack(range(len(files))),
    )


def count_frames(path: str | Path) -> int:
    """Count the frames that decoding gives, converting none.

    Args:
        path: A video file, or a folder of frames.

    Returns:
        At least 0. `probe(path).num_frames` says the same, of most files without decoding them.

    Raises:
        VideoError: When it is missing, empty, damaged or no video.
    """
    path = Path(path)
    if path.is_dir():
        return len(find_images(path))
    with open_video(path) as (container, stream):
        return sum(1 for _ in decode(container, stream))
