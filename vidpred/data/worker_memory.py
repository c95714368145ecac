"""Keeping the memory of loader workers flat."""

import ctypes
import gc
import sys


def share_with_parent(worker: int) -> None:
    """Leave what a forked worker has from its parent out of garbage collections.

    It shares that memory as long as neither writes to it, and a collection writes to every object.

    Args:
        worker: Its number, which does not matter; loaders call this with it.
    """
    gc.freeze()


def give_back_free_memory() -> None:
    """Give memory that was freed back to the system, where the C library is glibc.

    Frames of many sizes come and go, and what is free between what is held is kept by glibc: some
    24 MiB more after every 10,000 clips, while what is in use does not grow.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
