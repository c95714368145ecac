"""What the C library does with freed memory, where it is glibc; elsewhere nothing is done."""

import ctypes
import sys

# Numbers of malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

_KEPT_BYTES = 2**31 - 1
_LARGEST_IN_HEAP = 2**30
_LARGEST_IN_HEAP_OF_OLD = 2**25
"""What glibc takes whose heaps are small."""


def keep_freed_memory() -> bool:
    """Keep memory that is freed in this process, for good, instead of giving it to the system.

    glibc gives blocks above 32 MiB and the end of the heap back at once, and the next layer has
    them zeroed again, page by page: a quarter of the time of a training step on a CPU. Equal layers
    take no more by it; blocks of many sizes, as of large frames, leave gaps.

    Returns:
        Whether the C library took it.
    """
    library = _glibc()
    if library is None:
        return False
    in_heap = any(
        library.mallopt(_M_MMAP_THRESHOLD, size)
        for size in (_LARGEST_IN_HEAP, _LARGEST_IN_HEAP_OF_OLD)
    )
    return bool(library.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)) and in_heap


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    # Other C libraries of Linux, such as musl, have none.
    return library if hasattr(library, "mallopt") else None
