"""How well rules of extrapolation would have done before, for `vidpred.models.FlowRefiner`.

Which rule will be right is decided by what holds for the whole clip: how steady its motions are,
whether frames repeat, how far flow can be trusted. All of it shows in what would have predicted the
known frames. Fields are at half the frames' size, where they cost a quarter of the time.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vidpred.ops.warp import warp

SPEEDS = (0.5, 1.0, 1.5, -0.5)
"""Factors on the motion before, which is carried on."""

RULES = 1 + len(SPEEDS) + 3
"""Predictions that are judged: the frame as it is, moved, the older one moved, mean, smoothed."""

AREAS = 2
"""Errors are over the frame, and over the part of it that changes most."""

MOVING = 20
"""The moving part of a frame is one pixel in so many, those that change or move most."""

CHANGED = 0.02
"""Of full scale: a pixel that changes by less stays."""

FLOW_UNIT = 16.0
"""Pixels of the frame that a network sees as 1."""

_PAIR = 3
_STEADINESS = 3
_CONTRAST = 3


def num_hindsight(context_frames: int) -> int:
    """Count the numbers of `hindsight`."""
    two_ahead = _num_errors(3) if context_frames > 3 else 0
    judged = context_frames - 2
    of_judged = _num_errors(RULES) + AREAS * _STEADINESS
    return _PAIR * (context_frames - 1) + of_judged * judged + two_ahead + _CONTRAST


def hindsight(frames: Sequence[Tensor], flows: Sequence[Tensor]) -> Tensor:
    """Describe clips by what would have predicted their known frames.

    Args:
        frames: Known frames at half their size, in time order, each of shape (B, C, H, W).
        flows: From each of them but the first back to the one before, shape (B, 2, H, W), in pixels
            of this size.

    Returns:
        Shape (B, `num_hindsight`), on scales of about -1 to 2: of each pair of neighbors how well
        flow matches the moving part, how the frame moves as a whole and how much of it changes; of
        each frame that could be predicted the errors of RULES and how steady the motion was; of the
        last one the errors of motion over two frames, and its contrast.
    """
    numbers: list[Tensor] = []
    parts: list[Tensor] = []
    for before, after, flow in zip(frames[:-1], frames[1:], flows, strict=True):
        change = (after - before).abs().mean(1).flatten(1)
        part = change.topk(max(1, change.shape[1] // MOVING), dim=1, sorted=False).indices
        matched = (after - warp(before, flow)).abs().mean(1).flatten(1)
        whole = 2 * flow.flatten(2).mean(2).norm(dim=1) / FLOW_UNIT
        numbers += [
            on_scale(matched.gather(1, part).mean(1)),
            on_scale(whole),
            ((change > CHANGED).float().mean(1) + 1e-3).log() / 4 + 1,
        ]
        parts.append(part)
    columns = [torch.stack(numbers, dim=1)]
    for t in range(1, len(flows)):
        columns.append(_errors(_rules(frames, flows, t), frames[t + 1], parts[t]))
        columns.append(_steadiness(flows[t], warp(flows[t - 1], flows[t]), parts[t]))
    if len(flows) > 2:
        columns.append(_errors(_two_ahead(frames[-3], flows[-3]), frames[-1], parts[-1]))
    return torch.cat([*columns, _contrast(frames[-1])], dim=1)


def on_scale(number: Tensor) -> Tensor:
    """Put what is at least 0, most often from 0.001 to 1, on a logarithmic scale."""
    return (number + 1e-3).log() / 2 + 2


def _rules(frames: Sequence[Tensor], flows: Sequence[Tensor], t: int) -> Tensor:
    """Predict frame t + 1 from those before it, shape (B, RULES, C, H, W)."""
    motion = warp(flows[t - 1], flows[t - 1])
    starts = torch.cat([speed * motion for speed in SPEEDS])
    pictures = warp(frames[t].repeat(len(SPEEDS), 1, 1, 1), starts)
    # Not `chunk`, whose sizes a graph would fix.
    moved = torch.unflatten(pictures, 0, (len(SPEEDS), -1)).unbind(0)
    older = warp(frames[t - 1], motion + warp(flows[t - 1], motion))
    mean = (frames[t] + sum(moved[:3])) / 4
    return torch.stack([frames[t], *moved, older, mean, _smooth(moved[1])], dim=1)


def _two_ahead(frame: Tensor, flow: Tensor) -> Tensor:
    """Predict two frames ahead: as it is, moved on, and half as far."""
    motion = warp(flow, flow)
    further = warp(motion, motion)
    path = further + warp(motion, further)
    return torch.stack([frame, warp(frame, path), warp(frame, path / 2)], dim=1)


def _num_errors(rules: int) -> int:
    return AREAS * (2 * rules - 1)


def _errors(predictions: Tensor, truth: Tensor, part: Tensor) -> Tensor:
    """Give the errors of each rule, and in comparison with the first, shape (B, `_num_errors`)."""
    errors = (predictions - truth[:, None]).square_().mean(2).flatten(2)
    chosen = errors.gather(2, part[:, None].expand(-1, errors.shape[1], -1))
    columns = []
    for area in (errors, chosen):
        level = (area.mean(2) + 1e-6).log()
        columns += [level / 4 + 2, (level[:, 1:] - level[:, :1]) / 2]
    return torch.cat(columns, dim=1)


def _steadiness(flow: Tensor, before: Tensor, part: Tensor) -> Tensor:
    """Compare a motion with the one before: direction, speed, difference, in both areas."""
    flow, before = 2 * flow.flatten(2), 2 * before.flatten(2)
    here = part[:, None].expand(-1, 2, -1)
    columns = []
    for now, then in ((flow, before), (flow.gather(2, here), before.gather(2, here))):
        product = (now * then).sum((1, 2))
        power, earlier = now.square().mean((1, 2)), then.square().mean((1, 2))
        count = now.shape[1] * now.shape[2]
        columns += [
            product / count / (power * earlier + 1e-4).sqrt(),
            ((power + 1e-2).log() - (earlier + 1e-2).log()) / 2,
            on_scale((now - then).square().sum(1).sqrt().mean(1) / FLOW_UNIT),
        ]
    return torch.stack(columns, dim=1)


def _contrast(frame: Tensor) -> Tensor:
    """Measure differences of neighbors in rows and columns, and what smoothing takes away."""
    return torch.stack(
        [
            on_scale(difference.abs().sum((1, 2, 3)) / frame[0].numel())
            for difference in (
                frame[..., 1:] - frame[..., :-1],
                frame[..., 1:, :] - frame[..., :-1, :],  # none in frames of one row
                frame - _smooth(frame),
            )
        ],
        dim=1,
    )


def _smooth(frame: Tensor) -> Tensor:
    """Average over 3 x 3 pixels."""
    return F.avg_pool2d(frame, 3, stride=1, padding=1, count_include_pad=False)
