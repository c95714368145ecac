"""Fit the clip-level branch of a trained flow refiner again, to pans, which its clips hardly show.

The images that the trained network blends, and its decisions pixel by pixel, are kept at random
pixels of each clip. What is left to learn are the few logits that the branch gives for a whole
clip, so that thousands of clips are learned from in minutes. Clips that are seen by a moving window
teach it; on clips as they are it is held to what it decided before.

    python tools/refit_clip_branch.py --root data/ucf101 --weights flow_refiner --output FILE
"""

import argparse
import copy
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from fit_clip_branch import CONTEXT, clips_of, noisy_inputs
from torch import Tensor, nn

from vidpred.data import UCF101DataModule
from vidpred.losses.log_mse import FLOOR
from vidpred.models import FlowRefiner
from vidpred.models.flow_evidence import carry
from vidpred.ops import frame_difference_mask
from vidpred.ops.regions import Region
from vidpred.ops.warp import warp_region
from vidpred.provenance import provenance
from vidpred.storage.saved import find_saved, read_saved, write_saved

STEPS = (1, 3, 8)
"""Frames ahead of which errors are collected."""

FASTEST = (3, 6)
"""Rows and columns that a window moves between two frames, at most."""

PIXELS = 1536
"""Of each area of a clip and step; a third of them, others each time, make an error."""

FEWEST = 50
"""Pixels that must move for a clip to count by them."""

EPOCHS = 12
BATCH = 64
RATE = 1e-3
HELD = 1.0
"""Weight of the squared change of the logits on clips as they are."""

SPEED_HELD = 20.0
"""Weight of the squared change of the speeds, on all clips."""


@dataclass(frozen=True)
class Described:
    """Clips, as the branch is fitted to them.

    Attributes:
        statistics: Shape (N, M), see `vidpred.models.flow_evidence.Evidence`.
        errors: Of each blended image at pixels of the whole frame and of what moves, shape
            (N, len(STEPS), 2, BLENDED, 3, PIXELS).
        logits: Of the network by pixel, without the branch's, shape
            (N, len(STEPS), 2, BLENDED, PIXELS).
        counts: Which areas have pixels, shape (N, len(STEPS), 2).
        panned: Which clips were seen by a moving window, shape (N,).
    """

    statistics: Tensor
    errors: Tensor
    logits: Tensor
    counts: Tensor
    panned: Tensor

    def of(self, chosen: Tensor) -> "Described":
        """Give some of the clips."""
        return Described(*(getattr(self, field.name)[chosen] for field in dataclasses.fields(self)))


def below(count: int) -> int:
    return int(torch.randint(count, ()).item())


