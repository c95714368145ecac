"""`vidpred data index` and `vidpred data doctor` as a user sees them."""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vidpred.cli.doctor import add_doctor_parser, add_index_parser
from vidpred.errors import DataError, VidpredError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDPRED_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(toy_root: Path, tmp_path: Path) -> Path:
    """A copy of the toy set: 12 videos of 8 frames."""
    return shutil.copytree(toy_root, tmp_path / "set")


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    add_index_parser(commands)
    add_doctor_parser(commands)
    parsed = parser.parse_args([str(argument) for argument in arguments])
    return int(parsed.run(parsed))


def test_a_closed_output_changes_no_status(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # as after `>&-`
    assert run("doctor", root) == 0


def test_the_index_is_built_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("index", root) == 0
    out = capsys.readouterr().out
    assert "12 videos: 12 new, 0 changed, 0 gone, 0 cannot be read, 0 in quarantine" in out
    assert out.rstrip().endswith(".sqlite")
    assert "cache" in out
    next(root.rglob("*.avi")).write_bytes(b"")
    assert run("index", root) == 0
    out = capsys.readouterr().out
    assert "12 videos: 0 new, 1 changed, 0 gone, 1 cannot be read, 1 in quarantine" in out
    assert f"vidpred data doctor {root}" in out


def test_a_healthy_set_exits_with_0(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor", root, "--full") == 0
    captured = capsys.readouterr()
    assert captured.out.rstrip().endswith("healthy")
    assert "12 videos, 4 classes, 96 frames, 12 decoded whole" in captured.out


def test_one_is_counted_as_one(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one").mkdir()
    shutil.copy(next(root.rglob("*.avi")), tmp_path / "one")
    assert run("doctor", tmp_path / "one") == 0
    assert "1 video, 1 folder, 8 frames" in capsys.readouterr().out


@pytest.mark.parametrize("name", [".", "/"])
def test_a_folder_is_no_report(name: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(VidpredError, match=r"this is a folder; expected the name of a \.json file"):
        run("doctor", root, "--json", name)
    assert capsys.readouterr().out == ""  # nothing was examined


def test_a_report_names_what_was_found_and_what_to_do(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = sorted(root.rglob("*.avi"))
    for path in paths[:5]:
        path.write_bytes(b"")
    paths[5].unlink()
    assert run("doctor", root, "--json", tmp_path / "deep" / "report.json") == 2
    out = capsys.readouterr().out
    assert "[empty] 5 files are empty" in out
    assert str(paths[0].relative_to(root)) in out
    assert "... and 2 more (--json FILE names all)" in out
    assert "-> Fetch them again or delete them" in out
    assert "[missing] 1 of 12 listed videos are not on the disk" in out
    assert "Training leaves out 5 videos" in out
    assert "not healthy" in out
    report = json.loads((tmp_path / "deep" / "report.json").read_text())
    assert not report["healthy"]
    assert len(report["quarantine"]) == 5
    found = {finding["kind"]: finding for finding in report["findings"]}
    assert found["empty"]["fault"] is True
    assert found["empty"]["items"] == [path.relative_to(root).as_posix() for path in paths[:5]]
    assert found["missing"]["items"] == [paths[5].relative_to(root / "UCF-101").as_posix()]

    assert run("doctor", root, "--release") == 0
    assert "5 videos released" in capsys.readouterr().out


def test_a_part_may_be_enough(root: Path) -> None:
    next(root.rglob("*.avi")).unlink()
    assert run("doctor", root) == 2
    assert run("doctor", root, "--subset") == 0


def test_mistakes_are_refused(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError, match="no such folder"):
        run("doctor", tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        run("doctor", root, "--json", tmp_path / "file" / "report.json")
    for option in ("--frames", "--workers"):
        with pytest.raises(SystemExit, match="2"):
            run("doctor", root, option, 0)
        assert "at least 1" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        run("doctor", root, "--sample", -1)


def test_help_needs_no_torch() -> None:
    code = "import sys, vidpred.cli.doctor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
