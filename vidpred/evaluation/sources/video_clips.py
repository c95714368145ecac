"""The clips that a protocol cuts from a data set's videos."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor

from vidpred.data.catalog import Video
from vidpred.errors import AccessError, DataError, VideoError
from vidpred.evaluation.clips import ClipSource, EvaluationClip, Loaded, Unit
from vidpred.evaluation.fingerprints import fingerprint_of
from vidpred.evaluation.protocol import FrameFormat, Protocol
from vidpred.files import expand_home
from vidpred.ops import to_unit
from vidpred.ops.frame_format import resize_frames, to_gray
from vidpred.video.conditions import clip_conditions, conditions_path


class VideoClips(ClipSource):
    """Clips of the videos that a protocol selects below a root.

    A video is decoded once, whatever the number of clips and of methods.

    Args:
        protocol: Says which videos and frames, in which format, and which pixels move.
        root: Folder of the data set.
        with_masks: Whether to find out which pixels move.

    Raises:
        DataError: When the data set is not there, or none of the videos is.
    """

    def __init__(self, protocol: Protocol, root: str | Path, *, with_masks: bool = True) -> None:
        self.protocol = protocol
        self._motion_mask = protocol.mask if with_masks else None
        listing = protocol.videos.select(expand_home(root))
        if not listing.videos and not listing.missing:
            raise DataError(
                f"{root}: none of its videos is a test video of protocol {protocol.name}; expected "
                "more videos, or one that says which are: a copy of the protocol's file with "
                "videos.test_list, or with vidpred.evaluation.FolderVideos, which takes all of them"
            )
        if not listing.videos:
            raise DataError(
                f"{root}: none of the {len(listing.missing)} videos of protocol {protocol.name} is "
                f"there; the first is {listing.missing[0]}. The protocols mathieu2016-subset and "
                "clean-subset take whatever part of UCF101's test list is there"
            )
        self.missing = [_video_id(row) for row in listing.missing]
        self._videos = listing.videos
        videos = [*(video.video_id for video in listing.videos), *self.missing]
        _require_own_names(listing.videos)
        self._paths = {
            clip_name(video.video_id, start): video.path
            for video in listing.videos
            for start in self._starts()
        }
        self.names = [clip_name(video, start) for video in videos for start in self._starts()]
        self.videos_listed = len(videos)
        self.videos_expected = protocol.videos.expected
        if self._motion_mask is None:
            self.mask = {"source": "none", "description": None}
        else:
            self.mask = {"source": "computed", "description": self._motion_mask.describe()}

    def units(self) -> Iterator[Unit]:
        """Yield a unit for each video on the disk."""
        for video in self._videos:
            names = tuple(clip_name(video.video_id, start) for start in self._starts())
            yield Unit(names, partial(self._read, video))

    def fingerprint(self, clip: str) -> str:
        """Identify a video and its conditions, and their state."""
        path = self._paths.get(clip)
        return "" if path is None else fingerprint_of([path, conditions_path(path)])

    def _starts(self) -> list[int]:
        return sorted(self.protocol.clips.starts)

    def _read(self, video: Video) -> Loaded:
        cut = self.protocol.clips
        starts = self._starts()
        # The clips of a video overlap or lie near each other: read once what spans them all.
        span = starts[-1] - starts[0] + (cut.length - 1) * cut.frame_step + 1
        try:
            frames = self.protocol.videos.read(video, starts[0], span)
        except AccessError:
            raise
        except VideoError:
            return self._read_apart(video)
        loaded: Loaded = {}
        for start in starts:
            first = start - starts[0]
            chosen = frames[first :: cut.frame_step][: cut.length]
            try:
                loaded[clip_name(video.video_id, start)] = self._clip(video, start, chosen)
            except VideoError as error:
                loaded[clip_name(video.video_id, start)] = error
        return loaded

    def _read_apart(self, video: Video) -> Loaded:
        """Read what a short or damaged video still gives."""
        cut = self.protocol.clips
        loaded: Loaded = {}
        for start in self._starts():
            name = clip_name(video.video_id, start)
            try:
                frames = self.protocol.videos.read(video, start, cut.length, cut.frame_step)
                loaded[name] = self._clip(video, start, frames)
            except AccessError:
                raise
            except VideoError as error:
                loaded[name] = error
        return loaded

    def _clip(self, video: Video, start: int, frames: Tensor) -> EvaluationClip:
        cut = self.protocol.clips
        try:
            shown = bring_to_format(to_unit(frames), self.protocol.frames)
        except ValueError as error:
            raise VideoError(video.path, str(error)) from error
        mask = self._motion_mask
        return EvaluationClip(
            name=clip_name(video.video_id, start),
            video=video.video_id,
            start=start,
            context=shown[: cut.context_frames],
            target=shown[cut.context_frames :],
            mask=None if mask is None else mask(shown[None], cut.horizon)[0],
            condition=clip_conditions(video.path, video.begin + start, cut.length, cut.frame_step)
            or None,
        )


def clip_name(video_id: str, start: int) -> str:
    """Name a clip so that the name can be a file's: "v_YoYo_g01_c01+00008".

    The class folder is left out: the names of UCF101's files are unique. In other data sets,
    folders are kept.
    """
    folder, _, name = video_id.rpartition("/")
    kept = name if name.lower().startswith(f"v_{folder}_".lower()) else video_id.replace("/", "__")
    return f"{kept}+{start:05d}"


def _require_own_names(videos: Sequence[Video]) -> None:
    named: dict[str, Video] = {}
    for video in videos:
        name = clip_name(video.video_id, 0).rpartition("+")[0]
        other = named.setdefault(name, video)
        if other is not video:
            raise DataError(
                f"{other.path} and {video.path}: clips of both would be named {name}; expected "
                "videos of different names: rename one of them, or move it out of the folder"
            )


def bring_to_format(frames: Tensor, wanted: FrameFormat) -> Tensor:
    """Bring frames to a protocol's size and colors.

    Args:
        frames: RGB or gray, shape (T, C, H, W), float in [0, 1].
        wanted: Size, fit and color.

    Returns:
        Shape (T, C, H', W'), same range; the frames themselves where nothing differs.

    Raises:
        ValueError: When frames are too small to be cropped.
    """
    if wanted.height is not None and wanted.width is not None:
        size = [int(wanted.height), int(wanted.width)]
        if list(frames.shape[-2:]) != size:
            frames = _fit(frames, size, wanted)
    if wanted.color == "gray":
        return to_gray(frames)
    return frames if frames.shape[1] == 3 else frames.repeat(1, 3, 1, 1)


def _fit(frames: Tensor, size: list[int], wanted: FrameFormat) -> Tensor:
    height, width = frames.shape[-2:]
    if wanted.fit == "center_crop":
        if height < size[0] or width < size[1]:
            raise ValueError(
                f"frames of {height} x {width} cannot be cropped to {size[0]} x {size[1]}; "
                "use fit: resize, or larger videos"
            )
        from torchvision.transforms.v2 import functional as TF  # here: it takes seconds

        cropped: Tensor = TF.center_crop(frames, size)
        return cropped
    return resize_frames(frames, size)


def _video_id(row: str) -> str:
    return row.rsplit(".", 1)[0]
