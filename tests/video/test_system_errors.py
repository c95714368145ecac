"""An error of the system is named, and never remembered as damage of a file.

The errors are real ones for all that is tested: a library that is loaded before the C library gives
them in a process of its own, which reads a healthy data set.
"""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from encoded_videos import Kind, write

from vidpred.data.doctor.diagnosing import diagnose
from vidpred.data.index.video_index import VideoIndex

pytestmark = pytest.mark.slow  # each starts a Python of its own

LARGE = Kind("large.mkv", "ffv1", "bgr0", {"g": "4"})

CHILD = """
import os, resource, sys, traceback, warnings
from pathlib import Path
import torch
from vidpred.data.catalog import read_lines
from vidpred.data.doctor.diagnosing import diagnose
from vidpred.data.evaluation_clips import readable_videos
from vidpred.data.index.video_index import VideoIndex
from vidpred.data.video_folder import VideoFolderDataModule, find_videos
from vidpred.errors import AccessError, DataError, VidpredError
from vidpred.video import probe, read_clip
from vidpred.video.playing import play

warnings.simplefilter("ignore")
root, what, number, start = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]

def failing(what, start=start):
    os.environ.update(FAILING_FILE=what, FAILING_NUMBER=number, FAILING_FROM=start)

def said(name, call, *kinds):
    try:
        call()
    except kinds as error:
        print("OK", name, type(error).__name__, error)
    except BaseException:
        print("FAULT", name, traceback.format_exc())
    else:
        print("FAULT", name, "nothing was raised")

if what == "descriptors":
    last = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (last, last))
    said("probe", lambda: probe(root / "cls/v1.avi"), AccessError)
    said("frames", lambda: probe(root / "cls/frames"), AccessError)
    sys.exit()
if what == "folder":
    with VideoIndex(root) as index:
        before = index.refresh().total
    failing(str(root / "cls"))
    said("loader", lambda: VideoFolderDataModule(root).setup("fit"), DataError)
    with VideoIndex(root) as index:
        report = index.refresh()
        diagnosis = diagnose(index)
        print("OK index", report.unreadable, report.gone, len(index.known()) == before)
        print("OK doctor", [f.summary for f in diagnosis.findings if f.kind == "system"])
    sys.exit()
if what == "list":
    failing("train.txt")
    said("list", lambda: read_lines(root.parent / "train.txt"), DataError)
    sys.exit()
if what.endswith(".png"):
    failing(what)
    said("read", lambda: read_clip(root / "cls/frames", 0, 5), AccessError)
    said("play", lambda: [f.pixels for f in play(root / "cls/frames")], AccessError)
else:
    failing(what)
    said("probe", lambda: probe(root / "cls" / what), AccessError)
    said("read", lambda: read_clip(root / "cls" / what, 0, 40), AccessError)
    said("play", lambda: list(play(root / "cls" / what)), AccessError)
with VideoIndex(root) as index:
    report = index.refresh()
    print("OK refresh", report.broken, sorted(report.unreadable))
    diagnosis = diagnose(index, full=True)
    print("OK quarantine", dict(diagnosis.quarantine))
    print("OK kinds", sorted({finding.kind for finding in diagnosis.findings}))
data = VideoFolderDataModule(root, num_workers=0, samples_per_epoch=16, patch_size=16)
data.setup("fit")
print("OK drawn", sum(len(batch["video_id"]) for batch in data.train_dataloader()))
with VideoIndex(root) as index:
    print("OK quarantine", index.quarantined())
"""


@pytest.fixture(scope="session")
def failing_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("errors are made with a C compiler, on Linux")
    library = tmp_path_factory.mktemp("failing") / "disk.so"
    source = Path(__file__).with_name("failing_disk.c")
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return library


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from test_folders import frames

    root = tmp_path_factory.mktemp("healthy") / "set"
    (root / "cls").mkdir(parents=True)
    for number in range(1, 5):
        kind = Kind(f"v{number}.avi", "mpeg4", options={"g": "8"})
        write(root / "cls", kind, count=12 + number)
    write(root / "cls", LARGE, count=40)
    frames(root / "cls" / "frames", count=12)
    frames(root / "cls" / "more", count=9)
    (root.parent / "train.txt").write_text("cls/v1.avi\n")
    return root


def child(root: Path, library: Path, cache: Path, what: str, number: int, start: int) -> str:
    environment = {**os.environ, "LD_PRELOAD": str(library), "VIDPRED_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(root), what, str(number), str(start)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "FAULT" not in done.stdout, done.stdout
    return done.stdout


# fmt: off
CASES = [
    ("v1.avi", errno.EACCES, -1),  # a permission
    ("v2.avi", errno.EIO, 0),  # a disk that gives nothing
    ("large.mkv", errno.EIO, 40_000),  # a bad sector in the middle: FFmpeg takes it for the end
    ("v2.avi", errno.ESTALE, 3000),  # a network drive that went away on the way
    ("003.png", errno.EIO, 100),  # one frame of a folder
]
# fmt: on


@pytest.mark.parametrize(("what", "number", "start"), CASES)
def test_what_the_system_does_not_give_is_no_damage(
    healthy: Path,
    failing_disk: Path,
    tmp_path: Path,
    what: str,
    number: int,
    start: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = child(healthy, failing_disk, tmp_path, what, number, start)
    assert out.count(os.strerror(number)) >= 2
    assert "OK quarantine {}" in out
    assert "'system'" in out
    assert "damaged" not in out.partition("OK refresh")[2]
    assert "OK drawn 16" in out
    # The next time the drive is there, and so is everything on it.
    monkeypatch.setenv("VIDPRED_CACHE", str(tmp_path))
    with VideoIndex(healthy) as index:
        diagnosis = diagnose(index, full=True)
    assert diagnosis.healthy
    assert diagnosis.quarantine == {}
    assert diagnosis.counts["videos"] == 7


def test_a_folder_that_cannot_be_listed_is_named_and_nothing_is_forgotten(
    healthy: Path, failing_disk: Path, tmp_path: Path
) -> None:
    out = child(healthy, failing_disk, tmp_path, "folder", errno.EACCES, -1)
    assert "OK loader DataError" in out
    assert f"{healthy / 'cls'}: Permission denied" in out
    assert "OK index {'cls': 'Permission denied'} 0 True" in out
    assert "1 folders or files are not given by the system" in out


def test_out_of_file_descriptors(healthy: Path, failing_disk: Path, tmp_path: Path) -> None:
    out = child(healthy, failing_disk, tmp_path, "descriptors", 0, 0)
    assert out.count("Too many open files") == 2


def test_a_list_that_cannot_be_read_is_named(
    healthy: Path, failing_disk: Path, tmp_path: Path
) -> None:
    out = child(healthy, failing_disk, tmp_path, "list", errno.EACCES, -1)
    assert "train.txt: the list cannot be read (Permission denied)" in out
