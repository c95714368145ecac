"""A folder that is replaced: the old one or the new one is there, whole, whatever happens."""

import os
import shutil
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidpred.files import replace_folder, replacing, temporary_name
from vidpred.prediction.outputs import ArrayOutput, FramesOutput
from vidpred.video.playing import Look


def folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "0001.png").write_text(text)
    return path


def test_the_new_one_takes_the_place(tmp_path: Path) -> None:
    old, new = folder(tmp_path / "a", "old"), folder(tmp_path / "b", "new")
    replace_folder(new, old)
    assert (old / "0001.png").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_an_interruption_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = folder(tmp_path / "a", "old"), folder(tmp_path / "b", "new")
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if self == new:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replace_folder(new, old)
    assert (old / "0001.png").read_text() == "old"


def test_an_interruption_while_the_old_one_goes_leaves_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = folder(tmp_path / "a", "old"), folder(tmp_path / "b", "new")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replace_folder(new, old)
    assert (old / "0001.png").read_text() == "new"


def test_what_another_process_of_this_number_left_is_in_no_way(tmp_path: Path) -> None:
    path = tmp_path / "frames"
    stale = temporary_name(path, keep_suffix=False)
    stale.mkdir()
    with FramesOutput(path, several=False) as output:
        output.begin_position("0")
        output.write(np.zeros((8, 8, 3), np.uint8), Look(8, 8, Fraction(25)))
    assert [file.name for file in path.iterdir()] == ["0001.png"]
    assert sorted(found.name for found in tmp_path.iterdir()) == sorted([path.name, stale.name])


@pytest.mark.parametrize("there", [True, False])
def test_a_symbolic_link_is_written_through(tmp_path: Path, there: bool) -> None:
    (tmp_path / "disk").mkdir()
    real_file, real_folder = tmp_path / "disk" / "file.bin", tmp_path / "disk" / "folder"
    if there:
        real_file.write_text("old")
        folder(real_folder, "old")
    link, frames = tmp_path / "out.npy", tmp_path / "frames"
    link.symlink_to("disk/file.bin")
    frames.symlink_to("disk/folder")
    with replacing(link) as temporary:
        assert temporary.suffix == ".npy"
        temporary.write_text("new")
    with FramesOutput(frames, several=False) as output:
        output.begin_position("0")
        output.write(np.zeros((8, 8, 3), np.uint8), Look(8, 8, Fraction(25)))
    assert link.is_symlink()
    assert real_file.read_text() == "new"
    assert frames.is_symlink()
    assert not real_folder.is_symlink()
    assert (real_folder / "0001.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "frames", "out.npy"]
    assert sorted(path.name for path in real_file.parent.iterdir()) == ["file.bin", "folder"]


def test_what_a_killed_process_left_is_removed_after_an_hour(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    before = time.time() - 7200
    gone, mine = ended.pid, os.getpid()
    files = [f".out.{gone}.npy", f".out.{mine}0.mp4", f".other.{gone}.npy", f".out.{gone}x.npy"]
    folders = [f".frames.{gone}.abcdefgh", f".frames.{gone}", f".frames.{gone}.old"]
    folders += [f".frames.{mine}.abcdefgh", f".frames.{gone}.recently"]
    for name in files:
        (tmp_path / name).write_text("part")
    for name in folders:
        (tmp_path / name / "frames").mkdir(parents=True)
    for path in tmp_path.rglob("*"):
        os.utime(path, (before, before))
    os.utime(tmp_path / f".frames.{gone}.recently" / "frames")
    for output in (
        ArrayOutput(tmp_path / "out.npy", several=False, frames=1),
        FramesOutput(tmp_path / "frames", several=False),
    ):
        with output:
            output.begin_position("0")
            output.write(np.zeros((8, 8, 3), np.uint8), Look(8, 8, Fraction(25)))
    found = {path.name for path in tmp_path.iterdir()}
    assert found == {*files[1:], *folders[1:], "out.npy", "frames"}
