"""`vidpred predict` in pipes and processes: standard input, imports, interruption."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import av
import numpy as np
import pytest
from encoded_videos import KINDS, Kind, moving_texture
from encoded_videos import write as encode
from predict_command import FRAMES, array, predict

from vidpred.video import read_clip_array
from vidpred.video.playing import play


@contextmanager
def standard_input(content: bytes) -> Iterator[None]:
    """Let a pipe with that content be the process's standard input."""
    reading, writing = os.pipe()
    before = os.dup(0)
    os.dup2(reading, 0)
    os.close(reading)
    with ThreadPoolExecutor(1) as pool:

        def write() -> None:
            with os.fdopen(writing, "wb") as pipe, suppress(BrokenPipeError):
                pipe.write(content)

        written = pool.submit(write)
        try:
            yield
        finally:
            os.dup2(before, 0)
            os.close(before)
        written.result()


@pytest.mark.usefixtures("here")
def test_pipes_give_what_files_give(
    tmp_path: Path, copies: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = encode(tmp_path, KINDS[0], FRAMES)
    raw = read_clip_array(source, 0, FRAMES).tobytes()
    elementary = tmp_path / "elementary.h264"
    with av.open(str(source)) as container, av.open(str(elementary), "w", format="h264") as out:
        stream = container.streams.video[0]
        copy = out.add_stream_from_template(stream, opaque=True)
        for packet in container.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                out.mux(packet)
    assert predict(source, "--model", copies, "--output", "file.npy") == 0
    options = ("-", "--model", copies, "--output")
    with standard_input(raw):
        assert predict(*options, "raw.npy", "--size", "96x64") == 0
    with standard_input(elementary.read_bytes()):
        assert predict(*options, "elementary.npy") == 0
    assert np.array_equal(array("raw.npy"), array("file.npy"))
    assert np.array_equal(array("elementary.npy"), array("file.npy"))
    capsys.readouterr()
    with standard_input(raw[:20_000]):
        assert predict(*options, "cut.npy", "--size", "96x64") == 2
    assert "-: it has 1 frame; expected at least 3" in capsys.readouterr().err
    with standard_input(raw):
        assert predict(*options, "f.npy", "--size", "96x64", "--pixel-format", "puce") == 2
    assert "no pixel format is called 'puce'" in capsys.readouterr().err
    with standard_input(raw):
        assert predict(*options, "f.npy", "--size", "96x64", "--pixel-format", "vaapi") == 2
    assert "format vaapi are in the memory of a device" in capsys.readouterr().err
    with standard_input(b"words " * 9999):
        assert predict(*options, "f.npy") == 2
    assert "-: FFmpeg cannot read the standard input" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_an_mp4_with_its_index_at_the_end_is_named(
    tmp_path: Path, copies: str, capsys: pytest.CaptureFixture[str]
) -> None:
    large = Kind("large.mp4", "libx264", options={"qp": "1", "threads": "1"})  # for FFmpeg's buffer
    with standard_input(encode(tmp_path, large, count=120).read_bytes()):
        assert predict("-", "--model", copies, "--output", "f.npy") == 2
    assert "an MP4 keeps its index at its end, give it as a file" in capsys.readouterr().err


def test_help_and_prediction_bring_no_more_than_they_need(
    here: Path, video: Path, copies: str
) -> None:
    code = (
        "import sys\n"
        "from vidpred.cli.main import main\n"
        f"status = main(['predict', {str(video)!r}, '--model', {copies!r}])\n"
        "heavy = {'lightning', 'pytorch_lightning', 'wandb', 'torchvision', 'torchmetrics',\n"
        "    'plotly', 'torch._dynamo', 'matplotlib', 'scipy'}\n"
        "sys.exit(status or ', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "frames per second" in done.stderr


def predicting_until(there: str, output: str, here: Path, copies: str) -> subprocess.Popen[bytes]:
    """Predict from a pipe that stays open, as that of a camera does, until a file is there."""
    command = ["predict", "-", "--size", "96x64", "--every", "--model", copies]
    process = subprocess.Popen(
        [sys.executable, "-m", "vidpred", *command, "--output", output],
        cwd=here,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(moving_texture(1)[0].tobytes() * 40)
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while not list(here.rglob(there)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return process


def test_what_was_predicted_before_an_interruption_is_kept(
    here: Path, tmp_path: Path, copies: str
) -> None:
    process = predicting_until("*.mp4", "f.mp4", here, copies)
    assert [path.suffix for path in here.iterdir()] == [".mp4"]
    assert not (here / "f.mp4").exists()
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"interrupted" in told
    assert b"Traceback" not in told
    assert b"what was predicted before that is in f.mp4" in told
    assert len(list(play(here / "f.mp4"))) > 1


@pytest.mark.slow
def test_the_end_of_a_job_leaves_no_unfinished_frames(here: Path, copies: str) -> None:
    process = predicting_until("*.png", "new/frames", here, copies)
    assert list(here.rglob("*.png"))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert list(here.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&-", "2>&-", "2>/dev/full"])
def test_closed_and_full_streams_lose_messages_alone(
    closed: str, here: Path, video: Path, copies: str
) -> None:
    command = f"{sys.executable} -m vidpred predict {video} --model {copies} --compare {closed}"
    done = subprocess.run(
        command, shell=True, cwd=here, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(list(play(here / "future.mp4"))) == 3 + 8
    if closed != ">&-":
        assert done.stdout.startswith("future.mp4\n")
        assert "frames per second" not in done.stdout
