"""What a gradient certificate asks of a phase of training, and in which words it refuses."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from vidpred.diagnostics.gradient_paths import Path, coefficients, other_weights, paths
from vidpred.diagnostics.probing import (
    DiscriminatorTraining,
    GeneratorTraining,
    scale_name,
    scale_networks,
    trainable,
)
from vidpred.losses import Objective
from vidpred.models import MultiScaleGenerator

TOLERANCE = 1e-3  # of weights and sums, relative: half precision has three digits


@dataclass(frozen=True, kw_only=True)
class Phase:
    """What one phase trains, and by what.

    Attributes:
        name: "generator" or "discriminator".
        network: The network that moves.
        num_scales: S.
        objective: Gives the phase's loss of uint8 clips.
        through_guess: Whether a scale must move the networks of the coarser ones as well.
        weights: Configured weight of terms.
        scale_weights: Configured weight of each scale.
    """

    name: str
    network: nn.Module
    num_scales: int
    objective: Callable[[Tensor], Objective]
    through_guess: bool
    weights: Mapping[str, float]
    scale_weights: Sequence[float]

    @property
    def parts(self) -> list[list[nn.Parameter]]:
        """What can be told apart: the weights of each scale's network, or all; without frozen."""
        networks = scale_networks(self.network, self.num_scales) or [self.network]
        return [trainable(network) for network in networks]

    def required(self, scale: int) -> list[int]:
        """Which parts a term at this scale must move."""
        parts = self.parts
        if len(parts) == 1:
            wanted = [0]
        else:
            wanted = list(range(scale + 1)) if self.through_guess else [scale]
        return [part for part in wanted if parts[part]]

    def where(self, parts: Sequence[int]) -> str:
        """Name parts in a sentence."""
        if len(self.parts) == 1:
            return f"the {self.name}"
        names = ", ".join(scale_name(part, self.num_scales) for part in parts)
        return f"the {self.name}'s network{'s' * (len(parts) > 1)} of {names}"

    def remarks(self) -> list[str]:
        """Say what does not train, and what cannot be told."""
        remarks = []
        frozen = [name for name, p in self.network.named_parameters() if not p.requires_grad]
        if frozen:
            remarks.append(
                f"{len(frozen)} parameters of the {self.name} are frozen: {_few(frozen)}"
            )
        if len(self.parts) < self.num_scales:
            remarks.append(
                f"{type(self.network).__name__} has no `networks`, one a scale, so that of the "
                f"{self.name}'s gradients only the whole is certified"
            )
        return remarks


@dataclass
class Findings:
    """What is known of a phase.

    Attributes:
        paths: By term and scale.
        problems: What forbids training.
        still: What does not move for now, though it may.
    """

    paths: dict[tuple[str, int], Path] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    still: list[str] = field(default_factory=list)


def phases(task: GeneratorTraining) -> list[Phase]:
    """Read from a task what it is going to train."""
    generator = task.generator
    loss = getattr(task, "loss", None)
    weights = dict(getattr(loss, "weights", {}))
    if hasattr(task, "adversarial_weight"):
        weights["adversarial_loss"] = task.adversarial_weight
    found = [
        Phase(
            name="generator",
            network=generator,
            num_scales=generator.num_scales,
            objective=task.generator_objective,
            through_guess=isinstance(generator, MultiScaleGenerator),
            weights=weights,
            scale_weights=getattr(loss, "scale_weights", None) or [1.0] * generator.num_scales,
        )
    ]
    if isinstance(task, DiscriminatorTraining):
        found.append(
            Phase(
                name="discriminator",
                network=task.discriminator,
                num_scales=generator.num_scales,
                objective=task.discriminator_objective,
                through_guess=False,
                weights={"r1_penalty": getattr(task, "r1_weight", 0.0)},
                scale_weights=[1.0] * generator.num_scales,
            )
        )
    return found


def certify_phase(phase: Phase, frames: Tensor, *, others: Sequence[Phase]) -> Findings:
    """Follow every term of a phase.

    Args:
        phase: The phase.
        frames: Clips, uint8, shape (B, T, C, H, W).
        others: Phases whose networks stand still in this one.
    """
    objective = phase.objective(frames)
    found = Findings(problems=_sum_problems(phase, objective))
    found.paths = paths(objective, phase.parts)
    still: dict[tuple[str, int], list[int]] = {}
    for (name, scale), path in found.paths.items():
        if len(objective.terms[name]) != phase.num_scales:
            continue  # said already
        if not phase.weights.get(name, objective.weights[name]) * phase.scale_weights[scale]:
            continue  # not enabled
        required = phase.required(scale)
        apart = [part for part in required if not path.connects(part)]
        still[name, scale] = [p for p in required if path.connects(p) and not path.moves(p)]
        if apart:
            found.problems.append(_apart(phase, name, scale, path, apart))
    if any(still.values()):
        _judge_zeros(phase, frames, still, others, found)
    for other in others if phase.name == "discriminator" else []:
        # The generator's phase has a path into the discriminator, which its optimiser holds still.
        for (name, scale), path in paths(objective, [trainable(other.network)]).items():
            if path.connects(0):
                found.problems.append(
                    f"{name} at {scale_name(scale, phase.num_scales)} of the {phase.name}'s loss "
                    f"reaches the {other.name}; detach the predictions in the {phase.name}'s phase"
                )
    return found


