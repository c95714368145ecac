"""What one phase of training minimizes, and what it is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from vidpred.errors import SettingError
from vidpred.losses.multiscale import sum_over_scales


@dataclass(frozen=True, kw_only=True)
class Objective:
    """Loss terms with their weights, and what else there is to log.

    Attributes:
        terms: By name, before any weight: scalars, or one value a scale, shape (S,), coarsest
            first.
        weights: Of each term; one that is not named has weight 1.
        scale_weights: One a scale, for every term that has scales; None is 1 each.
        measures: Scalars to be logged that are no part of the loss, by name.

    Raises:
        TypeError: When a term is no tensor.
        ValueError: When a term has another shape.

    Example:
        >>> import torch
        >>> objective = Objective(
        ...     terms={"lp_loss": torch.tensor([1.0, 2.0]), "kl": torch.tensor(10.0)},
        ...     weights={"kl": 0.1},
        ... )
        >>> objective.loss
        tensor(4.)
    """

    terms: Mapping[str, Tensor]
    weights: Mapping[str, float] = field(default_factory=dict)
    scale_weights: Sequence[float] | None = None
    measures: Mapping[str, Tensor | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, term in self.terms.items():
            if not isinstance(term, Tensor):
                raise TypeError(
                    f"term {name} is a {type(term).__name__}; expected a tensor: a scalar or one "
                    "value a scale, (S,)"
                )
            if term.ndim > 1:
                raise ValueError(
                    f"term {name} has shape {tuple(term.shape)}; expected a scalar or one value a "
                    "scale, (S,): take the mean over clips, frames and pixels"
                )
        weights = {**dict.fromkeys(self.terms, 1.0), **self.weights}
        object.__setattr__(self, "weights", weights)

    def weighted(self, name: str) -> Tensor:
        """Give what one term contributes to the loss, scalar."""
        return self.weights[name] * sum_over_scales(self.terms[name], self.scale_weights)

    @cached_property
    def loss(self) -> Tensor:
        """What is minimized: all terms with their weights, scalar.

        Raises:
            ValueError: When there are no terms.
        """
        if not self.terms:
            raise ValueError("the objective has no terms; expected at least one to be minimized")
        return torch.stack([self.weighted(name) for name in self.terms]).sum()


@dataclass(frozen=True, kw_only=True)
class PredictionObjective(Objective):
    """What a predictor minimizes, with what it predicts, for those who watch.

    Attributes:
        context: Past frames, shape (B, context_frames, C, H, W) in [0, 1].
        target: True future frames, shape (B, T, C, H, W) in [0, 1].
        pred: Predictions, same shape and range as `target`.
    """

    context: Tensor
    target: Tensor
    pred: Tensor


@dataclass(frozen=True, kw_only=True)
class GeneratorObjective(Objective):
    """What a generator minimizes.

    Attributes:
        context: Past frames, shape (B, context_frames, C, H, W) in [-1, 1].
        targets: True next frames, S tensors (B, T, C, h, w), T the training horizon, in [-1, 1].
        preds: Predictions, of the same shapes and range.
    """

    context: Tensor
    targets: Sequence[Tensor]
    preds: Sequence[Tensor]


@dataclass(frozen=True, kw_only=True)
class DiscriminatorObjective(Objective):
    """What a discriminator minimizes.

    Attributes:
        real_logits: Outputs for true frames, S tensors (B, P).
        fake_logits: Outputs for predictions, S tensors (B, P).
    """

    real_logits: Sequence[Tensor]
    fake_logits: Sequence[Tensor]


def require_objective(found: object, name: str) -> Objective:
    """Give what a method gave, or say what it should have given.

    Args:
        found: What it gave.
        name: Of the method, for the message.

    Raises:
        SettingError: When it is no `Objective`.
    """
    if not isinstance(found, Objective):
        raise SettingError(
            f"{name} gave a {type(found).__name__}; expected a "
            "vidpred.losses.Objective, such as Objective(terms={'name': loss})"
        )
    return found
