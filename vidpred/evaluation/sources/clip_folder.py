"""Clips that any program wrote: a folder with one entry a clip."""

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidpred.errors import PredictionError, VideoError
from vidpred.evaluation.sources.clip_entries import find_clips, find_frames, suffix_of
from vidpred.evaluation.sources.frame_arrays import (
    ARRAY_SUFFIXES,
    open_array,
    require_value_range,
    scale_array,
)
from vidpred.evaluation.sources.frame_files import (
    Expected,
    read_images,
    read_video,
)
from vidpred.files import expand_home
from vidpred.ops import to_unit
from vidpred.ops.checks import require_positive
from vidpred.plain import some

_MOVING = 128  # of 255, the least value of a moving pixel in a mask
_COLORED = 32  # of 255, between channels: more than coding leaves in the video of a gray mask


class ClipFolder:
    """A folder with one entry a clip, in formats that every program can write.

    An entry is a folder, named by the clip, with PNG or JPEG frames (ordered by the numbers in
    their names), one `.npy` array or one video; or such an array or video itself, whose name
    without its ending is the clip's. Hidden files, what systems leave behind, and notes (.txt .md
    .json ...) are passed over. Nothing is kept of a clip that was read.

    Args:
        root: The folder.
        value_range: Black and white of float arrays; 8-bit values are 0-255 whatever it says.

    Raises:
        PredictionError: When the root is missing or empty, holds frames itself, or something that
            is no clip, or two entries of one name.
        ValueError: For a range that does not ascend.
    """

    def __init__(self, root: str | Path, *, value_range: tuple[float, float] = (0.0, 1.0)) -> None:
        require_value_range(value_range)
        self.root = expand_home(root)
        self.value_range = value_range
        self._entries = find_clips(self.root)

    @property
    def clips(self) -> list[str]:
        """Names of the clips, sorted; nothing of them has been opened."""
        return sorted(self._entries)

    def read(self, clip: str) -> Tensor:
        """Read all frames of a clip as they are stored.

        Args:
            clip: One of `clips`.

        Returns:
            Shape (T, C, H, W), C = 3 (RGB) or 1 (gray): uint8, or float32 in [0, 1] when the clip
            is an array of floats.

        Raises:
            PredictionError: When the clip cannot be read whole and without doubt.
        """
        with _naming(clip):
            return self._read(clip, None)

    def read_pred(self, clip: str, horizon: int) -> Tensor:
        """Read a predicted clip.

        Args:
            clip: One of `clips`.
            horizon: How many frames it must have, at least 1.

        Returns:
            Shape (horizon, C, H, W), float32 in [0, 1]; see `read` for C.

        Raises:
            PredictionError: As `read`, and for another number of frames.
            ValueError: When `horizon` is below 1.
        """
        expected = _horizon_alone(horizon)
        with _naming(clip):
            return to_unit(self._read(clip, expected))

    def read_target(
        self, clip: str, context_frames: int, horizon: int
    ) -> tuple[Tensor | None, Tensor]:
        """Read a true clip, with or without the frames before it.

        Args:
            clip: One of `clips`.
            context_frames: How many frames were known to the predictor, at least 1.
            horizon: How many it had to predict, at least 1.

        Returns:
            The known frames, shape (context_frames, C, H, W), or None when the clip holds `horizon`
            frames alone; and those that came, shape (horizon, C, H, W). Both float32 in [0, 1].

        Raises:
            PredictionError: As `read`, and for other numbers of frames.
            ValueError: When a number is below 1.
        """
        require_positive("context_frames", context_frames)
        require_positive("horizon", horizon)
        whole = context_frames + horizon
        expected = Expected(
            (horizon, whole),
            f"{horizon} (those to be predicted) or {whole} (the {context_frames} known ones first)",
        )
        with _naming(clip):
            frames = to_unit(self._read(clip, expected))
        if len(frames) == horizon:
            return None, frames
        return frames[:context_frames], frames[context_frames:]

    def read_mask(self, clip: str, horizon: int, size: tuple[int, int]) -> Tensor:
        """Read which pixels move.

        Args:
            clip: One of `clips`.
            horizon: Frames that the mask must have.
            size: Rows and columns that it must have.

        Returns:
            Boolean, shape (horizon, 1, H, W): where an image or a video is at least 128 of 255, or
            an array is true (uint8 arrays of 0 and 1 are taken for truth values).

        Raises:
            PredictionError: As `read`, and for another number or size of frames, colors, arrays of
                other types, and masks that are neither black nor reach 128.
        """
        expected = _horizon_alone(horizon)
        with _naming(clip):
            path = self._find(clip)
            if isinstance(path, Path) and suffix_of(path) in ARRAY_SUFFIXES:
                array = open_array(path, expected)
                if array.dtype not in (np.bool_, np.uint8):
                    raise PredictionError(
                        f"{path}: values of type {array.dtype}; expected a mask: bool, or uint8 "
                        "with 0 for still and 255 for moving"
                    )
                mask = torch.from_numpy(np.array(array, np.uint8, order="C"))
                if mask.max() == 1:
                    mask *= 255
            else:
                mask = self._read(clip, expected)
            return _one_channel(self._entries[clip], mask, size)

    def entry(self, clip: str) -> Path:
        """Give the file or folder that holds a clip."""
        return self._entries[clip]

    def _find(self, clip: str) -> Path | list[Path]:
        """Give the array or video of a clip, or its images in order."""
        if clip not in self._entries:
            raise PredictionError(
                f"{self.root} has no such clip among its {len(self._entries)}; expected a folder "
                "of this name, or a .npy or video file"
            )
        entry = self._entries[clip]
        return find_frames(entry) if entry.is_dir() else entry

    def _read(self, clip: str, expected: Expected | None) -> Tensor:
        found = self._find(clip)
        if isinstance(found, list):
            return read_images(found, expected)
        if suffix_of(found) in ARRAY_SUFFIXES:
            return scale_array(found, open_array(found, expected), self.value_range)
        return read_video(found, expected)


