"""The first frames of each video, whole."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor
from torch.utils.data import Dataset

from vidpred.data.catalog import ClipSample, Split, Video
from vidpred.errors import DataError, VideoError, VidpredError
from vidpred.ops.frame_format import reformat_uint8
from vidpred.video import check_clip, read_clip
from vidpred.video.conditions import clip_conditions

NAMED_PROBLEMS = 3
"""Videos that a warning names before it only counts."""


class EvaluationClips(Dataset[ClipSample]):
    """The first `length` frames of each video, whole, in the order given, with their conditions.

    Args:
        videos: Videos that have these frames, see `readable_videos`.
        length: context_frames + eval_horizon.
        frame_step: Distance between two frames of a clip.
        resize: Height and width to which frames are resized; None keeps their size.
        gray: Whether frames are gray.
    """

    def __init__(
        self,
        videos: Sequence[Video],
        *,
        length: int,
        frame_step: int,
        resize: tuple[int, int] | None = None,
        gray: bool = False,
    ) -> None:
        self.videos = list(videos)
        self.length = length
        self.frame_step = frame_step
        self.resize = resize
        self.gray = gray

    def __len__(self) -> int:
        """Number of videos."""
        return len(self.videos)

    def __getitem__(self, index: int) -> ClipSample:
        """Read one video's clip, frames of shape (1, T, C, H, W)."""
        video = self.videos[index]
        start = video.require_frames(0, self.length, self.frame_step)
        frames = read_clip(video.path, start, self.length, self.frame_step)
        conditions = clip_conditions(video.path, start, self.length, self.frame_step)
        return evaluation_sample(
            reformat_uint8(frames, size=self.resize, gray=self.gray),
            video.video_id,
            conditions,
            start=start,
        )

    def __getitems__(self, indices: Sequence[int]) -> "list[ClipSample] | VidpredError":
        """Read several clips, for loaders: an error travels as a value, see `ClipLoader`."""
        try:
            return [self[index] for index in indices]
        except VidpredError as error:
            return error


def evaluation_sample(
    frames: Tensor,
    video_id: str,
    conditions: Mapping[str, Tensor] | None = None,
    *,
    start: int = 0,
) -> ClipSample:
    """Give a whole clip as a draw of one.

    Args:
        frames: uint8, shape (T, C, H, W), from the beginning of its video.
        video_id: Name of the video.
        conditions: By name, shape (T, ...).
        start: Index of the first frame in its file.
    """
    sample = ClipSample(
        frames=frames[None],
        video_id=video_id,
        start=torch.tensor([start]),
        accepted=torch.ones(1, dtype=torch.bool),
    )
    if conditions:
        sample["condition"] = {name: values[None] for name, values in conditions.items()}
    return sample


def readable_videos(
    videos: Sequence[Video], *, length: int, frame_step: int, split: Split, one_size: bool
) -> list[Video]:
    """Leave out the videos whose evaluation clip cannot be read, with one warning.

    The very frames that evaluation will read are decoded, so a damaged video is found before the
    run and not in its middle. It takes about 4 ms a video of 320 x 240 pixels.

    Args:
        videos: Candidates.
        length: Frames of a clip.
        frame_step: Distance between two of them.
        split: For the messages.
        one_size: Whether the frames of all videos must have one size, as in batches of several.

    Returns:
        The readable videos in the order given.

    Raises:
        DataError: When none is left, or sizes differ that must not.
    """

    def examine(video: Video) -> VideoError | tuple[int, int]:
        try:
            start = video.require_frames(0, length, frame_step)
            clip_conditions(video.path, start, length, frame_step)
            return check_clip(video.path, start, length, frame_step)
        except VideoError as error:
            return error

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        found = list(pool.map(examine, videos))
    problems = [error for error in found if isinstance(error, VideoError)]
    if problems:
        first = "\n  ".join(str(error) for error in problems[:NAMED_PROBLEMS])
        message = f"{len(problems)} of {len(videos)} {split} videos cannot be used"
        if len(problems) == len(videos):
            raise DataError(f"{message}; none is left. The first problems:\n  {first}")
        rank_zero_warn(f"{message} and are left out; the first:\n  {first}")
    readable = {
        video: size
        for video, size in zip(videos, found, strict=True)
        if not isinstance(size, VideoError)
    }
    sizes = sorted({f"{height} x {width}" for height, width in readable.values()})
    if one_size and len(sizes) > 1:
        raise DataError(
            f"the {split} videos have frames of {len(sizes)} sizes ({', '.join(sizes[:3])} ...), "
            "which make no batch of several; set eval_batch_size to 1, or data.resize"
        )
    return list(readable)
