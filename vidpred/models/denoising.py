"""The contract of predictors that diffusion trains: they take noise away."""

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Denoising(Protocol):
    """A predictor that denoises the future given the past, as `vidpred.tasks.DiffusionTask` trains.

    Attributes:
        sigma_data: Standard deviation of what is denoised.

    Example:
        >>> from vidpred.models import CopyLastFrame
        >>> isinstance(CopyLastFrame(), Denoising)
        False
    """

    sigma_data: float

    def signal(self, context: Tensor, target: Tensor) -> Tensor:
        """Give the values that noise is added to.

        Args:
            context: Past frames, shape (B, context_frames, C, H, W) in [0, 1].
            target: True next frames, shape (B, output_frames, C, H, W) in [0, 1].

        Returns:
            Shape of the target, standard deviation about `sigma_data`.
        """

    def denoise(self, noisy: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        """Estimate the signal under noise.

        Args:
            noisy: Signal plus normal noise, shape (B, output_frames, C, H, W).
            sigma: Standard deviation of each clip's noise, shape (B,).
            context: Past frames, shape (B, context_frames, C, H, W) in [0, 1].

        Returns:
            The mean signal given what is seen, shape of `noisy`, differentiable.
        """
