"""A toy world with eight futures: a disc that rests, then leaves in one of eight directions."""

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np
import torch
from jsonargparse.typing import NonNegativeInt, PositiveInt
from pytorch_lightning.utilities import rank_zero_info
from torch import Tensor
from torch.utils.data import Dataset

from vidpred.data.catalog import SPLITS, ClipSample, Split
from vidpred.data.clip_format import Size
from vidpred.data.clip_stream import ClipStreamDataModule
from vidpred.data.evaluation_clips import evaluation_sample
from vidpred.data.options import ClipLengths, Color
from vidpred.errors import SettingError, VidpredError
from vidpred.ops.checks import require_positive
from vidpred.ops.frame_format import reformat_uint8

DIRECTIONS = 8
"""Equally likely futures of each past."""

MIN_SIDE = 16
"""Fewest rows and columns of a frame: a smaller disc does not differ by direction."""

_RADIUS, _SPEED = 1 / 6, 1 / 4  # of the side; of the side a frame
_GROUND, _DISC = (20, 60), (180, 250)  # levels of 0 to 255


def render_directions(
    *, context_frames: int, horizon: int, side: int = 32, ground: int = 40, disc: int = 220
) -> Tensor:
    """Draw the eight clips that share a past.

    A disc rests in the middle of the frame over `context_frames`, then moves by a quarter of the
    side a frame: in direction k, by k * 45 degrees from right through down.

    Args:
        context_frames: Frames at rest, at least 1.
        horizon: Frames after them, at least 1.
        side: Rows and columns, at least 16.
        ground: Level of the ground, 0 to 255.
        disc: Level of the disc.

    Returns:
        uint8, shape (8, context_frames + horizon, 1, side, side); all are possible, and equally
        likely.

    Raises:
        ValueError: For a count below 1 or a smaller side.

    Example:
        >>> clips = render_directions(context_frames=2, horizon=3, side=16)
        >>> clips.shape, bool((clips[0, :2] == clips[5, :2]).all())
        (torch.Size([8, 5, 1, 16, 16]), True)
    """
    require_positive("context_frames", context_frames)
    require_positive("horizon", horizon)
    if side < MIN_SIDE:
        raise ValueError(f"side is {side}; expected at least {MIN_SIDE}")
    angles = torch.arange(DIRECTIONS) * (2 * math.pi / DIRECTIONS)
    moved = (torch.arange(context_frames + horizon) - (context_frames - 1)).clamp(min=0)
    distance = _SPEED * side * moved
    middle = (side - 1) / 2
    x = middle + torch.outer(angles.cos(), distance)[..., None, None]
    y = middle + torch.outer(angles.sin(), distance)[..., None, None]
    places = torch.arange(side)
    away = torch.hypot(places[None, :] - x, places[:, None] - y) - _RADIUS * side
    cover = (0.5 - away).clamp(0, 1)  # edges move by parts of a pixel
    return (ground + cover * (disc - ground)).round().to(torch.uint8)[:, :, None]


@dataclass(frozen=True)
class DirectionClips:
    """Clips of the world by number; a clip depends on the seed and its number alone.

    Attributes:
        seed: Of all clips.
        side: Rows and columns of a frame.
    """

    seed: tuple[int, ...]
    side: int

    def read(self, number: int, context_frames: int, horizon: int) -> tuple[Tensor, int]:
        """Give a clip, uint8 (T, 1, side, side), and its direction."""
        rng = np.random.default_rng((*self.seed, number))
        ground, disc = (int(rng.integers(*levels)) for levels in (_GROUND, _DISC))
        direction = int(rng.integers(DIRECTIONS))
        clips = render_directions(
            context_frames=context_frames,
            horizon=horizon,
            side=self.side,
            ground=ground,
            disc=disc,
        )
        return clips[direction], direction


