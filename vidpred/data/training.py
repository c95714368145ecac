"""Random patches of random clips, as a stream whose every position is fixed by the seed."""

import logging
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from vidpred.data.catalog import ClipSample, Video
from vidpred.data.patches import choose_patches
from vidpred.errors import DataError, VideoError
from vidpred.video import VideoInfo, probe, read_clip_array

logger = logging.getLogger(__name__)

RANDOM_DRAWS = 100
"""Videos that are drawn at random for one position before every video is tried in turn."""


class TrainingClips(Dataset[ClipSample]):
    """Patches with motion, from a uniform class, a uniform video of it and a uniform start.

    Source of the sampling: Mathieu et al. 2016, released code, on UCF101.

    Item `position` depends on the seed and the position alone, not on the worker that reads it nor
    on what was read before. Any position at or above 0 can be asked for. A video that cannot be
    read, is shorter than a clip or smaller than a patch is named once in the log, and another one
    is drawn.

    Args:
        videos: What to draw from.
        context_frames: Frames before the first target; motion is judged on the last two.
        horizon: Frames after them.
        patch_size: Height and width of a patch, in pixels.
        motion_threshold: See `choose_patches`.
        patches_per_clip: P, patches that are cut from each clip.
        frame_step: Distance between two frames of a clip.
        seed: Of the whole stream.
    """

    def __init__(
        self,
        videos: Sequence[Video],
        *,
        context_frames: int,
        horizon: int,
        patch_size: int,
        motion_threshold: float,
        patches_per_clip: int,
        frame_step: int,
        seed: int,
    ) -> None:
        self.videos = sorted(videos, key=lambda video: video.video_id)
        self.context_frames = context_frames
        self.length = context_frames + horizon
        self.patch_size = patch_size
        self.motion_threshold = motion_threshold
        self.patches_per_clip = patches_per_clip
        self.frame_step = frame_step
        self.seed = seed
        labels = sorted({video.label for video in self.videos})
        self._classes = [
            [index for index, video in enumerate(self.videos) if video.label == label]
            for label in labels
        ]
        # What a video is does not change, so remembering it cannot make a draw depend on the past.
        self._probed: dict[int, VideoInfo | VideoError] = {}
        # In shared memory, so that several workers name a video once.
        self._named = torch.zeros(len(self.videos), dtype=torch.uint8)
        self._named.share_memory_()  # type: ignore[no-untyped-call] # torch

    def __getitem__(self, position: int) -> ClipSample:
        """Draw the clip at a position of the stream.

        Raises:
            DataError: When not one of the videos can be used.
        """
        rng = np.random.default_rng((self.seed, position))
        problems: dict[int, VideoError] = {}
        for index in self._candidates(rng):
            try:
                start, clip = self._read(index, rng)
            except VideoError as error:
                self._name(index, error)
                problems[index] = error
            else:
                frames, accepted = self._cut(clip, rng)
                return ClipSample(
                    frames=frames,
                    video_id=self.videos[index].video_id,
                    start=start,
                    accepted=accepted,
                )
        first = "\n  ".join(str(error) for error in list(problems.values())[:3])
        raise DataError(
            f"none of the {len(self.videos)} training videos can be used; "
            f"the first problems:\n  {first}"
        )

    def _candidates(self, rng: np.random.Generator) -> Iterator[int]:
        for _ in range(RANDOM_DRAWS):
            members = self._classes[rng.integers(len(self._classes))]
            yield members[rng.integers(len(members))]
        yield from range(len(self.videos))

    def _read(self, index: int, rng: np.random.Generator) -> tuple[int, npt.NDArray[np.uint8]]:
        info = self._probe(index)
        span = (self.length - 1) * self.frame_step + 1
        if info.num_frames < span:
            raise VideoError(
                info.path, f"it has {info.num_frames} frames; a clip of this training takes {span}"
            )
        if min(info.height, info.width) < self.patch_size:
            raise VideoError(
                info.path,
                f"its frames are {info.height} x {info.width}, smaller than the patches "
                f"({self.patch_size} x {self.patch_size})",
            )
        start = int(rng.integers(info.num_frames - span + 1))
        return start, read_clip_array(info.path, start, self.length, self.frame_step)

    def _probe(self, index: int) -> VideoInfo:
        if index not in self._probed:
            try:
                self._probed[index] = probe(self.videos[index].path)
            except VideoError as error:
                self._probed[index] = error.with_traceback(None)
        found = self._probed[index]
        if isinstance(found, VideoError):
            raise found
        return found

    def _cut(
        self, clip: npt.NDArray[np.uint8], rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        last = self.context_frames - 1
        corners = choose_patches(
            # One context frame shows no motion: the first target then stands in for the second.
            clip[max(last - 1, 0)],
            clip[max(last, 1)],
            size=self.patch_size,
            count=self.patches_per_clip,
            threshold=self.motion_threshold,
            rng=rng,
        )
        size = self.patch_size
        patches = np.stack([clip[:, y : y + size, x : x + size] for y, x, _ in corners])
        frames = torch.from_numpy(patches).permute(0, 1, 4, 2, 3).contiguous()
        return frames, torch.tensor([corner.accepted for corner in corners])

    def _name(self, index: int, error: VideoError) -> None:
        if not self._named[index]:
            self._named[index] = 1
            logger.warning("left out of this draw, another video is taken: %s", error)
