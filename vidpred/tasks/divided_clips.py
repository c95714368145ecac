"""Clips of a batch, divided at the present and checked against the predictor that they are for."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from vidpred.batch import ClipBatch
from vidpred.errors import SettingError
from vidpred.models import Condition, Predictor
from vidpred.models.given_conditions import condition_of
from vidpred.ops import to_unit
from vidpred.ops.checks import RANGE_TOLERANCE
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
        SettingError: When the batch holds no clips, or they have other channels or another range
            than the predictor, or lack a condition.
    """
    require_clips(batch)
    require_channels(predictor, batch["frames"])
    frames, known = unit_frames(batch["frames"]), predictor.context_frames
    return Clips(frames[:, :known], frames[:, known:], condition_of(predictor, batch))


def evaluation_clips(predictor: Predictor, name: str, batch: ClipBatch) -> Clips:
    """Divide clips that hold true frames to compare with.

    Args:
        predictor: What is evaluated.
        name: What its task calls it.
        batch: Clips of more than `context_frames` frames.

    Raises:
        SettingError: When they are not longer than the context, and as `divided` does.
    """
    clips = divided(predictor, batch)
    if not clips.target.shape[1]:
        raise SettingError(
            f"clips have {clips.context.shape[1]} frames; expected more than the "
            f"{predictor.context_frames} that the {name} needs as context: set data.context_frames"
        )
    return clips


def require_clips(batch: object) -> None:
    """Refuse what a loader gives other than clips; see `vidpred.batch.ClipBatch`.

    Raises:
        SettingError: Saying what came.
    """
    found = batch.get("frames") if isinstance(batch, Mapping) else None
    if isinstance(found, Tensor) and found.ndim == 5:
        return
    came = f"a {type(batch).__name__}"
    if isinstance(batch, Mapping):
        came = f"a dictionary of {', '.join(map(str, batch)) or 'nothing'}"
    if isinstance(found, Tensor):
        came = f"frames of shape {tuple(found.shape)}"
    raise SettingError(
        f"the loader gives {came}; expected a dictionary with frames, shape (B, T, C, H, W), and "
        "what else vidpred.batch.ClipBatch names"
    )


def unit_frames(frames: Tensor) -> Tensor:
    """Take frames of a batch to [0, 1], of which those of a data module of one's own may be floats.

    Raises:
        SettingError: When they are of another range or type.
    """
    if frames.dtype != torch.uint8:
        if not frames.is_floating_point():
            raise SettingError(
                f"the loader gives frames of {frames.dtype}; expected uint8 of 0 to 255, or "
                "floating point in [0, 1]"
            )
        low, high = torch.aminmax(frames)
        if low < -RANGE_TOLERANCE or high > 1 + RANGE_TOLERANCE:
            raise SettingError(
                f"the loader gives floating point frames with values from {low:.4g} to "
                f"{high:.4g}; expected [0, 1], or uint8 of 0 to 255"
            )
    return to_unit(frames)


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


def require_multiple(frames: Tensor, multiple: int) -> None:
    """Refuse training clips of a size that a network does not reduce evenly.

    Args:
        frames: Clips, shape (B, T, C, H, W).
        multiple: What H and W have to be multiples of.

    Raises:
        SettingError: Saying what to set.
    """
    height, width = frames.shape[-2:]
    if height % multiple or width % multiple:
        raise SettingError(
            f"training clips have frames of {height} x {width} pixels; expected multiples of "
            f"{multiple}: set data.patch_size to one, or for whole frames data.resize, such as "
            f"[{_nearest(height, multiple)}, {_nearest(width, multiple)}]"
        )


def _nearest(side: int, multiple: int) -> int:
    return max(1, round(side / multiple)) * multiple


def require_channels(predictor: Predictor, frames: Tensor) -> None:
    """Refuse clips of other channels than a predictor takes.

    Raises:
        SettingError: Saying what to set.
    """
    channels, found = predictor.channels, frames.shape[2]
    if channels not in (None, found):
        raise SettingError(
            f"clips have {counted(found, 'channel')}, shape {tuple(frames.shape)}, and "
            f"{type(predictor).__name__} takes {channels}; expected (B, T, {channels}, H, W): set "
            "data.color to "
            f"{'gray' if channels == 1 else 'rgb'}"
            + (
                f", or the network's channels to {found}"
                if "channels" in predictor.config()
                else ""
            )
        )
