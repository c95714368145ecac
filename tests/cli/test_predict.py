"""`vidpred predict` as a user meets it: places, outputs, comparisons."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from encoded_videos import KINDS, moving_texture
from encoded_videos import write as encode
from PIL import Image
from predict_command import FRAMES, array, predict
from saved_predictors import save_predictor

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
    assert [float(v) for v in table["PSNR, dB, copy last"]] == pytest.approx(expected, abs=6e-3)
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
    said = capsys.readouterr()
    assert "t+3" in said.out
    assert "ends 3 frames after --at: of 8 predicted frames, 3 are compared" in said.err
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
