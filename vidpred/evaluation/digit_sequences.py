"""Moving MNIST as the clips of a protocol: rendered, or of the canonical file."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from jsonargparse.typing import NonNegativeInt, PositiveInt
from torch import Tensor

from vidpred.data.catalog import Listing, Video
from vidpred.data.digits_world import Bounce
from vidpred.data.mnist_digits import DigitSplit, find_digits
from vidpred.data.mnist_sequences import (
    DigitSequences,
    open_sequence_file,
    read_sequence,
    split_sequences,
)
from vidpred.errors import DataError
from vidpred.evaluation.selection import VideoSelection


@dataclass(frozen=True)
class MovingMNISTVideos(VideoSelection):
    """Test sequences rendered from MNIST's digits below the root, as `MovingMNISTDataModule` does.

    Attributes:
        count: Sequences.
        sha256: What digits and generator must digest to (`DigitSequences.digest`), so that all
            who score by a protocol score the same clips; None accepts any.
        digit_split: How digits are shared out.
        num_digits: Digits in a sequence.
        side: Rows and columns of a frame.
        bounce: What the sides do.
        seed: Of the world.
    """

    count: PositiveInt = 1000
    sha256: str | None = None
    digit_split: DigitSplit = "t10k"
    num_digits: PositiveInt = 2
    side: PositiveInt = 64
    bounce: Bounce = "elastic"
    seed: NonNegativeInt = 0

    def select(self, root: Path) -> Listing:
        """Name the sequences.

        Raises:
            DataError: When the digits are not there, or are others than the protocol's.
        """
        found = self._sequences(root)
        if self.sha256 is not None and found.digest() != self.sha256:
            raise DataError(
                f"{root}: the sequences of these digits have sha256 {found.digest()[:16]}..., the "
                f"protocol's {self.sha256[:16]}...; expected MNIST's own files, and numpy and "
                "vidpred of versions that render alike"
            )
        path = find_digits(root, "t10k") or root
        return Listing(
            tuple(Video(path=path, video_id=f"test-{number:05d}") for number in range(self.count))
        )

    def read(self, video: Video, start: int, length: int, frame_step: int = 1) -> Tensor:
        """Render frames, uint8, shape (T, 1, H, W)."""
        number = int(video.video_id.rpartition("-")[2])
        sequences = self._sequences(video.path.parent)
        return sequences.read(number, length, frame_step, start=start)

    def _sequences(self, root: Path) -> DigitSequences:
        return _read(
            root,
            self.digit_split,
            int(self.num_digits),
            int(self.side),
            self.bounce,
            int(self.seed),
        )


@dataclass(frozen=True)
class MovingMNISTFile(VideoSelection):
    """Sequences of the canonical test set of Srivastava et al. 2015, a file below the root.

    Attributes:
        file: Its name.
        limit: Takes the first sequences alone; all when None.
        expected: Sequences that the published file has.
    """

    file: str = "mnist_test_seq.npy"
    limit: PositiveInt | None = None
    expected: PositiveInt | None = 10_000

    def select(self, root: Path) -> Listing:
        """Name the sequences.

        Raises:
            DataError: When the file is not there or holds something else.
        """
        found = _open(root / self.file)
        count = found.shape[1] if self.limit is None else min(int(self.limit), found.shape[1])
        name = Path(self.file).stem
        return Listing(
            tuple(
                Video(path=root / self.file, video_id=f"{name}-{number:05d}")
                for number in range(count)
            )
        )

    def read(self, video: Video, start: int, length: int, frame_step: int = 1) -> Tensor:
        """Read frames, uint8, shape (T, 1, H, W)."""
        number = int(video.video_id.rpartition("-")[2])
        return read_sequence(_open(video.path), number, length, frame_step, start=start)


@lru_cache(maxsize=4)
def _read(
    root: Path, sharing: DigitSplit, num_digits: int, side: int, bounce: Bounce, seed: int
) -> DigitSequences:
    return split_sequences(
        root,
        "test",
        sharing=sharing,
        num_digits=num_digits,
        side=side,
        bounce=bounce,
        seed=seed,
    )


@lru_cache(maxsize=4)
def _open(path: Path) -> npt.NDArray[np.uint8]:
    return open_sequence_file(path)
