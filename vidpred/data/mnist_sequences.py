"""Sequences of moving digits by number, rendered or of the canonical file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidpred.data.catalog import SPLITS, Split
from vidpred.data.digits_world import Bounce, generator_digest, render_moving_digits
from vidpred.data.mnist_digits import Digits, DigitSplit, split_digits
from vidpred.errors import DataError

FILE_FRAMES = 20
"""Frames of a sequence in the canonical file."""


@dataclass(frozen=True)
class DigitSequences:
    """Sequences of moving digits by number; a sequence depends on its seed and number alone.

    Attributes:
        digits: What they are made of, shape (N, 28, 28).
        seed: Of all sequences.
        num_digits: Digits in a sequence.
        side: Rows and columns of a frame.
        bounce: What the sides do, see `vidpred.data.digits_world`.
    """

    digits: Digits
    seed: tuple[int, ...]
    num_digits: int = 2
    side: int = 64
    bounce: Bounce = "elastic"

    def read(self, number: int, length: int, frame_step: int = 1, *, start: int = 0) -> Tensor:
        """Give frames of a sequence.

        Args:
            number: Of the sequence, at least 0; there is no last one.
            length: T.
            frame_step: Distance between two frames.
            start: Index of the first.

        Returns:
            uint8, shape (T, 1, side, side).
        """
        frames = render_moving_digits(
            self.digits,
            (*self.seed, number),
            num_frames=start + (length - 1) * frame_step + 1,
            num_digits=self.num_digits,
            side=self.side,
            bounce=self.bounce,
        )
        return torch.from_numpy(np.ascontiguousarray(frames[start::frame_step]))[:, None]

    def digest(self) -> str:
        """Give the SHA-256 of digits and generator; see `generator_digest`."""
        return generator_digest(
            self.digits,
            self.seed,
            num_digits=self.num_digits,
            side=self.side,
            bounce=self.bounce,
        )


def split_sequences(
    folder: str | Path,
    split: Split,
    *,
    sharing: DigitSplit = "t10k",
    num_digits: int = 2,
    side: int = 64,
    bounce: Bounce = "elastic",
    seed: int = 0,
) -> DigitSequences:
    """Give the sequences of a split, as data module and protocols share them.

    Args:
        folder: Folder of MNIST's IDX files.
        split: Which.
        sharing: How digits are shared out, see `split_digits`.
        num_digits: As `DigitSequences`.
        side: As `DigitSequences`.
        bounce: As `DigitSequences`.
        seed: Of the world.

    Raises:
        DataError: When the digits cannot be read.
    """
    digits = split_digits(folder, split, sharing)
    return DigitSequences(digits, (seed, SPLITS.index(split)), num_digits, side, bounce)


def open_sequence_file(path: str | Path) -> npt.NDArray[np.uint8]:
    """Open the canonical test set, `mnist_test_seq.npy` of Srivastava et al., without reading it.

    Returns:
        uint8, shape (20, N, H, W), mapped into memory: 10,000 sequences of 64 x 64 as published.

    Raises:
        DataError: When it is not there or holds something else.
    """
    path = Path(path).expanduser()
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}); expected mnist_test_seq.npy, an array of 20 x "
            "sequences x 64 x 64"
        ) from error
    if not isinstance(found, np.ndarray) or found.dtype != np.uint8 or found.ndim != 4:
        raise DataError(f"{path}: holds no gray sequences; expected uint8 of 20 x N x 64 x 64")
    if len(found) != FILE_FRAMES or not found.shape[1]:
        raise DataError(
            f"{path}: an array of shape {found.shape}; expected {FILE_FRAMES} frames first, then "
            "the sequences"
        )
    return found


def read_sequence(
    sequences: npt.NDArray[np.uint8], number: int, length: int, frame_step: int = 1, *, start: int
) -> Tensor:
    """Read frames of a sequence of the canonical file.

    Args:
        sequences: What `open_sequence_file` gave.
        number: Of the sequence.
        length: T.
        frame_step: Distance between two frames.
        start: Index of the first.

    Returns:
        uint8, shape (T, 1, H, W).

    Raises:
        DataError: When a sequence has fewer frames.
    """
    last = start + (length - 1) * frame_step
    if last >= FILE_FRAMES:
        raise DataError(
            f"frames {start} to {last} of a sequence were asked for; the canonical Moving MNIST "
            f"has {FILE_FRAMES} a sequence: set shorter clips"
        )
    frames = sequences[start : last + 1 : frame_step, number]
    return torch.from_numpy(np.array(frames))[:, None]
