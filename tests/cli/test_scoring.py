"""`vidpred test`, `score` and `data clips` on real files, as a user would type them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from worlds import adversarial_task, fit

from vidpred.cli.main import main
from vidpred.data.moving_shapes import write_moving_shapes

SHAPES = {"num_groups": 3, "clips_per_group": 1, "num_frames": 8, "height": 48, "width": 64}
"""Of `toy_root`."""

FAST = ("--workers=1", "--device=cpu")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A generator after one batch, saved under a name that Lightning gives by default."""
    path = tmp_path / "runs" / "mine" / "checkpoints" / "epoch=0-step=1.ckpt"
    fit(adversarial_task()).save_checkpoint(path)
    return path


@pytest.fixture
def clips(toy_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The clips of protocol `quick` as frames."""
    folder = tmp_path / "clips"
    command = ["data", "clips", str(folder), "--protocol=quick", f"--root={toy_root}"]
    assert main(command) == 0
    assert capsys.readouterr().out.strip() == str(folder)
    return folder


def test_clips_that_were_there_are_of_this_protocol_and_root(
    clips: Path, toy_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["data", "clips", str(clips)]
    count = len(list(clips.iterdir()))
    assert main([*command, "--protocol=quick", f"--root={toy_root}"]) == 0
    assert f"{count} clips were there before and are left alone" in capsys.readouterr().err
    other = write_moving_shapes(tmp_path / "other", seed=9, **SHAPES)
    assert main([*command, "--protocol=quick", f"--root={other}"]) == 2
    assert "holds other frames than this protocol cuts from this root" in capsys.readouterr().err


def test_results_of_other_videos_are_not_compared(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results"
    assert score(predict_copies(clips, tmp_path / "pred"), clips, output) == 0
    other = write_moving_shapes(tmp_path / "other", seed=9, **SHAPES)
    assert main(["test", f"--root={other}", f"--output={output}", "--protocol=quick", *FAST]) == 0
    capsys.readouterr()
    assert main(["compare", str(output)]) == 2
    assert "are of different videos" in capsys.readouterr().err


def test_results_of_other_videos_are_not_mixed_in(
    toy_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(toy_root, tmp_path / "other")
    videos = other / "ucfTrainTestlist" / "testlist01.txt"
    videos.write_text(videos.read_text().partition("\n")[2])
    command = ["test", f"--output={tmp_path / 'out'}", "--protocol=quick", *FAST]
    assert [main([*command, f"--root={root}"]) for root in (toy_root, other)] == [0, 2]
    assert "holds the scores of other videos; choose another" in capsys.readouterr().err


def test_where_no_clip_is_scored_there_is_no_result(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pred = predict_copies(clips, tmp_path / "pred")
    for file in pred.iterdir():
        np.save(file, np.full_like(np.load(file), np.nan, dtype=np.float32))
    assert score(pred, clips, tmp_path / "results", "--no-baselines") == 2
    assert "no clip could be scored, so there is no result" in capsys.readouterr().err


def predict_copies(clips: Path, pred: Path, *, of: int = 3, frames: int = 4) -> Path:
    """What another program might do: the last known frame again, as NumPy arrays."""
    pred.mkdir()
    for clip in clips.iterdir():
        with Image.open(sorted(clip.glob("*.png"))[of]) as picture:
            known = np.asarray(picture)
        np.save(pred / f"{clip.name}.npy", np.stack([known] * frames))
    return pred


def result(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def score(pred: Path, target: Path, output: Path, *options: str) -> int:
    folders = (f"--pred={pred}", f"--target={target}", f"--output={output}")
    return main(["score", *folders, "--protocol=quick", *FAST, *options])


def test_checkpoints_and_baselines_are_scored_in_one_pass(
    checkpoint: Path, toy_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results"
    arguments = [str(checkpoint), f"again={checkpoint}", f"--root={toy_root}"]
    assert main(["test", *arguments, f"--output={output}", *FAST]) == 0
    names = {path.stem for path in output.glob("*.json")}
    assert names == {"copy_last", "linear", "optical_flow", "optical_flow_dup", "mine", "again"}
    printed = capsys.readouterr().out
    assert all(name in printed.replace("\\", "") for name in names)
    details = result(output / "mine.json")["method"]["details"]
    assert details["class"] == "MultiScaleGenerator"
    assert details["batches_seen"] == 1
    assert details["training"]["task"] == "AdversarialTask"
    assert len(details["sha256"]) == 64
    assert result(output / "mine.json")["summary"] == result(output / "again.json")["summary"]


def test_other_programs_get_the_very_scores_of_ours(
    clips: Path, toy_root: Path, tmp_path: Path
) -> None:
    assert main(["test", f"--root={toy_root}", f"--output={tmp_path / 'ours'}", *FAST]) == 0
    pred = predict_copies(clips, tmp_path / "theirs")
    assert score(pred, clips, tmp_path / "scores") == 0
    ours, theirs = result(tmp_path / "ours/copy_last.json"), result(tmp_path / "scores/theirs.json")
    for mine, other in zip(ours["rows"], theirs["rows"], strict=True):
        assert other["video"] == mine["video"].split("/")[1]
        for key in ("clip", "start", "motion", "moving", "values"):
            assert other[key] == mine[key]
    assert theirs["summary"] == ours["summary"]
    assert theirs["protocol_digest"] == ours["protocol_digest"]
    assert (tmp_path / "scores" / "copy_last.json").exists()


def test_baselines_of_the_whole_list_stay(
    clips: Path, toy_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the README has it: one folder for `test` and for the predictions of another program."""
    out = tmp_path / "results"
    assert main(["test", f"--root={toy_root}", f"--output={out}", *FAST]) == 0
    before = (out / "copy_last.json").read_bytes()
    shutil.rmtree(sorted(clips.iterdir())[0])  # a part of the list
    assert score(predict_copies(clips, tmp_path / "theirs"), clips, out) == 0
    assert (out / "copy_last.json").read_bytes() == before
    capsys.readouterr()
    assert main(["compare", str(out)]) == 0
    assert "lists of clips differ" in capsys.readouterr().out


def test_masks_may_be_given_and_pasts_left_out(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, masks = tmp_path / "target", tmp_path / "masks"
    for clip in clips.iterdir():
        for k, frame in enumerate(sorted(clip.glob("*.png"))[4:], start=1):
            (target / clip.name).mkdir(parents=True, exist_ok=True)
            (masks / clip.name).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(frame, target / clip.name / f"{k}.png")
            with Image.open(frame) as picture:
                Image.new("L", picture.size, 255).save(masks / clip.name / f"{k}.png")
    pred = predict_copies(clips, tmp_path / "theirs")
    assert score(pred, target, tmp_path / "a") == 0
    assert "the moving area is not scored" in " ".join(capsys.readouterr().err.split())
    unknown = result(tmp_path / "a" / "theirs.json")
    assert unknown["mask"]["source"] == "none"
    assert unknown["summary"]["psnr.masked_mean.moving"]["mean"] is None
    assert unknown["summary"]["psnr.standard.whole"]["mean"] is not None
    assert [path.name for path in (tmp_path / "a").glob("*.json")] == ["theirs.json"]
    assert score(pred, target, tmp_path / "b", f"--mask={masks}") == 0
    given = result(tmp_path / "b" / "theirs.json")["summary"]
    # Everything moves, so the moving area is the whole frame.
    whole, moving = given["psnr.standard.whole"], given["psnr.masked_mean.moving"]
    assert moving["per_frame"] == pytest.approx(whole["per_frame"], rel=1e-6)


def test_a_broken_file_is_named_and_costs_nothing_else(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pred = predict_copies(clips, tmp_path / "theirs")
    broken = sorted(pred.iterdir())[1]
    content = broken.read_bytes()
    broken.write_bytes(content[:100])
    assert score(pred, clips, tmp_path / "scores") == 2
    assert broken.stem in capsys.readouterr().err
    kept = result(tmp_path / "scores" / "theirs.json")
    assert list(kept["clips"]["failed"]) == [broken.stem]
    assert kept["clips"]["clips_scored"] == len(list(pred.iterdir())) - 1
    broken.write_bytes(content)
    assert score(pred, clips, tmp_path / "scores") == 0
    mended = result(tmp_path / "scores" / "theirs.json")
    assert mended["clips"]["failed"] == {}
    assert mended["clips"]["clips_scored"] == len(list(pred.iterdir()))


def test_files_that_changed_are_scored_again(clips: Path, tmp_path: Path) -> None:
    pred = predict_copies(clips, tmp_path / "theirs")
    first = sorted(pred.iterdir())[0]
    assert score(pred, clips, tmp_path / "out", "--no_baselines") == 0
    before = result(tmp_path / "out" / "theirs.json")["rows"]
    np.save(first, 255 - np.load(first))
    assert score(pred, clips, tmp_path / "out", "--no_baselines") == 0
    after = result(tmp_path / "out" / "theirs.json")["rows"]
    changed = [a["clip"] for a, b in zip(after, before, strict=True) if a != b]
    assert changed == [first.stem]
    assert score(pred, clips, tmp_path / "fresh", "--no_baselines") == 0
    assert result(tmp_path / "fresh" / "theirs.json")["rows"] == after


def test_other_masks_are_another_measurement(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pred = predict_copies(clips, tmp_path / "theirs")
    with Image.open(next(clips.glob("*/0001.png"))) as picture:
        width, height = picture.size
    for name, moving in {"a": 255, "b": 0}.items():
        (tmp_path / name).mkdir()
        for clip in clips.iterdir():
            mask = np.full((4, height, width), moving, np.uint8)
            mask[:, :20, :20] = 255
            np.save(tmp_path / name / f"{clip.name}.npy", mask)
    out = tmp_path / "out"
    assert score(pred, clips, out, f"--mask={tmp_path / 'a'}", "--no_baselines") == 0
    assert score(pred, clips, out, f"--mask={tmp_path / 'b'}", "--no_baselines") == 2
    assert "mask.description.sha256" in capsys.readouterr().err
    other = ("--name=other", f"--mask={tmp_path / 'b'}", "--no_baselines")
    assert score(pred, clips, out, *other) == 0
    capsys.readouterr()
    assert main(["compare", str(out)]) == 0
    assert "masks differ" in capsys.readouterr().out


def scaled(pred: Path, factor: float) -> None:
    for path in pred.iterdir():
        np.save(path, (np.load(path) / 255 * factor).astype(np.float32))


def holed(pred: Path, _: float) -> None:
    for path in pred.iterdir():
        frames = np.load(path) / 255.0
        frames[0, 0, 0] = np.nan
        np.save(path, frames.astype(np.float32))


def test_ranges_are_stated_and_kept(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pred = predict_copies(clips, tmp_path / "theirs")
    assert score(pred, clips, tmp_path / "8bit", "--no_baselines") == 0
    scaled(pred, 255)
    assert score(pred, clips, tmp_path / "wrong", "--no_baselines") == 2
    assert "expected" in capsys.readouterr().err
    stated = ("--no_baselines", "--value_range", "0", "255")
    assert score(pred, clips, tmp_path / "wrong", *stated) == 0  # nothing was scored there
    scores = [result(tmp_path / n / "theirs.json")["summary"] for n in ("8bit", "wrong")]
    assert score(pred, clips, tmp_path / "8bit", *stated) == 2
    assert "value_range is [0.0, 1.0] there, [0.0, 255.0] here" in capsys.readouterr().err
    for key, summary in scores[0].items():
        assert scores[1][key]["per_frame"] == pytest.approx(summary["per_frame"], rel=1e-4)
    holed(pred, 1)
    assert score(pred, clips, tmp_path / "nan", "--no_baselines") == 2
    assert "NaN" in capsys.readouterr().err


def test_mistakes_are_told_in_a_sentence(
    clips: Path, toy_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pred = predict_copies(clips, tmp_path / "theirs")
    short = predict_copies(clips, tmp_path / "short", frames=3)
    removed = sorted(pred.iterdir())[0]
    removed.unlink()
    unknown = ["test", f"--root={toy_root}", "--protocol=imagenet", *FAST]
    cases: dict[str, int] = {
        removed.stem: score(pred, clips, tmp_path / "a"),
    }
    errors = [capsys.readouterr().err]
    for told, command in {
        "short": [
            *("score", f"--pred={short}", f"--target={clips}", "--protocol=quick"),
            *(*FAST, f"--output={tmp_path / 'b'}"),
        ],
        "no protocol 'imagenet'": unknown,
        "there is no such|not there": ["test", f"--root={tmp_path / 'none'}", *FAST],
        "no such checkpoint": ["test", "none.ckpt", f"--root={toy_root}", *FAST],
        "--device": ["test", f"--root={toy_root}", "--device=abacus"],
        "no_such_module": ["test", f"--root={toy_root}", "--module=no_such_module", *FAST],
    }.items():
        cases[told] = main(command)
        errors.append(capsys.readouterr().err)
    assert set(cases.values()) == {2}
    for told, error in zip(cases, errors, strict=True):
        assert any(part in error for part in told.split("|")), error
        assert "Traceback" not in error


def test_two_methods_of_one_name_are_refused(
    checkpoint: Path, toy_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = (f"--root={toy_root}", f"--output={tmp_path / 'out'}", *FAST)
    assert main(["test", str(checkpoint), str(checkpoint), *folder]) == 2
    assert "NAME=" in capsys.readouterr().err
    for baseline in ("copy_last", f"copy_last={checkpoint}"):
        assert main(["test", baseline, *folder]) == 2
        assert "copy_last is a baseline, and baselines are scored" in capsys.readouterr().err
    assert main(["test", f"a/b={checkpoint}", *folder]) == 2
    assert "cannot name a result" in capsys.readouterr().err


def test_a_network_of_ones_own_is_scored(
    tmp_path: Path, toy_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The README's way to add a network: a class in a file here, named on the command line."""
    (tmp_path / "my_networks.py").write_text(
        "from vidpred.models import CopyLastFrame\nclass Mine(CopyLastFrame):\n    pass\n"
    )
    content = {
        "vidpred": {
            "predictor": {"class": "Mine", "arguments": {"context_frames": 1}},
            "batches_seen": 0,
        },
        "state_dict": {},
        "pytorch-lightning_version": "2.6.0",
    }
    torch.save(content, tmp_path / "mine.ckpt")
    monkeypatch.chdir(tmp_path)
    folder = (f"--root={toy_root}", "--output=out", *FAST)
    assert main(["test", "mine.ckpt", *folder]) == 2
    assert main(["test", "mine.ckpt", "--module=my_networks", *folder]) == 0
    mine, copy = (result(tmp_path / "out" / f"{name}.json") for name in ("mine", "copy_last"))
    assert mine["summary"] == copy["summary"]


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_scored(real_data: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    command = [
        *(sys.executable, "-m", "vidpred", "test", f"--root={real_data / 'ucf101'}"),
        *("--protocol=mathieu2016-subset", f"--output={output}", *FAST),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    partial = output / "optical_flow.partial.jsonl"
    deadline = time.monotonic() + 120
    while not (partial.exists() and partial.read_text().count("\n") > 5):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    kept = partial.read_text().count("\n")
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert "97 of 3783 videos" in done.stdout
    assert result(output / "optical_flow.json")["clips"]["clips_scored"] == 97
    assert kept > 5


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_number_of_clips(toy_root: Path, tmp_path: Path) -> None:
    """The peak of 1,000 clips is within 10 % of that of 50."""
    peaks = {}
    frames = np.random.default_rng(0).integers(0, 256, (8, 48, 64, 3), dtype=np.uint8)
    for count in (50, 1000):
        root = tmp_path / str(count)
        for side, kept in (("pred", frames[4:]), ("target", frames)):
            (root / side).mkdir(parents=True)
            for k in range(count):
                np.save(root / side / f"clip{k:04d}.npy", kept)
        # Not `getrusage`, whose peak begins with that of the process that started this one.
        code = (
            "import re, sys; from vidpred.cli.main import main; status = main(sys.argv[1:]); "
            "print(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1]); "
            "sys.exit(status)"
        )
        folders = (f"--pred={root / 'pred'}", f"--target={root / 'target'}")
        done = subprocess.run(
            [
                *(sys.executable, "-c", code, "score", *folders, "--protocol=quick"),
                *(f"--output={root / 'out'}", *FAST),
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=500,
        )
        peaks[count] = int(done.stdout.split()[-1])
    assert peaks[50] > 100_000  # KiB
    assert peaks[1000] < 1.1 * peaks[50], peaks
