"""Measure what each ingredient of a trained flow refiner is worth, added one by one.

Parts of one trained network are switched off, so that the rows say what the network uses, not what
a network without that part could learn.

    python tools/ablate_flow_refiner.py --root data/ucf101 --protocol clean-subset --output DIR

Results of every row are kept in DIR, as `vidpred test` writes them; `vidpred compare DIR` reads
them, and the tool resumes where it was interrupted.
"""

import argparse
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import bootstrap
from torch import Tensor, nn

from vidpred.evaluation import evaluate, load_protocol
from vidpred.evaluation.results.result import Result
from vidpred.evaluation.scoring.methods import PredictorMethod, baselines, class_of
from vidpred.evaluation.sources.video_clips import VideoClips
from vidpred.models import FlowRefiner
from vidpred.models.flow_blend import BLENDED, MOVED
from vidpred.models.flow_evidence import HYPOTHESES
from vidpred.models.predictor import Condition, Predictor
from vidpred.storage import load_predictor

PLAIN = (0, 1, 2, HYPOTHESES, MOVED, MOVED + 1)
"""Images of the blend by motions as they are: three, one at half the speed, none, and the older
frame; the others are smoothed, faster and backwards."""


class Row(NamedTuple):
    """What is scored, and the row that it is compared with."""

    predictor: Predictor
    compared: str


class _Wrapped(Predictor):
    def __init__(self, predictor: Predictor) -> None:
        super().__init__(context_frames=predictor.context_frames)
        self.predictor = predictor

    def config(self) -> dict[str, Any]:
        """Give the wrapped predictor's."""
        return self.predictor.config()


class FedBack(_Wrapped):
    """Predicts one frame, and the next ones from its predictions."""

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict the next frame; see `Predictor.step`."""
        pred: Tensor = self.predictor(context, 1)
        return pred


class Mirrored(_Wrapped):
    """Averages the predictions of a clip and of its three mirror images."""

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict the next frame; see `Predictor.step`."""
        return self.rollout(context, 1)

    def rollout(
        self, window: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Tensor:
        """Predict each mirror image by itself; see `Predictor.rollout`."""
        preds = [
            self.predictor(window.flip(dims), horizon).flip(dims)
            for dims in ([], [-1], [-2], [-1, -2])
        ]
        return torch.stack(preds).mean(0)


def rows_of(refiner: FlowRefiner) -> dict[str, Row]:
    """Give the refiner with more and more of its parts, by what is added last."""
    plain, blend, without_branch = (deepcopy(refiner) for _ in range(3))
    for each in (plain, blend):
        silence(each.clip_speed)
        if each.network is not None:
            silence(each.network.flow_head)
            silence(each.network.pixel_head)
    others = [k for k in range(BLENDED) if k not in PLAIN]
    plain.clip_logits.bias.data[others] = -torch.inf
    for head in (without_branch.clip_logits, without_branch.clip_speed):
        silence(head)
    rows = {
        "plain_blend": Row(plain, "optical_flow_dup"),
        "clip_blend": Row(blend, "plain_blend"),
    }
    if refiner.network is not None and without_branch.network is not None:
        silence(without_branch.network.unet.modulate)
        by_pixel, motion = deepcopy(refiner), deepcopy(refiner)
        for each in (by_pixel, motion):
            assert each.network is not None
            silence(each.network.pixel_head, slice(4 * BLENDED, None))
        assert by_pixel.network is not None
        silence(by_pixel.network.flow_head)
        silence(by_pixel.clip_speed)
        rows["pixel_blend"] = Row(by_pixel, "clip_blend")
        rows["motion"] = Row(motion, "pixel_blend")
        rows["residual"] = Row(refiner, "motion")
    whole = list(rows)[-1]
    rows["mirrored"] = Row(Mirrored(rows[whole].predictor), whole)
    rows["fed_back"] = Row(FedBack(rows[whole].predictor), whole)
    rows["without_branch"] = Row(without_branch, whole)
    return rows


def silence(head: nn.Module, outputs: slice = slice(None)) -> None:
    """Let outputs of a layer be 0."""
    for values in (head.weight, head.bias):
        cast(Tensor, values).data[outputs] = 0


def by_video(result: Result, key: str) -> npt.NDArray[np.float64]:
    """Give first frame, last frame and mean over frames, means over clips, shape (3, videos)."""
    videos: dict[str, list[list[float]]] = {}
    for row in result["rows"]:
        values = row["values"][key]
        if None not in values:  # some pixels move at every frame
            known = cast(list[float], values)
            videos.setdefault(row["video"], []).append([known[0], known[-1], float(np.mean(known))])
    return np.stack([np.mean(values, axis=0) for _, values in sorted(videos.items())], axis=1)


def gain(scores: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> str:
    """Say the mean difference of paired scores and its 95 % interval, resampling videos."""
    gains = scores - others
    found = bootstrap((gains,), np.mean, n_resamples=10_000, method="percentile", rng=0)
    low, high = found.confidence_interval
    return f"{gains.mean():+.2f} [{low:+.2f}, {high:+.2f}]"


def main() -> None:
    """Score all rows, and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="UCF101, or a part of it")
    parser.add_argument("--weights", default="flow_refiner", help="of a FlowRefiner: name or file")
    parser.add_argument("--protocol", default="clean-subset", help="as `vidpred test` takes it")
    parser.add_argument("--output", type=Path, required=True, help="folder of the results")
    arguments = parser.parse_args()
    protocol, device = load_protocol(arguments.protocol), torch.device("cpu")
    refiner = load_predictor(arguments.weights).eval()
    if not isinstance(refiner, FlowRefiner):
        parser.error(f"--weights are of a {type(refiner).__name__}; expected a FlowRefiner")
    refiner.sharp = False
    flows = [
        method
        for method in baselines(device, refiner.context_frames)
        if method.description["name"] in ("optical_flow", "optical_flow_dup")
    ]
    ingredients = rows_of(refiner)
    compared = {"optical_flow_dup": "optical_flow"}
    compared |= {name: row.compared for name, row in ingredients.items()}
    networks = [
        PredictorMethod(
            predictor.eval(),
            {"name": name, "kind": "model", "details": class_of(predictor)},
            device,
        )
        for name, (predictor, _) in ingredients.items()
    ]
    results = evaluate(
        protocol,
        VideoClips(protocol.protocol, arguments.root),
        [*flows, *networks],
        arguments.output,
        device=device,
        progress=lambda done, of: print(f"{done} of {of} clips", end="\r", flush=True),
    )
    rows = {result["method"]["name"]: result for result in results}
    for key in ("psnr.masked_mean.moving", "psnr.standard.whole"):
        print(f"{key}, dB: first frame, last frame, mean over frames (and gain)")
        scores = {name: by_video(result, key) for name, result in rows.items()}
        for name, values in scores.items():
            other = compared.get(name)
            cells = [f"{column.mean():.2f}" for column in values]
            if other:
                gains = map(gain, values, scores[other])
                cells = [f"{cell} ({more})" for cell, more in zip(cells, gains, strict=True)]
            print(f"  {name}: {', '.join(cells)}")


if __name__ == "__main__":
    main()
