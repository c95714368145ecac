"""Many patches from one decode, mixed so that a batch still comes from many clips."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from vidpred.batch import ClipBatch
from vidpred.data.catalog import ClipSample
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
    """Blocks of batches: some clips are decoded, several patches are cut from each, and all mixed.

    A block takes the next `clips` draws of the stream. It depends on the stream's seed and its own
    number alone, so any worker may make it. Every batch holds patches of `batch_size` different
    draws, as many as without sharing: its two halves, from which a discriminator and a generator
    learn, have no clip in common. A clip comes back `patches_per_clip` times within its block, each
    time with another patch, and then no more.

    Args:
        stream: Draws of clips, with their patches.
        batch_size: Patches in a batch.
        min_clips: A block holds at least so many clips; they are decoded together and mixed.
    """

    def __init__(self, stream: TrainingClips, *, batch_size: int, min_clips: int) -> None:
        self.stream = stream
        self.batch_size = batch_size
        # A multiple, so that no batch takes a clip twice.
        self.clips = batch_size * -(-max(min_clips, batch_size) // batch_size)
        self.batches = self.clips // batch_size * stream.patches_per_clip

    def __getitem__(self, part: BlockPart) -> list[ClipBatch] | VidpredError:
        """Make batches; an error travels as a value, see `vidpred.data.loading`."""
        first = part.block * self.clips
        try:
            samples = [self.stream[first + number] for number in range(self.clips)]
        except VidpredError as error:
            return error
        rng = np.random.default_rng((self.stream.seed, part.block, 1))
        return mixed(samples, self.batch_size, rng)[part.first : part.end]


def mixed(
    samples: Sequence[ClipSample], batch_size: int, rng: np.random.Generator
) -> list[ClipBatch]:
    """Mix the patches of clips into batches, none of which takes two patches of one clip.

    The clips are gone through once for each of their patches, every time in another order.

    Args:
        samples: Clips with P patches each; their number is a multiple of `batch_size`.
        batch_size: Patches in a batch.
        rng: Random source.

    Returns:
        Batches that hold every patch once.
    """
    patches = samples[0]["frames"].shape[0]
    order = [
        (int(clip), patch) for patch in range(patches) for clip in rng.permutation(len(samples))
    ]
    return [
        _batch(samples, order[first : first + batch_size])
        for first in range(0, len(order), batch_size)
    ]


def _batch(samples: Sequence[ClipSample], members: Sequence[tuple[int, int]]) -> ClipBatch:
    chosen = [(samples[clip], patch) for clip, patch in members]
    return ClipBatch(
        frames=torch.stack([sample["frames"][patch] for sample, patch in chosen]),
        video_id=[sample["video_id"] for sample, _ in chosen],
        start=torch.tensor([sample["start"] for sample, _ in chosen], dtype=torch.int64),
        accepted=torch.stack([sample["accepted"][patch] for sample, patch in chosen]),
    )
