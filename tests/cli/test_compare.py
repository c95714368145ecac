"""`vidpred compare`, as a user runs it."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from synthetic_results import synthetic_results, write_results

from vidpred.cli.compare import add_compare_parser
from vidpred.errors import ResultError, VidpredError


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    return write_results(folder, synthetic_results(num_videos=6), height=32, width=32, num_shown=1)


def compare(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    add_compare_parser(parser.add_subparsers())
    parsed = parser.parse_args(["compare", *map(str, arguments)])
    return int(parsed.run(parsed))


def test_the_table_goes_to_stdout_and_the_rest_to_stderr(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, plain = tmp_path / "new" / "report.html", tmp_path / "new" / "comparison.json"
    assert compare(home, "--output", report, "--json", plain) == 0
    said = capsys.readouterr()
    assert said.out.startswith("### clean-ucf101\n")
    assert "| 1 | adv_gdl |" in said.out
    assert f"wrote {plain}\nwrote {report}\n" in said.err
    assert json.loads(plain.read_text())["measure"] == "psnr.masked_mean.moving"
    assert "<!doctype html>" in report.read_text()[:400]


def test_another_measure_ranks(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("adv_gdl", "copy_last")
    files = [home / f"{name}.json" for name in names]
    assert compare(*files, "--measure", "sharpness.standard.whole") == 0
    said = capsys.readouterr().out
    assert "is best in Sharpness (whole frame)" in said
    assert "optical_flow" not in said
    with pytest.raises(ResultError, match="measure 'beauty' is not in all of these results"):
        compare(*files, "--measure", "beauty")


def test_outputs_that_are_there_are_kept(home: Path, tmp_path: Path) -> None:
    plain = tmp_path / "comparison.json"
    plain.write_text("mine")
    with pytest.raises(ResultError, match="is there already; choose another name, or give --over"):
        compare(home, "--json", plain)
    assert plain.read_text() == "mine"
    assert compare(home, "--json", plain, "--overwrite") == 0
    assert plain.read_text() != "mine"
    with pytest.raises(VidpredError, match=r"this is a folder; expected the name of a \.html file"):
        compare(home, "--output", tmp_path, "--overwrite")


def test_a_folder_whose_name_is_no_utf_8_makes_a_report(home: Path, tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), b"caf\xe9")))
    try:
        shutil.copytree(home, odd)
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    report = tmp_path / "report.html"
    assert compare(odd, "--output", report) == 0
    assert r"caf\udce9" in report.read_text(encoding="utf-8")


def test_a_result_is_never_overwritten(home: Path) -> None:
    result = home / "l2.json"
    before = result.read_bytes()
    with pytest.raises(ResultError, match="is one of the results; choose another name"):
        compare(home, "--json", result, "--overwrite")
    assert result.read_bytes() == before


def test_help_answers_at_once() -> None:
    code = (
        "import argparse, sys; from vidpred.cli.compare import add_compare_parser;"
        "p = argparse.ArgumentParser(); add_compare_parser(p.add_subparsers());"
        "p.parse_args(['compare', '--help'])"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert time.perf_counter() - start < 2  # on a busy machine; torch alone takes longer
    assert "with 95 % intervals" in " ".join(done.stdout.split())


def test_two_outputs_are_two_files(home: Path, tmp_path: Path) -> None:
    (tmp_path / "link.html").symlink_to("one.html")
    with pytest.raises(ResultError, match="--json and --output are the same file"):
        compare(home, "--output", tmp_path / "one.html", "--json", tmp_path / "link.html")
    assert not (tmp_path / "one.html").exists()


def test_devices_and_pipes_are_neither_read_nor_replaced(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="it is a device; expected a file"):
        compare("/dev/zero")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for option in ("--json", "--output"):
        with pytest.raises(ResultError, match="is a pipe or a device; choose another name"):
            compare(home, option, pipe, "--overwrite")
    assert pipe.is_fifo()


def test_a_place_that_cannot_be_written_has_the_name_that_was_given(home: Path) -> None:
    with pytest.raises(ResultError, match=r"^/proc/x.html: cannot be written"):
        compare(home, "--output", "/proc/x.html")


@pytest.mark.parametrize("value", ["far", True, None, {}])
def test_a_distance_that_is_no_number_is_refused(value: object, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "l2.json"
    content = json.loads((home / "l2.json").read_text())
    content["extras"] = {"fvd": {} if value == {} else {"value": value}}
    path.write_text(json.dumps(content))
    if value is None:
        assert compare(path) == 0
        return
    with pytest.raises(ResultError, match=r"l2.json: not as it was written"):
        compare(path)
