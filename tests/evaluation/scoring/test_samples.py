"""K futures of each clip, from the protocol to the result: draws, reductions, resume, refusals."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from noisy_predictor import Noisy
from torch import Tensor

from vidpred.errors import PredictionError, ProtocolError, ResultError
from vidpred.evaluation import Result, evaluate, load_protocol, read_result
from vidpred.evaluation.compare.comparison import compare
from vidpred.evaluation.compare.markdown import markdown
from vidpred.evaluation.protocol import NamedProtocol, build_protocol
from vidpred.evaluation.report.page import render
from vidpred.evaluation.samples import Samples
from vidpred.evaluation.scoring.methods import PredictorMethod, baselines
from vidpred.evaluation.scoring.scored_method import ScoredMethod
from vidpred.evaluation.sources.clip_folder import ClipFolder
from vidpred.evaluation.sources.folder_clips import FolderClips
from vidpred.metrics import psnr
from vidpred.models import Condition, Predictor
from vidpred.ops import to_unit

CPU = torch.device("cpu")
KEY = "psnr.standard.whole"
MEASURES: list[dict[str, Any]] = [{"metric": "psnr"}, {"metric": "sharpness"}]


class Counted(Noisy):
    """Counts what it draws, and may stop after some draws."""

    def __init__(self, *, stop_after: int = 10**9) -> None:
        super().__init__()
        self.left = stop_after
        self.drawn = 0

    def sample_step(
        self,
        context: Tensor,
        *,
        generator: torch.Generator | None = None,
        condition: Condition | None = None,
    ) -> Tensor:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        self.drawn += 1
        return super().sample_step(context, generator=generator, condition=condition)


class Certain(Noisy):
    """Knows the likelihood: every one of 256 levels is as likely as the others."""

    def log_prob(
        self, context: Tensor, target: Tensor, *, condition: Condition | None = None
    ) -> Tensor:
        assert context.shape[1] == self.context_frames
        dims = math.prod(target.shape[2:])
        return torch.full(target.shape[:2], -dims * math.log(256))


def method(predictor: Predictor | None = None, name: str = "noisy") -> PredictorMethod:
    predictor = predictor or Counted()
    details = {"class": type(predictor).__name__}
    return PredictorMethod(predictor, {"name": name, "kind": "model", "details": details}, CPU)


def protocol(samples: dict[str, Any] | None, **changes: Any) -> NamedProtocol:
    cut = {"starts": [0], "context_frames": 3, "horizon": 2}
    content = {**load_protocol("quick").values, "clips": cut, "mask": None, "measures": MEASURES}
    content |= changes
    return build_protocol(content if samples is None else {**content, "samples": samples})


@pytest.fixture
def clips(tmp_path: Path) -> ClipFolder:
    """Four clips of noise that moves."""
    folder = tmp_path / "clips"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(4):
        base = rng.integers(0, 256, (16, 20, 3), dtype=np.uint8)
        np.save(folder / f"clip_{k}.npy", np.stack([np.roll(base, t, axis=1) for t in range(5)]))
    return ClipFolder(folder)


def run(
    clips: ClipFolder, folder: Path, named: NamedProtocol, *methods: ScoredMethod
) -> list[Result]:
    return evaluate(named, FolderClips(named.protocol, clips), methods, folder, device=CPU)


def scores(result: Result) -> Any:
    return [[row["values"], row.get("samples")] for row in result["rows"]]


def test_each_reduction_is_that_of_draws_by_hand(clips: ClipFolder, tmp_path: Path) -> None:
    named = protocol({"count": 5, "seed": 3, "reduce": "best_of_k", "by": {"metric": "psnr"}})
    samples = named.protocol.samples
    assert samples is not None
    (result,) = run(clips, tmp_path / "out", named, method())
    assert read_result(tmp_path / "out" / "noisy.json") == result
    assert result["protocol"]["samples"]["count"] == 5
    for row in result["rows"]:
        frames = to_unit(clips.read(row["clip"]))[None]
        drawn = [
            psnr(
                Counted().sample(frames[:, :3], 2, generator=samples.generator(row["clip"], k))[0],
                frames[:, 3:],
                data_range=1.0,
            )[0]
            for k in range(5)
        ]
        values = torch.stack(drawn).double()
        best, worst = (
            values[index] for index in (values.mean(1).argmax(), values.mean(1).argmin())
        )
        expected = {"mean": values.mean(0), "best_of_k": best, "worst_of_k": worst}
        assert row["samples"]["count"] == 5
        for name, value in expected.items():
            found = row["samples"]["values"][name][KEY]
            np.testing.assert_allclose(found, value.numpy(), rtol=1e-5)
        assert row["values"][KEY] == row["samples"]["values"]["best_of_k"][KEY]
    means = {name: result["samples"][name][KEY]["mean"] for name in result["samples"]}
    assert means["worst_of_k"] < means["mean"] < means["best_of_k"]
    assert result["summary"][KEY]["mean"] == means["best_of_k"]


class Backwards(FolderClips):
    """The same clips in another order, and two at a time."""

    def units(self) -> Iterator[Any]:
        return iter(list(super().units())[::-1])


def test_scores_depend_on_neither_order_nor_batch_nor_count(
    clips: ClipFolder, tmp_path: Path
) -> None:
    named = protocol({"count": 3})
    (result,) = run(clips, tmp_path / "one", named, method())
    (other,) = evaluate(
        named, Backwards(named.protocol, clips), [method()], tmp_path / "two", device=CPU
    )
    assert scores(other) == scores(result)
    (single,) = run(clips, tmp_path / "three", protocol({"count": 1}), method())
    (same,) = run(
        clips, tmp_path / "four", protocol({"count": 1, "reduce": "worst_of_k"}), method()
    )
    assert scores(same) == scores(single)
    best, first = result["samples"]["best_of_k"][KEY], single["summary"][KEY]
    assert best["mean"] is not None
    assert first["mean"] is not None
    assert best["mean"] > first["mean"]  # the first of three draws is the one of one


def test_every_clip_and_every_future_has_a_seed_of_its_own() -> None:
    seeds = {
        samples.generator(clip, index).initial_seed()
        for samples in (Samples(count=2), Samples(count=2, seed=1))
        for clip in ("one", "two")
        for index in range(2)
    }
    assert len(seeds) == 2**3


def test_clips_of_a_batch_are_drawn_alone(clips: ClipFolder) -> None:
    named = protocol({"count": 2})
    source = FolderClips(named.protocol, clips)
    loaded = [clip for unit in source.units() for clip in unit.load().values()]
    together = torch.cat(list(method().futures(loaded, named.protocol)))  # type: ignore[arg-type]
    assert together.shape == (2, 4, 2, 3, 16, 20)
    alone = [torch.cat(list(method().futures([c], named.protocol))) for c in loaded]  # type: ignore[list-item]
    assert torch.equal(together, torch.cat(alone, dim=1))
    assert not torch.equal(together[0], together[1])


def test_an_interrupted_evaluation_resumes_exactly(clips: ClipFolder, tmp_path: Path) -> None:
    named = protocol({"count": 4, "reduce": "best_of_k"})
    (whole,) = run(clips, tmp_path / "whole", named, method())
    with pytest.raises(KeyboardInterrupt):  # in the middle of the third clip's futures
        run(clips, tmp_path / "parts", named, method(Counted(stop_after=2 * 4 * 2 + 3)))
    rest = Counted()
    (resumed,) = run(clips, tmp_path / "parts", named, method(rest))
    assert rest.drawn == 2 * 4 * 2
    assert scores(resumed) == scores(whole)


@pytest.mark.parametrize("finished", [True, False])
def test_another_seed_is_another_measurement(
    clips: ClipFolder, tmp_path: Path, finished: bool
) -> None:
    first = method() if finished else method(Counted(stop_after=9))
    try:
        run(clips, tmp_path / "out", protocol({"count": 2, "seed": 0}), first)
    except KeyboardInterrupt:
        assert not finished
    with pytest.raises(ResultError, match=r"samples\.seed is 0 there, 1 here.*--overwrite"):
        run(clips, tmp_path / "out", protocol({"count": 2, "seed": 1}), method())


def test_a_predictor_of_one_future_is_refused_and_baselines_are_not(
    clips: ClipFolder, tmp_path: Path
) -> None:
    named = protocol({"count": 3})
    plain = Counted()
    plain.stochastic = False
    with pytest.raises(PredictionError, match=r"noisy: one future of a clip .*quick draws 3"):
        run(clips, tmp_path / "out", named, method(plain), baselines(CPU, 3)[0])
    assert not (tmp_path / "out").exists()
    copied, _ = run(clips, tmp_path / "out", named, baselines(CPU, 3)[0], method())
    for row in copied["rows"]:
        assert row["samples"]["count"] == 1
        assert all(own == row["values"] for own in row["samples"]["values"].values())


def test_a_predictor_of_one_future_is_scored_next_to_a_stochastic_one(
    clips: ClipFolder, tmp_path: Path
) -> None:
    plain = Counted()
    plain.stochastic = False
    alone = method(plain)
    alone.description["name"] = "plain"
    found, _ = run(clips, tmp_path / "out", protocol({"count": 3}), alone, method())
    for row in found["rows"]:
        assert row["samples"]["count"] == 1
        assert all(own == row["values"] for own in row["samples"]["values"].values())


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ({"count": 0}, r"(?s)samples.*count.*0 does not conform to restriction v>0"),
        ({"count": 2, "seed": -1}, r"(?s)samples.*seed.*-1 does not conform"),
        ({"count": 2, "reduce": "median"}, r"(?s)reduce.*best_of_k.*median"),
        ({"count": 2, "by": {"metric": "ssim"}}, "samples.by is ssim.standard.whole, which is not"),
        ({"number": 2}, r"(?s)samples.*number"),
    ],
)
def test_protocols_that_make_no_sense_are_refused(
    samples: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps({**protocol(None).values, "samples": samples}))
    with pytest.raises(ProtocolError, match=message):
        load_protocol(path)


def test_what_is_drawn_decides_the_digest_and_nothing_else_does() -> None:
    digests = [
        protocol(samples).digest
        for samples in (
            None,
            {"count": 2},
            {"count": 3},
            {"count": 2, "seed": 1},
            {"count": 2, "reduce": "best_of_k"},
            {"count": 2, "reduce": "best_of_k", "by": {"metric": "psnr"}},
        )
    ]
    assert len(set(digests)) == len(digests)
    again = protocol({"count": 2, "seed": 0, "reduce": "mean", "by": None})
    assert again.digest == digests[1]
    assert "samples" not in protocol(None).values


def test_an_edited_reduction_is_refused(clips: ClipFolder, tmp_path: Path) -> None:
    (result,) = run(clips, tmp_path / "out", protocol({"count": 2}), method())
    path = tmp_path / "edited.json"
    for message, edit in {
        "are not the mean of its futures": ("mean", 0),
        "the averages of its futures do not belong": ("best_of_k", 1),
    }.items():
        changed = json.loads(json.dumps(result))
        changed["rows"][edit[1]]["samples"]["values"][edit[0]][KEY][0] += 1.0
        path.write_text(json.dumps(changed))
        with pytest.raises(ResultError, match=message):
            read_result(path)


def test_tables_show_count_worst_mean_and_best(clips: ClipFolder, tmp_path: Path) -> None:
    named = protocol({"count": 4, "reduce": "best_of_k"})
    results = run(clips, tmp_path / "out", named, *baselines(CPU, 3)[:1], method())
    files = {str(tmp_path / f"{r['method']['name']}.json"): r for r in results}
    comparison = compare(files, resamples=20)
    score = comparison["measures"][KEY]["scores"]["noisy"]
    sampled = score["samples"]
    assert sampled is not None
    assert score["mean"] == sampled["best_of_k"]
    assert sampled["worst_of_k"] < sampled["mean"] < sampled["best_of_k"]  # type: ignore[operator]
    # The curves that the report draws: their means are the numbers of the table.
    assert sampled["per_frame"]["best_of_k"] == score["per_frame"]
    for end, curve in sampled["per_frame"].items():
        assert np.mean(np.array(curve, float)) == pytest.approx(sampled[end])  # type: ignore[literal-required]
    text = markdown(comparison)
    cells = " / ".join(f"{sampled[end]:.2f}" for end in ("worst_of_k", "mean", "best_of_k"))  # type: ignore[literal-required]
    assert f"| noisy | 4 | {cells} |" in text
    assert "| copy_last | 1 |" in text
    assert "4 futures of each clip (seed 0); the best one counts, chosen by each measure" in text
    page = render(comparison)
    assert "Several futures: worst, mean and best" in page
    assert f"<td>4</td><td>{cells}</td>" in page
    assert "Dotted lines are the best and the worst of several futures" in page
    assert "Several futures" not in render(
        compare({"a.json": run(clips, tmp_path / "b", protocol(None), method())[0]}, resamples=20)
    )


def test_a_likelihood_is_a_measure(clips: ClipFolder, tmp_path: Path) -> None:
    likelihood: list[dict[str, Any]] = [{"metric": "bits_per_dim"}, {"metric": "nats_per_frame"}]
    named = protocol(None, measures=[*MEASURES, *likelihood])
    plain = method(name="plain")
    results = run(clips, tmp_path / "out", named, *baselines(CPU, 3)[:1], method(Certain()), plain)
    _, certain, without = results
    for row in certain["rows"]:
        np.testing.assert_allclose(row["values"]["bits_per_dim.standard.whole"], 8, rtol=1e-6)
        nats = 3 * 16 * 20 * math.log(256)
        np.testing.assert_allclose(row["values"]["nats_per_frame.standard.whole"], nats, rtol=1e-6)
    assert without["summary"]["bits_per_dim.standard.whole"]["mean"] is None
    files = {str(tmp_path / f"{r['method']['name']}.json"): r for r in results}
    comparison = compare(files, measure="bits_per_dim.standard.whole", resamples=20)
    table = comparison["measures"]["bits_per_dim.standard.whole"]
    assert table["ranking"][0] == "noisy"
    assert table["lacking"] == ["copy_last", "plain"]
    assert not table["higher_is_better"]
    text = markdown(comparison)
    assert "NLL, bits per dimension ↓" in text
    assert "**8.000**" in text
    assert "no likelihood is defined for copy_last and plain" in text
    assert "no likelihood is defined" in render(comparison)
    with pytest.raises(PredictionError, match="plain: it has no likelihood, and protocol quick"):
        run(clips, tmp_path / "no", protocol(None, measures=likelihood), plain)
    # Fewer bits are better, and all measures of frames are ranked as ever.
    assert comparison["measures"][KEY]["lacking"] == []


class Steered(Noisy):
    """Adds its action to the last frame."""

    def __init__(self) -> None:
        Predictor.__init__(self, context_frames=2, conditions=("actions",))

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        assert condition is not None
        action = condition["actions"][:, -1].view(-1, 1, 1, 1, 1)
        return (context[:, -1:] + action).clamp(0, 1)


@pytest.mark.parametrize("rollout", ["recursive", "one_step"])
def test_conditions_reach_the_predictor_frame_by_frame(clips: ClipFolder, rollout: str) -> None:
    cut = {"starts": [0], "context_frames": 3, "horizon": 2, "rollout": rollout}
    named = protocol(None, clips=cut)
    source = FolderClips(named.protocol, clips)
    (clip, *_) = (clip for unit in source.units() for clip in unit.load().values())
    assert not isinstance(clip, Exception)
    actions = torch.tensor([9.0, 9.0, 9.0, 0.1, -0.2])  # of the known frames, then of the targets
    with_actions = type(clip)(**{**vars(clip), "condition": {"actions": actions}})
    pred = method(Steered()).predict([with_actions], named.protocol.clips)[0]
    assert clip.context is not None
    first = (clip.context[-1] + 0.1).clamp(0, 1)
    before = first if rollout == "recursive" else clip.target[0]
    torch.testing.assert_close(pred, torch.stack([first, (before - 0.2).clamp(0, 1)]))
    with pytest.raises(PredictionError, match="needs the condition actions, and the clip has none"):
        method(Steered()).predict([clip], named.protocol.clips)
