"""What the losses of predicted frames share: named terms with weights, at one scale or several."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from vidpred.errors import SettingError

Frames = Tensor | Sequence[Tensor]
"""Frames of one scale, (B, T, C, H, W), or of S scales, coarsest first."""


class PredictionLoss(nn.Module, ABC):
    """A loss of predicted frames against true ones, made of named terms.

    What `vidpred.tasks` minimizes is the sum of the terms, each with its weight. A subclass with
    its own terms can be named in YAML like those of vidpred.

    Attributes:
        weights: Of each term, by name, at least 0.
        scale_weights: One a scale, for every term; None is 1 each.

    Example:
        >>> import torch
        >>> class LastFrameLoss(PredictionLoss):
        ...     weights = {"last_frame": 2.0}
        ...
        ...     def terms(self, preds, targets):
        ...         return {"last_frame": (preds[:, -1] - targets[:, -1]).abs().mean()}
        >>> LastFrameLoss()(torch.zeros(1, 2, 3, 4, 4), torch.ones(1, 2, 3, 4, 4))
        {'last_frame': tensor(1.)}
    """

    weights: Mapping[str, float]
    scale_weights: Sequence[float] | None = None

    @abstractmethod
    def terms(self, preds: Frames, targets: Frames) -> dict[str, Tensor]:
        """Compare predictions with targets.

        Args:
            preds: Predicted frames, (B, T, C, H, W), or those of S scales, coarsest first.
            targets: True frames, of the same shapes and range.

        Returns:
            The terms by name before their weights: scalars, or shape (S,) for S scales. A term
            whose weight is 0 is left out.

        Raises:
            ValueError: When shapes differ.
        """

    def forward(self, preds: Frames, targets: Frames) -> dict[str, Tensor]:
        """Give the terms; see `terms`."""
        return self.checked_terms(preds, targets)

    def checked_terms(self, preds: Frames, targets: Frames) -> dict[str, Tensor]:
        """Give the terms to a task; see `terms`.

        Raises:
            SettingError: When `terms` takes one tensor, and frames of several scales came, gives
                no dictionary, or a term that has no weight or another shape.
        """
        try:
            terms = self.terms(preds, targets)
        except (AttributeError, TypeError) as error:
            if isinstance(preds, Tensor) or "list" not in str(error):
                raise
            raise SettingError(
                f"{type(self).__name__}.terms got {_form(preds)} and failed: {error}; for this "
                "predictor, preds and targets are lists of one tensor (B, T, C, h, w) a scale, "
                "coarsest first; expected terms of one value a scale, such as torch.stack([... for "
                "pred, target in zip(preds, targets)])"
            ) from error
        if not isinstance(terms, Mapping):
            raise SettingError(
                f"{type(self).__name__}.terms gives a {type(terms).__name__}; expected a "
                "dictionary of terms by name"
            )
        if unknown := [name for name in terms if name not in self.weights]:
            raise SettingError(
                f"{type(self).__name__}.terms gives {', '.join(unknown)}, and its weights name "
                f"{', '.join(self.weights) or 'nothing'}; expected a weight for every term, 0 for "
                "one that is logged and not minimized"
            )
        for name, term in terms.items():
            if isinstance(preds, Tensor) and isinstance(term, Tensor) and term.ndim:
                raise SettingError(
                    f"{type(self).__name__}.terms gives {name} of shape {tuple(term.shape)}; "
                    "expected a scalar, as frames are of one scale: take the mean over clips, "
                    "frames and pixels"
                )
        return terms

    def __getattr__(self, name: str) -> Tensor | nn.Module:
        """Refuse a loss without weights where they are asked for.

        Raises:
            SettingError: When the constructor set none.
        """
        if name == "weights":
            raise SettingError(
                f"{type(self).__name__} has no weights; expected its constructor to set "
                "self.weights = {term: weight}, with the name of each term that it returns"
            )
        return super().__getattr__(name)


def require_trainable(loss: object) -> None:
    """Refuse as the only loss of a training what minimizes nothing.

    Raises:
        TypeError: When it is no `PredictionLoss`.
        ValueError: When every weight is 0.
    """
    if not isinstance(loss, PredictionLoss):
        raise TypeError(
            f"loss is a {type(loss).__name__}; expected a vidpred.losses.PredictionLoss, such as "
            "LpLoss, or a subclass of your own"
        )
    if not any(loss.weights.values()):
        raise ValueError("every weight of the loss is 0; expected at least one above 0")


def by_scale(loss: Callable[[Tensor, Tensor], Tensor], preds: Frames, targets: Frames) -> Tensor:
    """Compute a scalar loss of frames of one scale, or one value a scale, shape (S,).

    Raises:
        ValueError: When there are more scales on one side, or scales on one side alone.
    """
    if isinstance(preds, Tensor) and isinstance(targets, Tensor):
        return loss(preds, targets)
    if isinstance(preds, Tensor) or isinstance(targets, Tensor) or len(preds) != len(targets):
        raise ValueError(
            f"preds are {_form(preds)}, targets {_form(targets)}; expected frames of the same "
            "scales"
        )
    return torch.stack([loss(pred, target) for pred, target in zip(preds, targets, strict=True)])


def _form(frames: Frames) -> str:
    return "one tensor" if isinstance(frames, Tensor) else f"a list of {len(frames)} scales"
