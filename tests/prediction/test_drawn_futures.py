"""Drawn futures, from the predictor to files."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from encoded_videos import KINDS
from encoded_videos import write as encode
from noisy_predictor import Noisy
from PIL import Image
from saved_predictors import save_predictor
from torch import Tensor

import vidpred.storage
from vidpred.cli.main import main
from vidpred.errors import PredictionError
from vidpred.models import Condition, CopyLastFrame, Predictor
from vidpred.ops import to_unit, unit_to_uint8
from vidpred.prediction.drawn_futures import DrawnFutures
from vidpred.prediction.outputs import FramesOutput
from vidpred.prediction.rollout import Rollout
from vidpred.prediction.windows import Window
from vidpred.video import read_clip_array
from vidpred.video.playing import Look, play

CPU = torch.device("cpu")
MEMORY = 2**31


class Tinted(Predictor):
    """Copies the last frame without its blue."""

    def __init__(self) -> None:
        super().__init__(context_frames=2, channels=3)

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        return context[:, -1:] * torch.tensor([1.0, 1.0, 0.5])[:, None, None]

    def config(self) -> dict[str, Any]:
        return {}


def window(*, gray: bool = False, index: int = 7) -> Window:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, 16, 24, 1 if gray else 3), dtype=np.uint8)
    known = tuple(np.broadcast_to(frame, (16, 24, 3)).copy() for frame in frames)
    return Window(Look(16, 24, Fraction(25)), index, known, ())


def drawn(count: int, *, seed: int = 0, gray: bool = False, **kw: Any) -> Tensor:
    futures = DrawnFutures(Noisy(**kw), device=CPU, max_memory=MEMORY, num_samples=count, seed=seed)
    return torch.cat(list(futures([window(gray=gray)], 3)))  # (T, K, 3, H, W)


def test_futures_differ_and_are_the_same_again() -> None:
    four = drawn(4)
    assert four.shape == (3, 4, 3, 16, 24)
    assert torch.equal(four, drawn(4))
    assert torch.equal(unit_to_uint8(drawn(2)), unit_to_uint8(four[:, :2]))
    assert not torch.equal(four, drawn(4, seed=1))
    assert len({future.sum().item() for future in four.unbind(1)}) == 4
    (one,) = drawn(1).unbind(1)
    assert torch.equal(unit_to_uint8(one), unit_to_uint8(four[:, 0]))


def test_windows_draw_noise_of_their_own() -> None:
    futures = DrawnFutures(Noisy(), device=CPU, max_memory=MEMORY, num_samples=1, seed=0)
    one, other, again = (torch.cat(list(futures([window(index=k)], 3))) for k in (7, 8, 7))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_a_network_of_one_channel_draws_all_colors_alike() -> None:
    (one,) = drawn(1, channels=1).unbind(1)
    known = to_unit(torch.from_numpy(window().known[-1]).permute(2, 0, 1))
    noise = one[0] - known
    inside = ((one[0] > 0) & (one[0] < 1)).all(dim=0)  # nothing was clipped
    torch.testing.assert_close(noise[0][inside], noise[1][inside])
    torch.testing.assert_close(noise[0][inside], noise[2][inside])


def test_what_is_gray_stays_gray() -> None:
    (one,) = drawn(1, gray=True).unbind(1)
    assert torch.equal(one[:, 0], one[:, 1])
    assert torch.equal(one[:, 0], one[:, 2])
    rollout = Rollout(Tinted(), device=CPU, max_memory=MEMORY, batch_size=2)
    gray, color = torch.stack(list(rollout([window(gray=True), window()], 2)), dim=1)
    assert torch.equal(gray[:, 0], gray[:, 2])
    known = to_unit(torch.from_numpy(window().known[-1]).permute(2, 0, 1))
    torch.testing.assert_close(color[0, 2], known[2] * 0.5)  # colors are left as they are
    # Rec. 601: blue weighs 0.114, half of it is lost.
    last = to_unit(torch.from_numpy(window(gray=True).known[-1]).permute(2, 0, 1))
    torch.testing.assert_close(gray[0, 0], last[0] * (1 - 0.057))


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(PredictionError, match=r"CopyLastFrame gives one future.*--samples"):
        DrawnFutures(CopyLastFrame(), device=CPU, max_memory=MEMORY, num_samples=2, seed=0)
    many = DrawnFutures(Noisy(), device=CPU, max_memory=MEMORY, num_samples=10**6, seed=0)
    with pytest.raises(PredictionError, match=r"1000000 futures of 3 frames take .* GiB; raise"):
        next(many([window()], 3))
    little = DrawnFutures(Noisy(), device=CPU, max_memory=1000, num_samples=1, seed=0)
    with pytest.raises(PredictionError, match=r"1 future of 3 frames take .* GiB; raise"):
        next(little.one_by_one(window(), 3))


def test_pictures_of_several_futures_go_to_folders(tmp_path: Path) -> None:
    with FramesOutput(tmp_path / "out", several=True, futures=2) as output:
        for position in ("000000", "000001"):
            output.begin_position(position)
            for value in (10, 20, 11, 21):
                output.write(np.full((4, 4, 3), value, np.uint8), window().look)
    found = {
        str(path.relative_to(tmp_path / "out")): int(np.asarray(Image.open(path)).max())
        for path in sorted((tmp_path / "out").rglob("*.png"))
    }
    assert len(found) == 8
    assert found["000001/future_1/0002.png"] == 11
    assert found["000001/future_2/0001.png"] == 20


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a video, and `noisy.ckpt` whose class the loader finds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(vidpred.models, "Noisy", Noisy, raising=False)
    monkeypatch.setattr(vidpred.models, "__all__", [*vidpred.models.__all__, "Noisy"])
    save_predictor(Noisy(), tmp_path / "noisy.ckpt")
    kind = next(kind for kind in KINDS if kind.name == "ffv1.avi")
    encode(tmp_path, kind, 6).rename(tmp_path / "in.avi")
    return tmp_path


def predict(*arguments: str) -> int:
    return main(["predict", "in.avi", *arguments])


def test_the_command_writes_futures(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--model", "noisy.ckpt", "--horizon", "2", "--samples", "3")
    assert predict(*options, "--output", "f.npy") == 0
    names = [f"f_future_{k}.npy" for k in (1, 2, 3)]
    assert capsys.readouterr().out.split() == names
    futures = [np.load(name) for name in names]
    last = read_clip_array(here / "in.avi", 5, 1)[0]
    assert futures[0].shape == (2, *last.shape)
    assert len({future.tobytes() for future in futures}) == 3
    assert predict(*options, "--output", "f.npy") == 2
    assert "f_future_1.npy: exists and is kept" in capsys.readouterr().err
    assert predict(*options, "--output", "f") == 0
    assert np.array_equal(np.asarray(Image.open("f/future_2/0001.png")), futures[1][0])
    assert predict(*options, "--output", "f.mp4") == 0
    video = list(play(Path("f.mp4")))
    assert len(video) == 2
    height, width, _ = last.shape
    assert video[0].pixels.shape[1] == pytest.approx(3 * width + 8, abs=1)
    assert video[0].pixels.shape[0] == pytest.approx(height, abs=1)
    assert predict(*options[:4], "--sharp", "--output", "one.npy") == 0
    assert np.array_equal(np.load("one.npy"), futures[0])
    assert predict(*options[:4], "--sharp", "--seed", "1", "--output", "other.npy") == 0
    assert not np.array_equal(np.load("other.npy"), futures[0])
    assert predict(*options[:4], "--output", "mean.npy") == 0
    assert np.array_equal(np.load("mean.npy")[0], last)


def test_fewer_futures_replace_all_of_an_earlier_prediction(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--model", "noisy.ckpt", "--horizon", "1", "--output", "f.npy")
    others = [here / name for name in ("f_future_3.png", "f_future_x.npy", "ff_future_3.npy")]
    for other in others:
        other.touch()
    assert predict(*options, "--samples", "11") == 0
    capsys.readouterr()
    for name in ("f_future_1.npy", "f_future_2.npy"):
        (here / name).unlink()
    assert predict(*options, "--samples", "2") == 2
    assert "f_future_3.npy: exists and is kept" in capsys.readouterr().err
    assert predict(*options, "--samples", "2", "--overwrite") == 0
    found = sorted(here.glob("*_future_*"))
    assert found == sorted([*others, here / "f_future_1.npy", here / "f_future_2.npy"])
    assert predict(*options) == 0  # nothing is drawn, so what was drawn stays
    assert sorted(here.glob("*_future_*")) == found
    (here / "f.npy").unlink()
    capsys.readouterr()
    assert predict(*options, "--samples", "1") == 2
    assert "f_future_1.npy: exists and is kept" in capsys.readouterr().err
    assert predict(*options, "--samples", "1", "--overwrite") == 0
    assert capsys.readouterr().out.split() == ["f.npy"]
    assert sorted(here.glob("*_future_*")) == sorted(others)


def test_an_output_that_is_named_like_a_further_future_is_kept(here: Path) -> None:
    (here / "in_future_1.avi").write_bytes((here / "in.avi").read_bytes())
    inputs = ["in_future_1.avi", "in.avi"]  # what is written last could remove the other one
    options = ["--model", "noisy.ckpt", "--horizon", "1", "--format", "npy", "--samples", "1"]
    for _ in range(2):
        assert main(["predict", *inputs, *options, "--overwrite"]) == 0
        written = sorted(path.name for path in (here / "futures").iterdir())
        assert written == ["in.npy", "in_future_1.npy"]


def test_a_model_that_needs_no_draw_is_sharp_unless_it_is_told_not_to_be(here: Path) -> None:
    refiner = vidpred.storage.load_predictor("flow_refiner").eval()
    known = to_unit(torch.from_numpy(read_clip_array(here / "in.avi", 2, 4))).permute(0, 3, 1, 2)[
        None
    ]
    found = []
    for given, sharp in (([], True), (["--sharp"], True), (["--no-sharp"], False)):
        assert predict("--horizon", "3", "--output", "f.npy", "--overwrite", *given) == 0
        found.append(np.load("f.npy"))
        refiner.sharp = sharp
        with torch.inference_mode():
            expected = unit_to_uint8(refiner(known, 3)[0]).permute(0, 2, 3, 1).numpy()
        assert np.abs(found[-1].astype(int) - expected).mean() < 0.1, given
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "copy_last", "--samples", "2"], "CopyLastFrame gives one future"),
        (["--model", "linear", "--sharp"], "LinearExtrapolation gives one future"),
        (["--samples", "2", "--compare"], "--compare is for one prediction"),
    ],
)
@pytest.mark.usefixtures("here")
def test_mistakes(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict(*arguments, "--output", "f.mp4") == 2
    assert message in capsys.readouterr().err
    assert not Path("f.mp4").exists()


def test_numbers_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    for option in (["--samples", "0"], ["--seed", "-1"]):
        with pytest.raises(SystemExit) as ended:
            predict(*option)
        assert ended.value.code == 2
    assert "expected a whole number that is at least" in capsys.readouterr().err


def test_many_futures_are_laid_out_in_rows() -> None:
    from vidpred.prediction.pipeline import Predicted
    from vidpred.prediction.step_pictures import FuturesSideBySide

    frames = [np.full((10, 20, 3), 20 * k, np.uint8) for k in range(5)]
    predicted = Predicted(0, window(), 1, frames[0], None, tuple(frames[1:]))
    (picture,) = FuturesSideBySide()(predicted)
    assert picture.shape == (2 * 10 + 4, 3 * 20 + 2 * 4, 3)
    assert (picture[14:24, 24:44] == 80).all()  # the fifth, in the middle of the second row
    assert (picture[14:24, 48:] == 0).all()
    wide = [np.full((10, 3000, 3), 9, np.uint8)] * 4
    (small,) = FuturesSideBySide()(Predicted(0, window(), 1, wide[0], None, tuple(wide[1:])))
    assert small.shape[1] <= 3 * 1280 + 3 * 4
