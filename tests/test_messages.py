"""What people meet says what came, what was looked for, and what lies there."""

import os
import shlex
import shutil
import unicodedata
from fractions import Fraction
from pathlib import Path

import av
import pytest
import pytorch_lightning as pl
from encoded_videos import Kind, add_video, moving_texture, put
from PIL import Image

from vidpred.cli.main import main
from vidpred.data.ucf101 import UCF101DataModule
from vidpred.data.video_folder import VideoFolderDataModule, missing_example
from vidpred.errors import DataError, VideoError
from vidpred.evaluation.selection import UCF101Videos
from vidpred.export.card import model_card
from vidpred.prediction.windows import At, Input, Window, windows
from vidpred.storage import read_saved
from vidpred.video import probe
from vidpred.video.playing import last_moment, play, time_of_frame

H264 = Kind("in.mp4", "libx264", options={"preset": "veryfast", "threads": "1", "g": "8"})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Names that lists get wrong."""
    folder = tmp_path / "set"
    for name in ("walk/a.mp4", "walk/it's.mp4", "walk/" + unicodedata.normalize("NFC", "café.mp4")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"no video")
    return folder


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("walk/a.mp4 3", "'walk/a.mp4' is there: expected a list without labels"),
        ("walk/a.mp4,3", "'walk/a.mp4' is there: expected a list without labels"),
        ("walk/a.mp4\t12", "'walk/a.mp4' is there: expected a list without labels"),
        (r"walk\a.mp4", "'walk/a.mp4' is there: expected a list without quotes, and with /"),
        ('"walk/a.mp4"', "'walk/a.mp4' is there: expected a list without quotes"),
        ("set/walk/a.mp4", "'walk/a.mp4' is there: expected paths from the root on"),
        ("walk/A.MP4", "'a.mp4' is there, which differs in the case of letters"),
        ("walk/" + unicodedata.normalize("NFD", "café.mp4"), "how accents are coded"),
        ("walk/b.mp4", "in its folder lie 'a.mp4', "),
        ("run/b.mp4", "whose folder is not there or empty"),
    ],
)
def test_a_list_that_fits_nothing_gives_an_example(root: Path, row: str, said: str) -> None:
    found = missing_example(root, row)
    assert found.startswith("looked for ")
    assert said in found
    lists = {}
    for name in ("train_list", "val_list", "test_list"):
        lists[name] = root.parent / f"{name}.txt"
        lists[name].write_text(f"{row}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"train_list\.txt: none of its 1 videos is there; looked"):
        VideoFolderDataModule(root, **lists).setup("fit")
    lists["train_list"].write_text(f"walk/a.mp4\n{row}\n", encoding="utf-8")
    with pytest.warns(UserWarning, match=r"1 of its 2 videos are not there; looked for"):
        VideoFolderDataModule(root, **lists).list_split("train")


def test_an_animated_webp_is_not_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    pictures = [Image.fromarray(picture) for picture in moving_texture(4)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:])
    with pytest.raises(
        VideoError, match=r"a\.webp: it is an animated WebP, which this FFmpeg"
    ) as told:
        probe(path)
    assert "damaged" not in str(told.value)
    _, code = shlex.split(told.value.problem.partition("python ")[2])
    exec(code)  # what the message says to run
    assert probe(path.with_suffix(".apng")).num_frames == 4


def test_overfit_batches_are_refused_in_our_words(toy_root: Path) -> None:
    data = UCF101DataModule(toy_root, num_workers=0)
    data.trainer = pl.Trainer(overfit_batches=2, logger=False, enable_checkpointing=False)
    with pytest.raises(DataError, match="overfit_batches is 2; training draws clips without end"):
        data.setup("fit")


def test_slurm_variables_left_over_from_a_shell_are_explained(
    toy_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SLURM_NTASKS", "4")
    arguments = ["-c", "experiment/l2.yaml", "--data.root", str(toy_root)]
    assert main(["fit", *arguments, "--run_dir", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert "SLURM_NTASKS is 4 in this shell" in said
    assert "unset SLURM_NTASKS" in said


def test_a_graph_says_its_smallest_frame() -> None:
    saved = read_saved("small")
    assert "of any size from 17 x 17 pixels on" in model_card(
        saved, name="m.pt2", sha256="0", smallest_side=17
    )
    assert "of any size. SHA-256" in model_card(saved, name="m.safetensors", sha256="0")


@pytest.mark.parametrize("name", ["late.mkv", "late.mp4", "late.ts"])
def test_at_follows_the_clock_of_a_player(tmp_path: Path, name: str) -> None:
    """Sound from 0 s on, pictures from 1 s on: a player shows the first one at 1 s."""
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=16000)
        stream = add_video(container, H264)
        for number in range(40):
            frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            frame.planes[0].update(bytes(4096))
            frame.sample_rate, frame.pts = 16000, 1024 * number
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
        put(container, stream, moving_texture(40), times=range(1000, 2600, 40))
    times = [frame.time for frame in play(path)]
    # The encoder's delay of the sound is 1024 samples, which some containers cut off.
    assert float(times[0]) == pytest.approx(1, abs=0.07)
    late = times[0]
    assert [float(time - late) for time in times] == pytest.approx(
        [k / 25 for k in range(40)], abs=2e-3
    )
    moment = time_of_frame(path, 20)
    assert moment is None or float(moment - late) == pytest.approx(20 / 25, abs=2e-3)
    end = last_moment(path)
    assert end is None or float(end - late) == pytest.approx(40 / 25, abs=0.2)
    (window,) = windows(Input(path), At(seconds=late + Fraction(1, 2)), 4)
    assert isinstance(window, Window)
    expected = [frame.pixels for frame in play(path)][9:13]  # the last at 0.48 s
    assert all((a == b).all() for a, b in zip(window.known, expected, strict=True))


def test_at_says_which_clock_it_uses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "on a player's clock (0 is where the file begins, sound or picture)" in said


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["UCF-101/v_YoYo_g01_c01.avi"], "holds videos without class folders"),
        (["v_YoYo_g01_c01.avi"], "holds videos without class folders"),
        (
            ["train/YoYo/v_YoYo_g01_c01.avi", "test/YoYo/v_YoYo_g02_c01.avi"],
            "split into test, train",
        ),
        (["UCF-101/train/YoYo/v_YoYo_g01_c01.avi", "UCF-101/val/a.avi"], "split into train, val"),
        (
            ["YoYo/v_YoYo_g01_c01.avi", "Archery/v_Archery_g01_c01.avi"],
            r"the class folders \(Archery",
        ),
    ],
)
def test_other_trees_of_ucf101_are_recognized(
    tmp_path: Path, names: list[str], said: str, toy_root: Path
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    for look in (
        lambda: UCF101DataModule(tmp_path).setup("fit"),
        lambda: UCF101Videos().select(tmp_path),
    ):
        with pytest.raises(
            DataError, match=f"{said}.*video_folder.yaml to train, --protocol folder"
        ):
            look()
    shutil.copytree(toy_root / "ucfTrainTestlist", tmp_path / "ucfTrainTestlist")
    with pytest.raises(DataError, match=said):
        UCF101DataModule(tmp_path).setup("fit")
