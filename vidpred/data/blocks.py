"""Many patches from one decode, mixed so that a batch still comes from many videos."""

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vidpred.batch import ClipBatch
from vidpred.data.catalog import ClipSample, require_same_conditions
from vidpred.data.shared_memory import shared_tensor
from vidpred.errors import DataError, SettingError, VidpredError


class TrainingStream(Protocol):
    """Draws of clips at positions that the seed fixes, as `vidpred.data.TrainingClips`.

    Attributes:
        seed: Of the whole stream.
    """

    seed: int

    @property
    def together(self) -> int:
        """Neighboring positions that are of different videos where there are enough."""

    @property
    def patches(self) -> int:
        """Patches of one position."""

    def __getitem__(self, position: int) -> ClipSample:
        """Give the patches of a position."""


class BlockPart(NamedTuple):
    """Batches of a block.

    Attributes:
        block: Number of the block in the stream, from 0.
        first: The first batch of it that is wanted.
        end: The first that is not wanted any more.
    """

    block: int
    first: int
    end: int


class TrainingBlocks(Dataset[list[ClipBatch] | VidpredError]):
    """Blocks of batches: some videos are decoded, patches are cut from each, and all mixed.

    A block takes the draws of the stream that are `together`, a draw being one pass through one
    video. It depends on the stream's seed and its own number alone, so any worker may make it.
    Every batch holds patches of `batch_size` different draws, and draws that are together are
    different videos where there are enough: a batch spans as many videos as without sharing, and
    its two halves, from which a discriminator and a generator learn, have none in common. A video
    comes back within its block, each time with another patch, and then no more.

    Args:
        stream: Draws of videos, with their patches.
        batch_size: Patches in a batch; the stream's `together` is a multiple of it.

    Raises:
        ValueError: When it is not.
    """

    def __init__(self, stream: TrainingStream, *, batch_size: int) -> None:
        self.stream = stream
        self.batch_size = batch_size
        self.videos = stream.together
        if self.videos % batch_size:
            raise SettingError(
                f"{self.videos} draws are together; expected a multiple of batch_size {batch_size}"
            )
        self.batches = self.videos // batch_size * stream.patches

    def __getitem__(self, part: BlockPart) -> list[ClipBatch] | VidpredError:
        """Make batches; an error travels as a value, see `vidpred.data.loading`."""
        rng = np.random.default_rng((self.stream.seed, part.block, 1))
        places = mixed(self.videos, self.stream.patches, rng)
        wanted = range(part.first * self.batch_size, part.end * self.batch_size)
        block = Block(wanted)
        try:
            for number, found in enumerate(places):
                block.take(self.stream[part.block * self.videos + number], found)
        except VidpredError as error:
            return error
        return block.batches(self.batch_size)


def multiple_at_least(least: int, of: int) -> int:
    """Give the smallest multiple of a number that is at least as large as another."""
    return of * -(-max(least, of) // of)


def mixed(draws: int, patches: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Mix the patches of draws, so that among `draws` neighbors no two are of one draw.

    The draws are gone through once for each of their patches, every time in another order.

    Args:
        draws: D.
        patches: P, of each draw.
        rng: Random source.

    Returns:
        The place of each patch, shape (D, P), from 0 to D * P - 1.
    """
    # Each draw gives its patches in an order of its own: the first are not all of first clips.
    turns = rng.permuted(np.tile(np.arange(patches), (draws, 1)), axis=1)
    places = np.empty((draws, patches), np.int64)
    for turn in range(patches):
        order = rng.permutation(draws)
        places[order, turns[order, turn]] = turn * draws + np.arange(draws)
    return places


class Block:
    """Batches while they are filled.

    Batches are views of one tensor of each kind, as each tensor that leaves a worker costs the
    loading process a connection, about as long as the decoding of a batch. Patches go to their
    place in it as they come.

    Args:
        wanted: Places that are wanted.
    """

    def __init__(self, wanted: range) -> None:
        self._wanted = wanted
        self._tensors: dict[str, Tensor] = {}
        self._conditions: dict[str, Tensor] = {}
        self._first: ClipSample | None = None
        self._names = [""] * len(wanted)

    def take(self, sample: ClipSample, places: npt.NDArray[np.int64]) -> None:
        """Put the patches of a draw to their places.

        Raises:
            DataError: When they cannot be in a batch with those before, or there is no room.
        """
        self._first = self._first or sample
        _require_alike(self._first, sample)
        kept = [(k, place) for k, place in enumerate(places.tolist()) if place in self._wanted]
        chosen = torch.tensor([k for k, _ in kept], dtype=torch.int64)
        target = torch.tensor([self._wanted.index(place) for _, place in kept], dtype=torch.int64)
        for name in ("frames", "start", "accepted"):
            self._fill(self._tensors, name, sample[name][chosen], target)
        for name, found in sample.get("condition", {}).items():
            self._fill(self._conditions, name, found[chosen], target)
        for place in target.tolist():
            self._names[place] = sample["video_id"]

    def batches(self, size: int) -> list[ClipBatch]:
        """Give them."""
        return [
            self._batch(slice(first, first + size)) for first in range(0, len(self._wanted), size)
        ]

    def _batch(self, part: slice) -> ClipBatch:
        batch = ClipBatch(
            frames=self._tensors["frames"][part],
            video_id=self._names[part],
            start=self._tensors["start"][part],
            accepted=self._tensors["accepted"][part],
        )
        if self._conditions:
            batch["condition"] = {name: found[part] for name, found in self._conditions.items()}
        return batch

    def _fill(self, tensors: dict[str, Tensor], name: str, found: Tensor, places: Tensor) -> None:
        if name not in tensors:
            tensors[name] = shared_tensor((len(self._wanted), *found.shape[1:]), found.dtype)
        tensors[name].index_copy_(0, places, found)


def _require_alike(first: ClipSample, sample: ClipSample) -> None:
    sizes = [tuple(each["frames"].shape[-2:]) for each in (sample, first)]
    if sizes[0] != sizes[1]:
        (height, width), (rows, columns) = sizes
        raise DataError(
            f"whole frames of {sample['video_id']} are {height} x {width}, those of "
            f"{first['video_id']} {rows} x {columns}; a batch needs one size: set data.resize, or "
            "train on patches (data.patch_size)"
        )
    require_same_conditions(first, sample)
