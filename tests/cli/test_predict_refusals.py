"""What `vidpred predict` refuses, and what it leaves as it was."""

import os
import resource
from pathlib import Path

import pytest
import torch
from encoded_videos import flip_bits
from predict_command import array, predict

from vidpred.video import write_video
from vidpred.video.playing import play


@pytest.mark.usefixtures("here")
def test_what_exists_is_kept(video: Path, copies: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = (video, "--model", copies, "--output")
    Path("f.mp4").write_bytes(b"mine")
    assert predict(*options, "f.mp4") == 2
    assert "f.mp4: exists and is kept; --overwrite" in capsys.readouterr().err
    assert Path("f.mp4").read_bytes() == b"mine"
    assert predict(*options, "f.mp4", "--overwrite") == 0
    assert len(list(play(Path("f.mp4")))) == 8
    for _ in range(2):
        assert predict(*options, "frames", "--overwrite") == 0
    assert len(list(Path("frames").iterdir())) == 8
    Path("frames/thesis.txt").write_text("years of work")
    assert predict(*options, "frames", "--overwrite") == 2
    assert "more than PNG frames" in capsys.readouterr().err
    assert predict(*options, video, "--overwrite") == 2
    assert "avi cannot be written" in capsys.readouterr().err
    Path("in.mp4").write_bytes(Path("f.mp4").read_bytes())
    assert predict("in.mp4", "--model", copies, "--output", "in.mp4", "--overwrite") == 2
    assert "in.mp4: is an input" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("options", [[], ["--overwrite"]])
@pytest.mark.parametrize(
    ("output", "message"),
    [
        (".", ".: is a folder that cannot be replaced; choose the name of a new one with"),
        ("..", "..: is a folder that cannot be replaced"),
        ("mine", "mine: holds more than PNG frames, so it is not replaced"),
        ("mine/thesis", "thesis: is a file; choose another --output for a folder"),
        ("/proc/x.mp4", "/proc/x.mp4: nothing can be written in /proc (No such file or directory)"),
    ],
)
def test_outputs_that_no_option_replaces_are_refused_alike(
    output: str, message: str, options: list[str], video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine").mkdir()
    Path("mine/thesis").touch()
    form = [] if output.endswith("mp4") else ["--format=png"]
    assert predict(video, "--output", output, *form, *options) == 2
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "f.avi"], "f.avi: .avi cannot be written; expected .mp4, .webm, .gif"),
        (["--output", "f.mp4", "--format", "gif"], "ends in .mp4, and --format is gif"),
        (["--output", "file/f.mp4"], "file is a file"),
        (["--at", "99s"], "--at 99s is past the end; it lasts 1.20 s"),
        (["--at", "30"], "frame 30 is past the end; it has 30 frames, 0 to 29"),
        (["--at", "1"], "--at 1 has 2 frames up to there; expected at least 3"),
        (["--at", "0.05s"], "--at 0.05s has 2 frames up to there"),
        (["--model", "none.ckpt"], "none.ckpt: no such checkpoint"),
        (["--size", "3x3"], "--size is for raw pixels from the standard input"),
        (["--compare", "--horizon", "28"], "it has 30 frames; expected at least 31"),
        (["--device", "cuda:77"], "--device cuda:77 cannot be used here"),
        (["--every", "--with_context"], "--with-context"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    arguments: list[str],
    message: str,
    video: Path,
    copies: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("file").write_text("in the way")
    assert predict(video, "--model", copies, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert [path.name for path in Path().iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--horizon", "0"], "at least 1"),
        (["--at", "soon"], "expected a time such as 12.5s"),
        (["--at", "99999999999999999999999999"], "of at most 12 digits"),
        (["--at", "1234567890s"], "expected a time such as 12.5s"),
        (["--seed", "9" * 23], "at least 0 and has at most 18 digits"),
        (["--output", "-x.mp4"], "is written ./-x.mp4 or --OPTION=-x.mp4"),
        (["-dash.avi"], "is written ./-dash.avi or"),
        (["--output", ""], "''; expected a path or a name; is a variable of the shell empty?"),
        (["--model", ""], "argument --model: ''; expected a path or a name"),
        (["--device", ""], "argument --device: ''; expected a path or a name"),
        ([""], "argument INPUT: ''; expected a path or a name"),
        (["--fps", "0"], "expected a rate"),
        (["--fps", "1e-9"], "from 1/500 to 1000"),
        (["--fps", "1e18"], "from 1/500 to 1000"),
        (["--fps", "1e99999999"], "from 1/500 to 1000"),
        (["--horizon", "9999999999"], "at most 999999999"),
        (["--max_memory", "much"], "expected an amount"),
        (["--size", "wide"], "expected width x height"),
        (["--at", "3", "--every"], "not allowed with"),
    ],
)
def test_options_are_checked(
    option: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        predict("a.mp4", *option)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_pipes_are_no_outputs(video: Path, copies: str, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("pipe")
    for given in ([], ["--overwrite"]):
        assert predict(video, "--model", copies, "--output", "pipe", *given) == 2
        assert "pipe: is a pipe or a device" in capsys.readouterr().err
    assert predict(video, "--model", copies, "--output", "-") == 2
    assert "not written to the standard output" in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["pipe"]


@pytest.mark.usefixtures("here")
def test_pictures_that_an_encoder_does_not_take_stop_no_other_input(
    tmp_path: Path, video: Path, copies: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = tmp_path / "wide.avi"
    write_video(wide, torch.zeros(4, 3, 2, 16386, dtype=torch.uint8), codec="ffv1")
    options = ("--model", copies, "--horizon", 1)
    assert predict(wide, *options, "--output", "new/wide.mp4") == 2
    assert "libx264 takes no pictures of 16386 x 2 pixels" in capsys.readouterr().err
    assert not Path("new").exists()
    assert predict(wide, video, *options, "--output", "both") == 2
    assert "libx264 takes no pictures of 16386 x 2 pixels" in capsys.readouterr().err
    assert [path.name for path in Path("both").iterdir()] == ["ffv1.mp4"]
    assert predict(wide, *options, "--compare", "--output", "compared.mp4") == 0


@pytest.mark.usefixtures("here")
def test_a_file_that_grows_too_large_is_not_blamed_on_its_format(
    video: Path, copies: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        assert predict(video, "--model", copies, "--horizon", "99", "--output", "f.npy") == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    said = capsys.readouterr().err
    assert said.endswith("f.npy: cannot be written (File too large); choose another --output\n")


@pytest.mark.usefixtures("here")
def test_too_few_frames_and_hostile_checkpoints(
    tmp_path: Path, copies: str, capsys: pytest.CaptureFixture[str]
) -> None:
    two = tmp_path / "two.avi"
    write_video(two, torch.zeros(2, 3, 16, 16, dtype=torch.uint8))
    assert predict(two, "--model", copies) == 2
    assert "it has 2 frames; expected at least 3" in capsys.readouterr().err
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes(Path(copies).read_bytes()[:300])
    assert predict(two, "--model", cut) == 2
    assert "cut.ckpt" in capsys.readouterr().err
    torch.save({"vidpred": os.system}, cut)
    assert predict(two, "--model", cut) == 2
    assert "would run code" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_damaged_positions_are_left_out_and_told(
    tmp_path: Path, copies: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "bits.avi"
    write_video(source, torch.randint(0, 256, (30, 3, 64, 64), dtype=torch.uint8))
    flip_bits(source, frame=5)  # damages 5 to 11
    options = (source, "--model", copies)
    assert predict(*options, "--every", "--horizon", 1, "--output", "f.npy") == 2
    assert "9 positions are left out" in capsys.readouterr().err
    assert len(array("f.npy")) == 30 - 2 - 9
    assert predict(*options, "--at", "7") == 2
    assert "the frame at 0.20 s is damaged" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "expected the name of a module"),
        ("..x", "expected the name of a module"),
        ("a-b", "expected the name of a module"),
        ("ends", "it ends the program when it is imported"),
        ("absent", "No module named 'absent'"),
    ],
)
def test_names_of_modules_are_checked(
    name: str, message: str, video: Path, copies: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("ends.py").write_text("raise SystemExit(0)\n")
    assert predict(video, "--model", copies, "--module", name) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
