"""Mean, best and worst of K futures, against NumPy on all futures at once."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from vidpred.evaluation.measures import Measure
from vidpred.evaluation.samples import REDUCTIONS, Reduction, Samples
from vidpred.evaluation.scoring.futures import FutureScores, Scores, score_futures

K, B, T = 7, 3, 4


def futures(count: int = K, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, B, T, 1, 2, 2, generator=generator)


def measure(frames: Tensor) -> Scores:
    """Two measures that disagree on which future is best: brightness, and a distance from gray."""
    bright = frames.double().mean(dim=(2, 3, 4))
    return {
        "psnr.standard.whole": bright,
        "lpips.alex.whole": (frames.double() - 0.5).abs().mean(dim=(2, 3, 4)),
    }


def rises(key: str) -> bool:
    return not key.startswith("lpips")


def scored(
    frames: Tensor, *, reduce: Reduction = "mean", by: Measure | None = None, chunk: int = 1
) -> FutureScores:
    samples = Samples(count=len(frames), reduce=reduce, by=by)
    return score_futures(
        frames.split(chunk),
        measure,
        samples=samples,
        ranking="psnr.standard.whole",
        higher_is_better=rises,
    )


@pytest.mark.parametrize("chunk", [1, 3, K])
def test_reductions_are_those_of_all_futures_at_once(chunk: int) -> None:
    frames = futures()
    values = {
        key: np.stack([measure(future)[key].numpy() for future in frames])
        for key in measure(frames[0])
    }
    found = scored(frames, chunk=chunk)
    assert found.count == K
    assert found.reduced is not None
    assert list(found.reduced) == list(REDUCTIONS)
    clips = np.arange(B)
    for key, value in values.items():
        by_clip = value.mean(axis=2)  # a future is judged by its mean over frames
        most, least = by_clip.argmax(axis=0), by_clip.argmin(axis=0)
        best, worst = (most, least) if rises(key) else (least, most)
        expected = {
            "mean": value.mean(axis=0),
            "best_of_k": value[best, clips],
            "worst_of_k": value[worst, clips],
        }
        for name, scores in found.reduced.items():
            np.testing.assert_allclose(scores[key].numpy(), expected[name], rtol=1e-12)


def test_one_measure_can_choose_for_all() -> None:
    frames = futures()
    by = Measure("psnr")
    found = scored(frames, reduce="best_of_k", by=by)
    bright = torch.stack([measure(future)[by.key] for future in frames])
    best = bright.mean(dim=2).argmax(dim=0)
    for key in measure(frames[0]):
        values = torch.stack([measure(future)[key] for future in frames])
        torch.testing.assert_close(found.values[key], values[best, torch.arange(B)])
    assert torch.equal(found.shown, frames[best, torch.arange(B)])
    assert torch.equal(found.first, frames[0])


@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_what_counts_is_what_the_protocol_says(reduce: Reduction) -> None:
    found = scored(futures(), reduce=reduce)
    assert found.reduced is not None
    assert found.values is found.reduced[reduce]
    if reduce == "mean":
        assert torch.equal(found.shown, found.first)
    else:
        assert not torch.equal(found.shown, found.first)


def test_the_best_rises_and_the_worst_falls_with_more_futures() -> None:
    frames = futures(20)
    few, many = scored(frames[:5]), scored(frames)
    assert few.reduced is not None
    assert many.reduced is not None
    for key in measure(frames[0]):
        sign = 1 if rises(key) else -1
        for end, side in (("best_of_k", sign), ("worst_of_k", -sign)):
            small, large = (r.reduced[end][key].mean(1) for r in (few, many))  # type: ignore[index]
            assert (side * large >= side * small).all()


def test_where_nothing_moves_there_is_no_score() -> None:
    def moving(frames: Tensor) -> Scores:
        scores = measure(frames)["psnr.standard.whole"]
        scores[0] = math.nan  # a still clip
        scores[1, 2] = math.nan  # a still frame
        return {"psnr.masked_mean.moving": scores}

    found = score_futures(
        futures().split(2),
        moving,
        samples=Samples(count=K),
        ranking="psnr.masked_mean.moving",
        higher_is_better=rises,
    )
    assert found.reduced is not None
    for scores in found.reduced.values():
        nan = scores["psnr.masked_mean.moving"].isnan()
        assert nan[0].all()
        assert nan[1].tolist() == [False, False, True, False]
        assert not nan[2].any()


def test_frames_without_a_score_do_not_keep_a_future_from_being_chosen() -> None:
    levels = torch.tensor([0.1, 0.9, 0.5]).view(3, 1, 1, 1, 1, 1)

    def moving(frames: Tensor) -> Scores:
        scores = measure(frames)["psnr.standard.whole"]
        scores[:, 1] = math.nan  # nothing moves in the second frame
        return {"psnr.masked_mean.moving": scores}

    found = score_futures(
        levels.expand(3, 1, 2, 1, 2, 2).split(1),
        moving,
        samples=Samples(count=3, reduce="best_of_k"),
        ranking="psnr.masked_mean.moving",
        higher_is_better=rises,
    )
    assert found.values["psnr.masked_mean.moving"][0, 0].item() == pytest.approx(0.9)


def test_of_equal_futures_the_first_is_shown() -> None:
    frames = torch.full((2, 1, 1, 1, 2, 2), 0.5)
    frames[0, ..., 0], frames[1, ..., 1] = 0.75, 0.75
    for reduction in ("best_of_k", "worst_of_k"):
        assert torch.equal(scored(frames, reduce=reduction).shown, frames[0])


def test_without_samples_one_future_counts_as_it_is() -> None:
    (frames,) = futures(1)
    found = score_futures(
        [frames[None]], measure, samples=None, ranking="psnr.standard.whole", higher_is_better=rises
    )
    assert found.reduced is None
    torch.testing.assert_close(found.values, measure(frames))
    with pytest.raises(ValueError, match="gave no future; expected at least one"):
        score_futures([], measure, samples=None, ranking="", higher_is_better=rises)


def test_the_memory_does_not_grow_with_the_number_of_futures() -> None:
    alive: set[int] = set()
    most = 0

    class Counted:
        """Notices when the frames of a future are dropped."""

        def __init__(self, index: int) -> None:
            self.index = index
            alive.add(index)

        def __del__(self) -> None:
            alive.discard(self.index)

    def drawn() -> Iterator[Tensor]:
        nonlocal most
        for k in range(100):
            frames = torch.full((1, B, T, 1, 2, 2), k / 100)
            frames.counted = Counted(k)  # type: ignore[attr-defined]
            yield frames
            most = max(most, len(alive))

    score_futures(
        drawn(),
        measure,
        samples=Samples(count=100),
        ranking="psnr.standard.whole",
        higher_is_better=rises,
    )
    assert most <= 3


def test_generators_depend_on_clip_seed_and_number_alone() -> None:
    seeds = {
        Samples(count=2, seed=seed).generator(clip, index).initial_seed()
        for seed in (0, 1)
        for clip in ("a", "b")
        for index in (0, 1)
    }
    assert len(seeds) == 8
    small, large = Samples(count=2), Samples(count=100, reduce="best_of_k")
    assert small.generator("a", 1).initial_seed() == large.generator("a", 1).initial_seed()


def test_samples_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match=r"samples\.count is 0; expected .* at least 1"):
        Samples(count=0)
    with pytest.raises(ValueError, match=r"samples\.seed is -1; expected .* at least 0"):
        Samples(count=1, seed=-1)
    with pytest.raises(ValueError, match=r"reduce is 'median'; expected one of mean, best_of_k"):
        Samples(count=1, reduce="median")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"samples\.by is bits_per_dim.* a likelihood"):
        Samples(count=1, by=Measure("bits_per_dim"))
