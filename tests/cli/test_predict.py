import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from encoded_videos import KINDS, flip_bits, moving_texture
from encoded_videos import write as encode
from PIL import Image
from saved_predictors import save_predictor

from vidpred.cli.main import main
from vidpred.models import (
    CopyLastFrame,
    DuplicateAwareFlowExtrapolation,
    GeneratorScale,
    LinearExtrapolation,
    MultiScaleGenerator,
    OpticalFlowExtrapolation,
    Predictor,
)
from vidpred.ops import to_unit, unit_to_uint8
from vidpred.prediction.tiles import tiled_step
from vidpred.video import read_clip_array, write_video
from vidpred.video.playing import Look, play
from vidpred.video.streaming import streaming

FRAMES = 30


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint that copies the last of three frames."""
    path = tmp_path_factory.mktemp("copies") / "copies.ckpt"
    return str(save_predictor(CopyLastFrame(context_frames=3), path))


@pytest.fixture(scope="module")
def rises(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint that knows the future of what changes evenly."""
    path = tmp_path_factory.mktemp("rises") / "rises.ckpt"
    return str(save_predictor(LinearExtrapolation(context_frames=2), path))


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Thirty frames that all differ, without loss."""
    kind = next(kind for kind in KINDS if kind.name == "ffv1.avi")
    return encode(tmp_path, kind, FRAMES)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, which at the end holds nothing hidden: no half outputs."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


def array(path: str | Path) -> np.ndarray:
    return np.load(path, allow_pickle=False)


def predict(*arguments: str | Path) -> int:
    return main(["predict", *map(str, arguments)])


@pytest.mark.usefixtures("here")
def test_the_future_begins_where_the_video_ends(video: Path, copies: str) -> None:
    assert predict(video, "--model", copies, "--horizon", 3, "--output", "f.npy") == 0
    last = read_clip_array(video, FRAMES - 1, 1)
    assert np.array_equal(array("f.npy"), last.repeat(3, axis=0))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("copy_last", CopyLastFrame),
        ("linear", LinearExtrapolation),
        ("optical_flow", OpticalFlowExtrapolation),
        ("optical_flow_dup", DuplicateAwareFlowExtrapolation),
    ],
)
def test_every_baseline_is_a_model(video: Path, name: str, cls: type[Predictor]) -> None:
    assert predict(video, "--model", name, "--horizon", 2, "--output", "f.npy") == 0
    known = to_unit(torch.from_numpy(read_clip_array(video, FRAMES - 4, 4))).permute(0, 3, 1, 2)
    expected = unit_to_uint8(cls()(known[None], 2)[0]).permute(0, 2, 3, 1)
    assert np.array_equal(array("f.npy"), expected.numpy())


@pytest.mark.usefixtures("here")
def test_a_file_comes_before_a_name_and_checkpoint_is_the_old_spelling(
    video: Path, rises: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(video, "--checkpoint", "linear", "--output", "named.npy") == 0
    assert "--checkpoint is deprecated and goes in 0.3; use --model" in capsys.readouterr().err
    Path("copy_last").write_bytes(Path(rises).read_bytes())
    assert predict(video, "--model", "copy_last", "--output", "file.npy") == 0
    assert "deprecated" not in capsys.readouterr().err
    assert np.array_equal(array("named.npy"), array("file.npy"))
    assert predict(video, "--model", "flow", "--output", "none.npy") == 2
    assert (
        "or a name: flow_refiner, small, copy_last, linear, optical_flow" in capsys.readouterr().err
    )


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("place", "last_known"),
    [("12", 12), ("0.5s", 12), ("0.48s", 12), ("0:0.479", 11), ("29", 29), ("1.19s", 29), ("2", 2)],
)
def test_a_place_is_the_last_known_frame(
    video: Path, copies: str, place: str, last_known: int
) -> None:
    assert predict(video, "--model", copies, "--at", place, "--output", "f.npy") == 0
    assert np.array_equal(array("f.npy")[-1], read_clip_array(video, last_known, 1)[0])


@pytest.mark.usefixtures("here")
def test_a_place_far_in_a_long_video_is_found_by_its_time(tmp_path: Path, copies: str) -> None:
    long = encode(tmp_path, KINDS[0], 300)
    assert predict(long, "--model", copies, "--at", "270", "--output", "index.npy") == 0
    assert predict(long, "--model", copies, "--at", "10.8s", "--output", "time.npy") == 0
    frame = read_clip_array(long, 270, 1)[0]
    assert np.array_equal(array("index.npy")[0], frame)
    assert np.array_equal(array("time.npy")[0], frame)


@pytest.mark.usefixtures("here")
def test_every_position_in_arrays_and_frames(video: Path, copies: str) -> None:
    options = ("--model", copies, "--every", 5, "--horizon", 2)
    assert predict(video, *options, "--output", "f.npy") == 0
    whole = read_clip_array(video, 0, FRAMES)
    expected = whole[2::5][:, None].repeat(2, axis=1)
    assert np.array_equal(array("f.npy"), expected)
    assert predict(video, *options, "--output", "f") == 0
    assert sorted(path.name for path in Path("f").iterdir()) == [
        *("000002", "000007", "000012", "000017", "000022", "000027")
    ]
    assert np.array_equal(np.asarray(Image.open("f/000017/0002.png")), whole[17])


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("stride", "shown"), [(1, 1), (2, 2), (3, 3), (7, 3)])
def test_a_video_of_every_position_shows_each_moment_once(
    video: Path, rises: str, stride: int, shown: int
) -> None:
    options = ("--every", stride, "--horizon", 3)
    assert predict(video, "--model", rises, *options, "--output", "f.mp4") == 0
    positions = range(1, FRAMES, stride)
    assert len(list(play(Path("f.mp4")))) == shown * len(positions)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_a_video_goes_on_as_it_was(tmp_path: Path, copies: str, suffix: str) -> None:
    look = Look(
        *(49, 65, Fraction(24000, 1001)),
        pixel_aspect=Fraction(4, 3) if suffix == ".mp4" else Fraction(1),
        color_range=2,
        colorspace=1,
        color_primaries=1,
        color_trc=1,
    )
    source = tmp_path / "source.mp4"
    with streaming(source, look) as sink:
        row, column, _ = np.meshgrid(np.arange(49), np.arange(65), np.arange(3), indexing="ij")
        for k in range(5):
            sink.write((row * 3 + column + 5 * k).astype(np.uint8))
    output = Path(f"f{suffix}")
    assert predict(source, "--model", copies, "--output", output) == 0
    last, future = list(play(source))[-1], list(play(output))
    assert len(future) == 8
    if suffix == ".gif":
        assert (future[0].look.height, future[0].look.width) == (49, 65)
        assert float(future[0].look.fps) == pytest.approx(24, abs=1.1)
    else:
        assert future[0].look.fps.limit_denominator(100) == look.fps.limit_denominator(100)
        assert future[0].look == Look(**{**vars(look), "fps": future[0].look.fps})
    difference = np.abs(future[0].pixels.astype(int) - last.pixels)
    assert difference.mean() < 3


@pytest.mark.usefixtures("here")
def test_a_turned_video_goes_on_upright(tmp_path: Path, copies: str) -> None:
    source = tmp_path / "turned.mp4"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)
        stream.set_display_rotation(90)
        for frame in moving_texture(4, 48, 64):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    assert predict(source, "--model", copies, "--output", "f.mp4") == 0
    look = next(play(Path("f.mp4"))).look
    assert (look.height, look.width, look.pixel_aspect) == (64, 48, Fraction(2, 3))


@pytest.mark.usefixtures("here")
def test_comparing_holds_the_end_back(
    tmp_path: Path, rises: str, copies: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # Light that rises evenly: extrapolation is right, copying is off by k levels.
    levels = torch.arange(20, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 32, 32)
    source = tmp_path / "light.avi"
    write_video(source, 4 * levels, codec="ffv1")
    assert predict(source, "--model", rises, "--compare", "--horizon", 3) == 0
    path, convention, head, *rows = capsys.readouterr().out.splitlines()
    assert path == "future.mp4"
    assert "data range 1" in convention
    assert head.split() == ["t+1", "t+2", "t+3", "mean"]
    table = {row.rsplit(maxsplit=4)[0]: row.split()[-4:] for row in rows}
    assert table["PSNR, dB, prediction"] == ["100.00"] * 4
    expected = [20 * np.log10(255 / (4 * k)) for k in (1, 2, 3)]
    expected.append(np.mean(expected))
    assert [float(v) for v in table["PSNR, dB, copy last frame"]] == pytest.approx(
        expected, abs=6e-3
    )
    panels = [frame.pixels for frame in play(Path("future.mp4"))]
    assert len(panels) == 2 + 3
    assert panels[0].shape[1] > 3 * 32
    # Without loss: the prediction's panel is the truth's, and the difference is black.
    assert predict(source, "--model", rises, "--compare", "--output", "f") == 0
    picture = np.asarray(Image.open("f/0008.png"))
    lines = (picture == 4 * 17).all(axis=-1)
    assert 2 * 128 * 128 <= lines.sum() < 2.1 * 128 * 128  # and a few pixels of letters
    assert (picture == 0).all(axis=-1).sum() == 128 * 128


@pytest.mark.usefixtures("here")
def test_comparing_needs_a_truth(
    video: Path, copies: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--model", copies, "--compare")
    assert predict(video, *options, "--at", 29) == 2
    assert "nothing follows" in capsys.readouterr().err
    assert predict(video, *options, "--at", 26, "--output", "c.npy") == 0
    assert "t+3" in capsys.readouterr().out  # three frames are there of the eight
    assert len(array("c.npy")) == 8


@pytest.mark.usefixtures("here")
def test_several_inputs_and_one_that_is_broken(
    video: Path, tmp_path: Path, copies: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = tmp_path / "words.mp4"
    words.write_text("no video\n" * 100)
    folder = tmp_path / "frames"
    folder.mkdir()
    for index, frame in enumerate(moving_texture(5)):
        Image.fromarray(frame).save(folder / f"{index}.png")
    other = tmp_path / "other" / video.name
    other.parent.mkdir()
    other.write_bytes(video.read_bytes())
    inputs = (video, words, folder, other, tmp_path / "none.mp4")
    assert predict(*inputs, "--model", copies, "--format", "npy", "--output", "all") == 2
    told = capsys.readouterr()
    assert told.out.splitlines() == ["all/ffv1.npy", "all/frames.npy", "all/ffv1_2.npy"]
    assert "words.mp4: FFmpeg cannot read it" in told.err
    assert "none.mp4: there is no such file" in told.err
    assert "2 of 5 inputs could not be predicted" in told.err
    assert np.array_equal(array("all/frames.npy")[0], moving_texture(5)[-1])
    assert predict(folder, "--model", copies, "--compare", "--horizon", 2) == 0


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
        (["--fps", "0"], "expected a rate"),
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
def test_tiles_batches_and_whole_frames_agree(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    scales = [GeneratorScale((8,), (3, 3)), GeneratorScale((8,), (3, 3))]
    network = MultiScaleGenerator(scales, context_frames=2)
    checkpoint = save_predictor(network, tmp_path / "network.ckpt")
    large = tmp_path / "large.avi"
    write_video(large, torch.randint(0, 256, (3, 3, 101, 141), dtype=torch.uint8), codec="ffv1")
    tiles: list[int] = []

    def noted(predictor: Predictor, frames: list, rows: list, columns: list) -> torch.Tensor:
        tiles.append(len(rows) * len(columns))
        return tiled_step(predictor, frames, rows, columns)

    monkeypatch.setattr("vidpred.prediction.rollout.tiled_step", noted)
    for source, place, little in ((large, (), "904MiB"), (video, ("--every", 3), "4GiB")):
        options = (source, *place, "--model", checkpoint, "--horizon", 2, "--overwrite")
        assert predict(*options, "--batch_size", 1, "--output", "one.npy") == 0
        assert set(tiles) == {1}
        tiles.clear()
        assert predict(*options, "--max-memory", little, "--output", "other.npy") == 0
        assert (min(tiles) > 1) == (source == large)
        tiles.clear()
        one, other = array("one.npy"), array("other.npy")
        assert one.shape == other.shape
        # A sum of floats in another order may round to the next of 256 levels.
        assert np.abs(one.astype(int) - other).max() <= 1
        assert (one != other).mean() < 1e-3
    assert predict(large, "--model", checkpoint, "--max-memory", "901MiB") == 2


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
    with standard_input(b"words " * 9999):
        assert predict(*options, "f.npy") == 2
    assert "-: FFmpeg cannot read the standard input" in capsys.readouterr().err


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


def test_an_interruption_is_told_and_leaves_nothing(
    here: Path, tmp_path: Path, copies: str
) -> None:
    frame = moving_texture(1)[0].tobytes()
    command = ["predict", "-", "--size", "96x64", "--every", "--model", copies]
    process = subprocess.Popen(
        [sys.executable, "-m", "vidpred", *command, "--output", "f.mp4"],
        cwd=here,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    for _ in range(40):
        process.stdin.write(frame)
    process.stdin.flush()
    # The pipe stays open, as that of a camera does.
    deadline = time.monotonic() + 60
    while not list(here.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [path.suffix for path in here.iterdir()] == [".mp4"]
    assert not (here / "f.mp4").exists()
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"interrupted" in told
    assert b"Traceback" not in told
    assert not list(here.iterdir())
