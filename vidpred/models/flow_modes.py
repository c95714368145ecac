"""Likely futures of one clip, which `vidpred.models.FlowRefiner` has learned."""

from typing import cast

import torch
from torch import Tensor, nn

from vidpred.models.flow_blend import BLENDED
from vidpred.models.flow_draws import DrawnFuture

OF_CLIP = BLENDED + 4
"""Numbers of one mode for a whole clip: logits, speed, a drift in x and in y, speed in x to y."""

OF_AREA = BLENDED + 3
"""Numbers of one mode for each pixel: logits, speed, a drift in x and in y."""


class FlowModes(nn.Module):
    """Gives each of several modes what it decides, for the whole clip and pixel by pixel.

    The modes are fitted together, each clip by the mode that is closest to what happened (winner
    takes all), so that between them they cover what may happen: `tools/fit_modes.py`.

    Related: Guzman-Rivera et al. 2012 (multiple choice learning), Rupprecht et al. 2017
    (arXiv 1612.00197: several hypotheses of one network).

    Args:
        count: How many there are, at least 1.
        statistics: Numbers that describe a clip, see `vidpred.models.flow_evidence.Evidence`.
        features: Channels of `Refinement.features`.
        hidden: Units of both hidden layers.
    """

    def __init__(self, count: int, *, statistics: int, features: int, hidden: int = 128) -> None:
        super().__init__()
        self.count = count
        self.clip = nn.Sequential(
            nn.Linear(statistics, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, count * OF_CLIP),
        )
        self.areas = nn.Linear(features, count * OF_AREA)
        for head in (cast(nn.Linear, self.clip[-1]), self.areas):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        # Nothing that a training of the mean computes reaches them.
        self.requires_grad_(False)

    def forward(self, statistics: Tensor, features: Tensor, chosen: Tensor) -> DrawnFuture:
        """Say what one mode of each clip decides; without training, that nothing differs.

        Args:
            statistics: Shape (B, M).
            features: Shape (B, F, H, W): at half the frame's size, or, in training, of points.
            chosen: Number of the mode of each clip, shape (B,).

        Returns:
            Decisions of shape (B, ..., H, W); see `DrawnFuture.enlarged`.
        """
        kind = self.areas.weight.dtype
        statistics, features = statistics.to(kind), features.to(kind)
        rows = torch.arange(len(chosen), device=chosen.device)
        clip = torch.unflatten(self.clip(statistics), 1, (self.count, OF_CLIP))[rows, chosen]
        weight = torch.unflatten(self.areas.weight, 0, (self.count, OF_AREA))[chosen]
        bias = torch.unflatten(self.areas.bias, 0, (self.count, OF_AREA))[chosen]
        areas = torch.einsum("bnf,bfhw->bnhw", weight, features) + bias[:, :, None, None]
        logits, speed, drift, aspect = torch.split(
            clip[:, :, None, None], [BLENDED, 1, 2, 1], dim=1
        )
        own_logits, own_speed, own_drift = torch.split(areas, [BLENDED, 1, 2], dim=1)
        return DrawnFuture(
            logits=logits + own_logits,
            log_speed=torch.cat([speed + aspect, speed - aspect], dim=1) + own_speed,
            drift=drift + own_drift,
        )
