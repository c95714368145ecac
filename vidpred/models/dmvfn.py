"""DMVFN (Hu et al., CVPR 2023, arXiv 2303.09875): motion refined block by block, along a route."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jsonargparse.typing import PositiveInt
from torch import Tensor, nn

from vidpred.models.predictor import Condition, Predictor
from vidpred.models.presets import preset_arguments
from vidpred.ops.padding import pad_to_multiple
from vidpred.ops.warp import warp

CHANNELS = 3
"""Of a frame."""

FLOWS = 4
"""Values of two motions, one for each known frame."""

FINE = 8
"""Channels of a block's path at half the frame's size; released code."""

ROUTER = 32
"""Channels of the router; released code."""

ROUNDING = 1e-3
"""By so much a sum of probabilities may be above a whole number and still not count as more."""

DMVFNPreset = Literal["faithful", "cpu"]

DMVFN_PRESETS: dict[DMVFNPreset, dict[str, tuple[int, ...]]] = {
    "faithful": {
        "widths": (160, 160, 160, 80, 80, 80, 44, 44, 44),
        "scales": (4, 4, 4, 2, 2, 2, 1, 1, 1),
    },
    "cpu": {"widths": (96, 64, 48, 32), "scales": (8, 4, 2, 1)},
}
"""`faithful`: the released network. `cpu` is ours."""


@dataclass
class _State:
    """What the blocks refine: motions (B, 4, H, W) in pixels and the logit of the older frame."""

    flow: Tensor
    mask: Tensor

    def images(self, older: Tensor, newer: Tensor) -> tuple[Tensor, Tensor]:
        return warp(older, self.flow[:, :2]), warp(newer, self.flow[:, 2:])

    def blend(self, images: tuple[Tensor, Tensor]) -> Tensor:
        weight = self.mask.sigmoid()
        return (weight * images[0] + (1 - weight) * images[1]).clamp(0, 1)


class DMVFN(Predictor):
    """Refines the motion of the last two frames by blocks, of which a router chooses some.

    Each block sees both frames, both as they are moved so far, the motions and the blend, at one of
    several scales, and adds to a motion of each frame and to the logit of the blend. A router gives
    each block a probability, of which half of the blocks are run on average. Several frames are
    predicted by feeding predictions back. Before any training it predicts about the mean of the
    last two frames, which is worse than their copy.

    Source: Hu et al. 2023 and the authors' release, whose outputs these are for the same weights
    and route. Deviations: the release draws the route at test too, looks at the first clip of a
    batch alone, and gives the older known frame where no block was drawn. Here the route of a
    prediction is certain: each clip runs its most probable blocks, as many as are drawn for it on
    average, rounded up. `stages`, for training, draws as the release does. The release
    also trains by a VGG19 term of weight 0.5, which `DeepSupervisionTask` has not.

    Args:
        widths: Channels of each block, at least 4.
        scales: How many times each block sees frames reduced, powers of 2, as many.

    Raises:
        ValueError: For no block, another number of scales, or a scale that is no power of 2.

    Example:
        >>> import torch
        >>> network = DMVFN.from_preset("cpu").eval()
        >>> network(torch.rand(1, 2, 3, 32, 48), horizon=2).shape
        torch.Size([1, 2, 3, 32, 48])
    """

    def __init__(
        self,
        widths: Sequence[PositiveInt] = DMVFN_PRESETS["faithful"]["widths"],
        scales: Sequence[PositiveInt] = DMVFN_PRESETS["faithful"]["scales"],
    ) -> None:
        if not widths or len(widths) != len(scales):
            raise ValueError(
                f"{len(widths)} widths for {len(scales)} scales; expected as many of both, one a "
                "block"
            )
        if any(scale < 1 or scale & (scale - 1) for scale in scales):
            raise ValueError(f"scales are {list(scales)}; expected powers of 2")
        if min(widths) < 4:
            raise ValueError(f"widths are {list(widths)}; expected at least 4 channels each")
        # A block's coarse path halves the reduced frame twice.
        super().__init__(context_frames=2, size_multiple=4 * max(scales), channels=CHANNELS)
        self.widths = tuple(int(width) for width in widths)
        self.scales = tuple(int(scale) for scale in scales)
        self.blocks = nn.ModuleList(
            _Block(width, scale) for width, scale in zip(self.widths, self.scales, strict=True)
        )
        self.router = nn.Sequential(
            nn.Conv2d(2 * CHANNELS, ROUTER, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(ROUTER, ROUTER, 3, padding=1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(ROUTER, len(self.widths)),
        )

    @classmethod
    def from_preset(cls, name: DMVFNPreset) -> "DMVFN":
        """Build the released network, or one of four narrow blocks.

        Args:
            name: `faithful` (3,559,930 parameters) or `cpu` (608,088).

        Raises:
            ValueError: When no preset has this name.
        """
        return cls(**preset_arguments(DMVFN_PRESETS, name))

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict the next frame by the most probable blocks; see `Predictor.step`."""
        probabilities = self.probabilities(context)
        # As many as training draws on average, rounded up; the sum is slightly below N / 2.
        count = (probabilities.sum(1, keepdim=True) - ROUNDING).ceil().clamp(min=1)
        place = probabilities.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        chosen = place < count
        if torch.is_grad_enabled():
            return self._refined(context, _straight_through(chosen, probabilities))[-1]
        # No block is chosen where probabilities are NaN: still frames would hide that.
        not_finite = (0 * probabilities).sum(1).to(context.dtype)
        return self.along(context, chosen) + not_finite[:, None, None, None, None]

    def stages(self, context: Tensor) -> list[Tensor]:
        """Predict after every block, along a route that is drawn; see `Refining.stages`.

        All blocks are run. The prediction of each but the last is that with the block itself,
        whether or not the route has it; the last is that of the route alone. The gradient passes
        the draw straight through.
        """
        height, width = context.shape[-2:]
        window = pad_to_multiple(context, self.size_multiple)
        probabilities = self.probabilities(window)
        # NaN cannot be drawn by; it reaches the predictions through the gradient's way.
        drawn = torch.bernoulli(probabilities.detach().nan_to_num())
        preds = self._refined(window, _straight_through(drawn, probabilities))
        return [pred[..., :height, :width] for pred in preds]

    def probabilities(self, context: Tensor) -> Tensor:
        """Give the probability of each block, shape (B, N), whose sum is at most N / 2."""
        shares: Tensor = self.router(context.flatten(1, 2)).float().sigmoid()
        # Released code: 4.5 of 9 blocks.
        return (shares / (shares.sum(1, keepdim=True) + 1e-6) * shares.shape[1] / 2).clamp(0, 1)

    @torch.no_grad()
    def along(self, context: Tensor, chosen: Tensor) -> Tensor:
        """Predict the next frame along a route, computing the chosen blocks alone.

        Args:
            context: Shape (B, 2, 3, H, W) in [0, 1], H and W multiples of `size_multiple`.
            chosen: Which clip runs which block, boolean, shape (B, N).

        Returns:
            Shape (B, 1, 3, H, W).
        """
        older, newer = context.float().unbind(1)
        state = _still(context)
        images = older, newer
        for block, runs in zip(self.blocks, chosen.unbind(1), strict=True):
            clips = runs.nonzero()[:, 0]
            if not len(clips):
                continue
            seen = torch.cat([older, newer, *images, state.mask], dim=1)[clips]
            flow, mask = block(seen, state.flow[clips])
            state = _State(
                state.flow.index_add(0, clips, flow), state.mask.index_add(0, clips, mask)
            )
            images = state.images(older, newer)
        return state.blend(images).to(context.dtype)[:, None]

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values."""
        return {"widths": list(self.widths), "scales": list(self.scales)}

    def _refined(self, context: Tensor, gates: Tensor) -> list[Tensor]:
        """Predict after every block; see `stages`.

        Args:
            context: Shape (B, 2, 3, H, W).
            gates: 1 where a clip runs a block, else 0, shape (B, N).
        """
        older, newer = context.float().unbind(1)
        state = _still(context)
        images = older, newer
        preds: list[Tensor] = []
        for block, gate in zip(self.blocks, gates[..., None, None, None].unbind(1), strict=True):
            seen = torch.cat([older, newer, *images, state.mask], dim=1)
            flow, mask = block(seen, state.flow)
            here = _State(state.flow + flow, state.mask + mask)
            state = _State(state.flow + gate * flow, state.mask + gate * mask)
            images = state.images(older, newer)
            last = len(preds) == len(self.blocks) - 1
            pred = state.blend(images) if last else here.blend(here.images(older, newer))
            preds.append(pred.to(context.dtype)[:, None])
        return preds


class _Block(nn.Module):
    """Corrects motions and blend: a coarse path at a scale, a fine one at half the frame's size."""

    def __init__(self, width: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        seen = 4 * CHANNELS + 1 + FLOWS
        self.coarse = nn.Sequential(
            _convolution(seen, width // 2, stride=2), _convolution(width // 2, width, stride=2)
        )
        self.residual = nn.Sequential(*(_convolution(width, width) for _ in range(3)))
        self.narrow = _convolution(width, width // 4)
        self.fine = nn.Sequential(_convolution(seen, FINE, stride=2), _convolution(FINE, FINE))
        self.head = nn.ConvTranspose2d(width // 4 + FINE, FLOWS + 1, 4, stride=2, padding=1)

    def forward(self, seen: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """Give corrections (B, 4, H, W) and (B, 1, H, W) from (B, 13, H, W) and (B, 4, H, W)."""
        # A motion is shorter in larger pixels.
        units = seen.new_tensor([1.0] * seen.shape[1] + [1 / self.scale] * FLOWS)[:, None, None]
        kind = self.head.weight.dtype
        everything, units = torch.cat([seen, flow], dim=1).to(kind), units.to(kind)
        reduced, fine = everything, self.fine(everything)
        if self.scale > 1:
            size = [side // self.scale for side in everything.shape[-2:]]
            reduced = F.interpolate(everything, size, mode="bilinear", align_corners=False)
        maps = self.coarse(reduced * units)
        maps = self.narrow(self.residual(maps) + maps)
        maps = F.interpolate(maps, fine.shape[-2:], mode="bilinear", align_corners=False)
        # Half precision has too few digits for a position.
        out = self.head(torch.cat([maps, fine], dim=1)).float()
        return out[:, :FLOWS], out[:, FLOWS:]


def _convolution(before: int, after: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, padding=1), nn.PReLU(after))


def _still(context: Tensor) -> _State:
    batch, _, _, height, width = context.shape
    zeros = torch.zeros(batch, FLOWS + 1, height, width, device=context.device)
    return _State(zeros[:, :FLOWS], zeros[:, FLOWS:])


def _straight_through(gates: Tensor, probabilities: Tensor) -> Tensor:
    """Give the gates, with the gradient of the probabilities."""
    return gates.to(probabilities) + (probabilities - probabilities.detach())
