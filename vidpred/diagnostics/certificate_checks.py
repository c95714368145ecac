"""What a gradient certificate asks of a phase of training, and in which words it refuses."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from vidpred.batch import ClipBatch
from vidpred.diagnostics.advice import predictor_name
from vidpred.diagnostics.gradient_paths import Path, coefficients, other_weights, paths, unreached
from vidpred.diagnostics.probing import (
    DiscriminatorTraining,
    ObjectiveTraining,
    discriminator_objective,
    scale_networks,
    trainable,
)
from vidpred.losses import Objective
from vidpred.losses.objective import require_objective
from vidpred.models import MultiScaleGenerator, ScalePredictor
from vidpred.plain import scale_name

TOLERANCE = 1e-3  # of weights and sums, relative: half precision has three digits


@dataclass(frozen=True, kw_only=True)
class Phase:
    """What one phase trains, and by what.

    Attributes:
        name: "predictor", "generator" or "discriminator".
        network: The network that moves; the task, where more than its predictor does.
        num_scales: S; 1 where nothing has scales.
        scales: Whether the network predicts at several scales, or asks about them.
        objective: Gives the phase's loss of clips.
        through_guess: Whether a scale must move the networks of the coarser ones as well.
        weights: Configured weight of terms.
        scale_weights: Configured weight of each scale.
    """

    name: str
    network: nn.Module
    num_scales: int
    scales: bool
    objective: Callable[[ClipBatch], Objective]
    through_guess: bool
    weights: Mapping[str, float]
    scale_weights: Sequence[float]

    @property
    def parts(self) -> list[list[nn.Parameter]]:
        """What is distinguished: the weights of each scale's network, or all; without frozen."""
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

    def term(self, name: str, scale: int, term: Tensor) -> str:
        """Name a term at a scale in a sentence; a scalar has none."""
        return f"{name} at {scale_name(scale, self.num_scales)}" if term.ndim else name

    def expected(self, name: str, objective: Objective) -> list[float]:
        """Give the configured weights of a term, one a scale."""
        weight = self.weights.get(name, objective.weights[name])
        if not objective.terms[name].ndim:
            return [weight]
        return [weight * of_scale for of_scale in self.scale_weights]

    def remarks(self) -> list[str]:
        """Say what does not train, and what cannot be known."""
        remarks = []
        frozen = [name for name, p in self.network.named_parameters() if not p.requires_grad]
        if frozen:
            remarks.append(
                f"{len(frozen)} parameters of the {self.name} are frozen: {_few(frozen)}"
            )
        if not self.scales:
            remarks.append(
                f"{type(self.network).__name__} predicts at one scale: of the {self.name}'s "
                "gradients the whole is certified, paths by scale do not apply"
            )
        elif len(self.parts) < self.num_scales:
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


def phases(task: ObjectiveTraining) -> list[Phase]:
    """Read from a task what it is going to train."""
    predictor = task.predictor
    loss = getattr(task, "loss", None)
    # Those of a task's own loss; of other terms the objective is what says it.
    weights = dict(getattr(loss, "weights", {}))
    if hasattr(task, "adversarial_weight"):
        weights["adversarial_loss"] = task.adversarial_weight
    num_scales = getattr(task, "num_scales", getattr(predictor, "num_scales", 1))
    found = [
        Phase(
            name=predictor_name(task),
            network=_trained(task),
            num_scales=num_scales,
            scales=isinstance(predictor, ScalePredictor),
            objective=task.objective,
            through_guess=isinstance(predictor, MultiScaleGenerator),
            weights=weights,
            scale_weights=getattr(loss, "scale_weights", None) or [1.0] * num_scales,
        )
    ]
    if isinstance(task, DiscriminatorTraining):
        found.append(
            Phase(
                name="discriminator",
                network=task.discriminator,
                num_scales=num_scales,
                scales=True,
                objective=partial(discriminator_objective, task),
                through_guess=False,
                weights={"r1_penalty": getattr(task, "r1_weight", 0.0)},
                scale_weights=[1.0] * num_scales,
            )
        )
    return found


def _trained(task: ObjectiveTraining) -> nn.Module:
    """Give the predictor, or the whole task where other parts of it are trained with it."""
    if isinstance(task, DiscriminatorTraining) or not isinstance(task, nn.Module):
        return task.predictor
    own = {id(parameter) for parameter in task.predictor.parameters()}
    more = any(id(parameter) not in own for parameter in trainable(task))
    return task if more else task.predictor


def certify_phase(phase: Phase, clips: ClipBatch, *, others: Sequence[Phase]) -> Findings:
    """Follow every term of a phase.

    Args:
        phase: The phase.
        clips: A few of a batch.
        others: Phases whose networks are fixed in this one.
    """
    objective = require_objective(phase.objective(clips), f"the objective of the {phase.name}")
    found = Findings(problems=_sum_problems(phase, objective))
    found.paths = paths(objective, phase.parts)
    still: dict[tuple[str, int], list[int]] = {}
    for (name, scale), path in found.paths.items():
        term = objective.terms[name]
        if term.ndim and len(term) != phase.num_scales:
            continue  # said already
        if not phase.expected(name, objective)[scale]:
            continue  # not enabled
        required = phase.required(scale) if term.ndim else list(range(len(path.norms)))
        apart = [part for part in required if not path.connects(part)]
        still[name, scale] = [p for p in required if path.connects(p) and not path.moves(p)]
        if apart:
            found.problems.append(_apart(phase, name, scale, term, path, apart))
    if any(still.values()):
        _judge_zeros(phase, clips, still, others, found)
    if not phase.scales and not found.problems:
        idle = unreached(objective, {n: p for n, p in _named(phase) if p.requires_grad})
        if idle:
            found.still.append(
                f"no term of the loss reaches {len(idle)} parameters of the {phase.name}: "
                f"{_few(idle)}; they do not train"
            )
    for other in others if phase.name == "discriminator" else []:
        # The generator's phase has a path into the discriminator, which its optimizer holds still.
        for (name, scale), path in paths(objective, [trainable(other.network)]).items():
            if path.connects(0):
                named = phase.term(name, scale, objective.terms[name])
                found.problems.append(
                    f"{named} of the {phase.name}'s loss "
                    f"reaches the {other.name}; detach the predictions in the {phase.name}'s phase"
                )
    return found


