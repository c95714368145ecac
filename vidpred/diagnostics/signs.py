"""How a training fares, in numbers, from the objectives of its phases."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vidpred.losses import (
    AdversarialLoss,
    DiscriminatorObjective,
    GeneratorObjective,
    Objective,
    PredictionObjective,
)
from vidpred.ops import spatial_gradients
from vidpred.ops.motion import MOTION_THRESHOLD

INDIFFERENT = 0.01
"""An output is saturated when a change of its logit changes the loss by less than this."""


class Signs(NamedTuple):
    """Numbers of one moment.

    Attributes:
        by_scale: Coarsest first.
        overall: One number each; NaN where the clips do not show it.
    """

    by_scale: Mapping[str, Sequence[float]]
    overall: Mapping[str, float]


def read_signs(*found: Mapping[str, Tensor]) -> Signs:
    """Bring measurements to the host, all at once.

    Args:
        found: By name, scalars and tensors (S,).
    """
    named = {name: value for part in found for name, value in part.items()}
    flat = torch.cat([value.detach().float().reshape(-1) for value in named.values()])
    numbers = iter(flat.tolist())
    by_scale: dict[str, list[float]] = {}
    overall: dict[str, float] = {}
    for name, value in named.items():
        if value.ndim:
            by_scale[name] = [next(numbers) for _ in value]
        else:
            overall[name] = next(numbers)
    return Signs(by_scale, overall)


def discriminator_statistics(
    objective: DiscriminatorObjective, loss: AdversarialLoss
) -> dict[str, Tensor]:
    """See how well the discriminator separates, and how sure it is.

    Returns:
        Each of shape (S,): `real_accuracy` and `fake_accuracy`, the shares of true frames and of
        predictions that it takes for what they are, in [0, 1]; `margin`, how much higher the mean
        logit of true frames is; `saturation`, the share of outputs that could be surer without
        changing its loss (`INDIFFERENT`), in [0, 1].
    """
    found: dict[str, list[Tensor]] = {}
    for real, fake in zip(objective.real_logits, objective.fake_logits, strict=True):
        real, fake = real.detach().float(), fake.detach().float()
        indifferent = torch.cat([_slopes(loss.real_loss, real), _slopes(loss.fake_loss, fake)])
        signs = {
            "real_accuracy": (real > loss.boundary).float().mean(),
            "fake_accuracy": (fake <= loss.boundary).float().mean(),
            "margin": real.mean() - fake.mean(),
            "saturation": (indifferent.abs() < INDIFFERENT).float().mean(),
        }
        for name, sign in signs.items():
            found.setdefault(name, []).append(sign)
    return {name: torch.stack(values) for name, values in found.items()}


def _slopes(loss: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    logits = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(logits), logits)
    return gradient.flatten() * logits.numel()  # the loss is a mean


def gradient_norms_and_cosines(
    objective: Objective, parts: Sequence[Sequence[nn.Parameter]]
) -> dict[str, Tensor]:
    """Compare how the terms of the generator's loss pull at its weights.

    Args:
        objective: With its graph.
        parts: Parameters of the generator's networks, coarsest first.

    Returns:
        `gradient_norm_<term>`, shape (S,): norm of the gradient of the weighted term in each
        network (change of the loss per unit of weight), NaN when it is frozen; S is 1 for a
        generator that does not name them. `gradient_cosine_<term>_<term>`, scalar in [-1, 1]: 1
        when two terms want the same, below 0 when they are at odds.
    """
    flat = [parameter for part in parts for parameter in part]
    sizes = [sum(parameter.numel() for parameter in part) for part in parts]
    directions: dict[str, Tensor] = {}
    signs: dict[str, Tensor] = {}
    for name in objective.terms:
        if not objective.weights[name]:
            continue
        gradients = torch.autograd.grad(
            objective.weighted(name), flat, retain_graph=True, materialize_grads=True
        )
        direction = torch.cat([gradient.float().flatten() for gradient in gradients])
        signs[f"gradient_norm_{name}"] = torch.stack(
            # NaN is distinguished from the 0 of a network that is dead.
            [p.norm() if len(p) else p.new_tensor(torch.nan) for p in torch.split(direction, sizes)]
        )
        directions[name] = direction
    for one, other in combinations(directions, 2):
        signs[f"gradient_cosine_{one}_{other}"] = torch.cosine_similarity(
            directions[one], directions[other], dim=0
        )
    return signs


def resemblance(objective: GeneratorObjective | PredictionObjective) -> dict[str, Tensor]:
    """Compare predictions at full size with the last input, with each other and with the truth.

    Returns:
        Scalars, all 1 for the truth itself. `motion_ratio`: how far predictions are from the last
        input, divided by how far the truth is, both as the mean absolute difference where the truth
        moves; 0 for a copy, NaN when nothing moves. `diversity`: how much predictions differ over
        the batch, as a standard deviation, divided by how much the true frames do; 0 when all are
        alike, NaN when the true ones are. `edge_strength`: mean absolute difference of neighboring
        pixels, divided by that of the truth; below 1 is blurry, above it sharper than the truth.
        `gain_over_copy`: what predictions save of the squared error of the last input; 0 for a
        copy, negative when worse, NaN when nothing changes.
    """
    last = objective.context[:, -1:].float()
    if isinstance(objective, GeneratorObjective):
        frames, full_scale = (objective.targets[-1], objective.preds[-1]), 2  # in [-1, 1]
    else:
        frames, full_scale = (objective.target, objective.pred), 1
    target, pred = (of.detach().float() for of in frames)
    change = (target - last).abs()
    threshold = full_scale * MOTION_THRESHOLD
    moving = (change.amax(2, keepdim=True) > threshold).expand_as(change)
    edges = [sum(gradient.mean() for gradient in spatial_gradients(f)) for f in (pred, target)]
    return {
        "motion_ratio": ((pred - last).abs() * moving).sum() / (change * moving).sum(),
        "diversity": (pred.var(0, correction=0).sum() / target.var(0, correction=0).sum()).sqrt(),
        "edge_strength": torch.as_tensor(edges[0]) / torch.as_tensor(edges[1]),
        "gain_over_copy": 1 - (pred - target).square().sum() / (last - target).square().sum(),
    }


def difference_of_draws(
    draw: Callable[[Tensor, int, int], Tensor], frames: Tensor, *, context_frames: int, horizon: int
) -> dict[str, Tensor]:
    """See whether futures of one past differ.

    Args:
        draw: Gives K futures (K, B, horizon, C, H, W) in [0, 1] of a context, a horizon and K.
        frames: Clips, shape (B, T, C, H, W) in [0, 1].
        context_frames: Known frames of a clip.
        horizon: Frames to draw.

    Returns:
        `draw_difference`, scalar: the standard deviation of a draw around the mean of two, divided
        by the root mean square of what the truth changes from the last known frame; 0 when the
        latent code says nothing, NaN when nothing changes.
    """
    context, target = frames[:, :context_frames], frames[:, context_frames:][:, :horizon]
    with torch.no_grad():
        one, two = draw(context, horizon, 2).float()
    change = (target - context[:, -1:]).square().mean().sqrt()
    return {"draw_difference": ((one - two).square().mean() / 2).sqrt() / change}
