"""Fit the clip-level branch of a flow refiner by itself, before its network is trained or after.

The branch decides once for a whole clip how the carried motions, the last frame and the older frame
are blended. With weights w that are equal for all pixels, the squared error of the blend is
w' G w, where G holds the mean products of the errors of the blended images. G is 121 numbers for a
clip, a step and an area, so that thousands of clips are learned from in minutes; while a network is
trained, the branch sees one decision a clip, and 8 clips a step.

    python tools/fit_clip_branch.py --root data/ucf101 --output runs/clip_branch.safetensors

The file is a `FlowRefiner` without a network, as the bundled one is: `vidpred test` scores it,
`tools/fit_modes.py` adds modes, and `experiment/flow_refiner.yaml` can start from it. With
`--weights` the images are those of a trained refiner, the decisions by pixel of its network enter
as their mean, and the result is an average of the fits of several seeds and of what the branch was
before (Wortsman et al. 2022, arXiv 2109.01903 and 2203.05482): more of what its clips hardly
showed, and no less of the rest. Modes are fitted again after that.

    python tools/fit_clip_branch.py --root data/ucf101 --weights FILE --output FILE
"""

import argparse
import copy
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidpred.data import UCF101DataModule
from vidpred.data.catalog import Video
from vidpred.data.synthetic_motion import pan
from vidpred.flow import DISFlow, OpticalFlowMask
from vidpred.flow.dis import DISPreset
from vidpred.losses.log_mse import FLOOR
from vidpred.models import FlowRefiner
from vidpred.models.flow_blend import BLENDED
from vidpred.models.flow_evidence import carry
from vidpred.ops import frame_difference_mask, to_unit
from vidpred.ops.regions import Region
from vidpred.ops.warp import warp_region
from vidpred.provenance import provenance
from vidpred.storage import SavedPredictor
from vidpred.storage.description import describe_frames, describe_predictor
from vidpred.storage.saved import find_saved, read_saved, write_saved
from vidpred.video import probe, read_clip

STEPS = (1, 2, 4, 8)
"""Frames ahead of which errors are collected; all others lie between them."""

STEP_WEIGHTS = (2.0, 1.0, 1.0, 1.0)
"""How much each of them counts."""

PAN_EVERY = 2
"""One clip in so many is seen by a window, every second of which moves."""

CUT_EVERY = 6
"""One clip in so many begins with another video: a scene cut among the known frames."""

FASTEST_PAN = 4
"""Pixels that a window moves between two frames, at most, in rows and in columns."""

EPOCHS = 120
BATCH = 64
RATE = 2e-3
WEIGHT_DECAY = 0.1
DROPOUT = 0.1
NOISE = 0.3
"""Standard deviation of what is added to the statistics in training: with less, clips of other
videos gain less. Chosen on clips of validation videos, from 0.05 to 0.5."""

SHARE = 0.7
"""Of the new fits in a branch that was trained before; chosen on clips of validation videos."""

ORIGIN = ("vidpred", "torch", "commit")
"""What a file says of the programs that made it."""


@dataclass(frozen=True)
class Described:
    """Clips, as the branch is fitted to them.

    Attributes:
        statistics: Shape (N, M), see `vidpred.models.flow_evidence.Evidence`.
        products: Mean products of the errors of the blended images, by step and area (whole,
            moving, fastest), shape (N, len(STEPS), 3, BLENDED, BLENDED); NaN where nothing moves.
        logits: What the network adds to the branch's logits, its mean there, shape
            (N, len(STEPS), 3, BLENDED).
    """

    statistics: Tensor
    products: Tensor
    logits: Tensor

    def of(self, chosen: Tensor) -> "Described":
        """Give some of the clips."""
        return Described(*(getattr(self, field.name)[chosen] for field in dataclasses.fields(self)))


