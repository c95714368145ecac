"""Fit the clip-level branch of a flow refiner by itself, before its network is trained.

The branch decides once for a whole clip how the carried motions, the last frame and the older frame
are blended. With weights w that are equal for all pixels, the squared error of the blend is
w' G w, where G holds the mean products of the errors of the blended images. G is 36 numbers for a
clip, a step and an area, so that thousands of clips are learned from in minutes; while a network is
trained, the branch sees one decision a clip, and 8 clips a step.

    python tools/fit_clip_branch.py --root data/ucf101 --output runs/clip_branch.safetensors

The file is a `FlowRefiner` whose network is untrained: `vidpred test` scores it, and
`experiment/flow_refiner.yaml` starts from it.
"""

import argparse
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidpred.data import UCF101DataModule
from vidpred.data.catalog import Video
from vidpred.flow import DISFlow, OpticalFlowMask
from vidpred.losses.log_mse import FLOOR
from vidpred.models import FlowRefiner
from vidpred.models.flow_evidence import HYPOTHESES, Evidence, carry, observe
from vidpred.models.flow_refiner import BLENDED
from vidpred.ops import frame_difference_mask, to_unit, warp
from vidpred.provenance import provenance
from vidpred.storage import SavedPredictor
from vidpred.storage.description import describe_frames, describe_predictor
from vidpred.storage.saved import write_saved
from vidpred.video import probe, read_clip

STEPS = (1, 2, 3, 5, 8)
"""Frames ahead of which errors are collected; all others lie between them."""

CONTEXT = 4
EPOCHS = 300
BATCH = 64
DROPOUT = 0.1
NOISE = 0.05
"""Standard deviation of what is added to the statistics in training."""


def halved(frames: Tensor) -> Tensor:
    """Halve frames or flows (N, C, H, W); a flow's pixels are then twice as large."""
    return F.avg_pool2d(frames, 2)


