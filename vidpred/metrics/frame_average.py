"""Averages over clips that keep time."""

from collections.abc import Callable
from typing import ClassVar, get_args

import torch
from torch import Tensor
from torchmetrics import Metric

from vidpred.metrics.inputs import require_variant
from vidpred.metrics.ms_ssim import ms_ssim
from vidpred.metrics.psnr import PSNRVariant, psnr
from vidpred.metrics.sharpness import SharpnessVariant, sharpness
from vidpred.metrics.ssim import SSIMVariant, ssim
from vidpred.ops.checks import require_positive, require_same_shape


class FrameAverage(Metric):
    """Mean over clips of a score per clip and frame, in constant memory.

    The mean is of the per-clip values: for dB it is the mean of the dB, not the dB of the mean
    error. Clips whose value is NaN at a frame (nothing moved there) are left out of that frame's
    mean and counted in `skipped`. Works over several processes; give `horizon` when one of them may
    see no clip.

    Args:
        data_range: Full scale of the frames.
        variant: Convention of the score.
        horizon: T, number of frames a clip; None takes it from the first clips.

    Attributes:
        function: Gives the score per clip and frame, shape (B, T).
        variants: Conventions that it knows.
        total: Sum of the scores, float64, shape (T,).
        count: Clips in the sum, int64, shape (T,).
        skipped: Clips left out of the sum, int64, shape (T,).
    """

    is_differentiable = False
    higher_is_better = True
    # `forward` then uses `update` alone; else it would add an empty state to that of a batch.
    full_state_update = True

    function: ClassVar[Callable[..., Tensor]]
    variants: ClassVar[tuple[str, ...]]

    total: Tensor
    count: Tensor
    skipped: Tensor

    def __init__(
        self, *, data_range: float, variant: str = "standard", horizon: int | None = None
    ) -> None:
        require_variant(variant, self.variants)
        if horizon is not None:
            require_positive("horizon", horizon)
        super().__init__()
        self.data_range = data_range
        self.variant = variant
        self.horizon = horizon
        frames = horizon or 0
        self.add_state("total", torch.zeros(frames, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros(frames, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("skipped", torch.zeros(frames, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, pred: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
        """Add clips.

        Args:
            pred: Predicted frames, shape (B, T, C, H, W).
            target: Ground truth, same shape and range.
            mask: Boolean, shape (B, T, 1, H, W), or None for whole frames.

        Raises:
            ValueError: When shapes differ, T is not that of the clips before, or the metric refuses
                the frames.
        """
        require_same_shape(pred, target)
        scores = self.scores(pred, target, mask)
        # Device first: Apple's GPU has no float64, and the caller then keeps the state on the CPU.
        scores = scores.detach().to(self.total.device).double()
        if self.horizon is None and not self.total.numel():
            self.total = scores.new_zeros(scores.shape[1])
            self.count = torch.zeros_like(self.total, dtype=torch.int64)
            self.skipped = torch.zeros_like(self.count)
        if scores.shape[1] != self.total.numel():
            raise ValueError(
                f"clips have {scores.shape[1]} frames; "
                f"expected {self.total.numel()}, as set or as before"
            )
        counted = ~scores.isnan()
        self.total += scores.nan_to_num(nan=0.0).sum(dim=0)
        self.count += counted.sum(dim=0)
        self.skipped += (~counted).sum(dim=0)

    def scores(self, pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Score clips without adding them; see `update` for the arguments.

        Returns:
            One value per clip and frame, shape (B, T).
        """
        return self.function(
            pred, target, data_range=self.data_range, variant=self.variant, mask=mask
        )

    def compute(self) -> Tensor:
        """Give the mean over clips per frame; see `per_frame`, which keeps T = 1.

        Returns:
            float64, shape (T,), or a scalar for a single frame, as torchmetrics has it; NaN where
            no clip counted.
        """
        return self.total / self.count

    def per_frame(self) -> Tensor:
        """Give the mean over clips per frame.

        Returns:
            float64, shape (T,) for any T; NaN where no clip counted.
        """
        mean: Tensor = self.compute()
        return mean.reshape(-1)

    def clips(self) -> Tensor:
        """Give the number of clips that counted at each frame, over all processes.

        Returns:
            int64, shape (T,).
        """
        with self.sync_context(dist_sync_fn=self.dist_sync_fn):
            return self.count.clone()


class PSNR(FrameAverage):
    """Mean over clips of `psnr`, per frame: the mean of the dB, not the dB of the mean.

    See `FrameAverage` for the arguments; `variant` is a convention of `psnr`.
    """

    function = staticmethod(psnr)
    variants = get_args(PSNRVariant)


class SSIM(FrameAverage):
    """Mean over clips of `ssim`, per frame.

    See `FrameAverage` for the arguments; `variant` is a convention of `ssim`.
    """

    function = staticmethod(ssim)
    variants = get_args(SSIMVariant)


class MSSSIM(FrameAverage):
    """Mean over clips of `ms_ssim`, per frame.

    Args:
        data_range: Full scale of the frames.
        horizon: See `FrameAverage`.
    """

    variants = ("standard",)

    def __init__(self, *, data_range: float, horizon: int | None = None) -> None:
        super().__init__(data_range=data_range, horizon=horizon)

    def scores(self, pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Give `ms_ssim` per clip and frame, shape (B, T); see `FrameAverage.scores`."""
        return ms_ssim(pred, target, data_range=self.data_range, mask=mask)


class Sharpness(FrameAverage):
    """Mean over clips of `sharpness`, per frame: the mean of the dB, not the dB of the mean.

    See `FrameAverage` for the arguments; `variant` is a convention of `sharpness`.
    """

    function = staticmethod(sharpness)
    variants = get_args(SharpnessVariant)
