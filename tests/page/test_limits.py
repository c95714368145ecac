"""Bad input: each is refused in one sentence, and its files are gone."""

import errno
import io
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import torch
from encoded_videos import KINDS, flip_bits, write
from page_client import Client
from page_site import LIMITS
from PIL import Image

from vidpred.page.disk import DiskBudget, Folder, temporary_root
from vidpred.page.refusals import Gone, PageError
from vidpred.video import write_video

Open = Callable[[], Client]


def refused(tab: Client, server: Any, content: bytes | Path, name: str) -> str:
    """Send a clip that cannot be used, and give the sentence."""
    clip = tab.ready(content, name)
    assert clip["state"] == "failed"
    assert server.files() == []
    problem = str(clip["problem"])
    assert problem.startswith(f"{name}: ")
    assert str(server.root) not in problem  # names of temporary files help no one
    return problem


def test_a_text_file_named_mp4(client: Open, server: Any) -> None:
    said = refused(client(), server, b"Dear diary,\n" * 100, "notes.mp4")
    assert "no video" in said


def test_a_playlist_reads_no_file_of_this_machine(
    client: Open, server: Any, toy_clip: Path
) -> None:
    tab = client()
    for text in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:{toy_clip}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{toy_clip}'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
    ):
        assert "no video" in refused(tab, server, text.encode(), "list.mp4")


def test_ten_thousand_by_ten_thousand_pixels(client: Open, server: Any) -> None:
    # A GIF of two frames whose screen is that large, in a few bytes.
    picture = io.BytesIO()
    frames = [Image.new("P", (8, 8), color) for color in (0, 1)]
    frames[0].save(picture, "GIF", save_all=True, append_images=frames[1:], duration=100)
    content = bytearray(picture.getvalue())
    content[6:10] = struct.pack("<HH", 10_000, 10_000)
    said = refused(client(), server, bytes(content), "huge.gif")
    assert "10,000 x 10,000 pixels" in said
    assert "at most 1.0 megapixels" in said


def test_a_two_hour_video(client: Open, server: Any, tmp_path: Path) -> None:
    # One frame in ten seconds, 720 of them: what counts is what the file holds.
    frames = torch.zeros(720, 3, 16, 16, dtype=torch.uint8)
    write_video(tmp_path / "film.mp4", frames, fps=0.1)
    said = refused(client(), server, tmp_path / "film.mp4", "film.mp4")
    assert "about 720 frames (2 h 0 min)" in said
    assert "at most 60" in said
    assert "ffmpeg" in said


def test_a_length_that_the_header_does_not_tell(client: Open, server: Any, tmp_path: Path) -> None:
    kind = next(kind for kind in KINDS if kind.name == "h264.ts")
    path = write(tmp_path, kind, count=80)
    assert "expected at most 60" in refused(client(), server, path, "long.ts")


