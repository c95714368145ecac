"""Batches that are on the device before they are asked for."""

from collections.abc import Iterable, Iterator
from typing import cast

import torch
from torch import Tensor

from vidpred.batch import ClipBatch
from vidpred.prefetch import one_ahead


def copied_ahead(batches: Iterable[ClipBatch], device: torch.device) -> Iterator[ClipBatch]:
    """Copy each batch to a GPU while the one before it is learned from.

    On a stream of its own, so that neither waits for the other; uint8, a quarter of the bytes of
    what the networks see. Batches have to be pinned for that, as the loaders' are.

    Args:
        batches: On the CPU.
        device: A CUDA device.
    """
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def begin(batch: ClipBatch) -> tuple[ClipBatch, torch.cuda.Event]:
        with torch.cuda.stream(stream):
            copied = {
                name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
                for name, value in batch.items()
            }
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record()
        return cast(ClipBatch, copied), done

    def finish(begun: tuple[ClipBatch, torch.cuda.Event]) -> ClipBatch:
        batch, done = begun
        learning = torch.cuda.current_stream(device)
        learning.wait_event(done)
        for value in batch.values():
            if isinstance(value, Tensor):
                value.record_stream(learning)  # its memory is not given away while it is used
        return batch

    return one_ahead(batches, begin, finish)
