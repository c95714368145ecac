"""One pass over real clips: values, interruption, resume, order, failures, pictures."""

import json
import math
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from torch import Tensor

from vidpred.data.ucf101_lists import read_list
from vidpred.errors import PredictionError, ResultError
from vidpred.evaluation import Result, evaluate, read_result
from vidpred.evaluation.clips import EvaluationClip, Unit
from vidpred.evaluation.measures import Measure, measure_all
from vidpred.evaluation.protocol import (
    ClipCut,
    NamedProtocol,
    build_protocol,
    load_protocol,
)
from vidpred.evaluation.results.averages import summarize
from vidpred.evaluation.results.result import ClipRow
from vidpred.evaluation.scoring.methods import PredictorMethod, baselines
from vidpred.evaluation.scoring.scored_method import ScoredMethod, require_method_name
from vidpred.evaluation.scoring.scoring_pass import LOCK
from vidpred.evaluation.sources.video_clips import VideoClips
from vidpred.flow import FrameDifferenceMask
from vidpred.metrics import psnr, sharpness, ssim
from vidpred.models import CopyLastFrame
from vidpred.ops import to_unit
from vidpred.video import probe, read_clip

CPU = torch.device("cpu")
CUT = {"starts": [0, 2], "context_frames": 4, "horizon": 2}


def protocol(**changes: Any) -> NamedProtocol:
    return build_protocol({**load_protocol("quick").values, "clips": CUT, **changes})


class Darker(ScoredMethod):
    """Predicts the last frame times a factor; may stop or fail at a clip."""

    def __init__(
        self, factor: float = 0.9, *, stop_after: int = 10**9, fail_at: str | None = None
    ) -> None:
        details = {"factor": factor}
        self.description = {"name": f"darker_{factor}", "kind": "model", "details": details}
        self.factor = factor
        self.left = stop_after
        self.fail_at = fail_at
        self.predicted: list[str] = []

    def predict(self, clips: Sequence[EvaluationClip], cut: ClipCut) -> Tensor:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        if self.fail_at in [clip.name for clip in clips]:
            raise PredictionError(f"{self.fail_at}: broken")
        self.predicted += [clip.name for clip in clips]
        last = torch.stack([clip.context[-1:] for clip in clips if clip.context is not None])
        return (last * self.factor).repeat(1, cut.horizon, 1, 1, 1)


class Shuffled(VideoClips):
    """The same clips in another order."""

    def units(self) -> Iterator[Unit]:
        units = list(super().units())
        random.Random(7).shuffle(units)
        return iter(units)


def run(
    root: Path, folder: Path, *methods: ScoredMethod, named: NamedProtocol | None = None, **kw: Any
) -> list[Result]:
    named = named or protocol()
    return evaluate(named, VideoClips(named.protocol, root), methods, folder, device=CPU, **kw)


def measured(result: Result) -> dict[str, Any]:
    """All of a result but the moment at which it was made and the files' times."""
    content: dict[str, Any] = dict(result)
    rows = [{**row, "fingerprint": ""} for row in result["rows"]]
    return (
        content
        | {"rows": rows}
        | {"provenance": {k: v for k, v in content["provenance"].items() if k != "date"}}
    )


def test_every_value_is_that_of_the_metric(toy_root: Path, tmp_path: Path) -> None:
    (result,) = run(toy_root, tmp_path, Darker(0.8))
    assert len(result["rows"]) == 2 * len(read_list(toy_root / "ucfTrainTestlist/testlist01.txt"))
    for row in result["rows"]:
        frames = to_unit(
            read_clip(toy_root / "UCF-101" / f"{row['video']}.avi", row["start"] or 0, 6)
        )
        target = frames[None, 4:]
        pred = (frames[3] * 0.8).expand_as(target)
        mask = FrameDifferenceMask()(frames[None], 2)
        for name, function in {"psnr": psnr, "ssim": ssim, "sharpness": sharpness}.items():
            whole = function(pred, target, data_range=1.0)
            moving = function(pred, target, data_range=1.0, mask=mask)
            for key, expected in {"standard.whole": whole, "masked_mean.moving": moving}.items():
                found = torch.tensor(
                    [math.nan if v is None else v for v in row["values"][f"{name}.{key}"]]
                )
                torch.testing.assert_close(found, expected[0], equal_nan=True, rtol=1e-6, atol=1e-6)


