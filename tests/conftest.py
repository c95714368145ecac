"""Fixtures that several folders share."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from chromium import chromium

if "PYTEST_XDIST_WORKER" in os.environ:
    # Processes of several threads each would fight over the cores, and be ten times as slow.
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for those that tests start


# So shells start what they put in the background, nohup what it starts, and all that these start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real videos: `VIDPRED_DATA`, or `shared/data` beside the checkout."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    root = Path(os.environ.get("VIDPRED_DATA", beside))
    if not (root / "ucf101" / "UCF-101").is_dir():
        pytest.skip("no real videos here; set VIDPRED_DATA to a folder with ucf101/ and other/")
    return root


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A browser for all tests of a process, which Playwright allows one; contexts are their own."""
    with chromium() as browser:
        yield browser


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is known of test videos out of the user's cache."""
    monkeypatch.setenv("VIDPRED_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def toy_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Moving shapes as small as they come: real AVI files and lists in UCF101's layout."""
    from vidpred.data.moving_shapes import write_moving_shapes

    root = tmp_path_factory.mktemp("toy") / "shapes"
    return write_moving_shapes(
        root, num_groups=3, clips_per_group=1, num_frames=8, height=48, width=64
    )


@pytest.fixture(scope="session")
def long_toy_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Moving shapes that are long enough for every protocol."""
    from vidpred.data.moving_shapes import write_moving_shapes

    root = tmp_path_factory.mktemp("toy") / "long"
    return write_moving_shapes(
        root, num_groups=3, clips_per_group=1, num_frames=28, height=48, width=64
    )
