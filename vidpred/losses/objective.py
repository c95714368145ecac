"""What one phase of training minimises, and what it is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from vidpred.losses.multiscale import sum_over_scales


@dataclass(frozen=True, kw_only=True)
class Objective:
    """Loss terms with their weights; the networks' outputs beside them, for those who watch.

    Attributes:
        terms: By name, one value a scale, shape (S,), coarsest first, before any weight.
        weights: Of each term.
        scale_weights: One a scale, for every term; None is 1 each.
    """

    terms: Mapping[str, Tensor]
    weights: Mapping[str, float]
    scale_weights: Sequence[float] | None = None

    def weighted(self, name: str) -> Tensor:
        """Give what one term contributes to the loss, scalar."""
        return self.weights[name] * sum_over_scales(self.terms[name], self.scale_weights)

    @cached_property
    def loss(self) -> Tensor:
        """What is minimised: all terms with their weights, scalar."""
        return torch.stack([self.weighted(name) for name in self.terms]).sum()


@dataclass(frozen=True, kw_only=True)
class GeneratorObjective(Objective):
    """What a generator minimises.

    Attributes:
        context: Past frames, shape (B, context_frames, C, H, W) in [-1, 1].
        targets: True next frames, S tensors (B, output_frames, C, h, w) in [-1, 1].
        preds: Predictions, of the same shapes and range.
    """

    context: Tensor
    targets: Sequence[Tensor]
    preds: Sequence[Tensor]


@dataclass(frozen=True, kw_only=True)
class DiscriminatorObjective(Objective):
    """What a discriminator minimises.

    Attributes:
        real_logits: Verdicts on true frames, S tensors (B, P).
        fake_logits: Verdicts on predictions, S tensors (B, P).
    """

    real_logits: Sequence[Tensor]
    fake_logits: Sequence[Tensor]
