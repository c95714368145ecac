"""Memory that is freed stays in the process when that is asked for."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="not glibc")

FAULTS = """
import resource
import numpy as np
from vidpred.kernels.allocator import keep_freed_memory

{first}
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        np.full((40, 1 << 20), 1, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(faults())
"""


def faults(first: str) -> int:
    """Pages that the system gave for ten blocks of 40 MiB, when others were freed before."""
    code = FAULTS.format(first=first)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.slow
def test_memory_is_kept() -> None:
    plain, kept = faults(""), faults("assert keep_freed_memory()")
    # A page may be 4 KiB or, where the system makes them, 2 MiB.
    assert plain >= 10 * 20
    assert kept < plain / 20
