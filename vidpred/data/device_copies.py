"""Batches that are on the device before they are asked for."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

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
            copied = _each_tensor(batch, lambda value: value.to(device, non_blocking=True))
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record()
        return cast(ClipBatch, copied), done

    def finish(begun: tuple[ClipBatch, torch.cuda.Event]) -> ClipBatch:
        batch, done = begun
        learning = torch.cuda.current_stream(device)
        learning.wait_event(done)
        # The memory is not given away while it is used.
        _each_tensor(batch, lambda value: value.record_stream(learning))
        return batch

    return one_ahead(batches, begin, finish)


def _each_tensor(values: Any, change: Callable[[Tensor], Any]) -> Any:
    """Change the tensors of a batch, those of its conditions included."""
    if isinstance(values, Tensor):
        return change(values)
    if isinstance(values, Mapping):
        return {name: _each_tensor(value, change) for name, value in values.items()}
    return values
