"""Loaders: which batches an epoch draws, and how errors leave a worker."""

from collections.abc import Iterator, Sequence, Sized
from typing import Any, Protocol

import torch
from torch.utils.data import DataLoader, DistributedSampler

from vidpred.batch import ClipBatch
from vidpred.data.blocks import BlockPart, TrainingBlocks
from vidpred.data.catalog import ClipSample, collate_clips
from vidpred.data.device_copies import copied_ahead
from vidpred.data.worker_start import start_worker
from vidpred.errors import DataError, VidpredError


class BlockSampler(DistributedSampler[BlockPart]):
    """Batches of a training stream: epoch e takes `e * num_batches` and the following ones.

    Blocks go to the processes in turn, so none repeats the draws of another, and no epoch those of
    an earlier one. It is a `DistributedSampler` because Lightning leaves those as they are, and
    calls `set_epoch` before each epoch.

    Args:
        blocks: The stream.
        num_batches: Batches in an epoch of this process.
        num_replicas: Processes that train together.
        rank: Number of this one, from 0.
        skip: Batches that the first epoch leaves out: those before a resume.
    """

    def __init__(
        self,
        blocks: TrainingBlocks,
        *,
        num_batches: int,
        num_replicas: int = 1,
        rank: int = 0,
        skip: int = 0,
    ) -> None:
        # The stream has no length, and the base class only divides one by the processes.
        super().__init__(range(num_replicas), num_replicas=num_replicas, rank=rank, shuffle=False)  # type: ignore[arg-type]
        self.num_batches = num_batches
        self._per_block = blocks.batches
        self._skip = skip

    def __len__(self) -> int:
        """Number of blocks that an epoch touches, at most."""
        return -(-self.num_batches // self._per_block) + 1

    def __iter__(self) -> Iterator[BlockPart]:
        """Yield this process's parts of blocks of the present epoch."""
        batch = self.epoch * self.num_batches
        end = batch + self.num_batches
        batch += self._skip
        self._skip = 0
        while batch < end:
            turn, first = divmod(batch, self._per_block)
            last = min(self._per_block, first + end - batch)
            yield BlockPart(turn * self.num_replicas + self.rank, first, last)
            batch += last - first


class TrainingLoader(DataLoader[Any]):
    """Gives the batches of blocks one by one.

    Args:
        blocks: The stream.
        sampler: Which parts of it.
        num_workers: Processes that make blocks.
        gpu: Where batches are copied ahead; None leaves them where they are made.
    """

    def __init__(
        self,
        blocks: TrainingBlocks,
        sampler: BlockSampler,
        *,
        num_workers: int,
        gpu: torch.device | None = None,
    ) -> None:
        super().__init__(
            blocks,
            batch_size=None,  # a block is made as a whole
            sampler=sampler,
            num_workers=num_workers,
            collate_fn=_as_it_is,
            worker_init_fn=start_worker,
            persistent_workers=num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            # Its own: seeds for workers, which need none, would be drawn from the model's.
            generator=torch.Generator(),
        )
        self.num_batches = sampler.num_batches
        self._gpu = gpu

    def __len__(self) -> int:
        """Batches in an epoch of this process."""
        return self.num_batches

    def __iter__(self) -> Iterator[ClipBatch]:  # type: ignore[override] # torch names its own class
        """Yield batches, or raise what a worker met."""
        batches = self._batches()
        return batches if self._gpu is None else copied_ahead(batches, self._gpu)

    def _batches(self) -> Iterator[ClipBatch]:
        parts: Iterator[Any] = super().__iter__()
        for part in parts:
            if isinstance(part, VidpredError):
                raise part
            yield from part


def _as_it_is(part: Any) -> Any:
    return part


class EvaluationSet(Sized, Protocol):
    """Whole clips of a split in a fixed order, as `vidpred.data.EvaluationClips`."""

    def __getitem__(self, index: int) -> ClipSample:
        """Give one clip, frames of shape (1, T, C, H, W)."""

    def __getitems__(self, indices: Sequence[int]) -> list[ClipSample] | VidpredError:
        """Give several clips, or the error as a value; see `vidpred.data.ClipLoader`."""


class ClipSampler(DistributedSampler[int]):
    """Clips of one process's evaluation: every clip goes to one process, once.

    torch's own sampler repeats clips until all processes have as many, and they would count twice.

    Args:
        num_clips: Clips of all processes.
        num_replicas: Processes that evaluate together.
        rank: Number of this one, from 0.

    Raises:
        DataError: When a process would have no clip.
    """

    def __init__(self, num_clips: int, *, num_replicas: int, rank: int) -> None:
        if num_clips < num_replicas:
            raise DataError(
                f"{num_clips} clips to evaluate on {num_replicas} processes; expected at least one "
                "for each: use fewer devices, or more videos"
            )
        super().__init__(range(num_clips), num_replicas=num_replicas, rank=rank, shuffle=False)  # type: ignore[arg-type]
        self._mine = range(rank, num_clips, num_replicas)

    def __len__(self) -> int:
        """Clips of this process."""
        return len(self._mine)

    def __iter__(self) -> Iterator[int]:
        """Yield their indices."""
        return iter(self._mine)


class ClipLoader(DataLoader[Any]):
    """A loader whose workers hand our own errors over as values.

    torch rebuilds a worker's exception from its traceback's text, which buries the sentence that a
    user needs; here it arrives as it was raised.
    """

    def __iter__(self) -> Iterator[ClipBatch]:  # type: ignore[override] # torch names its own class
        """Yield batches, or raise what a worker met."""
        batches: Iterator[Any] = super().__iter__()
        for batch in batches:
            if isinstance(batch, VidpredError):
                raise batch
            yield batch


def evaluation_loader(
    clips: EvaluationSet, *, batch_size: int, num_workers: int, num_replicas: int = 1, rank: int = 0
) -> ClipLoader:
    """Load this process's part of the clips of an evaluation, in order.

    Args:
        clips: Those of all processes.
        batch_size: Clips of a batch.
        num_workers: Processes that read clips.
        num_replicas: Processes that evaluate together.
        rank: Number of this one, from 0.

    Raises:
        DataError: When a process would have no clip.
    """
    dataset: Any = clips  # torch asks for its own class, and needs only what the protocol has
    return ClipLoader(
        dataset,
        sampler=ClipSampler(len(clips), num_replicas=num_replicas, rank=rank),
        batch_size=batch_size,
        num_workers=num_workers,
        collate_fn=_collate_or_error,
        worker_init_fn=start_worker,
        persistent_workers=num_workers > 0,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # as in `TrainingLoader`
    )


def _collate_or_error(samples: Sequence[ClipSample] | VidpredError) -> ClipBatch | VidpredError:
    """Join draws as `collate_clips`, but return an error as a value."""
    if isinstance(samples, VidpredError):
        return samples
    try:
        return collate_clips(samples)
    except VidpredError as error:
        return error
