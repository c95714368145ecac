"""Differences of frames at several frequencies."""

import torch
import torch.nn.functional as F
from jsonargparse.typing import NonNegativeFloat, PositiveInt
from torch import Tensor

from vidpred.losses.base import Frames, PredictionLoss, by_scale
from vidpred.ops.checks import require_positive, require_same_shape, require_weight

BLUR = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
"""Binomial filter; Burt and Adelson 1983, with a = 3/8."""


def laplacian_pyramid_loss(pred: Tensor, target: Tensor, levels: int = 5) -> Tensor:
    """Average the absolute differences of Laplacian pyramids, and add up their levels.

    A level is a frame less its blurred, halved and enlarged self: one band of frequencies. As in
    the code of DMVFN (Hu et al. 2023) the blurred rest is left out, so that equal changes of
    brightness cost nothing.

    Args:
        pred: Predicted frames, shape (..., H, W), any range.
        target: Ground truth, same shape and range.
        levels: At most; a level needs even sides of at least 4 pixels.

    Returns:
        Scalar, float32.

    Raises:
        ValueError: When the shapes differ, or frames are too small or odd for a single level.

    Example:
        >>> import torch
        >>> laplacian_pyramid_loss(torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8))
        tensor(0.)
    """
    require_same_shape(pred, target)
    require_positive("levels", levels)
    # The pyramid is linear: that of the difference is the difference of both.
    rest = (pred.float() - target.float()).flatten(0, -3)[:, None]
    with torch.autocast(rest.device.type, enabled=False):  # which convolves in half precision
        return _sum_of_levels(rest, levels)


def _sum_of_levels(rest: Tensor, levels: int) -> Tensor:
    """Add up the mean absolute values of the levels of a difference, planes (N, 1, H, W)."""
    total = rest.new_zeros(())
    for level in range(levels):
        if min(rest.shape[-2:]) < 4 or rest.shape[-2] % 2 or rest.shape[-1] % 2:
            if not level:
                raise ValueError(
                    f"frames have {rest.shape[-2]} x {rest.shape[-1]} pixels; expected even sides "
                    "of at least 4"
                )
            break
        smaller = _blurred(rest)[..., ::2, ::2]
        total = total + (rest - _enlarged(smaller)).abs().mean()
        rest = smaller
    return total


class LaplacianPyramidLoss(PredictionLoss):
    """`laplacian_pyramid_loss` as a term.

    Args:
        levels: Of the pyramid, at most.
        weight: Of the term, at least 0.
        name: Of the term; two losses that are combined need different ones.

    Raises:
        ValueError: When there is no level, or the weight is negative, NaN or infinite.

    Example:
        >>> import torch
        >>> loss = LaplacianPyramidLoss(levels=3)
        >>> sorted(loss(torch.rand(1, 1, 3, 16, 16), torch.rand(1, 1, 3, 16, 16)))
        ['laplacian_pyramid_loss']
    """

    def __init__(
        self,
        levels: PositiveInt = 5,
        weight: NonNegativeFloat = 1.0,
        *,
        name: str = "laplacian_pyramid_loss",
    ) -> None:
        super().__init__()
        require_positive("levels", levels)
        require_weight("weight", weight)
        self.levels = int(levels)
        self.name = name
        self.weights = {name: float(weight)}

    def terms(self, preds: Frames, targets: Frames) -> dict[str, Tensor]:
        """Give the one term; see `PredictionLoss.terms`."""
        if not self.weights[self.name]:
            return {}

        def loss(pred: Tensor, target: Tensor) -> Tensor:
            return laplacian_pyramid_loss(pred, target, self.levels)

        return {self.name: by_scale(loss, preds, targets)}


def _blurred(planes: Tensor) -> Tensor:
    """Blur planes (N, 1, H, W), mirrored at their borders."""
    row = planes.new_tensor(BLUR)
    padded = F.pad(planes, (2, 2, 2, 2), mode="reflect")
    # Half precision would leave its rounding in every band.
    with torch.autocast(planes.device.type, enabled=False):
        return F.conv2d(F.conv2d(padded, row.view(1, 1, 1, 5)), row.view(1, 1, 5, 1))


def _enlarged(planes: Tensor) -> Tensor:
    """Put zeros between the pixels, and blur."""
    wide = torch.stack([planes, torch.zeros_like(planes)], dim=-1).flatten(-2)
    high = torch.stack([wide, torch.zeros_like(wide)], dim=-2).flatten(-3, -2)
    return 4 * _blurred(high)
