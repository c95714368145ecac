"""How batches leave a loader's worker."""

from collections.abc import Iterable

from torch import Tensor
from torch.utils.data import get_worker_info

from vidpred.batch import ClipBatch
from vidpred.errors import DataError


def share(batches: Iterable[ClipBatch]) -> None:
    """Move a worker's batches into shared memory; in the loading process itself do nothing.

    torch would do it later in a thread of its queue, whose errors are printed while the loading
    process waits for ever.

    Raises:
        DataError: When there is no room for them.
    """
    if get_worker_info() is None:
        return
    tensors = [value for batch in batches for value in batch.values() if isinstance(value, Tensor)]
    try:
        for tensor in tensors:
            tensor.share_memory_()  # batches that are views of one tensor are moved once
    except RuntimeError as error:
        storages = {tensor.untyped_storage().data_ptr(): tensor for tensor in tensors}
        size = sum(tensor.untyped_storage().nbytes() for tensor in storages.values())
        raise DataError(
            f"a worker that loads data cannot hand its batches over, {size / 2**20:.0f} MiB of "
            f"shared memory ({error}). Give more of it (/dev/shm; `docker run --shm-size 2g`), "
            "lift a limit on file sizes (`ulimit -f`), draw fewer patches from a video "
            "(--data.clips_per_video, --data.patches_per_clip) or load without workers "
            "(--data.num_workers 0)"
        ) from error
