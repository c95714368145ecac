"""Clips of a batch, divided at the present and checked against the predictor that they are for."""

from typing import NamedTuple

from torch import Tensor

from vidpred.batch import ClipBatch
from vidpred.errors import SettingError
from vidpred.models import Condition, Predictor
from vidpred.models.conditions import condition_of
from vidpred.ops import to_unit
from vidpred.plain import counted


class Clips(NamedTuple):
    """Clips of a batch, divided at the present.

    Attributes:
        context: Past frames, shape (B, context_frames, C, H, W) in [0, 1].
        target: Future frames, shape (B, T, C, H, W) in [0, 1].
        condition: By name, shape (B, context_frames + T, ...); None for predictors that need none.
    """

    context: Tensor
    target: Tensor
    condition: Condition | None


def divided(predictor: Predictor, batch: ClipBatch) -> Clips:
    """Divide clips into the frames that a predictor knows and those that follow.

    Raises:
        SettingError: When the clips have other channels than the predictor, or lack a condition.
    """
    require_channels(predictor, batch["frames"])
    frames, known = to_unit(batch["frames"]), predictor.context_frames
    return Clips(frames[:, :known], frames[:, known:], condition_of(predictor, batch))


def require_length(predictor: Predictor, frames: Tensor, horizon: int) -> None:
    """Refuse training clips of another length than a task trains on.

    Args:
        predictor: What is trained.
        frames: Clips, shape (B, T, C, H, W).
        horizon: Frames to predict.

    Raises:
        SettingError: When T is not `context_frames + horizon`.
    """
    if frames.shape[1] != predictor.context_frames + horizon:
        raise SettingError(
            f"training clips have {frames.shape[1]} frames; expected {predictor.context_frames} of "
            f"context and {horizon} to predict: "
            "set data.context_frames and data.horizon to these"
        )


def require_channels(predictor: Predictor, frames: Tensor) -> None:
    """Refuse clips of other channels than a predictor takes.

    Raises:
        SettingError: Saying what to set.
    """
    channels, found = predictor.channels, frames.shape[2]
    if channels not in (None, found):
        raise SettingError(
            f"clips have {counted(found, 'channel')}, and {type(predictor).__name__} takes "
            f"{channels}; expected the same: set data.color to "
            f"{'gray' if channels == 1 else 'rgb'}, or the network's channels to {found}"
        )
