"""Measures that need a file of weights, and so are in no protocol: LPIPS and FVD."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import torch
from torch import Tensor

from vidpred.errors import PredictionError
from vidpred.evaluation.clips import EvaluationClip
from vidpred.evaluation.measures import DATA_RANGE
from vidpred.metrics import frechet_distance

if TYPE_CHECKING:
    from vidpred.metrics import FVDNetwork, LPIPSNetwork


class Features(TypedDict):
    """What a video network says of a clip.

    Attributes:
        pred: Of the predicted frames, F numbers.
        target: Of the true frames, F numbers.
    """

    pred: list[float]
    target: list[float]


@dataclass(frozen=True)
class Extras:
    """What is measured in addition to a protocol.

    Attributes:
        lpips: Network of LPIPS; None to leave it out.
        fvd: Network of the Frechet video distance; None to leave it out.
        fvd_context: Whether it sees the known frames before the predicted and the true ones.
    """

    lpips: "LPIPSNetwork | None" = None
    fvd: "FVDNetwork | None" = None
    fvd_context: bool = False

    @property
    def keys(self) -> list[str]:
        """Names of the measures that have a value for each frame."""
        return [] if self.lpips is None else [f"lpips.{self.lpips.backbone}.whole"]

    def describe(self) -> dict[str, Any]:
        """Say in plain values what decides the numbers: networks, files and their digests."""
        found: dict[str, Any] = {}
        if self.lpips is not None:
            found["lpips"] = dict(self.lpips.protocol())
        if self.fvd is not None:
            found["fvd"] = {**self.fvd.protocol(), "include_context": self.fvd_context}
        return found

    def measure(self, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Measure clips.

        Args:
            pred: Predicted frames, shape (B, T, C, H, W) in [0, 1].
            target: Ground truth, same shape and range.

        Returns:
            By key, float64 on the CPU, shape (B, T).
        """
        if self.lpips is None:
            return {}
        from vidpred.metrics import lpips  # here: torchvision's networks take seconds

        value = lpips(pred, target, data_range=DATA_RANGE, network=self.lpips)
        return {self.keys[0]: value.detach().cpu().double()}

    def features(self, clips: Sequence[EvaluationClip], pred: Tensor) -> Sequence[Features | None]:
        """Look at clips with the video network; gives None for each when there is no network.

        Raises:
            PredictionError: When the context is to be seen and not known.
        """
        if self.fvd is None:
            return [None] * len(clips)
        target = torch.stack([clip.target for clip in clips]).to(pred.device)
        if self.fvd_context:
            known = [clip.context for clip in clips if clip.context is not None]
            if len(known) < len(clips):
                raise PredictionError(
                    f"clip {clips[0].name!r}: no past frames; expected them, as FVD is to include "
                    "the context"
                )
            context = torch.stack(known).to(pred.device)
            pred, target = (torch.cat((context, frames), dim=1) for frames in (pred, target))
        seen = [self.fvd(frames).cpu().tolist() for frames in (pred, target)]
        return [{"pred": p, "target": t} for p, t in zip(*seen, strict=True)]


def video_distance(features: Sequence[Features]) -> float | None:
    """Give the Frechet video distance of clips; None for fewer than two, which have no spread.

    Args:
        features: Of each clip, in an order that does not depend on when it was scored.
    """
    if len(features) < 2:
        return None
    sides = [
        torch.tensor([clip["pred"] for clip in features], dtype=torch.float64),
        torch.tensor([clip["target"] for clip in features], dtype=torch.float64),
    ]
    moments = [(side.mean(dim=0), torch.cov(side.T).reshape(side.shape[1], -1)) for side in sides]
    return float(frechet_distance(*moments[0], *moments[1]))
