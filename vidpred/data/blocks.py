"""Many patches from one decode, mixed so that a batch still comes from many videos."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from vidpred.allocator import give_back_freed_memory
from vidpred.batch import ClipBatch
from vidpred.data.catalog import ClipSample
from vidpred.data.sending import share
from vidpred.data.training import TrainingClips
from vidpred.errors import VidpredError


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

    def __init__(self, stream: TrainingClips, *, batch_size: int) -> None:
        self.stream = stream
        self.batch_size = batch_size
        self.videos = stream.draws.together
        if self.videos % batch_size:
            raise ValueError(
                f"{self.videos} draws are together; expected a multiple of batch_size {batch_size}"
            )
        self.batches = self.videos // batch_size * stream.patches

    def __getitem__(self, part: BlockPart) -> list[ClipBatch] | VidpredError:
        """Make batches; an error travels as a value, see `vidpred.data.loading`."""
        first = part.block * self.videos
        rng = np.random.default_rng((self.stream.seed, part.block, 1))
        try:
            samples = [self.stream[first + number] for number in range(self.videos)]
            batches = mixed(samples, self.batch_size, rng)[part.first : part.end]
            del samples
            share(batches)
        except VidpredError as error:
            return error
        give_back_freed_memory()
        return batches


def multiple_at_least(least: int, of: int) -> int:
    """Give the smallest multiple of a number that is at least as large as another."""
    return of * -(-max(least, of) // of)


def mixed(
    samples: Sequence[ClipSample], batch_size: int, rng: np.random.Generator
) -> list[ClipBatch]:
    """Mix the patches of draws into batches, none of which takes two patches of one draw.

    The draws are gone through once for each of their patches, every time in another order.

    Args:
        samples: Draws with P patches each; their number is a multiple of `batch_size`.
        batch_size: Patches in a batch.
        rng: Random source.

    Returns:
        Batches that hold every patch once.
    """
    patches = samples[0]["frames"].shape[0]
    # Each draw gives its patches in an order of its own: the first are not all of first clips.
    turns = rng.permuted(np.tile(np.arange(patches), (len(samples), 1)), axis=1)
    order = [
        (int(draw), int(turns[draw, turn]))
        for turn in range(patches)
        for draw in rng.permutation(len(samples))
    ]
    chosen = [(samples[draw], patch) for draw, patch in order]
    # Batches are views of one tensor of each kind, as each tensor that leaves a worker costs the
    # loading process a connection, about as long as the decoding of a batch.
    frames, start, accepted = (
        torch.stack([sample[name][patch] for sample, patch in chosen])
        for name in ("frames", "start", "accepted")
    )
    return [
        ClipBatch(
            frames=frames[first : first + batch_size],
            video_id=[sample["video_id"] for sample, _ in chosen[first : first + batch_size]],
            start=start[first : first + batch_size],
            accepted=accepted[first : first + batch_size],
        )
        for first in range(0, len(order), batch_size)
    ]
