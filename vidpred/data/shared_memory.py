"""Shared memory for the output of a loader's worker."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from vidpred.errors import DataError


def shared_tensor(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Give a tensor to be filled, in a worker in memory that the loading process shares.

    Else torch would copy what a worker hands over, in a thread of its queue whose errors are
    printed while the loading process waits indefinitely.

    Args:
        shape: Its shape.
        dtype: Its type.

    Raises:
        DataError: When there is no room for it.
    """
    if get_worker_info() is None:
        return torch.empty(*shape, dtype=dtype)
    size = math.prod(shape) * dtype.itemsize
    try:
        # As torch's `default_collate` does.
        storage = torch.UntypedStorage._new_shared(size)  # type: ignore[no-untyped-call] # torch
    except RuntimeError as error:
        raise DataError(
            f"a worker that loads data has no room for its batches, {size / 2**20:.1f} MiB of "
            f"shared memory ({error}). Give more of it (/dev/shm; `docker run --shm-size 2g`), "
            "lift a limit on file sizes (`ulimit -f`), draw fewer patches from a video "
            "(--data.clips_per_video, --data.patches_per_clip) or load without workers "
            "(--data.num_workers 0)"
        ) from error
    return torch.empty(0, dtype=dtype).set_(storage).view(*shape)


def joined(tensors: Sequence[Tensor]) -> Tensor:
    """Join tensors along their first axis in such memory.

    Raises:
        DataError: As `shared_tensor`.
    """
    first = tensors[0]
    whole = shared_tensor((sum(map(len, tensors)), *first.shape[1:]), first.dtype)
    return torch.cat(list(tensors), out=whole)