class DirectionStream(Dataset[ClipSample]):
    """Clips as samples, without end or the first `count` of them.

    Args:
        clips: The world.
        lengths: Frames before and after the disc leaves.
        size: Size to which frames are brought; None keeps it.
        gray: Whether frames are gray.
        name: Of the clips.
        count: How many; None is no end.
        together: See `vidpred.data.TrainingStream`.
        seed: Of a stream.
    """

    patches = 1

    def __init__(
        self,
        clips: DirectionClips,
        lengths: ClipLengths,
        *,
        size: Size | None,
        gray: bool,
        name: str,
        count: int | None = None,
        together: int = 1,
        seed: int = 0,
    ) -> None:
        self._clips, self._lengths = clips, lengths
        self._size, self._gray, self._name = size, gray, name
        self._count, self.together, self.seed = count, together, seed

    def __len__(self) -> int:
        """Number of clips."""
        if self._count is None:
            raise TypeError("a training stream has no length")
        return self._count

    def __getitem__(self, position: int) -> ClipSample:
        """Give a clip, frames of shape (1, T, C, H, W)."""
        frames, _ = self._clips.read(position, self._lengths.context_frames, self._lengths.horizon)
        shown = reformat_uint8(frames, size=self._size, gray=True)
        shown = shown if self._gray else shown.repeat(1, 3, 1, 1)
        return evaluation_sample(shown, f"{self._name}-{position:08d}")

    def __getitems__(self, indices: Sequence[int]) -> list[ClipSample] | VidpredError:
        """Give several clips, for loaders: an error travels as a value."""
        try:
            return [self[index] for index in indices]
        except VidpredError as error:
            return error


@dataclass(eq=False, repr=False)
class EightDirectionsDataModule(ClipStreamDataModule):
    """A disc at rest that leaves in one of eight directions, each as likely as the others.

    What comes cannot be known from the past: a predictor of one future is blurred or wrong in seven
    of eight cases, and a generator that has collapsed shows as few directions. Measure by
    `vidpred.metrics.mode_coverage` and `future_diversity`, against `render_directions`. Clips are
    rendered when they are asked for, training without end; a clip depends on the seeds and its own
    number.

    Args:
        side: Rows and columns of a frame, at least 16.
        world_seed: Of validation and test, and, with `seed`, of training.
        num_val: Clips for validation.
        num_test: Clips for test.

    The other options are those of `ClipStreamDataModule`; frames are gray and whole by default.
    """

    default_lengths: ClassVar[ClipLengths] = ClipLengths(context_frames=2, horizon=1)

    side: PositiveInt = 32
    _: KW_ONLY
    world_seed: NonNegativeInt = 0
    num_val: PositiveInt = 64
    num_test: PositiveInt = 512
    eval_horizon: PositiveInt = 1
    patch_size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None
    color: Color = "gray"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.side < MIN_SIDE:
            raise SettingError(f"side is {self.side}; expected at least {MIN_SIDE}")
        if self.patch_size is not None or self.frame_step != 1:
            raise SettingError(
                "the eight directions are of whole frames; expected data.patch_size null and "
                "data.frame_step 1"
            )
        steps = (1,) if self.augmentation is None else self.augmentation.frame_steps
        if max(steps) != 1:
            raise SettingError(
                f"data.augmentation.frame_steps are {[*steps]}; expected [1]: the disc leaves "
                "after the last known frame, and skipped frames would change when"
            )

    def prepare_data(self) -> None:
        """Need nothing: there are no files."""

    def find_data(self) -> None:
        """Say what there is."""
        rank_zero_info(self.summary())

    def summary(self) -> str:
        """Say what the splits hold, a line each."""
        counts = {"train": "endless", "val": str(self.num_val), "test": str(self.num_test)}
        return "\n".join(f"{split}: {count} clips" for split, count in counts.items())

    def describe_data(self) -> dict[str, str]:
        """Give what the clips depend on."""
        world = f"eight directions 1, side {int(self.side)}, seed {int(self.world_seed)}"
        return {"train_videos": world, "val_videos": f"{int(self.num_val)} of {world}"}

    def training_stream(self, together: int) -> DirectionStream:
        """Give fresh clips."""
        seed = self.stream_seed()
        return self._stream("train", (seed,), self.lengths, together=together, seed=seed)

    def evaluation_set(self, split: Split) -> DirectionStream:
        """Give the first clips of validation or test."""
        horizon = self.evaluation_length - self.lengths.context_frames
        lengths = ClipLengths(self.lengths.context_frames, horizon)
        count = int(self.num_val if split == "val" else self.num_test)
        return self._stream(split, (), lengths, count=count)

    def _stream(
        self,
        split: Split,
        seed_of_stream: tuple[int, ...],
        lengths: ClipLengths,
        *,
        count: int | None = None,
        together: int = 1,
        seed: int = 0,
    ) -> DirectionStream:
        own = (int(self.world_seed), SPLITS.index(split), *seed_of_stream)
        return DirectionStream(
            DirectionClips(own, int(self.side)),
            lengths,
            size=self.frame_shape,
            gray=self.color == "gray",
            name=split,
            count=count,
            together=together,
            seed=seed,
        )
