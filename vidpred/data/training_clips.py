"""Random patches of random clips, as a stream whose every position is fixed by the seed."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from vidpred.data.catalog import ClipSample, Video
from vidpred.data.clip_format import CuttableClip, Size, in_format
from vidpred.data.index.video_index import VideoIndex
from vidpred.data.patches import choose_patches
from vidpred.data.video_draws import VideoDraws
from vidpred.errors import AccessError, DataError, VideoError
from vidpred.plain import counted
from vidpred.video import VideoInfo, decode_clips, probe
from vidpred.video.conditions import conditions_path, cut_conditions, read_conditions

logger = logging.getLogger(__name__)


class TrainingClips(Dataset[ClipSample]):
    """Patches with motion, from uniform starts in a uniform video of a uniform class.

    Source of the sampling: Mathieu et al. 2016, released code, on UCF101; it takes one patch of one
    clip a draw, here one pass through a video may give several clips, and each several patches.

    Item `position` depends on the seed and the position alone, not on the worker that reads it nor
    on what was read before. Any position at or above 0 can be asked for. A video that cannot be
    read, is shorter than a clip or smaller than a patch is named once in the log, and another one
    is drawn. Conditions of a video (`vidpred.video.conditions`) come with its frames.

    Args:
        videos: What to draw from.
        context_frames: Frames before the first target; motion is judged on the last two.
        horizon: Frames after them.
        patch_size: Height and width of a patch in pixels, one number for squares; None gives whole
            frames, one of each clip.
        motion_threshold: See `choose_patches`.
        clips_per_video: Clips that one pass through a video gives, at different starts while there
            are enough.
        patches_per_clip: Patches that are cut from each clip.
        together: Positions among which no video comes twice where that can be, see `VideoDraws`.
        frame_step: Distance between two frames of a clip.
        seed: Of the whole stream.
        index: What is known of the videos; what breaks while it is decoded goes into its
            quarantine. None reads each video's packets when it is first drawn.
        max_damaged: Share of the videos that may break before this is an error.
        resize: Height and width to which frames are resized before patches are cut.
        gray: Whether frames are gray.
        left_out: Videos that are not drawn, and why: the quarantine as the run found it.
    """

    def __init__(
        self,
        videos: Sequence[Video],
        *,
        context_frames: int,
        horizon: int,
        patch_size: int | Size | None,
        motion_threshold: float,
        clips_per_video: int,
        patches_per_clip: int,
        together: int,
        frame_step: int,
        seed: int,
        index: VideoIndex | None = None,
        max_damaged: float = 1.0,
        left_out: Mapping[Path, str] | None = None,
        resize: Size | None = None,
        gray: bool = False,
    ) -> None:
        self.index = index
        self.left_out = dict(left_out or {})
        self.max_damaged = max_damaged
        self.videos = sorted(videos, key=lambda video: video.video_id)
        self.context_frames = context_frames
        self.length = context_frames + horizon
        self.patch_shape = (patch_size, patch_size) if isinstance(patch_size, int) else patch_size
        self.resize = resize
        self.gray = gray
        self.motion_threshold = motion_threshold
        self.clips_per_video = clips_per_video
        # All crops of a whole frame are the same.
        self.patches_per_clip = 1 if patch_size is None else patches_per_clip
        self.frame_step = frame_step
        self.seed = seed
        labels = [video.label for video in self.videos]
        self.draws = VideoDraws(labels, together=together, seed=seed)
        self._probed: dict[Path, VideoInfo | VideoError] = {}
        # In shared memory, so that several workers name a video once, and count them together.
        self._named = torch.zeros(len(self.videos), dtype=torch.uint8)
        self._damaged = torch.zeros(len(self.videos), dtype=torch.uint8)
        for flags in (self._named, self._damaged):
            flags.share_memory_()  # type: ignore[no-untyped-call] # torch

    @property
    def together(self) -> int:
        """Positions that share their draws out; see `VideoDraws`."""
        return self.draws.together

    @property
    def patches(self) -> int:
        """Patches of one position."""
        return self.clips_per_video * self.patches_per_clip

    def __getitem__(self, position: int) -> ClipSample:
        """Draw the patches at a position of the stream.

        Raises:
            DataError: When not one of the videos can be used.
        """
        problems: dict[int, VideoError] = {}
        for index in self.draws.candidates(position):
            path = self.videos[index].path
            if path in self.left_out:
                problems[index] = VideoError(path, f"it is in quarantine: {self.left_out[path]}")
                continue
            # Again for each video, so that one that breaks changes nothing in the next.
            rng = np.random.default_rng((self.seed, position, 2))
            try:
                return self._read(index, rng)
            except VideoError as error:
                self._name(index, error)
                problems[index] = error
        first = "\n  ".join(str(error) for error in list(problems.values())[:3])
        raise DataError(
            f"none of the {len(self.videos)} training videos can be used; "
            f"the first problems:\n  {first}"
        )

    def _read(self, index: int, rng: np.random.Generator) -> ClipSample:
        path = self.videos[index].path
        info = self._facts(path)
        span = (self.length - 1) * self.frame_step + 1
        video = self.videos[index]
        end = info.num_frames if video.end is None else min(video.end, info.num_frames)
        if end - video.begin < span:
            raise VideoError(
                path,
                f"it has {counted(end - video.begin, 'frame')}; a clip of this training takes "
                f"{span}",
            )
        height, width = self.resize or (info.height, info.width)
        shape = self.patch_shape or (height, width)
        if height < shape[0] or width < shape[1]:
            raise VideoError(
                path,
                f"its frames are {height} x {width}, smaller than the patches "
                f"({shape[0]} x {shape[1]})",
            )
        rows = read_conditions(path)
        possible = end - video.begin - span + 1
        few = possible < self.clips_per_video
        starts = rng.choice(possible, self.clips_per_video, replace=few)
        starts = (video.begin + np.sort(starts)).tolist()
        frames = [range(start, start + span, self.frame_step) for start in starts]
        conditions = [cut_conditions(rows, cut, path=conditions_path(path)) for cut in frames]
        clips = decode_clips(path, starts, self.length, self.frame_step, info=info)
        try:
            with closing(clips):
                # One after the other: the frames of one clip are held at a time.
                cut = [self._cut(clip, rng) for clip in clips]
        except AccessError:
            raise  # of the system, not of the video
        except VideoError as error:
            self._set_aside(index, error)
            raise
        sample = ClipSample(
            frames=torch.cat([frames for frames, _ in cut]),
            video_id=self.videos[index].video_id,
            start=torch.tensor(starts).repeat_interleave(self.patches_per_clip),
            accepted=torch.cat([accepted for _, accepted in cut]),
        )
        if rows:
            sample["condition"] = {
                name: torch.stack([found[name] for found in conditions]).repeat_interleave(
                    self.patches_per_clip, dim=0
                )
                for name in rows
            }
        return sample

    def _facts(self, path: Path) -> VideoInfo:
        if self.index is not None:
            return self.index.facts(path)
        # What a video is does not change, so remembering it cannot make a draw depend on the past.
        if path not in self._probed:
            try:
                self._probed[path] = probe(path)
            except AccessError:
                raise
            except VideoError as error:
                self._probed[path] = error.with_traceback(None)
        found = self._probed[path]
        if isinstance(found, VideoError):
            raise found
        return found

    def _set_aside(self, index: int, error: VideoError) -> None:
        """Put a damaged video into quarantine, as long as these are few.

        This run continues to draw it: what a draw gives must not depend on the draws before.
        """
        self._damaged[index] = 1
        if self.index is not None:
            self.index.quarantine(self.videos[index].path, error.problem)
        damaged = int(self._damaged.sum())
        if damaged > self.max_damaged * len(self.videos):
            raise DataError(
                f"{damaged} of {len(self.videos)} training videos are damaged, more than the "
                f"{self.max_damaged:.0%} that max_damaged allows; the last: {error}. "
                "`vidpred data doctor` says what is wrong"
            ) from error

    def _cut(
        self, clip: CuttableClip, rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        clip = in_format(clip, size=self.resize, gray=self.gray)
        return cut_patches(
            clip,
            self.patch_shape,
            context_frames=self.context_frames,
            count=self.patches_per_clip,
            threshold=self.motion_threshold,
            rng=rng,
        )

    def _name(self, index: int, error: VideoError) -> None:
        if not self._named[index]:
            self._named[index] = 1
            logger.warning("left out of this draw, another video is taken: %s", error)


def cut_patches(
    clip: CuttableClip,
    size: Size | None,
    *,
    context_frames: int,
    count: int,
    threshold: float,
    rng: np.random.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut patches that move out of a clip; see `choose_patches`.

    Args:
        clip: T frames.
        size: Height and width of a patch; None takes whole frames.
        context_frames: Of the clip; motion is judged on the last two.
        count: P, the number of patches.
        threshold: Of motion.
        rng: Random source.

    Returns:
        The patches, uint8, shape (P, T, C, H, W); and whether each moves enough, bool, shape (P,).
    """
    size = size or (clip.height, clip.width)
    last = context_frames - 1
    corners = choose_patches(
        # One context frame shows no motion: the first target then replaces the second.
        clip.frame(max(last - 1, 0)),
        clip.frame(max(last, 1)),
        size=size,
        count=count,
        threshold=threshold,
        rng=rng,
    )
    patches = clip.patches([(top, left) for top, left, _ in corners], size)
    frames = torch.from_numpy(patches).permute(0, 1, 4, 2, 3)
    return frames, torch.tensor([corner.accepted for corner in corners])