def pair_clips(pred: ClipFolder, target: ClipFolder) -> list[str]:
    """Give the clips of two folders that match clip by clip.

    Args:
        pred: Predictions (or masks).
        target: What came in truth.

    Returns:
        The names, sorted.

    Raises:
        PredictionError: When one side has a clip that the other has not.
    """
    only_pred = sorted(set(pred.clips) - set(target.clips))
    only_target = sorted(set(target.clips) - set(pred.clips))
    if not only_pred and not only_target:
        return target.clips
    sides = [
        f"{len(names)} only in {side.root}: {some(names)}"
        for side, names in ((pred, only_pred), (target, only_target))
        if names
    ]
    folded = {_folded(name): name for name in only_target}
    twins = [(name, folded[_folded(name)]) for name in only_pred if _folded(name) in folded]
    hint = "".join(
        f" {name!r} and {twin!r} differ in case or accents' coding alone."
        for name, twin in twins[:1]
    )
    raise PredictionError(
        f"the clips do not match: {pred.root} has {len(pred.clips)}, {target.root} "
        f"{len(target.clips)}. {'; '.join(sides)}.{hint} Expected the same names on both sides: "
        "rename them, or add or remove what one side lacks"
    )


def _horizon_alone(horizon: int) -> Expected:
    require_positive("horizon", horizon)
    return Expected((horizon,), f"{horizon} (the horizon, without the known ones)")


def _one_channel(path: Path, mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Turn a mask, uint8 of shape (T, C, H, W), into truth values of shape (T, 1, H, W)."""
    if mask.shape[-2:] != size:
        raise PredictionError(
            f"{path}: the mask is {mask.shape[-1]} x {mask.shape[-2]} pixels, the frames are "
            f"{size[1]} x {size[0]}; expected equal sizes, compute it on the frames themselves"
        )
    largest = int(mask.max())
    if 0 < largest < _MOVING:
        raise PredictionError(
            f"{path}: the largest value of the mask is {largest}; expected 0 for still and 255 "
            f"for moving pixels (moving from {_MOVING})"
        )
    if (mask.amax(dim=1) - mask.amin(dim=1)).max() > _COLORED:
        raise PredictionError(
            f"{path}: the mask has colors; expected gray, 0 for still and 255 for moving pixels"
        )
    return mask.float().mean(dim=1, keepdim=True) >= _MOVING


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


@contextmanager
def _naming(clip: str) -> Iterator[None]:
    """Say in every message which clip it is about."""
    try:
        yield
    except (PredictionError, VideoError) as error:
        raise PredictionError(f"clip {clip!r}: {error}") from error
