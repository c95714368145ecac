"""How many bytes a file lacks, by its own word."""

from pathlib import Path

import pytest
import torch

from vidpred.data.doctor.containers import missing_bytes
from vidpred.video import write_video


@pytest.mark.parametrize("ending", [".avi", ".mp4"])
@pytest.mark.parametrize("cut", [0, 1, 200])
def test_the_bytes_that_were_cut_off_are_counted(tmp_path: Path, ending: str, cut: int) -> None:
    path = tmp_path / f"video{ending}"
    write_video(path, torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size - cut])
    assert missing_bytes(path) == cut


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"RIFF",
        b"GIF89a and what follows",
        b"RIFF\0\0\0\0AVI LIST",  # written to a pipe: the size is not known
        b"RIFF\xff\xff\xff\xffAVI LIST",
        b"\0\0\0\x0cftypisom\0\0\0\0mdat and all that follows",  # the last box has no end
        b"\0\0\0\x0cftypisom\0\0\0\x01mdat\0\0\0\0\0\0\0\x10",  # a box with a long size
        b"\0\0\0\x0cftypisom\0\0\0\x03mdat",  # a box smaller than its own head
    ],
)
def test_what_is_not_known_is_not_missing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert missing_bytes(tmp_path / "file") == 0


def test_a_long_box_may_be_cut_too(tmp_path: Path) -> None:
    content = b"\0\0\0\x0cftypisom\0\0\0\x01mdat" + (100).to_bytes(8, "big")
    (tmp_path / "file").write_bytes(content)
    assert missing_bytes(tmp_path / "file") == 100 - 16
