"""What known frames show of their motion, for `vidpred.models.FlowRefiner`."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vidpred.flow import FlowEstimator
from vidpred.models.flow_hindsight import FLOW_UNIT, MOVING, hindsight, num_hindsight, on_scale
from vidpred.ops.warp import warp

FURTHER = ((1.5, 0.0), (-0.5, 0.0), (1.5, -0.5), (2.5, -1.5))
"""Motions that are made of that of the last pair and that of the pair before, by their shares:
faster, backwards, and changed further as it has changed, by half as much and by three halves."""

HYPOTHESES = 4 + len(FURTHER)
"""Motions that are carried: those of `Evidence.velocities`, then FURTHER."""

SMOOTHED = 8
"""Pixels over which the mean of the last motions is."""

PAIR_STATISTICS = 8
"""Numbers that describe one pair of neighboring frames."""

CARRIED_AT_ONCE = 2**22
"""Numbers of motions that are carried together: of large frames a few, which saves memory."""

UNCHANGED = 1e-4
"""A pixel that changes by less, of full scale, is the same 8-bit value."""


@dataclass(frozen=True)
class Evidence:
    """What the known frames show, computed once for all future frames and without gradient.

    Flows are in pixels per frame, dx then dy, and lead back in time.

    Attributes:
        last: The last known frame, shape (B, C, H, W) in [0, 1].
        older: The frame before it, same shape.
        back: Flow from the last frame to the older one, shape (B, 2, H, W).
        velocities: Motions on the grid of the last frame, shape (4, B, 2, H, W): of the last pair,
            the mean of the last two, of the pair before, and the mean of the last three, smoothed.
        cues: On the grid of the last frame at half its size, shape (B, N, H / 2, W / 2), see
            `num_cues`.
        statistics: Of the whole clip, shape (B, M), see `num_statistics`: of each pair of
            neighboring frames, how far each frame inside is from the mean of its neighbors (rate
            conversion also blends frames), and `vidpred.models.flow_hindsight.hindsight`.
    """

    last: Tensor
    older: Tensor
    back: Tensor
    velocities: Tensor
    cues: Tensor
    statistics: Tensor


def num_cues(context_frames: int, channels: int) -> int:
    """Count the channels of `Evidence.cues`."""
    return channels + 5 + 2 * (context_frames - 1)


def num_statistics(context_frames: int) -> int:
    """Count the numbers of `Evidence.statistics`."""
    of_pairs = PAIR_STATISTICS * (context_frames - 1)
    return of_pairs + context_frames - 2 + num_hindsight(context_frames)


@torch.no_grad()
def observe(frames: Tensor, estimator: FlowEstimator) -> Evidence:
    """Estimate the flows between the known frames, and how far they can be trusted.

    The *hindsight error* is that of the same extrapolation one step ago: the motion before the last
    one, carried on, as a prediction of the last frame.

    Args:
        frames: Known frames, shape (B, T, C, H, W) in [0, 1], T at least 3, H and W even.
        estimator: Of the flow; called once, with T - 1 pairs of frames a clip.
    """
    known = list(frames.float().unbind(1))
    flows = estimator(torch.cat(known[1:]), torch.cat(known[:-1]))
    # Not `chunk`, whose sizes a graph would fix.
    return evidence_of(frames, torch.unflatten(flows, 0, (len(known) - 1, -1)).transpose(0, 1))


@torch.no_grad()
def evidence_of(frames: Tensor, flows: Tensor) -> Evidence:
    """Do as `observe` from flows that are given.

    Args:
        frames: As for `observe`.
        flows: Pixels, dx then dy, shape (B, T - 1, 2, H, W): from frame t + 1 back to frame t.
    """
    known = list(frames.float().unbind(1))
    between = flows.unbind(1)
    statistics: list[Tensor] = []
    for t, flow in enumerate(between):
        pair = _look_at(known[t], known[t + 1], flow, between[t - 1] if t else None)
        statistics.append(_describe(pair))
    back, before = between[-1], between[-2]
    carried = warp(before, back)  # the motion before, on the grid of the last frame
    recent = [back, carried, *(warp(warp(flow, before), back) for flow in between[-3:-2])]
    cues = [
        halve(known[-1] - known[-2]),
        halve(pair.matched),
        halve(pair.hindsight),
        halve(_length(back - pair.foreseen)),
        halve(pair.speed),
        halve(pair.change),
        *(halve(flow / FLOW_UNIT) for flow in between),
    ]
    statistics += [
        on_scale(_mean(_size(known[t] - (known[t - 1] + known[t + 1]) / 2)))[:, None]
        for t in range(1, len(known) - 1)
    ]
    statistics.append(hindsight([halve(k) for k in known], [halve(f) / 2 for f in between]))
    return Evidence(
        last=known[-1],
        older=known[-2],
        back=back,
        velocities=torch.stack(
            [back, (back + carried) / 2, carried, _smooth(torch.stack(recent).mean(0), SMOOTHED)]
        ),
        cues=torch.cat(cues, dim=1),
        statistics=torch.cat(statistics, dim=1),
    )


@torch.no_grad()
def carry(evidence: Evidence, horizon: int) -> Iterator[Tensor]:
    """Carry every hypothesis on, step by step.

    A motion moves along with what it moves: `v_k(q) = v_{k-1}(q + v_{k-1}(q))`, and displacements
    add up along the way, as in `vidpred.models.OpticalFlowExtrapolation`.

    Yields:
        For each of `horizon` frames: where its pixels come from in the last known frame, relative
        to where they are, shape (HYPOTHESES, B, 2, H, W), pixels. Of large frames it is one tensor,
        which is written over for every frame.
    """
    count = HYPOTHESES
    if not torch.compiler.is_compiling():  # a graph is of frames of any size
        count = max(1, CARRIED_AT_ONCE // evidence.velocities[0].numel())
    velocities = [
        torch.stack([_hypothesis(evidence, n) for n in range(k, min(k + count, HYPOTHESES))])
        for k in range(0, HYPOTHESES, count)
    ]
    if len(velocities) == 1:
        (velocity,), path = velocities, None
        for _ in range(horizon):
            velocity = _warp_each(velocity, velocity)
            path = velocity if path is None else velocity + _warp_each(path, velocity)
            yield path
        return
    paths = evidence.velocities.new_empty(HYPOTHESES, *evidence.velocities.shape[1:])
    for step in range(horizon):
        for k, part in enumerate(torch.split(paths, count)):
            velocities[k] = moved = _warp_each(velocities[k], velocities[k])
            part.copy_(moved + _warp_each(part, moved) if step else moved)
        yield paths


def _hypothesis(evidence: Evidence, number: int) -> Tensor:
    """Give one of the motions that are carried, shape (B, 2, H, W)."""
    measured = evidence.velocities
    if number < len(measured):
        return measured[number]
    last, before = FURTHER[number - len(measured)]
    return last * measured[0] + before * measured[2]


def _warp_each(fields: Tensor, flows: Tensor) -> Tensor:
    """Warp fields (N, B, 2, H, W), each by its own flow of the same shape."""
    return warp(fields.flatten(0, 1), flows.flatten(0, 1)).view(fields.shape)


def halve(fields: Tensor) -> Tensor:
    """Average each 2 x 2 pixels of fields (B, N, H, W), H and W even."""
    # Faster than pooling, and a part of a frame gives to the bit what the whole gives there.
    upper, lower = fields[..., ::2, :], fields[..., 1::2, :]
    return (upper[..., ::2] + upper[..., 1::2] + lower[..., ::2] + lower[..., 1::2]) / 4


def _smooth(fields: Tensor, size: int) -> Tensor:
    """Average over squares of some pixels, and go from one to the next linearly."""
    coarse = F.avg_pool2d(fields, size, ceil_mode=True, count_include_pad=False)
    return F.interpolate(coarse, fields.shape[-2:], mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class _Pair:
    """Two neighboring frames, on the grid of the second: fields (B, 1, H, W), a flow (B, 2, H, W).

    Attributes:
        change: Difference of the frames.
        speed: Length of the flow.
        matched: Difference that is left along the flow.
        hindsight: Difference to what the motion before predicts; `matched` for the first pair.
        foreseen: The motion before, where it leads to by itself; the flow for the first pair.
    """

    change: Tensor
    speed: Tensor
    matched: Tensor
    hindsight: Tensor
    foreseen: Tensor


def _look_at(before: Tensor, after: Tensor, flow: Tensor, previous: Tensor | None) -> _Pair:
    hindsight = matched = _size(after - warp(before, flow))
    foreseen = flow
    if previous is not None:
        foreseen = warp(previous, previous)
        hindsight = _size(after - warp(before, foreseen))
    return _Pair(_size(after - before), _length(flow), matched, hindsight, foreseen)


def _describe(pair: _Pair) -> Tensor:
    """Give PAIR_STATISTICS numbers for each pair, on a logarithmic scale of about -1 to 2."""
    fields = torch.cat([pair.change, pair.speed, pair.hindsight], dim=1)
    of_each = torch.stack([fields.flatten(2).mean(2), _mean_of_most(fields)], dim=2)
    numbers = torch.cat([of_each.flatten(1), _mean(pair.matched)[:, None]], dim=1)
    # Coders leave what repeats exactly as it was.
    same = (pair.change < UNCHANGED).float().flatten(1).mean(1)
    return torch.cat([on_scale(numbers), same[:, None]], dim=1)


def _size(difference: Tensor) -> Tensor:
    # In place: differences are made for this.
    return difference.abs_().mean(1, keepdim=True)


def _length(flow: Tensor) -> Tensor:
    return flow.square().sum(1, keepdim=True).sqrt() / FLOW_UNIT


def _mean(field: Tensor) -> Tensor:
    return field.flatten(1).mean(1)


def _mean_of_most(fields: Tensor) -> Tensor:
    """Average the moving part of fields (B, N, H, W), giving (B, N)."""
    values = fields.flatten(2)
    count = max(1, values.shape[2] // MOVING)
    return values.topk(count, dim=2, sorted=False).values.mean(2)