def optimizer_problems(optimizers: Sequence[Optimizer], todo: Sequence[Phase]) -> list[str]:
    """Compare what the optimizers hold with what the phases train, in their order.

    Several optimizers of a task with one phase share its network as they like.
    """
    if len(todo) == 1:
        groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        return _holding_problems(todo[0], groups, todo)
    if len(optimizers) != len(todo):
        return [
            f"{len(optimizers)} optimizers for {' and '.join(phase.name for phase in todo)}; "
            "expected one each, in this order"
        ]
    return [
        problem
        for phase, optimizer in zip(todo, optimizers, strict=True)
        for problem in _holding_problems(phase, optimizer.param_groups, todo)
    ]


def _holding_problems(
    phase: Phase, groups: Sequence[Mapping[str, Any]], todo: Sequence[Phase]
) -> list[str]:
    problems = []
    held = {id(weight) for group in groups for weight in group["params"]}
    missing = [name for name, p in _named(phase) if p.requires_grad and id(p) not in held]
    if missing:
        problems.append(
            f"the {phase.name}'s optimizer lacks parameters of the {phase.name}: {_few(missing)}"
        )
    if not trainable(phase.network):
        problems.append(f"every parameter of the {phase.name} is frozen: nothing can train")
    for other in todo:
        foreign = [name for name, p in _named(other) if id(p) in held]
        if other is not phase and foreign:
            problems.append(
                f"the {phase.name}'s optimizer holds parameters of the {other.name}: "
                f"{_few(foreign)}; expected the {phase.name}'s optimizer to be number "
                f"{todo.index(phase)}, and networks that share nothing"
            )
    return problems


def _named(phase: Phase) -> list[tuple[str, nn.Parameter]]:
    return list(phase.network.named_parameters())


def _sum_problems(phase: Phase, objective: Objective) -> list[str]:
    problems = [
        f"{name} has weight {weight:g} and is missing from the {phase.name}'s loss"
        for name, weight in phase.weights.items()
        if weight and name not in objective.terms
    ]
    actual = coefficients(objective)
    expected_sum = size = 0.0
    for name, term in objective.terms.items():
        if term.ndim and len(term) != phase.num_scales:
            problems.append(
                f"{name} has {len(term)} values; expected one for each of the "
                f"{phase.num_scales} scales: a scale is missing from the loss"
            )
            continue
        expected = phase.expected(name, objective)
        values = term.reshape(-1).tolist()
        weighted = [w * value for w, value in zip(expected, values, strict=True)]
        expected_sum += sum(weighted)
        size += sum(abs(value) for value in weighted)
        problems += [
            f"{phase.term(name, scale, term)} enters the {phase.name}'s loss with "
            f"weight {got:g}; configured is {wanted:g}"
            for scale, (got, wanted) in enumerate(zip(actual.get(name, []), expected, strict=False))
            if abs(got - wanted) > TOLERANCE * abs(wanted)
        ]
    excess = objective.loss.item() - expected_sum
    if not problems and abs(excess) > TOLERANCE * size + 1e-6:
        problems.append(
            f"the {phase.name}'s loss is its terms with their weights and {excess:+.3g} more; "
            "expected the sum alone: give what is added a name among the terms"
        )
    return problems


def _apart(
    phase: Phase, name: str, scale: int, term: Tensor, path: Path, apart: Sequence[int]
) -> str:
    named = phase.term(name, scale, term)
    if not any(path.connects(part) for part in range(len(path.norms))):
        return (
            f"{named} enters the {phase.name}'s loss as a constant: detach, no_grad or .item() "
            f"cuts it from every weight of the {phase.name}"
        )
    return f"{named} does not reach {phase.where(apart)}"


def _judge_zeros(
    phase: Phase,
    clips: ClipBatch,
    still: Mapping[tuple[str, int], Sequence[int]],
    others: Sequence[Phase],
    found: Findings,
) -> None:
    """Distinguish what is zero by construction from what is so with these weights and clips."""
    noise = cast(ClipBatch, {**clips, "frames": torch.randint_like(clips["frames"], 256)})
    with other_weights(phase.network, *(other.network for other in others)):
        objective = phase.objective(noise)
        elsewhere = paths(objective, phase.parts)
    dead: defaultdict[str, list[str]] = defaultdict(list)
    for (name, scale), parts in still.items():
        term = objective.terms[name]
        never = [part for part in parts if not elsewhere[name, scale].moves(part)]
        if never:
            where = phase.where(never) if term.ndim else f"the {phase.name}"
            found.problems.append(
                f"the gradient of {phase.term(name, scale, term)} in {where} is zero, whatever "
                "the weights: rounding, a comparison or a factor of 0 is on the way"
            )
        elif parts:
            dead[name].append(scale_name(scale, phase.num_scales) if term.ndim else "all of it")
    for name, scales in dead.items():
        found.still.append(
            f"{name} does not move the {phase.name} at {', '.join(scales)} with the present "
            "weights, though it is wired rightly: an output is saturated, or all of a layer dead"
        )


def _few(names: Sequence[str], count: int = 4) -> str:
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
