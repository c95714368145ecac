"""Frechet video distance: how far predicted clips are from true ones as a crowd."""

from pathlib import Path

import torch
from jsonargparse.typing import PositiveInt
from torch import Tensor
from torchmetrics import Metric

from vidpred.metrics.frechet import frechet_distance
from vidpred.metrics.fvd_network import FVDNetwork, FVDNetworkProtocol, NetworkInput
from vidpred.metrics.inputs import checked_frames, require_data_range, require_range
from vidpred.ops.checks import require_frames, require_positive


class FVDProtocol(FVDNetworkProtocol):
    """What a Frechet video distance depends on, apart from the clips.

    Attributes:
        clips: Number of predicted clips, and of true ones.
        clip_frames: Frames that the network saw of each, context included.
        include_context: Whether the known frames come before the predicted and the true ones.
        context_frames: How many of them; 0 when they are left out.
    """

    clips: int
    clip_frames: int
    include_context: bool
    context_frames: int


class FVD(Metric):
    """Frechet distance between the features of predicted and of true clips; lower is better.

    Source: Unterthiner et al. 2018. Two Gaussians are fitted to the features that a video network
    gives, one to predicted clips and one to true ones, with covariances over n - 1; the value is
    their `frechet_distance`. It depends on the number of clips (few clips read high, above all
    fewer than features), on their length, on the context and on the network: never show it without
    `protocol()`. Memory is constant, two sums a side, and several processes add theirs.

    Args:
        network: TorchScript file of a video network; `FVDNetwork` says what it has to take and
            give.
        data_range: Full scale of the frames, such as 1 for [0, 1].
        include_context: Whether the known frames are part of each clip, before the predicted and
            before the true ones. There is no default, since both are in use and do not compare.
        network_input: How the network is called; see `FVDNetwork`.
        features: F; None takes it from the first clips. Give it when one of several processes may
            see no clip.

    Raises:
        CheckpointError: When the file is missing or no TorchScript.
        ValueError: For an unknown `network_input`, a `data_range` or `features` not above 0.

    Attributes:
        network: The loaded network; no gradient reaches it.
        count: Clips, int64, scalar.
        frames: Sums over clips of the frames in a clip and of those that are context, int64, (2,).
        sums: Sum of features, float64, shape (2, F): predicted, true.
        products: Sum of outer products of features, float64, shape (2, F, F).
    """

    is_differentiable = False
    higher_is_better = False
    # `forward` then uses `update` alone; else it would add an empty state to that of a batch.
    full_state_update = True

    count: Tensor
    frames: Tensor
    sums: Tensor
    products: Tensor

    def __init__(
        self,
        network: str | Path,
        *,
        data_range: float,
        include_context: bool,
        network_input: NetworkInput = "i3d",
        features: PositiveInt | None = None,
    ) -> None:
        require_data_range(data_range)
        if features is not None:
            require_positive("features", features)
        super().__init__()
        self.data_range = data_range
        self.include_context = include_context
        self.network = FVDNetwork(network, network_input=network_input)
        self.features = features
        f = features or 0
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("frames", torch.zeros(2, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("sums", torch.zeros(2, f, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("products", torch.zeros(2, f, f, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, pred: Tensor, target: Tensor, context: Tensor | None = None) -> None:
        """Add clips.

        Args:
            pred: Predicted frames, shape (B, T, C, H, W), values in [0, data_range].
            target: Ground truth, same shape and range.
            context: Known frames before them, shape (B, Tc, C, H, W), same range. Needed with
                `include_context`, not looked at without.

        Raises:
            ValueError: When the context is missing or does not belong to the frames, the clips are
                not as long as those before, the network cannot take them, its features are not
                finite, or for input that cannot be scored; see
                `vidpred.metrics.inputs.checked_frames`.
        """
        pred, target = checked_frames(
            pred, target, data_range=self.data_range, mask=None, minimum=1
        )
        known = 0
        if self.include_context:
            context = self._checked_context(context, pred)
            known = context.shape[1]
            pred, target = (torch.cat((context, frames), dim=1) for frames in (pred, target))
        length = torch.tensor([pred.shape[1], known], device=self.frames.device)
        if self.count and not torch.equal(self.frames, self.count * length):
            before, context_before = (self.frames // self.count).tolist()
            raise ValueError(
                f"clips have {pred.shape[1]} frames, {known} of them context; expected {before} "
                f"and {context_before} as in the clips before: clips of different lengths do not "
                "compare"
            )
        pair = torch.stack([self.network(frames / self.data_range) for frames in (pred, target)])
        pair = pair.to(self.sums.device).double()  # Apple's GPU has no float64
        if self.features is None and not self.sums.numel():
            f = pair.shape[2]
            self.sums, self.products = pair.new_zeros(2, f), pair.new_zeros(2, f, f)
        if pair.shape[2] != self.sums.shape[1]:
            raise ValueError(
                f"{self.network.file.name} gives {pair.shape[2]} features; "
                f"expected {self.sums.shape[1]}, as set or as before"
            )
        self.count += len(pred)
        self.frames += len(pred) * length
        self.sums += pair.sum(dim=1)
        self.products += pair.mT @ pair

    def compute(self) -> Tensor:
        """Give the distance between all predicted and all true clips; see `protocol`.

        Returns:
            Scalar, float64, at least 0.

        Raises:
            ValueError: For fewer than two clips, which have no covariance.
        """
        if self.count < 2:
            raise ValueError(
                f"{self.count.item()} clip(s); expected at least 2, and far more than features"
            )
        mean = self.sums / self.count
        spread = self.products - self.count * mean[:, :, None] * mean[:, None, :]
        covariance = spread / (self.count - 1)
        return frechet_distance(mean[0], covariance[0], mean[1], covariance[1])

    def protocol(self) -> FVDProtocol:
        """Say what the value depends on, over all processes."""
        with self.sync_context(dist_sync_fn=self.dist_sync_fn):
            clips = int(self.count)
            clip_frames, context_frames = (self.frames // max(clips, 1)).tolist()
        return {
            "clips": clips,
            "clip_frames": clip_frames,
            "include_context": self.include_context,
            "context_frames": context_frames,
            **self.network.protocol(),
        }

    def _checked_context(self, context: Tensor | None, pred: Tensor) -> Tensor:
        if context is None:
            raise ValueError("context is None; expected the known frames, as include_context is on")
        require_frames("context", context)
        b, t, *frame = context.shape
        if t == 0 or b != pred.shape[0] or frame != list(pred.shape[2:]):
            raise ValueError(
                f"context has shape {tuple(context.shape)}; expected frames before those of shape "
                f"{tuple(pred.shape)}: equal but for T"
            )
        context = context.to(pred.dtype)
        require_range("context", context, self.data_range)
        return context
