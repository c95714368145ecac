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
from typing import Any, cast

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
from vidpred.models.flow_blend import BLENDED
from vidpred.models.predictor import Condition, Predictor
from vidpred.storage import load_predictor

COMPARED = {
    "optical_flow_dup": "optical_flow",
    "clip_blend": "optical_flow_dup",
    "pixel_blend": "clip_blend",
    "motion": "pixel_blend",
    "residual": "motion",
    "mirrored": "residual",
    "fed_back": "residual",
    "without_branch": "residual",
}
"""The row that each one is compared with. `residual` is the whole network."""


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
        return self.predictor(context, 1)


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


def rows_of(refiner: FlowRefiner) -> dict[str, Predictor]:
    """Give the network with more and more of its parts, by what is added last."""
    logits, residual = slice(None, 4 * BLENDED), slice(4 * BLENDED, None)
    blend, by_pixel, motion, without_branch = (deepcopy(refiner) for _ in range(4))
    for each in (blend, by_pixel):
        silence(each.flow_head)
        silence(each.clip_speed)
    for each in (blend, by_pixel, motion):
        silence(each.pixel_head, residual)
    silence(blend.pixel_head, logits)
    for head in ("clip_logits", "clip_speed", "network.modulate"):
        silence(without_branch.get_submodule(head))
    return {
        "clip_blend": blend,
        "pixel_blend": by_pixel,
        "motion": motion,
        "residual": refiner,
        "mirrored": Mirrored(refiner),
        "fed_back": FedBack(refiner),
        "without_branch": without_branch,
    }


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
    networks = [
        PredictorMethod(
            predictor.eval(),
            {"name": name, "kind": "model", "details": class_of(predictor)},
            device,
        )
        for name, predictor in rows_of(refiner).items()
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
            other = COMPARED.get(name)
            cells = [f"{column.mean():.2f}" for column in values]
            if other:
                gains = map(gain, values, scores[other])
                cells = [f"{cell} ({more})" for cell, more in zip(cells, gains, strict=True)]
            print(f"  {name}: {', '.join(cells)}")


if __name__ == "__main__":
    main()