def test_a_file_that_is_too_large(client: Open, server: Any) -> None:
    tab = client()
    size = LIMITS.upload_bytes + 1
    answer = tab.upload(bytes(size), "large.mp4")
    assert answer.status_code == 413
    assert "large.mp4: it is larger than 2 MiB" in answer.json()["problem"]
    # Without a length the bytes are counted as they come.
    chunks = (bytes(2**16) for _ in range(size // 2**16 + 1))
    try:
        answer = requests.post(f"{tab.path}/clips", data=chunks, timeout=60)
        assert answer.status_code == 413
    except requests.ConnectionError:
        pass  # the server has hung up before all was sent
    tab.wait(lambda held: held["clips"] == [])
    assert server.files() == []


def test_an_empty_file(client: Open, server: Any) -> None:
    answer = client().upload(b"", "empty.mp4")
    assert (answer.status_code, answer.json()["problem"]) == (
        400,
        "empty.mp4: the file is empty; expected a video",
    )
    assert server.files() == []


def test_a_single_frame(client: Open, server: Any, tmp_path: Path) -> None:
    write_video(tmp_path / "one.avi", torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    assert "it has 1 frame" in refused(client(), server, tmp_path / "one.avi", "one.avi")


def test_an_upload_that_breaks_off(client: Open, server: Any, toy_clip: Path) -> None:
    tab = client()

    def half() -> Any:
        yield toy_clip.read_bytes()[:1000]
        raise OSError("the tab is closed while it sends")

    with pytest.raises((OSError, requests.RequestException)):
        requests.post(f"{tab.path}/clips", data=half(), timeout=30)
    deadline = time.monotonic() + 30
    while server.files():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_names_are_shown_and_never_used_as_paths(client: Open, server: Any, toy_clip: Path) -> None:
    tab = client()
    bad = "../../../etc/passwd\x00\n<b>.avi"
    clip = tab.ready(toy_clip, bad)
    assert clip["name"] == "../../../etc/passwd<b>.avi"
    assert all(not Path(name).parts[0].startswith("..") for name in server.files())
    assert tab.predicted(clip["key"])["state"] == "done"


def test_damaged_frames_are_not_predicted_from(client: Open, server: Any, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (30, 3, 64, 64), generator=generator, dtype=torch.uint8)
    path = tmp_path / "bits.avi"
    write_video(path, noise)
    flip_bits(path, frame=5)  # damages 5 to 11, up to the next key frame
    tab = client()
    clip = tab.ready(path)
    assert clip["state"] == "ready"
    assert clip["damaged"] == list(range(5, 12))
    answer = tab.ask(clip["key"], last=9)
    assert answer.status_code == 400
    assert "is damaged; choose another moment" in answer.json()["problem"]
    assert tab.predicted(clip["key"], last=16)["state"] == "done"


def test_what_does_not_fit_on_the_disk(
    client: Open, server: Any, tmp_path: Path, toy_clip: Path
) -> None:
    tab = client()
    clip = tab.ready(toy_clip)["key"]
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (12, 3, 320, 480), generator=generator, dtype=torch.uint8)
    write_video(tmp_path / "noise.mp4", noise)
    assert (tmp_path / "noise.mp4").stat().st_size < LIMITS.upload_bytes
    big = tab.ready(tmp_path / "noise.mp4")
    assert big["state"] == "ready"
    # Frames of noise take 0.46 MB each without loss; 8 MiB do not hold 4 known, 7 true, 14 more.
    failed = tab.predicted(big["key"], last=4, horizon=7)
    assert failed["state"] == "failed"
    assert "more than 8 MiB" in failed["problem"]
    assert "--max-disk" in failed["problem"]
    assert not any("prediction-" in name for name in server.files())
    assert tab.predicted(clip)["state"] == "done"  # the rest is as it was


def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path / "folder", DiskBudget(1000))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(PageError, match="no space left on the disk"):
        folder.write("a", b"x")
    folder.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_budget_is_given_back(tmp_path: Path) -> None:
    budget = DiskBudget(10)
    folder = Folder(tmp_path / "folder", budget)
    folder.write("a", b"123456")
    folder.write("a", b"78")
    assert (tmp_path / "folder" / "a").read_bytes() == b"12345678"
    with pytest.raises(PageError, match="more than 0 MiB"):
        folder.write("b", b"123")
    folder.remove()
    folder.remove()
    assert (budget.used, list(tmp_path.iterdir())) == (0, [])
    with pytest.raises(Gone):  # who still works for it ends
        folder.write("c", b"")


def test_folders_of_servers_that_were_killed_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    killed = tmp_path / "vidpred-serve-killed"
    killed.mkdir()
    (killed / ".lock").touch()
    (killed / "clip").write_bytes(b"x")
    other = tmp_path / "vidpred-serve-notes"  # no lock: not ours
    other.mkdir()
    with temporary_root() as first:
        assert not killed.exists()
        (first / "clip").write_bytes(b"x")
        with temporary_root() as second:
            assert first.is_dir()  # its server is running
            assert second != first
        assert (first / "clip").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["vidpred-serve-notes"]


@pytest.mark.parametrize(
    "name", ["mpeg4.avi", "hevc.mp4", "gif.gif", "vp9.webm", "mpeg2.mpg", "wmv.asf", "ten_bit.mkv"]
)
def test_what_browsers_do_not_play_is_shown_too(client: Open, tmp_path: Path, name: str) -> None:
    kind = next(kind for kind in KINDS if kind.name == name)
    tab = client()
    clip = tab.ready(write(tmp_path, kind, count=16), name)
    assert (clip["state"], clip["frames"], clip["problem"]) == ("ready", 16, None)
    answer = requests.get(f"{tab.path}/clips/{clip['key']}/frames/15.jpg", timeout=30)
    assert np.array(Image.open(io.BytesIO(answer.content))).shape == (64, 96, 3)
    assert tab.predicted(clip["key"])["state"] == "done"