@torch.no_grad()
def described(refiner: FlowRefiner, frames: Tensor) -> Described:
    """Describe one clip (T, 3, H, W) in [0, 1], T = context_frames + max(STEPS)."""
    context = refiner.context_frames
    evidence = refiner.observe(frames[None, :context])
    whole, fastest = Region.of(evidence.last), OpticalFlowMask(DISFlow())
    products, logits = [], []
    for k, paths in enumerate(carry(evidence, max(STEPS)), start=1):
        if k not in STEPS:
            continue
        features = refiner.clip_features(evidence, k)
        refined = refiner.refine(evidence, paths, k, features, whole)
        *starts, to_older = refined.starts.unbind(1)
        moved = [warp_region(evidence.last, start, whole) for start in starts]
        images = [*moved, evidence.last, warp_region(evidence.older, to_older, whole)]
        target = frames[context + k - 1]
        errors = (torch.stack(images, dim=1) + (refined.residual - target)[:, None])[0]
        own = (refined.logits - refiner.clip_logits(features)[:, :, None, None])[0]
        own = own.expand(-1, *errors.shape[-2:])
        known = frames[None, : context + k]
        areas = [torch.ones(errors.shape[-2:], dtype=torch.bool)]
        areas += [mask(known, 1)[0, 0, 0] for mask in (frame_difference_mask, fastest)]
        products.append(torch.stack([_mean_products(errors[:, :, area]) for area in areas]))
        logits.append(torch.stack([own[:, area].mean(1) for area in areas]))
    return Described(
        statistics=evidence.statistics,
        products=torch.stack(products)[None],
        logits=torch.stack(logits).nan_to_num()[None],
    )


def _mean_products(errors: Tensor) -> Tensor:
    flat = errors.flatten(1)
    if flat.shape[1] < 4 * 3:
        return torch.full((BLENDED, BLENDED), torch.nan)
    return flat @ flat.T / flat.shape[1]


def clips_of(
    videos: Sequence[Video], count: int, context_frames: int, seed: int
) -> Iterator[Tensor]:
    """Draw clips of each video: any start; some every second frame, backwards, panned, or cut."""
    rng = np.random.default_rng(seed)
    length = context_frames + max(STEPS)
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
            if number and rng.random() < 0.4:
                frames = frames.flip(0)
            if number % PAN_EVERY:
                frames = pan(frames[None], FASTEST_PAN)[0]
            elif number % CUT_EVERY == CUT_EVERY - PAN_EVERY:
                path = videos[int(rng.integers(len(videos)))].path
                other = to_unit(read_clip(path, 0, context_frames))
                if other[..., :height, :width].shape[-2:] == frames.shape[-2:]:
                    cut = int(rng.integers(1, context_frames))
                    frames = torch.cat([other[:cut, :, :height, :width], frames[cut:]])
            yield frames


def blend_errors(weights: Tensor, products: Tensor) -> Tensor:
    """Mean squared errors (N, K, A) of weights (N, K, A, BLENDED); NaN where products are."""
    return torch.einsum("nkai,nkaij,nkaj->nka", weights, products, weights).clamp(min=0)


def _noisy_inputs(statistics: Tensor) -> Tensor:
    """Give what the branch sees for each step, shape (N, len(STEPS), M + 2), with NOISE."""
    k = torch.tensor(STEPS, dtype=torch.float32)
    ahead = torch.stack([1 / k, k / 8], dim=1).expand(len(statistics), -1, -1)
    noisy = statistics + NOISE * torch.randn_like(statistics)
    return torch.cat([noisy[:, None].expand(-1, len(STEPS), -1), ahead], dim=2)


def fit(refiner: FlowRefiner, clips: Described, seed: int) -> None:
    """Fit the branch to the mean PSNR of blends, in all three areas, in place."""
    torch.manual_seed(seed)
    layers = nn.ModuleList([refiner.clip, refiner.clip_logits])
    optimizer = torch.optim.AdamW(layers.parameters(), RATE, weight_decay=WEIGHT_DECAY)
    batches = max(1, len(clips.statistics) // BATCH)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, total_steps=EPOCHS * batches, pct_start=0.1
    )
    importance = torch.tensor(STEP_WEIGHTS)[:, None]
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(clips.statistics)).split(BATCH)[:batches]:
            some = clips.of(chosen)
            features = F.dropout(refiner.clip(_noisy_inputs(some.statistics)), DROPOUT)
            logits = refiner.clip_logits(features)[:, :, None] + some.logits
            errors = blend_errors(logits.softmax(-1) + refiner.rest, some.products.nan_to_num(1.0))
            counted = importance * ~some.products[..., 0, 0].isnan()
            loss = ((errors + FLOOR).log() * counted).sum() / counted.sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()