def optimizer_problems(optimizers: Sequence[Optimizer], todo: Sequence[Phase]) -> list[str]:
    """Compare what the optimisers hold with what the phases train, in their order."""
    if len(optimizers) != len(todo):
        return [
            f"{len(optimizers)} optimisers for {' and '.join(phase.name for phase in todo)}; "
            "expected one each, in this order"
        ]
    problems = []
    for phase, optimizer in zip(todo, optimizers, strict=True):
        held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
        named = list(phase.network.named_parameters())
        missing = [name for name, p in named if p.requires_grad and id(p) not in held]
        if missing:
            problems.append(
                f"the {phase.name}'s optimiser lacks parameters of the {phase.name}: "
                f"{_few(missing)}"
            )
        if not trainable(phase.network):
            problems.append(f"every parameter of the {phase.name} is frozen: nothing can train")
        for other in todo:
            foreign = [name for name, p in other.network.named_parameters() if id(p) in held]
            if other is not phase and foreign:
                problems.append(
                    f"the {phase.name}'s optimiser holds parameters of the {other.name}: "
                    f"{_few(foreign)}; expected the {phase.name}'s optimiser to be number "
                    f"{todo.index(phase)}, and networks that share nothing"
                )
    return problems


def _sum_problems(phase: Phase, objective: Objective) -> list[str]:
    problems = [
        f"{name} has weight {weight:g} and is missing from the {phase.name}'s loss"
        for name, weight in phase.weights.items()
        if weight and name not in objective.terms
    ]
    actual = coefficients(objective)
    expected_sum = size = 0.0
    for name, term in objective.terms.items():
        if len(term) != phase.num_scales:
            problems.append(
                f"{name} has {len(term)} values; expected one for each of the "
                f"{phase.num_scales} scales: a scale is missing from the loss"
            )
            continue
        weight = phase.weights.get(name, objective.weights[name])
        expected = [weight * scale_weight for scale_weight in phase.scale_weights]
        weighted = [w * value for w, value in zip(expected, term.tolist(), strict=True)]
        expected_sum += sum(weighted)
        size += sum(abs(value) for value in weighted)
        problems += [
            f"{name} at {scale_name(scale, phase.num_scales)} enters the {phase.name}'s loss with "
            f"weight {got:g}; configured is {wanted:g}"
            for scale, (got, wanted) in enumerate(zip(actual.get(name, []), expected, strict=False))
            if abs(got - wanted) > TOLERANCE * abs(wanted)
        ]
    excess = objective.loss.item() - expected_sum
    if not problems and abs(excess) > TOLERANCE * size + 1e-6:
        problems.append(
            f"the {phase.name}'s loss is its terms with their weights and {excess:+.3g} beside; "
            "expected the sum alone: give what is added a name among the terms"
        )
    return problems


def _apart(phase: Phase, name: str, scale: int, path: Path, apart: Sequence[int]) -> str:
    term = f"{name} at {scale_name(scale, phase.num_scales)}"
    if not any(path.connects(part) for part in range(len(phase.parts))):
        return (
            f"{term} enters the {phase.name}'s loss as a constant: detach, no_grad or .item() cuts "
            f"it from every weight of the {phase.name}"
        )
    return f"{term} does not reach {phase.where(apart)}"


def _judge_zeros(
    phase: Phase,
    frames: Tensor,
    still: Mapping[tuple[str, int], Sequence[int]],
    others: Sequence[Phase],
    found: Findings,
) -> None:
    """Tell what is zero by construction from what only is so with these weights and clips."""
    noise = torch.randint_like(frames, 256)
    with other_weights(phase.network, *(other.network for other in others)):
        elsewhere = paths(phase.objective(noise), phase.parts)
    dead: defaultdict[str, list[str]] = defaultdict(list)
    for (name, scale), parts in still.items():
        never = [part for part in parts if not elsewhere[name, scale].moves(part)]
        if never:
            found.problems.append(
                f"the gradient of {name} at {scale_name(scale, phase.num_scales)} in "
                f"{phase.where(never)} is zero, whatever the weights: rounding, a comparison or a "
                "factor of 0 is on the way"
            )
        elif parts:
            dead[name].append(scale_name(scale, phase.num_scales))
    for name, scales in dead.items():
        found.still.append(
            f"{name} does not move the {phase.name} at {', '.join(scales)} with the present "
            "weights, though it is wired rightly: a verdict is saturated, or all of a layer dead"
        )


def _few(names: Sequence[str], count: int = 4) -> str:
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
