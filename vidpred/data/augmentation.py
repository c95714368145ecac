"""Random changes of whole training clips, on the device."""

from collections.abc import Sequence
from typing import Any

import torch
from jsonargparse.typing import ClosedUnitInterval, NonNegativeInt, PositiveInt
from torch import Tensor

from vidpred.data.synthetic_motion import add_flying_patch, pan
from vidpred.errors import SettingError


class ClipAugmentation:
    """Changes training clips at random, every frame of a clip alike.

    Each option is off by default. Randomness is the CPU's global generator, so a resumed run
    draws what it would have drawn.

    Args:
        mirror: How often a clip is mirrored left to right, and again top to bottom.
        transpose: How often rows and columns are exchanged; with `mirror`, all turns by 90 degrees.
        reverse: How often time runs backwards.
        permute_colors: How often the channels of RGB clips change places.
        gain: Each clip is multiplied by a factor up to so much above or below 1, half the time.
        offset: And so much of full scale is added at most.
        cut: How often a scene cut is put into the context: the frames before it come from another
            clip of the batch.
        patch: How often an ellipse of another clip of the batch flies through, evenly: it covers
            what is behind it, and uncovers it.
        pan: Most pixels a frame by which half the clips are panned, each way; 0 is off. Frames
            become smaller by what that needs.
        frame_steps: Distances between the frames of a clip, one of them drawn for a batch; clips
            are loaded long enough for the largest.

    Raises:
        ValueError: For an option out of range.
    """

    def __init__(
        self,
        *,
        mirror: ClosedUnitInterval = 0.0,
        transpose: ClosedUnitInterval = 0.0,
        reverse: ClosedUnitInterval = 0.0,
        permute_colors: ClosedUnitInterval = 0.0,
        gain: ClosedUnitInterval = 0.0,
        offset: ClosedUnitInterval = 0.0,
        cut: ClosedUnitInterval = 0.0,
        patch: ClosedUnitInterval = 0.0,
        pan: NonNegativeInt = 0,
        frame_steps: Sequence[PositiveInt] = (1,),
    ) -> None:
        shares = {
            "mirror": mirror,
            "transpose": transpose,
            "reverse": reverse,
            "permute_colors": permute_colors,
            "gain": gain,
            "offset": offset,
            "cut": cut,
            "patch": patch,
        }
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name} is {share}; expected a number in [0, 1]")
        if not frame_steps or min(frame_steps) < 1:
            raise ValueError(f"frame_steps are {list(frame_steps)}; expected positive integers")
        self.mirror = float(mirror)
        self.transpose = float(transpose)
        self.reverse = float(reverse)
        self.permute_colors = float(permute_colors)
        self.gain = float(gain)
        self.offset = float(offset)
        self.cut = float(cut)
        self.patch = float(patch)
        self.pan = int(pan)
        self.frame_steps = [int(step) for step in frame_steps]

    def describe(self) -> dict[str, Any]:
        """Say in plain values what is changed, and how often."""
        return {name: value for name, value in vars(self).items()}

    def frames_needed(self, frames: int) -> int:
        """Say how many consecutive frames must be loaded to give clips of `frames`."""
        return (frames - 1) * max(self.frame_steps) + 1

    def __call__(self, clips: Tensor, frames: int, context_frames: int) -> Tensor:
        """Change clips.

        Args:
            clips: uint8, shape (B, T, C, H, W) with T = `frames_needed(frames)`.
            frames: Frames of the clips that are wanted.
            context_frames: Of them, those before the first target.

        Returns:
            uint8, shape (B, frames, C, H, W); smaller frames with `pan`.

        Raises:
            ValueError: When clips are too short.
            SettingError: When they are not square and may be transposed, are too small to be
                panned, or when there is no other clip to cut to or to take a patch of.
        """
        if clips.shape[1] < self.frames_needed(frames):
            raise ValueError(
                f"clips have {clips.shape[1]} frames; expected {self.frames_needed(frames)}"
            )
        if self.transpose and clips.shape[-1] != clips.shape[-2]:
            raise SettingError(
                f"training clips are {clips.shape[-2]} x {clips.shape[-1]}; expected square ones "
                "(data.patch_size), as data.augmentation.transpose is above 0"
            )
        if len(clips) == 1 and (self.cut or self.patch):
            raise SettingError(
                "data.augmentation.cut and patch take what they show from another clip of the "
                "batch, and this one has 1 clip; expected data.batch_size of at least 2"
            )
        step = self.frame_steps[_below(len(self.frame_steps))]
        first = _below(clips.shape[1] - (frames - 1) * step)
        clips = clips[:, first : first + (frames - 1) * step + 1 : step]
        changed = torch.stack([self._changed(clip) for clip in clips])
        for clip, other in zip(changed, changed.roll(1, dims=0).clone(), strict=True):
            if _happens(self.patch):
                add_flying_patch(clip, other[0])
        if self.pan:
            changed = pan(changed, self.pan)
        return self._with_cuts(changed, context_frames) if self.cut else changed

    def _changed(self, clip: Tensor) -> Tensor:
        if _happens(self.reverse):
            clip = clip.flip(0)
        if _happens(self.mirror):
            clip = clip.flip(-1)
        if _happens(self.mirror):
            clip = clip.flip(-2)
        if _happens(self.transpose):
            clip = clip.transpose(-1, -2)
        if _happens(self.permute_colors):
            clip = clip[:, torch.randperm(clip.shape[1])]
        if (self.gain or self.offset) and _happens(0.5):
            gain, offset = (2 * torch.rand(2) - 1).tolist()
            bright = clip.float() * (1 + self.gain * gain) + 255 * self.offset * offset
            clip = bright.round().clamp(0, 255).to(torch.uint8)
        return clip.contiguous()

    def _with_cuts(self, clips: Tensor, context_frames: int) -> Tensor:
        others = clips.roll(1, dims=0)
        for clip, other in zip(clips, others.clone(), strict=True):
            if _happens(self.cut):
                cut = 1 + _below(context_frames - 1) if context_frames > 1 else 0
                clip[:cut] = other[:cut]
        return clips


def _happens(share: float) -> bool:
    return share > 0 and torch.rand(()).item() < share


def _below(count: int) -> int:
    return int(torch.randint(count, ()).item())