def test_the_file_says_how_it_came_about(toy_root: Path, tmp_path: Path) -> None:
    named = protocol()
    (result,) = run(toy_root, tmp_path, Darker())
    assert read_result(tmp_path / "darker_0.9.json") == result
    assert result["protocol"] == named.values
    assert result["protocol_digest"] == named.digest
    assert result["method"]["details"] == {"factor": 0.9}
    assert result["mask"]["description"] == FrameDifferenceMask().describe()
    assert result["provenance"]["device"] == "cpu"
    assert result["provenance"]["versions"]["torch"]
    counts = result["clips"]
    assert counts["clips_scored"] == counts["clips_listed"] == len(result["rows"])
    assert counts["scored_digest"] == counts["list_digest"]


def test_an_interrupted_run_goes_on_where_it_stopped(toy_root: Path, tmp_path: Path) -> None:
    (expected,) = run(toy_root, tmp_path / "whole", Darker())
    first = Darker(stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        run(toy_root, tmp_path / "parts", first)
    partial = tmp_path / "parts" / "darker_0.9.partial.jsonl"
    assert len(partial.read_text().splitlines()) == 1 + len(first.predicted)
    assert not (tmp_path / "parts" / "darker_0.9.json").exists()
    partial.write_text(partial.read_text()[:-20])  # the last line was cut off as well
    second = Darker()
    (resumed,) = run(toy_root, tmp_path / "parts", second)
    assert measured(resumed) == measured(expected)
    assert len(second.predicted) < len(expected["rows"])
    assert not partial.exists()


def test_what_is_done_is_not_scored_again(toy_root: Path, tmp_path: Path) -> None:
    run(toy_root, tmp_path, *baselines(CPU, 4), Darker())
    before = (tmp_path / "darker_0.9.json").read_bytes()
    again, added = Darker(), Darker(0.5)
    results = run(toy_root, tmp_path, *baselines(CPU, 4), again, added)
    assert again.predicted == []
    assert len(added.predicted) == len(results[-1]["rows"])
    assert (tmp_path / "darker_0.9.json").read_bytes() == before


def test_another_measurement_is_not_mixed_in(toy_root: Path, tmp_path: Path) -> None:
    run(toy_root, tmp_path, Darker())
    other = protocol(clips={**CUT, "horizon": 1})
    with pytest.raises(ResultError, match=r"protocol_digest is .* there, .* here"):
        run(toy_root, tmp_path, Darker(), named=other)
    (replaced,) = run(toy_root, tmp_path, Darker(), named=other, overwrite=True)
    assert replaced["protocol_digest"] == other.digest


def test_the_order_of_clips_changes_no_digit(toy_root: Path, tmp_path: Path) -> None:
    named = protocol()
    methods = [*baselines(CPU, 4), Darker()]
    straight = run(toy_root, tmp_path / "a", *methods)
    source = Shuffled(named.protocol, toy_root)
    shuffled = evaluate(named, source, methods, tmp_path / "b", device=CPU, workers=0)
    assert [measured(result) for result in shuffled] == [measured(result) for result in straight]


def test_one_bad_clip_does_not_stop_the_others(toy_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(toy_root, root)
    rows = read_list(root / "ucfTrainTestlist" / "testlist01.txt")
    (root / "UCF-101" / rows[0]).write_bytes(b"no video")
    folder = tmp_path / "results"
    copy, darker = run(root, folder, baselines(CPU, 4)[0], Darker())
    for result in (copy, darker):
        assert len(result["clips"]["failed"]) == 2
        assert all(rows[0] in why for why in result["clips"]["failed"].values())
        assert result["clips"]["clips_scored"] == 2 * (len(rows) - 1)
    shutil.copyfile(toy_root / "UCF-101" / rows[0], root / "UCF-101" / rows[0])
    mended = Darker()
    _, darker = run(root, folder, baselines(CPU, 4)[0], mended)
    assert len(mended.predicted) == 2
    assert darker["clips"]["failed"] == {}
    assert measured(darker) == measured(run(toy_root, tmp_path / "whole", Darker())[0])


def test_a_failing_method_leaves_the_others_whole(toy_root: Path, tmp_path: Path) -> None:
    name = VideoClips(protocol().protocol, toy_root).names[0]
    copy, darker = run(toy_root, tmp_path, baselines(CPU, 4)[0], Darker(fail_at=name))
    assert copy["clips"]["failed"] == {}
    assert name in darker["clips"]["failed"]
    assert darker["clips"]["failed"][name] == f"{name}: broken"


def test_frames_out_of_range_are_named(toy_root: Path, tmp_path: Path) -> None:
    (bright,) = run(toy_root, tmp_path, Darker(1.9))
    assert bright["rows"] == []
    assert not (tmp_path / "darker_1.9.json").exists()  # nothing to be compared
    name, why = next(iter(bright["clips"]["failed"].items()))
    assert name in why
    assert "expected [0, 1]" in why
    assert bright["summary"]["psnr.standard.whole"]["mean"] is None


def test_predictions_that_are_not_finite_are_named(toy_root: Path, tmp_path: Path) -> None:
    class Broken(CopyLastFrame):
        def step(self, context: Tensor) -> Tensor:
            return super().step(context) * math.nan

    method = PredictorMethod(Broken(), {"name": "broken", "kind": "model", "details": {}}, CPU)
    (result,) = run(toy_root, tmp_path, method)
    assert all("not finite" in why for why in result["clips"]["failed"].values())


def test_one_step_predicts_from_true_frames(toy_root: Path, tmp_path: Path) -> None:
    one_step = protocol(clips={**CUT, "rollout": "one_step"})
    (result,) = run(toy_root, tmp_path, baselines(CPU, 4)[0], named=one_step)
    row = result["rows"][0]
    frames = to_unit(read_clip(toy_root / "UCF-101" / f"{row['video']}.avi", row["start"] or 0, 6))
    expected = psnr(frames[None, 3:5], frames[None, 4:6], data_range=1.0)[0]
    assert row["values"]["psnr.standard.whole"] == pytest.approx(expected.tolist(), rel=1e-6)


def test_ssim_of_both_areas_is_the_same_alone_and_together() -> None:
    pred, target = torch.rand(2, 3, 2, 3, 24, 32).unbind()
    mask = torch.rand(3, 2, 1, 24, 32) > 0.5
    measures = [Measure("ssim"), Measure("ssim", "masked_mean", "moving")]
    together = measure_all(measures, pred, target, mask)
    for measure in measures:
        alone = measure_all([measure], pred, target, mask)[measure.key]
        assert torch.equal(together[measure.key], alone)


def row(clip: str, values: dict[str, list[float | None]]) -> ClipRow:
    frames = len(next(iter(values.values())))
    unknown: list[float | None] = [None] * frames
    return ClipRow(
        clip=clip,
        video=clip,
        start=0,
        fingerprint="",
        motion=unknown,
        moving=unknown,
        values=values,
    )


def test_the_paper_skips_by_method_and_frame() -> None:
    """At or above 50 dB, or with nothing moving; in the moving area alone."""
    named = load_protocol("mathieu2016-ucf101")
    keys = [measure.key for measure in named.protocol.measures]
    psnrs: list[list[float | None]] = [[40.0, 50.0], [30.0, 20.0], [88.1, 49.9], [None, 10.0]]
    rows = [
        row(
            f"clip{k}",
            {key: [float(k), float(k)] for key in keys} | {"psnr.mathieu_code.moving": values},
        )
        for k, values in enumerate(psnrs)
    ]
    summary = summarize(rows, keys=keys, skip=named.protocol.skip, horizon=2)
    deciding = summary["psnr.mathieu_code.moving"]
    assert deciding["clips"] == [2, 3]
    assert deciding["per_frame"] == pytest.approx([35.0, (20 + 49.9 + 10) / 3])
    assert summary["ssim.mathieu_code.moving"]["per_frame"] == pytest.approx([0.5, 2.0])
    assert summary["psnr.standard.whole"]["clips"] == [4, 4]


def test_the_best_and_the_worst_clips_can_be_looked_at(toy_root: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "best_and_worst" / "holiday"
    theirs.mkdir(parents=True)
    (theirs / "photo.png").write_bytes(b"precious")
    results = run(toy_root, tmp_path, *baselines(CPU, 4), Darker())
    gains = {
        row["clip"]: sum(v or 0 for v in row["values"]["psnr.masked_mean.moving"])
        - sum(v or 0 for v in copied["values"]["psnr.masked_mean.moving"])
        for row, copied in zip(results[-1]["rows"], results[0]["rows"], strict=True)
        if None not in row["values"]["psnr.masked_mean.moving"]
    }
    ordered = sorted(gains, key=lambda clip: gains[clip])
    shown = {path.name for path in (tmp_path / "best_and_worst").iterdir()} - {"holiday"}
    assert {ordered[0], ordered[-1]} <= shown
    assert len(shown) <= 6
    assert (theirs / "photo.png").exists()
    for clip in shown:
        place = tmp_path / "best_and_worst" / clip
        assert probe(place / "truth.avi").num_frames == 6
        methods = {"copy_last", "linear", "optical_flow", "optical_flow_dup", "darker_0.9"}
        assert {p.stem for p in place.iterdir()} == methods | {"truth"}
        assert probe(place / "darker_0.9.avi").num_frames == 2


@pytest.mark.parametrize(
    "text", ["", "{", "[]", json.dumps({"format": "vidpred result 1"}), json.dumps({"a": 1})]
)
def test_what_is_no_result_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(ResultError, match=r"result\.json"):
        read_result(path)
    with pytest.raises(ResultError, match="no such file"):
        read_result(tmp_path / "none.json")


def edited(result: Result, path: Path, **changes: Any) -> Path:
    path.write_text(json.dumps({**result, **changes}))
    return path


def test_a_result_that_was_edited_is_refused(toy_root: Path, tmp_path: Path) -> None:
    (whole,) = run(toy_root, tmp_path / "out", Darker())
    path = tmp_path / "edited.json"
    rows = whole["rows"]
    better = [{**rows[0], "values": {**rows[0]["values"], "psnr.standard.whole": [99.0, 99.0]}}]
    protocol = {**whole["protocol"], "clips": {**whole["protocol"]["clips"], "horizon": 1}}
    assert read_result(edited(whole, path)) == whole
    for told, changes in {
        "list_digest is no text": {"clips": {**whole["clips"], "list_digest": -1}},
        "'start'": {"rows": [{k: v for k, v in rows[0].items() if k != "start"}, *rows[1:]]},
        "the summary does not belong": {"rows": [*better, *rows[1:]]},
        "a clip is there twice": {"rows": [*rows, rows[0]]},
        "the number or the digest of its clips": {"rows": rows[1:]},
        "has 1 frames, the protocol 2": {"rows": [{**rows[0], "motion": [1.0]}, *rows[1:]]},
        "the protocol's digest": {"protocol": protocol},
        "TypeError": {"rows": None},
        "KeyError": {"method": {}},
        "clips_scored": {"clips": {}},
        "mask is no mapping": {"mask": None},
        "method.details is no mapping": {"method": {**whole["method"], "details": None}},
    }.items():
        with pytest.raises(ResultError, match=f"edited.json: not as it was written .*{told}"):
            read_result(edited(whole, path, **changes))
    path.write_text(path.read_text().replace(": null", ": Infinity", 1))
    with pytest.raises(ResultError, match=r"edited\.json"):
        read_result(path)


def test_two_processes_keep_out_of_one_folder(toy_root: Path, tmp_path: Path) -> None:
    tmp_path.joinpath("out").mkdir()
    with FileLock(tmp_path / "out" / LOCK):  # as another process holds it
        with pytest.raises(ResultError, match="another process writes its results there"):
            run(toy_root, tmp_path / "out", Darker())
        assert [path.name for path in (tmp_path / "out").iterdir()] == [LOCK]
    run(toy_root, tmp_path / "out", Darker())


def test_a_refusal_leaves_nothing(toy_root: Path, tmp_path: Path) -> None:
    run(toy_root, tmp_path, Darker())
    before = sorted(tmp_path.iterdir())
    other = Darker()
    other.description = {**other.description, "details": {"factor": 0.1}}
    with pytest.raises(ResultError, match=r"method\.details\.factor is 0\.9 there, 0\.1 here"):
        run(toy_root, tmp_path, *baselines(CPU, 4), other)
    assert sorted(tmp_path.iterdir()) == before


def test_a_place_that_cannot_be_written_is_named(toy_root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResultError, match=r"cannot be written there .*choose another --output"):
        run(toy_root, tmp_path / "file" / "out", Darker())


def test_pictures_that_cannot_be_written_stop_nothing(
    toy_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "best_and_worst").touch()
    (result,) = run(toy_root, tmp_path, Darker())
    assert result["clips"]["failed"] == {}
    assert len([line for line in caplog.messages if "pictures of clips" in line]) == 1


def test_videos_that_changed_are_scored_again(toy_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(toy_root, root)
    rows = read_list(root / "ucfTrainTestlist" / "testlist01.txt")
    run(root, tmp_path / "out", Darker())
    shutil.copyfile(root / "UCF-101" / rows[1], root / "UCF-101" / rows[0])
    again = Darker()
    (changed,) = run(root, tmp_path / "out", again)
    assert len(again.predicted) == 2  # the two clips of that video
    (fresh,) = run(root, tmp_path / "fresh", Darker())
    assert measured(changed) == measured(fresh)


@pytest.mark.parametrize("name", ["truth", "../evil", "a/b", ".hidden", "a\nb", "", "x" * 101])
def test_names_that_cannot_be_files_are_refused(name: str) -> None:
    with pytest.raises(PredictionError, match="cannot name a result"):
        require_method_name(name)