def at_half_size(evidence: Evidence) -> Evidence:
    """Carry at half the size, a quarter of the work: the choice between motions is the same."""
    batch, _, height, width = evidence.back.shape
    velocities = halved(evidence.velocities.flatten(0, 1)) / 2
    return dataclasses.replace(
        evidence,
        last=halved(evidence.last),
        older=halved(evidence.older),
        back=halved(evidence.back) / 2,
        velocities=velocities.view(HYPOTHESES, batch, 2, height // 2, width // 2),
    )


@torch.no_grad()
def products_of_errors(frames: Tensor, estimator: DISFlow) -> tuple[Tensor, Tensor]:
    """Describe one clip.

    Args:
        frames: Shape (T, 3, H, W) in [0, 1], T = CONTEXT + max(STEPS).
        estimator: Of the flow.

    Returns:
        Its statistics, shape (M,), and the mean products of the errors of the blended images, by
        step and area (whole, moving, fastest), shape (len(STEPS), 3, BLENDED, BLENDED); NaN where
        nothing moves.
    """
    seen = observe(frames[None, :CONTEXT], estimator)
    small = at_half_size(seen)
    fastest = OpticalFlowMask(estimator)
    products = []
    for k, paths in enumerate(carry(small, max(STEPS)), start=1):
        if k not in STEPS:
            continue
        target = halved(frames[CONTEXT + k - 1 : CONTEXT + k])
        to_older = paths[0] + warp(small.back, paths[0])
        moved = [warp(small.last, path) for path in (*paths, paths[0] / 2)]
        images = torch.stack([*moved, small.last, warp(small.older, to_older)], dim=1)
        errors = (images - target[:, None])[0]
        known = frames[None, : CONTEXT + k]
        areas = [torch.ones(errors.shape[-2:], dtype=torch.bool)]
        areas += [
            halved(mask(known, 1)[:, 0].float())[0, 0] >= 0.5
            for mask in (frame_difference_mask, fastest)
        ]
        products.append(torch.stack([_mean_products(errors[:, :, area]) for area in areas]))
    return seen.statistics[0], torch.stack(products)


def _mean_products(errors: Tensor) -> Tensor:
    flat = errors.flatten(1)
    if flat.shape[1] < 4 * 3:
        return torch.full((BLENDED, BLENDED), torch.nan)
    return flat @ flat.T / flat.shape[1]


def clips_of(videos: Sequence[Video], count: int, seed: int) -> Iterator[Tensor]:
    """Draw clips of each video: any start, now and then every second frame or backwards."""
    rng = np.random.default_rng(seed)
    length = CONTEXT + max(STEPS)
    for video in videos:
        info = probe(video.path)
        for number in range(count):
            step = 1 if rng.random() < 0.8 else 2
            needed = (length - 1) * step + 1
            if info.num_frames < needed:
                continue
            start = int(rng.integers(info.num_frames - needed + 1)) if number else 0
            frames = to_unit(read_clip(video.path, start, length, step, info=info))
            height, width = (16 * (side // 16) for side in frames.shape[-2:])
            frames = frames[..., :height, :width]
            yield frames.flip(0) if number and rng.random() < 0.4 else frames


def blend_errors(weights: Tensor, products: Tensor) -> Tensor:
    """Mean squared errors (N, K, 3) of weights (N, K, BLENDED); NaN where products are."""
    return torch.einsum("nki,nkaij,nkj->nka", weights, products, weights).clamp(min=0)


def noisy_inputs(statistics: Tensor, steps: Sequence[int]) -> Tensor:
    """Give what the branch sees for some steps, shape (N, len(steps), M + 2), with NOISE."""
    k = torch.tensor(steps, dtype=torch.float32)
    ahead = torch.stack([1 / k, k / 8], dim=1).expand(len(statistics), -1, -1)
    noisy = statistics + NOISE * torch.randn_like(statistics)
    return torch.cat([noisy[:, None].expand(-1, len(steps), -1), ahead], dim=2)


def fit(refiner: FlowRefiner, statistics: Tensor, products: Tensor, seed: int) -> None:
    """Fit the branch to the mean PSNR of blends, in all three areas."""
    torch.manual_seed(seed)
    layers = nn.ModuleList([refiner.clip, refiner.clip_logits])
    optimizer = torch.optim.AdamW(layers.parameters(), 2e-3, weight_decay=1e-2)
    batches = max(1, len(statistics) // BATCH)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 2e-3, total_steps=EPOCHS * batches, pct_start=0.1
    )
    known = ~products[..., 0, 0].isnan()
    filled = products.nan_to_num(1.0)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(statistics)).split(BATCH)[:batches]:
            features = F.dropout(refiner.clip(noisy_inputs(statistics[chosen], STEPS)), DROPOUT)
            weights = (refiner.clip_logits(features) + refiner.prior).softmax(-1) + refiner.rest
            logs = (blend_errors(weights, filled[chosen]) + FLOOR).log()
            loss = (logs * known[chosen]).sum() / known[chosen].sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--root", required=True, help="folder of UCF101")
    parser.add_argument("--output", required=True, type=Path, help="a .safetensors file")
    parser.add_argument("--clips-per-video", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    data = UCF101DataModule(arguments.root)
    data.setup("fit")
    estimator = DISFlow()
    described = []
    for clip in clips_of(data.listings["train"].videos, arguments.clips_per_video, arguments.seed):
        described.append(products_of_errors(clip, estimator))
        if len(described) % 100 == 0:
            print(f"{len(described)} clips described", flush=True)
    statistics, products = (torch.stack(column) for column in zip(*described, strict=True))
    refiner = FlowRefiner(estimator)
    fit(refiner, statistics, products, arguments.seed)
    origin = provenance(batches_seen=None)
    saved = SavedPredictor(
        path=arguments.output,
        description=describe_predictor(refiner),
        weights=refiner.state_dict(),
        training={
            "task": "fit_clip_branch",
            "seed": arguments.seed,
            "data": type(data).__name__,
            "videos": data.summary(),
            **{key: origin[key] for key in ("vidpred", "torch", "commit")},
        },
        frames=describe_frames(refiner),
    )
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    write_saved(arguments.output, saved)
    print(f"{arguments.output}: fitted to {len(statistics)} clips")


if __name__ == "__main__":
    main()
