"""Fit the modes of a trained flow refiner: likely futures that its draws take in turn.

Each clip is learned from by the mode that is closest to what happened (winner takes all), so that
the modes share out what may happen. The network stays as it is, and with it the mean prediction: of
each clip what it says at points that move is kept, so that thousands of clips are learned from in
minutes.

    python tools/fit_modes.py --root data/ucf101 --weights flow_refiner --output FILE

Source of the objective: Guzman-Rivera et al. 2012 (multiple choice learning). All modes follow each
clip a little, so that none is left without clips (Rupprecht et al. 2017, arXiv 1612.00197).
"""

import argparse
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidpred.data import UCF101DataModule
from vidpred.data.catalog import Video
from vidpred.losses.log_mse import FLOOR
from vidpred.models import FlowRefiner
from vidpred.models.flow_blend import BLENDED, MOVED
from vidpred.models.flow_draws import DRIFT, SPEED_SPREAD
from vidpred.models.flow_evidence import carry
from vidpred.models.flow_modes import OF_CLIP
from vidpred.ops import frame_difference_mask, to_unit, unit_to_uint8
from vidpred.ops.regions import Region
from vidpred.provenance import provenance
from vidpred.storage.description import describe_frames, describe_predictor
from vidpred.storage.saved import find_saved, read_saved, write_saved
from vidpred.video import probe, read_clip

STEPS = (2, 4, 8)
SHARES = (0.15, 0.25, 0.6)
"""Frames ahead that clips are looked at, and how often: modes differ most far ahead."""

POINTS = 1500
"""Of each clip, among the pixels that move."""

FEWEST = 60
"""Pixels that move, below which a clip says nothing."""

SEEN = 200
"""Points of a clip that a batch learns from."""

REVERSED, MIRRORED, EVERY_SECOND = 0.35, 0.6, 0.15
"""How often clips are."""

BATCH = 32
RATE = 2e-3
WEIGHT_DECAY = 1e-2
NOISE = 0.3
"""Standard deviation of what is added to the statistics in training; chosen on validation clips.

With 0.05 single draws are 0.05 dB worse, and the best of ten is as good.
"""

ALL = 0.4
"""Weight of the mean over all modes; chosen on clips of validation videos.

With 0.25 single draws are 0.14 dB worse, and the best of ten gains no more.
"""

LOGITS_SPREAD = 1.5
"""Standard deviation of the logits of modes before training."""


@dataclass(frozen=True)
class Points:
    """Clips, as modes are fitted to them: what the network says at points that move.

    Attributes:
        statistics: Shape (N, M), see `vidpred.models.flow_evidence.Evidence`.
        ahead: Frames, shape (N,).
        last: The last known frame, uint8, shape (N, 3, H, W).
        older: The frame before it.
        places: Columns and rows, shape (N, 2, P).
        starts: See `vidpred.models.flow_blend.Refinement`, shape (N, MOVED + 1, 2, P).
        logits: The same, shape (N, BLENDED, P).
        residual: The same, shape (N, 3, P).
        features: The same, shape (N, F, P), half precision.
        target: True colors, shape (N, 3, P).
    """

    statistics: Tensor
    ahead: Tensor
    last: Tensor
    older: Tensor
    places: Tensor
    starts: Tensor
    logits: Tensor
    residual: Tensor
    features: Tensor
    target: Tensor

    def of(self, clips: Tensor, points: Tensor) -> "Points":
        """Give some of the clips, and some of their points."""
        values = {
            field.name: getattr(self, field.name)[clips] for field in dataclasses.fields(self)
        }
        for name in ("places", "starts", "logits", "residual", "features", "target"):
            values[name] = values[name][..., points].float()
        return Points(**values)