def average(states: Sequence[Mapping[str, Tensor]], weights: Sequence[float]) -> dict[str, Tensor]:
    """Average the weights of networks of one form."""
    return {
        name: sum(w * state[name] for w, state in zip(weights, states, strict=True))  # type: ignore[misc]
        for name in states[0]
    }


def refit(refiner: FlowRefiner, clips: Described, seeds: Sequence[int]) -> None:
    """Fit the branch of a trained refiner with each seed, and average, in place."""
    before = refiner.state_dict()
    states = [{name: value.clone() for name, value in before.items()}]
    for seed in seeds:
        fitted = copy.deepcopy(refiner)
        fit(fitted, clips, seed)
        states.append(fitted.state_dict())
    refiner.load_state_dict(average(states, [1 - SHARE, *[SHARE / len(seeds)] * len(seeds)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--root", required=True, help="folder of UCF101")
    parser.add_argument("--weights", help="a trained flow refiner (default: an untrained one)")
    parser.add_argument("--output", required=True, type=Path, help="a .safetensors file")
    parser.add_argument(
        "--context-frames", type=int, help="past frames (default: those of --weights, else 4)"
    )
    parser.add_argument("--clips-per-video", type=int, default=16)
    parser.add_argument("--preset", choices=get_args(DISPreset), default="fine_fast", help="flow")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="the first draws")
    arguments = parser.parse_args()
    if arguments.context_frames is not None and arguments.context_frames < 3:
        parser.error(f"--context-frames is {arguments.context_frames}; expected at least 3")
    data = UCF101DataModule(arguments.root)
    data.setup("fit")
    saved = None if arguments.weights is None else read_saved(find_saved(arguments.weights))
    if saved is None:
        refiner = FlowRefiner(
            DISFlow(arguments.preset), context_frames=arguments.context_frames or 4
        )
    else:
        if arguments.context_frames is not None:
            parser.error("--context-frames is for new weights: those of --weights have theirs")
        refiner = saved.build()
    assert isinstance(refiner, FlowRefiner), f"{arguments.weights} is a {type(refiner).__name__}"
    torch.manual_seed(arguments.seeds[0])
    found: list[Described] = []
    for clip in clips_of(
        data.listings["train"].videos,
        arguments.clips_per_video,
        refiner.context_frames,
        arguments.seeds[0],
    ):
        found.append(described(refiner, clip))
        if len(found) % 100 == 0:
            print(f"{len(found)} clips described", flush=True)
    columns = zip(*(vars(each).values() for each in found), strict=True)
    clips = Described(*(torch.cat(column) for column in columns))
    origin = {key: value for key, value in provenance(batches_seen=None).items() if key in ORIGIN}
    if saved is None:
        fit(refiner, clips, arguments.seeds[0])
        saved = SavedPredictor(
            path=arguments.output,
            description=describe_predictor(refiner),
            weights={},
            training={
                "task": "fit_clip_branch",
                "seed": arguments.seeds[0],
                "data": type(data).__name__,
                "videos": data.summary(),
            },
            frames=describe_frames(refiner),
        )
    else:
        refit(refiner, clips, arguments.seeds)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach() for name, value in refiner.state_dict().items()}
    training = {**(saved.training or {}), **origin}
    write_saved(
        arguments.output, dataclasses.replace(saved, weights=weights, training=training, scores=[])
    )
    print(f"{arguments.output}: fitted to {len(found)} clips")


if __name__ == "__main__":
    main()
