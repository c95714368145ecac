"""Batches that a worker cannot hand over."""

import subprocess
import sys
from pathlib import Path

import pytest

# In a process of its own, whose files, shared memory among them, may not grow beyond a limit.
LIMITED = """
import resource, sys
from vidpred.data import UCF101DataModule
from vidpred.errors import DataError

data = UCF101DataModule(sys.argv[1], batch_size=4, patch_size=32, num_workers=1)
data.setup("fit")
loader = {"fit": data.train_dataloader, "validate": data.val_dataloader}[sys.argv[2]]()
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    for batch in loader:
        print("a batch")
except DataError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file sizes on Windows")
@pytest.mark.parametrize("stage", ["fit", pytest.param("validate", marks=pytest.mark.slow)])
def test_no_room_in_shared_memory_ends_the_loop_with_the_reason(toy_root: Path, stage: str) -> None:
    child = [sys.executable, "-c", LIMITED, str(toy_root), stage]
    done = subprocess.run(child, check=True, capture_output=True, text=True, timeout=60)
    assert "has no room for its batches" in done.stdout
    assert "File too large" in done.stdout
    assert "a batch" not in done.stdout
    assert "Traceback" not in done.stderr
