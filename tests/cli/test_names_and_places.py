"""Names that are no text, too long or in capitals; no home folder; terminals without UTF-8."""

import io
import os
import pwd
import shutil
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from encoded_videos import Kind, write

from vidpred import files
from vidpred.cli.main import main
from vidpred.data.doctor.diagnosing import diagnose
from vidpred.data.index.video_index import VideoIndex
from vidpred.data.video_folder import VideoFolderDataModule, find_videos
from vidpred.errors import DataError
from vidpred.evaluation.selection import FolderVideos
from vidpred.evaluation.sources.frame_files import write_clip
from vidpred.files import cache_folder, expand_home, replacing, require_folder
from vidpred.video import probe, read_clip

H264 = {"preset": "veryfast", "threads": "1", "g": "12"}


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write(tmp_path, Kind("in.mp4", "libx264", options=H264), count=8)


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user id without a line in /etc/passwd, as containers have."""

    def unknown(uid: int) -> pwd.struct_passwd:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("HOME", "XDG_CACHE_HOME", "VIDPRED_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    files._say_once.cache_clear()


@pytest.mark.usefixtures("no_home")
def test_predict_without_a_home(
    video: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out.npy"
    assert main(["predict", str(video), "--horizon", "1", "--output", str(out)]) == 0
    assert np.load(out).shape == (1, 64, 96, 3)


@pytest.mark.usefixtures("no_home")
def test_an_index_without_a_home_is_kept_in_memory_and_said_once(
    video: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert cache_folder() is None
    with VideoIndex(tmp_path) as index:
        assert index.in_memory
        assert (index.refresh().total, index.facts(video).num_frames) == (1, 8)
        assert index.refresh().new == 0
        assert diagnose(index).quarantine == {}
    assert caplog.text.count("this user has no home folder") == 1
    with pytest.raises(DataError, match="~/videos: this user has no home folder; give the whole"):
        expand_home("~/videos")
    with pytest.raises(DataError, match="no home folder"):
        VideoFolderDataModule("~/videos")


def test_a_folder_whose_name_holds_a_nul_is_refused() -> None:
    with pytest.raises(DataError, match=r"^'data\\x00': no name holds a NUL; expected a folder"):
        require_folder(Path("data\0"), "a folder of videos")


def latin_1(folder: Path, source: Path) -> Path:
    """A name of bytes that are no UTF-8, "café" in Latin-1."""
    target = os.path.join(os.fsencode(folder), b"caf\xe9.mp4")
    try:
        shutil.copyfile(source, target)
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    return Path(os.fsdecode(target))


def test_names_that_are_no_utf_8(
    video: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    root = tmp_path / "set"
    (root / "cls").mkdir(parents=True)
    for number in range(2, 7):
        shutil.copyfile(video, root / "cls" / f"v{number}.mp4")
    odd = latin_1(root / "cls", video)
    names = find_videos(root)
    assert len(names) == len(FolderVideos().select(root).videos) == 6
    data = VideoFolderDataModule(root, num_workers=0, samples_per_epoch=16)
    data.setup("fit")
    data.setup("test")
    assert sum(len(batch["video_id"]) for batch in data.train_dataloader()) == 16
    assert data.describe_stream()["train_videos"]
    assert sum(len(listing.videos) for listing in data.listings.values()) == 6
    assert probe(odd).num_frames == 8
    with VideoIndex(root) as index:
        assert diagnose(index, full=True).counts["videos"] == 6
    out = tmp_path / "out"
    assert (
        main(["predict", str(odd), "--horizon", "1", "--format", "npy", "--output", str(out)]) == 0
    )
    (written,) = out.iterdir()
    assert os.fsencode(written.name) == b"caf\xe9.npy"
    assert os.fsencode(written) in capfdbinary.readouterr().out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_any_name_can_be_printed_anywhere(
    video: Path, tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "set"
    root.mkdir()
    latin_1(root, video).write_bytes(b"no video")
    (root / "动 é.mp4").write_bytes(b"no video")
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["data", "doctor", str(root)]) == 2
    print(os.fsdecode(b"caf\xe9.mp4"), "动")
    stream.flush()
    said = stream.buffer.getvalue()  # type: ignore[attr-defined]  # a BytesIO
    assert b"2 files cannot be opened as a video" in said
    assert said.rstrip().endswith(
        b"caf\xe9.mp4 " + ("动".encode() if encoding == "utf-8" else rb"\u52a8")
    )


def test_names_near_the_limit_of_the_file_system(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = tmp_path / f"{'动' * 83}.mp4"  # 253 bytes, as `long_name.py` of the issue writes it
    longest = tmp_path / f"{'n' * 251}.mp4"  # 255 bytes: no .webm of this name can be
    try:
        for path in (long, longest):
            shutil.copyfile(video, path)
    except OSError:
        pytest.skip("this file system takes shorter names alone")
    out = tmp_path / "o"
    inputs = [str(long), str(longest), str(video)]
    assert main(["predict", *inputs, "--horizon", "1", "--output", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [long.name, longest.name, video.name]
    )
    capsys.readouterr()
    arguments = ["--horizon", "1", "--format", "webm", "--output", str(tmp_path / "w")]
    assert main(["predict", *inputs, *arguments]) == 2
    assert sorted(path.suffix for path in (tmp_path / "w").iterdir()) == [".webm", ".webm"]
    assert "(File name too long); choose another --output" in capsys.readouterr().err
    assert not list(tmp_path.rglob(".*"))
    with replacing(tmp_path / ("x" * 255)) as temporary:
        temporary.write_text("whole")
    assert (tmp_path / ("x" * 255)).read_text() == "whole"
    write_clip(tmp_path / ("动" * 85), read_clip(video, 0, 2))
    assert probe(tmp_path / ("动" * 85)).num_frames == 2


def test_endings_in_capitals(tmp_path: Path) -> None:
    path = tmp_path / "in.MP4"
    kind = Kind("in.mp4", "libx264", "yuv444p", H264)
    write(tmp_path, kind, count=8, height=63, width=97).rename(path)
    assert find_videos(tmp_path) == ["in.MP4"]
    formats = {}
    for name in ("a.MP4", "a.GIF", "a.WebM", "a.NPY"):
        out = tmp_path / name
        assert main(["predict", str(path), "--horizon", "2", "--output", str(out)]) == 0
        if name != "a.NPY":
            with av.open(str(out)) as container:
                context = container.streams.video[0].codec_context
                formats[name] = (context.name, context.width, context.height)
    # The small decoders' names are those of FFmpeg; only MP4 keeps odd sizes as they are.
    assert formats["a.MP4"] == ("h264", 97, 63)
    assert formats["a.GIF"] == ("gif", 97, 63)
    assert formats["a.WebM"][0] == "vp9"
    assert np.load(tmp_path / "a.NPY").shape == (2, 63, 97, 3)