@torch.no_grad()
def looked_at(refiner: FlowRefiner, frames: Tensor, ahead: int) -> Points | None:
    """Look at a clip (T, 3, H, W) in [0, 1] of T = context_frames + ahead; None where it stays."""
    evidence = refiner.observe(frames[None, : refiner.context_frames])
    *_, paths = carry(evidence, ahead)
    clip = refiner.clip_features(evidence, ahead)
    refined = refiner.refine(evidence, paths, ahead, clip, Region.of(evidence.last))
    moves = frame_difference_mask(frames[None], ahead)[0, -1, 0].flatten().nonzero()[:, 0]
    if len(moves) < FEWEST:
        return None
    chosen = moves[torch.randint(len(moves), (POINTS,))]
    features = F.interpolate(refined.features, scale_factor=2, mode="bilinear", align_corners=False)
    width = frames.shape[-1]
    known = unit_to_uint8(torch.stack([evidence.last, evidence.older]))
    return Points(
        statistics=evidence.statistics,
        ahead=torch.tensor([float(ahead)]),
        last=known[0],
        older=known[1],
        places=torch.stack([chosen % width, chosen // width])[None].float(),
        starts=refined.starts.flatten(-2)[..., chosen],
        logits=refined.logits.expand(-1, -1, *frames.shape[-2:]).flatten(-2)[..., chosen],
        residual=refined.residual.expand(-1, -1, *frames.shape[-2:]).flatten(-2)[..., chosen],
        features=features.flatten(-2)[..., chosen].half(),
        target=frames[-1:].flatten(-2)[..., chosen],
    )


def clips_of(
    videos: Sequence[Video], count: int, context_frames: int, seed: int
) -> Iterator[Tensor]:
    """Draw clips of each video, context and target: some backwards, mirrored, or faster."""
    rng = np.random.default_rng(seed)
    for video in videos:
        info = probe(video.path)
        for _ in range(count):
            length = context_frames + int(rng.choice(STEPS, p=SHARES))
            step = 2 if rng.random() < EVERY_SECOND else 1
            needed = (length - 1) * step + 1
            if info.num_frames < needed:
                continue
            start = int(rng.integers(info.num_frames - needed + 1))
            frames = to_unit(read_clip(video.path, start, length, step, info=info))
            height, width = (16 * (side // 16) for side in frames.shape[-2:])
            frames = frames[..., :height, :width]
            if rng.random() < REVERSED:
                frames = frames.flip(0)
            yield frames.flip(-1) if rng.random() < MIRRORED else frames


def mode_errors(refiner: FlowRefiner, clips: Points) -> Tensor:
    """Mean squared errors of all modes at the points, shape (N, modes)."""
    modes = refiner.modes
    assert modes is not None
    number, count = len(clips.ahead), modes.count
    future = modes(
        clips.statistics.repeat_interleave(count, dim=0),
        clips.features[..., None].repeat_interleave(count, dim=0),
        torch.arange(count).repeat(number),
    )
    ahead = clips.ahead.repeat_interleave(count)[:, None, None, None]
    future = future.at(ahead)
    starts = clips.starts[..., None].repeat_interleave(count, dim=0)
    places = clips.places[:, None, None] + future.move(starts, ahead[..., None])[..., 0].unflatten(
        0, (number, count)
    )
    moved = _colors(clips.last, places[:, :, :MOVED])
    older = _colors(clips.older, places[:, :, MOVED:])
    still = _colors(clips.last, clips.places[:, None, None]).expand_as(older)
    logits = clips.logits[:, None] + future.logits[..., 0].unflatten(0, (number, count))
    weights = logits.softmax(2) + refiner.rest[:, None]
    images = torch.cat([moved, still, older], dim=3)
    pred = (images * weights[:, None]).sum(3) + clips.residual[:, :, None]
    errors: Tensor = (pred.clamp(0, 1) - clips.target[:, :, None]).square().mean((1, 3))
    return errors


def _colors(frames: Tensor, places: Tensor) -> Tensor:
    """Sample frames (N, 3, H, W) at places (N, K, I, 2, P), giving (N, 3, K, I, P)."""
    height, width = frames.shape[-2:]
    x, y = places.unbind(3)
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    found = F.grid_sample(
        to_unit(frames), grid.flatten(1, 2), padding_mode="border", align_corners=False
    )
    return found.unflatten(2, places.shape[1:3])


def fit(refiner: FlowRefiner, clips: Points, *, epochs: int, seed: int) -> None:
    """Fit the modes in place."""
    modes = refiner.modes
    assert modes is not None
    torch.manual_seed(seed)
    modes.requires_grad_(True)
    _spread(modes.clip[-1], modes.count)
    optimizer = torch.optim.AdamW(modes.parameters(), RATE, weight_decay=WEIGHT_DECAY)
    batches = max(1, len(clips.ahead) // BATCH)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, total_steps=epochs * batches, pct_start=0.1
    )
    for epoch in range(epochs):
        total = 0.0
        for chosen in torch.randperm(len(clips.ahead)).split(BATCH)[:batches]:
            some = clips.of(chosen, torch.randint(POINTS, (SEEN,)))
            noise = NOISE * torch.randn_like(some.statistics)
            some = dataclasses.replace(some, statistics=some.statistics + noise)
            errors = (mode_errors(refiner, some) + FLOOR).log()
            best = errors.min(1).values.mean()
            loss = best + ALL * errors.mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(modes.parameters(), 5.0)
            optimizer.step()
            scheduler.step()
            total += best.item()
        print(f"epoch {epoch + 1}: log of the best mode's error {total / batches:.3f}", flush=True)


def _spread(head: nn.Linear, count: int) -> None:
    """Start modes apart, as draws by chance are."""
    numbers = torch.zeros(count, OF_CLIP)
    numbers[:, :BLENDED].normal_(0, LOGITS_SPREAD)
    numbers[:, BLENDED].normal_(0, SPEED_SPREAD)
    numbers[:, BLENDED + 1 : BLENDED + 3].normal_(0, DRIFT)
    nn.init.normal_(head.weight, 0, 0.01)
    head.bias.data.copy_(numbers.flatten())


def with_modes(refiner: FlowRefiner, count: int) -> FlowRefiner:
    """Give the same refiner with modes that are not fitted."""
    made = FlowRefiner.from_config({**refiner.config(), "modes": count})
    missing, unexpected = made.load_state_dict(
        {name: value for name, value in refiner.state_dict().items() if "modes." not in name},
        strict=False,
    )
    assert not unexpected, unexpected
    assert all(name.startswith("modes.") for name in missing), missing
    return made.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--root", required=True, help="folder of UCF101")
    parser.add_argument("--weights", required=True, help="a trained flow refiner")
    parser.add_argument("--output", required=True, type=Path, help="a .safetensors file")
    parser.add_argument("--modes", type=int, default=10)
    parser.add_argument("--clips-per-video", type=int, default=26)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    data = UCF101DataModule(arguments.root)
    data.setup("fit")
    saved = read_saved(find_saved(arguments.weights))
    refiner = saved.build()
    assert isinstance(refiner, FlowRefiner), f"{arguments.weights} is a {type(refiner).__name__}"
    refiner = with_modes(refiner, arguments.modes)
    torch.manual_seed(arguments.seed)
    found: list[Points] = []
    drawn = clips_of(
        data.listings["train"].videos,
        arguments.clips_per_video,
        refiner.context_frames,
        arguments.seed,
    )
    left_out = 0
    for frames in drawn:
        points = looked_at(refiner, frames, len(frames) - refiner.context_frames)
        if points is None or (found and points.last.shape != found[0].last.shape):
            left_out += 1
            continue
        found.append(points)
        if len(found) % 100 == 0:
            print(f"{len(found)} clips looked at", flush=True)
    if not found:
        parser.error(f"{arguments.root}: nothing moves in its clips; expected videos with motion")
    columns = zip(*(vars(each).values() for each in found), strict=True)
    fit(
        refiner,
        Points(*(torch.cat(column) for column in columns)),
        epochs=arguments.epochs,
        seed=arguments.seed,
    )
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach() for name, value in refiner.state_dict().items()}
    commit = provenance(batches_seen=None).get("commit")
    about = (
        f"Its {arguments.modes} modes were fitted by `tools/fit_modes.py` to {len(found)} clips "
        f"({arguments.epochs} epochs, seed {arguments.seed}, commit `{commit}`); the mean "
        "prediction is as before."
    )
    made = dataclasses.replace(
        saved,
        description=describe_predictor(refiner),
        frames=describe_frames(refiner),
        weights=weights,
        notes=f"{saved.notes}\n\n{about}".strip(),
        scores=[],
    )
    write_saved(arguments.output, made)
    print(
        f"{arguments.output}: {arguments.modes} modes, fitted to {len(found)} clips "
        f"({left_out} left out: nothing moves, or another size)"
    )


if __name__ == "__main__":
    main()