def panned(clip: Tensor) -> Tensor:
    """Move a window over a clip (T, C, H, W) by whole pixels, evenly."""
    steps = len(clip) - 1
    height, width = (
        16 * ((side - fastest * steps) // 16)
        for side, fastest in zip(clip.shape[-2:], FASTEST, strict=True)
    )
    down, right = (below(2 * fastest + 1) - fastest for fastest in FASTEST)
    top = below(clip.shape[-2] - height - steps * abs(down) + 1) + steps * max(0, -down)
    left = below(clip.shape[-1] - width - steps * abs(right) + 1) + steps * max(0, -right)
    return torch.stack(
        [
            frame[:, top + t * down :, left + t * right :][:, :height, :width]
            for t, frame in enumerate(clip)
        ]
    )


def all_described(refiner: FlowRefiner, clips: Iterator[Tensor]) -> Iterator[Described]:
    """Describe clips, two of five seen by a moving window."""
    for number, clip in enumerate(clips):
        is_panned = number % 5 in (1, 3)
        yield described(refiner, panned(clip) if is_panned else clip, is_panned=is_panned)
        if number % 100 == 99:
            print(f"{number + 1} clips described", flush=True)


@torch.no_grad()
def described(refiner: FlowRefiner, frames: Tensor, *, is_panned: bool) -> Described:
    """Describe one clip (T, 3, H, W) in [0, 1], T = CONTEXT + max(STEPS)."""
    evidence = refiner.observe(frames[None, :CONTEXT])
    whole = Region.of(evidence.last)
    errors, logits, counts = [], [], []
    for k, paths in enumerate(carry(evidence, max(STEPS)), start=1):
        if k not in STEPS:
            continue
        features = refiner.clip_features(evidence, k)
        refined = refiner.refine(evidence, paths, k, features, whole)
        *starts, to_older = refined.starts.unbind(1)
        moved = [warp_region(evidence.last, start, whole) for start in starts]
        images = [*moved, evidence.last, warp_region(evidence.older, to_older, whole)]
        wrong = torch.stack(images, dim=1) + (refined.residual - frames[CONTEXT + k - 1])[:, None]
        wrong = wrong[0].flatten(2)
        own = (refined.logits - refiner.clip_logits(features)[:, :, None, None])[0].flatten(1)
        moving = frame_difference_mask(frames[None, : CONTEXT + k], 1)[0, 0].flatten()
        moves = moving.nonzero()[:, 0]
        some = [torch.randint(len(moving), (PIXELS,))]
        some.append(moves[torch.randint(len(moves), (PIXELS,))] if len(moves) else some[0])
        errors.append(torch.stack([wrong[..., pixels] for pixels in some]).half())
        logits.append(torch.stack([own[..., pixels] for pixels in some]).half())
        counts.append(torch.tensor([True, len(moves) > FEWEST]))
    return Described(
        statistics=evidence.statistics,
        errors=torch.stack(errors)[None],
        logits=torch.stack(logits)[None],
        counts=torch.stack(counts)[None],
        panned=torch.tensor([is_panned]),
    )


def squared_errors(refiner: FlowRefiner, logits: Tensor, clips: Described) -> Tensor:
    """Mean squared errors of the blends, shape (N, len(STEPS), 2).

    Args:
        refiner: Of its buffers.
        logits: Of the branch, shape (N, len(STEPS), BLENDED).
        clips: N of them.
    """
    weights = (clips.logits.float() + logits[:, :, None, :, None]).softmax(3)
    weights = weights + refiner.rest[:, None]
    return (weights[..., None, :] * clips.errors.float()).sum(3).square().mean((3, 4))


def fit(refiner: FlowRefiner, clips: Described, seed: int) -> None:
    """Fit the branch to panned clips, in place; hold it to what it was on the others."""
    torch.manual_seed(seed)
    branch = nn.ModuleList([refiner.clip, refiner.clip_logits, refiner.clip_speed])
    before = copy.deepcopy(branch).requires_grad_(False)
    batches = max(1, len(clips.panned) // BATCH)
    optimizer = torch.optim.AdamW(branch.parameters(), RATE, weight_decay=1e-3)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, total_steps=EPOCHS * batches, pct_start=0.1
    )
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(clips.panned)).split(BATCH)[:batches]:
            some = clips.of(chosen)
            seen = noisy_inputs(some.statistics, STEPS)
            logits, held = (heads[1](heads[0](seen)) for heads in (branch, before))
            speed, speed_held = (heads[2](heads[0](seen)) for heads in (branch, before))
            loss = SPEED_HELD * F.mse_loss(speed, speed_held)
            if not some.panned.all():
                loss = loss + HELD * F.mse_loss(logits[~some.panned], held[~some.panned])
            if some.panned.any():
                taught = some.of(some.panned)
                pixels = torch.randint(PIXELS, (PIXELS // 3,))
                taught = dataclasses.replace(
                    taught,
                    errors=taught.errors[..., pixels],
                    logits=taught.logits[..., pixels],
                )
                logs = (squared_errors(refiner, logits[some.panned], taught) + FLOOR).log()
                loss = loss + (logs * taught.counts).sum() / taught.counts.sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--root", required=True, help="folder of UCF101")
    parser.add_argument("--weights", required=True, help="a trained flow refiner")
    parser.add_argument("--output", required=True, type=Path, help="a .safetensors file")
    parser.add_argument("--clips-per-video", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    saved = read_saved(find_saved(arguments.weights))
    refiner = saved.build()
    assert isinstance(refiner, FlowRefiner), f"{arguments.weights} is a {type(refiner).__name__}"
    data = UCF101DataModule(arguments.root)
    data.setup("fit")
    torch.manual_seed(arguments.seed)
    clips = clips_of(data.listings["train"].videos, arguments.clips_per_video, arguments.seed)
    columns = zip(*(vars(each).values() for each in all_described(refiner, clips)), strict=True)
    fit(refiner, Described(*(torch.cat(column) for column in columns)), arguments.seed)
    origin = provenance(batches_seen=None)
    training = {
        **(saved.training or {}),
        **{key: origin[key] for key in ("vidpred", "torch", "commit")},
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach() for name, value in refiner.state_dict().items()}
    write_saved(
        arguments.output,
        dataclasses.replace(saved, weights=weights, training=training, scores=[]),
    )
    print(f"{arguments.output}: its clip-level branch is fitted to pans")


if __name__ == "__main__":
    main()
