"""Moving MNIST: sequences of moving digits, rendered on demand or read from the canonical file."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from jsonargparse.typing import NonNegativeInt, PositiveInt
from pytorch_lightning.utilities import rank_zero_info
from torch import Tensor
from torch.utils.data import Dataset

from vidpred.data.catalog import SPLITS, ClipSample, Split
from vidpred.data.clip_format import ArrayClip
from vidpred.data.clip_stream import ClipStreamDataModule
from vidpred.data.digits_world import Bounce
from vidpred.data.evaluation_clips import evaluation_sample
from vidpred.data.mnist_digits import DigitSplit, split_digits
from vidpred.data.mnist_sequences import (
    DigitSequences,
    open_sequence_file,
    read_sequence,
    split_sequences,
)
from vidpred.data.options import ClipLengths, Color
from vidpred.data.training_clips import cut_patches
from vidpred.errors import SettingError, VidpredError
from vidpred.ops.frame_format import reformat_uint8


class TrainingSequences(Dataset[ClipSample]):
    """An endless stream of fresh sequences; each position has its own.

    Args:
        sequences: What is rendered; their seed holds that of the stream.
        data: The options that say how long clips are and how frames are cut.
        seed: Of the stream.
        together: See `vidpred.data.TrainingBlocks`.
    """

    def __init__(
        self,
        sequences: DigitSequences,
        data: "MovingMNISTDataModule",
        *,
        seed: int,
        together: int,
    ) -> None:
        self.sequences = sequences
        self._length, self._context_frames = data.loaded_frames, data.lengths.context_frames
        self.seed = seed
        self.together = together
        self.patch_shape = data.patch_shape
        self.patches = 1 if data.patch_shape is None else int(data.patches_per_clip)
        self._threshold = float(data.motion_threshold)
        self._frame_step = int(data.frame_step)
        self._shape, self._gray = data.frame_shape, data.color == "gray"

    def __getitem__(self, position: int) -> ClipSample:
        """Give the clip at a position, or the patches of it."""
        frames = self.sequences.read(position, self._length, self._frame_step)
        shown = in_color(frames, size=self._shape, gray=self._gray)
        patches, accepted = cut_patches(
            ArrayClip(shown.permute(0, 2, 3, 1).contiguous().numpy()),
            self.patch_shape,
            context_frames=self._context_frames,
            count=self.patches,
            threshold=self._threshold,
            rng=np.random.default_rng((self.seed, position, 2)),
        )
        return ClipSample(
            frames=patches,
            video_id=f"train-{position:08d}",
            start=torch.zeros(self.patches, dtype=torch.int64),
            accepted=accepted,
        )


class EvaluationSequences(Dataset[ClipSample]):
    """The first sequences of a split, in order.

    Args:
        source: Sequences to render, or the canonical file's.
        count: How many.
        length: Frames of a clip.
        data: The options that say how frames are shown.
        split: For the names.
    """

    def __init__(
        self,
        source: DigitSequences | npt.NDArray[np.uint8],
        *,
        count: int,
        length: int,
        data: "MovingMNISTDataModule",
        split: Split,
    ) -> None:
        self._source = source
        self._count, self._length, self._split = count, length, split
        self._frame_step = int(data.frame_step)
        self._shape, self._gray = data.frame_shape, data.color == "gray"

    def __len__(self) -> int:
        """Number of sequences."""
        return self._count

    def __getitem__(self, index: int) -> ClipSample:
        """Give a sequence, frames of shape (1, T, C, H, W)."""
        if isinstance(self._source, DigitSequences):
            frames = self._source.read(index, self._length, self._frame_step)
        else:
            frames = read_sequence(self._source, index, self._length, self._frame_step, start=0)
        shown = in_color(frames, size=self._shape, gray=self._gray)
        return evaluation_sample(shown, f"{self._split}-{index:05d}")

    def __getitems__(self, indices: Sequence[int]) -> list[ClipSample] | VidpredError:
        """Give several sequences, for loaders: an error travels as a value."""
        try:
            return [self[index] for index in indices]
        except VidpredError as error:
            return error


def in_color(frames: Tensor, *, size: tuple[int, int] | None, gray: bool) -> Tensor:
    """Bring gray frames (T, 1, H, W), uint8, to a size, and to three equal channels if not gray."""
    shown = reformat_uint8(frames, size=size, gray=True)
    return shown if gray else shown.repeat(1, 3, 1, 1)


@dataclass(eq=False, repr=False)
class MovingMNISTDataModule(ClipStreamDataModule):
    """Moving MNIST: two digits that cross a frame of 64 x 64 and bounce off its sides, 10 + 10.

    Sequences are rendered when they are asked for (`vidpred.data.render_moving_digits`), training
    without end and never one twice. A sequence depends on the seeds and its own number, not on the
    worker that renders it. Which digits each split draws from: `vidpred.data.mnist_digits`; with
    the default, the 1,000 digits of MNIST's test file whose number ends in 9 are for test, an own
    split.

    Args:
        digits: Folder of MNIST's IDX files, such as `t10k-images-idx3-ubyte.gz`.
        digit_split: t10k, vidpred's own split, or official.
        num_digits: Digits in a sequence.
        side: Rows and columns of a frame, at least 28.
        bounce: elastic, or random: a digit that reaches a side leaves it in a random direction.
        world_seed: Of validation and test, and, with `seed`, of training.
        num_val: Sequences for validation.
        num_test: Sequences for test.
        test_file: The canonical `mnist_test_seq.npy`; test then reads its first `num_test`
            sequences. Which digits these are made of is not documented: train with `digit_split:
            official`.

    The other options are those of `ClipStreamDataModule`; frames are gray and whole by default.
    """

    default_lengths: ClassVar[ClipLengths] = ClipLengths(context_frames=10, horizon=10)

    digits: str | Path = "data/mnist"
    _: KW_ONLY
    digit_split: DigitSplit = "t10k"
    num_digits: PositiveInt = 2
    side: PositiveInt = 64
    bounce: Bounce = "elastic"
    world_seed: NonNegativeInt = 0
    num_val: PositiveInt = 100
    num_test: PositiveInt = 1000
    test_file: str | Path | None = None
    eval_horizon: PositiveInt = 10
    patch_size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None
    color: Color = "gray"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.side < 28:
            raise SettingError(f"side is {self.side}; expected at least 28, the side of a digit")
        self._sequences: dict[Split, DigitSequences] = {}

    def prepare_data(self) -> None:
        """Look for the digits before loggers start, so that a wrong path leaves nothing behind."""
        for split in SPLITS:
            split_digits(self.digits, split, self.digit_split)
        if self.test_file is not None:
            open_sequence_file(self.test_file)

    def find_data(self) -> None:
        """Read the digits of all splits, once."""
        if not self._sequences:
            self._sequences = {split: self._read(split) for split in SPLITS}
            rank_zero_info(self.summary())

    def summary(self) -> str:
        """Say what sequences are made of, with the digest of the generator; needs `setup`."""
        counts = {"train": "endless", "val": str(self.num_val), "test": str(self.num_test)}
        lines = [
            f"{split}: {counts[split]} sequences of {self.num_digits} of {len(found.digits)} "
            f"digits, generator sha256 {found.digest()[:16]}"
            for split, found in self._sequences.items()
        ]
        if self.test_file is not None:
            lines[-1] = f"test: {self.num_test} sequences of {Path(self.test_file).name}"
        return "\n".join(lines)

    def describe_data(self) -> dict[str, str]:
        """Give the digests of the generators that training and validation draw from."""
        found = self._sequences or {split: self._read(split) for split in ("train", "val")}
        return {
            "train_videos": found["train"].digest(),
            "val_videos": f"{self.num_val} of {found['val'].digest()}",
        }

    def training_stream(self, together: int) -> TrainingSequences:
        """Give fresh sequences of the training digits."""
        found, seed = self._sequences["train"], self.stream_seed()
        own = DigitSequences(
            found.digits, (*found.seed, seed), found.num_digits, found.side, found.bounce
        )
        return TrainingSequences(own, self, seed=seed, together=together)

    def evaluation_set(self, split: Split) -> EvaluationSequences:
        """Give the first sequences of validation or test."""
        source: DigitSequences | npt.NDArray[np.uint8] = self._sequences[split]
        count = int(self.num_val if split == "val" else self.num_test)
        if split == "test" and self.test_file is not None:
            source = open_sequence_file(self.test_file)
            count = min(count, source.shape[1])
        return EvaluationSequences(
            source, count=count, length=self.evaluation_length, data=self, split=split
        )

    def _read(self, split: Split) -> DigitSequences:
        return split_sequences(
            Path(self.digits).expanduser(),
            split,
            sharing=self.digit_split,
            num_digits=int(self.num_digits),
            side=int(self.side),
            bounce=self.bounce,
            seed=int(self.world_seed),
        )
