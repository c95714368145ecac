"""The contract of predictors that are trained at several scales at once."""

from abc import abstractmethod

from torch import Tensor

from vidpred.errors import NetworkError
from vidpred.models.predictor import Condition, Predictor
from vidpred.ops.checks import require_positive
from vidpred.ops.range import signed_to_unit, unit_to_signed


class ScalePredictor(Predictor):
    """A predictor that is trained at several scales at once: what `vidpred.tasks` trains.

    A network of one scale gives lists of one element. Inside, frames are in [-1, 1], where the
    losses of Mathieu et al. 2016 and their weights live; `forward` takes and gives [0, 1] like any
    predictor.

    Attributes:
        num_scales: S; scale k of S sees frames reduced `2 ** (S - k)` times, coarsest first.

    Raises:
        NetworkError: When the subclass names conditions, which `forward_scales` does not take.
        ValueError: When a count is below 1.
    """

    def __init__(
        self,
        *,
        num_scales: int,
        context_frames: int,
        output_frames: int = 1,
        channels: int | None = None,
    ) -> None:
        require_positive("num_scales", num_scales)
        super().__init__(
            context_frames=context_frames,
            output_frames=output_frames,
            size_multiple=2 ** (num_scales - 1),
            channels=channels,
        )
        if self.conditions:
            raise NetworkError(
                f"{type(self).__name__} is conditioned on {', '.join(self.conditions)}, and "
                "forward_scales takes frames alone; derive it from vidpred.models.Predictor, whose "
                "step takes conditions"
            )
        self.num_scales = num_scales

    @abstractmethod
    def forward_scales(self, context: Tensor) -> list[Tensor]:
        """Predict one step at every scale.

        Args:
            context: Shape (B, context_frames, C, H, W) in [-1, 1], H and W multiples of
                `size_multiple`.

        Returns:
            S tensors (B, output_frames, C, h, w) in [-1, 1], coarsest first, the last at full size.
        """

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict the next `output_frames` frames at full size; see `Predictor.step`."""
        return signed_to_unit(self.forward_scales(unit_to_signed(context))[-1])
