"""Loaders: which positions an epoch draws, and how errors leave a worker."""

from collections.abc import Iterator, Sequence
from typing import Any

from torch.utils.data import DataLoader, DistributedSampler

from vidpred.batch import ClipBatch
from vidpred.data.catalog import ClipSample, collate_clips
from vidpred.data.training import TrainingClips
from vidpred.errors import VidpredError


class StreamSampler(DistributedSampler[int]):
    """Positions of a training stream: epoch e draws `e * len(dataset)` and the following ones.

    So no epoch repeats the draws of another, and no two processes share one. It is a
    `DistributedSampler` because Lightning leaves those as they are, and calls `set_epoch` before
    each epoch.

    Args:
        dataset: The stream.
        num_replicas: Processes that train together.
        rank: Number of this one, from 0.
        skip: Draws of this process that the first epoch leaves out: those before a resume.
    """

    def __init__(
        self, dataset: TrainingClips, *, num_replicas: int = 1, rank: int = 0, skip: int = 0
    ) -> None:
        super().__init__(dataset, num_replicas=num_replicas, rank=rank, shuffle=False)
        self.num_samples = len(dataset) // num_replicas
        self.total_size = self.num_samples * num_replicas
        self._skip = skip

    def __iter__(self) -> Iterator[int]:
        """Yield this process's positions of the present epoch."""
        first = self.epoch * self.total_size
        skip, self._skip = self._skip, 0
        positions = range(first + self.rank, first + self.total_size, self.num_replicas)
        return iter(positions[skip:])


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


def collate_or_error(samples: Sequence[ClipSample] | VidpredError) -> ClipBatch | VidpredError:
    """Join draws as `collate_clips`, but return an error as a value."""
    if isinstance(samples, VidpredError):
        return samples
    try:
        return collate_clips(samples)
    except VidpredError as error:
        return error
