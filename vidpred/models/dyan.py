"""Linear dynamics of optical flow after DYAN (Liu, Sharma, Camps and Sznaier, ECCV 2018)."""

import math
from typing import Any, Literal, NamedTuple, Self, get_args

import torch
import torch.nn.functional as F
from jsonargparse.typing import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from vidpred.flow import DISFlow, FlowEstimator, described_estimator
from vidpred.models.predictor import Condition, Predictor
from vidpred.ops.checks import require_positive, require_preset, require_weight
from vidpred.ops.warp import warp

RADIUS = (0.75, 1.15)
"""Smallest and largest initial r: what a pole does to a motion within one frame; released code."""

ANGLE = (0.001, math.pi / 2 - 0.001)
"""Smallest and largest initial theta, in radians a frame; released code."""

SPARSITY = 0.1
"""Weight of the L1 norm of a code, for flows in pixels on UCF101; released code."""

TOGETHER = 4096
"""Histories whose codes are found at once: what fits into a processor's cache."""


class _Settings(NamedTuple):
    poles: int
    iterations: int
    follow: bool


DYANPreset = Literal["faithful", "cpu"]

DYAN_PRESETS: dict[DYANPreset, _Settings] = {
    "faithful": _Settings(poles=40, iterations=100, follow=False),
    "cpu": _Settings(poles=4, iterations=50, follow=True),
}


class DYAN(Predictor):
    """Continues the optical flow of the known frames by learned linear dynamics.

    The past flow of a pixel, dx and dy on their own, is a signal of `context_frames - 1` numbers.
    It is written as a sparse sum of signals that linear dynamics produce, `r^i cos(i theta)` and
    `r^i sin(i theta)` at time i with r and -r, and the constant 1. The same sum, read at later
    times, is the flow to come, and the last known frame is sampled along it. The poles r and theta
    are all that is learned.

    Source: Liu et al. 2018: dictionary, FISTA (Beck and Teboulle 2009) and settings of the authors'
    release. Deviations: DIS flows for PyFlow's. Columns keep the norm of their known part when the
    future is read (the release normalizes the longer columns again, by which a constant flow of 1
    would be continued by 0.87). Initial poles lie evenly in the ring where the release draws them.
    Poles learn through one step of the iteration at the code that was found, and by the error of
    the predicted frame instead of that of the flow. Several frames are predicted directly, from
    the code of the known ones.

    Args:
        estimator: Of the flow; `DISFlow()` when None.
        context_frames: At least 3; the authors take 4 on UCF101.
        poles: Pairs of r and theta.
        sparsity: Weight of the L1 norm of the codes; 0 is least squares. A constant flow of c
            pixels is continued by about c less `sparsity / sqrt(context_frames - 1)`.
        iterations: Of FISTA; the release stops earlier where codes hardly change.
        follow: Take the past flow along the path of each pixel, and let the predicted flow move
            with the pixel, as `OpticalFlowExtrapolation` does; false, as published, reads both at
            the same place of every frame.

    Raises:
        ValueError: For fewer than 3 context frames, a count below 1 or a negative weight; when
            called, for frames that the estimator cannot take.
        VidpredError: When the estimator's library is not installed.

    Example:
        >>> import torch
        >>> DYAN.from_preset("cpu")(torch.rand(1, 4, 3, 48, 64), horizon=2).shape
        torch.Size([1, 2, 3, 48, 64])
    """

    def __init__(
        self,
        estimator: FlowEstimator | None = None,
        *,
        context_frames: PositiveInt = 4,
        poles: PositiveInt = 40,
        sparsity: NonNegativeFloat = SPARSITY,
        iterations: PositiveInt = 100,
        follow: bool = False,
    ) -> None:
        if context_frames < 3:
            raise ValueError(
                f"context_frames is {context_frames}; expected at least 3, whose two flows show a "
                "dynamic"
            )
        require_positive("poles", poles)
        require_positive("iterations", iterations)
        require_weight("sparsity", sparsity)
        super().__init__(context_frames=context_frames)
        self.estimator = DISFlow() if estimator is None else estimator
        self.sparsity = float(sparsity)
        self.iterations = int(iterations)
        self.follow = bool(follow)
        radius, angle = _ring(int(poles))
        self.radius = nn.Parameter(radius)
        self.angle = nn.Parameter(angle)

    @classmethod
    def from_preset(
        cls,
        name: DYANPreset,
        estimator: FlowEstimator | None = None,
        context_frames: PositiveInt = 4,
    ) -> "DYAN":
        """Build the published dictionary, or a smaller one that follows each pixel's path.

        Args:
            name: `faithful` (40 poles, 80 parameters) or `cpu` (4 poles, 8 parameters).
            estimator: Of the flow; `DISFlow()` when None.
            context_frames: At least 3.

        Raises:
            ValueError: When no preset has this name.
        """
        require_preset(name, get_args(DYANPreset))
        return cls(estimator, context_frames=context_frames, **DYAN_PRESETS[name]._asdict())

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict the next frame; see `Predictor.step`."""
        return self.rollout(context, 1)

    def rollout(
        self, window: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Tensor:
        """Predict every frame directly from the known ones; see `Predictor.rollout`."""
        last = window[:, -1].float()
        flows = self.continue_flows(self.past_flows(window), horizon)
        path = torch.zeros_like(flows[:, 0])
        pred: list[Tensor] = []
        if self.follow:
            for k in range(horizon):
                # `path` on the grid of the last frame: how far each of its pixels has come.
                path = path + flows[:, k]
                pred.append(warp(last, _carried(path, steps=k + 1)))
        else:
            for flow in flows.unbind(1):
                path = flow + warp(path, flow)
                pred.append(warp(last, path))
        return torch.stack(pred, dim=1).clamp(0, 1).to(window.dtype)

    @torch.no_grad()
    def past_flows(self, window: Tensor) -> Tensor:
        """Estimate the known flows, each from a frame back to the one before.

        Args:
            window: Shape (B, context_frames, C, H, W) in [0, 1].

        Returns:
            Shape (B, context_frames - 1, 2, H, W), pixels per frame, dx then dy, oldest first.
            With `follow`, all on the grid of the last frame, each along the path of its pixel.
        """
        later, earlier = window[:, 1:], window[:, :-1]
        flows = self.estimator(later.flatten(0, 1), earlier.flatten(0, 1))
        flows = torch.unflatten(flows, 0, later.shape[:2])
        if not self.follow:
            return flows
        newest_first = list(reversed(flows.unbind(1)))
        followed, path = [newest_first[0]], newest_first[0]
        for flow in newest_first[1:]:
            followed.append(warp(flow, path))
            path = path + followed[-1]
        return torch.stack(followed[::-1], dim=1)

    def continue_flows(self, flows: Tensor, horizon: int) -> Tensor:
        """Continue signals by the dynamics of the dictionary.

        Args:
            flows: Shape (B, context_frames - 1, ...), oldest first.
            horizon: Times to continue, at least 1.

        Returns:
            Shape (B, horizon, ...), differentiable in the poles.
        """
        # Signals are a few numbers long: half precision saves nothing, and iterations add it up.
        with torch.autocast(flows.device.type, enabled=False):
            kind = torch.promote_types(flows.dtype, torch.float32)
            return self._continued(flows.to(kind), horizon)

    def _continued(self, flows: Tensor, horizon: int) -> Tensor:
        known = flows.shape[1]
        signals = flows.transpose(0, 1).flatten(1)
        columns = self.dictionary(known + horizon).to(signals.dtype)
        past, future = columns[:known], columns[known:]
        # The code of all others is 0: no column is worth its price. NaN counts as moving.
        moving = ~((past.detach().T @ signals).abs().amax(0) <= self.sparsity)
        continued = signals.new_zeros(horizon, signals.shape[1])
        continued[:, moving] = future @ self._codes(past, signals[:, moving])
        return continued.view(horizon, len(flows), *flows.shape[2:]).transpose(0, 1)

    def dictionary(self, length: int) -> Tensor:
        """Give the signals of the dictionary as columns, whose known part has norm 1.

        Args:
            length: Times, at least `context_frames - 1`, which is how many are known.

        Returns:
            Shape (length, 1 + 4 * poles).
        """
        kind = torch.promote_types(self.radius.dtype, torch.float32)
        radius, angle = self.radius.to(kind), self.angle.to(kind)
        times = torch.arange(length, device=radius.device, dtype=kind)[:, None]
        decay, cos, sin = radius**times, (times * angle).cos(), (times * angle).sin()
        alternating = decay * (1 - 2 * (times % 2))
        parts = [torch.ones_like(times), decay * cos, alternating * cos]
        columns = torch.cat([*parts, decay * sin, alternating * sin], dim=1)
        norm = columns[: self.context_frames - 1].norm(dim=0)
        normed: Tensor = columns / norm.clamp(min=1e-6)
        return normed

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values, the estimator by its description."""
        return {
            "context_frames": self.context_frames,
            "poles": len(self.radius),
            "sparsity": self.sparsity,
            "iterations": self.iterations,
            "follow": self.follow,
            "estimator": self.estimator.describe(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the predictor whose `config` this is, with fresh poles.

        Raises:
            ValueError: When its estimator was not DIS.
        """
        return cls(**{**config, "estimator": described_estimator(config["estimator"])})

    def _codes(self, past: Tensor, signals: Tensor) -> Tensor:
        """Find the sparse codes (K, N) of signals (T, N)."""
        with torch.no_grad():
            fixed = past.detach()
            # The norm refuses NaN, which passes on to the codes.
            step = 1 / torch.linalg.matrix_norm(fixed.nan_to_num(), 2).square()
            found = torch.cat(
                [
                    fista(fixed, part, self.sparsity, step, self.iterations)
                    for part in torch.split(signals, TOGETHER, dim=1)
                ],
                dim=1,
            )
        if not torch.is_grad_enabled():
            return found
        return _proximal_step(past, signals, found, self.sparsity, step)


def fista(
    columns: Tensor, signals: Tensor, sparsity: float, step: Tensor, iterations: int
) -> Tensor:
    """Minimize `|columns @ code - signal|^2 / 2 + sparsity * |code|_1`.

    Source: Beck and Teboulle 2009 (fast iterative shrinkage-thresholding).

    Args:
        columns: Dictionary, shape (T, K).
        signals: Shape (T, N).
        sparsity: At least 0.
        step: At most 1 over the largest eigenvalue of `columns.T @ columns`.
        iterations: All of them are done, so that no signal depends on the others.

    Returns:
        Codes, shape (K, N).
    """
    code = ahead = signals.new_zeros(columns.shape[1], signals.shape[1])
    momentum = 1.0
    for _ in range(iterations):
        before, code = code, _proximal_step(columns, signals, ahead, sparsity, step)
        change = code - before
        after = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        ahead = code + (momentum - 1) / after * change
        momentum = after
    return code


def _proximal_step(
    columns: Tensor, signals: Tensor, code: Tensor, sparsity: float, step: Tensor
) -> Tensor:
    moved = code - step * (columns.T @ (columns @ code - signals))
    return F.softshrink(moved, float(sparsity * step)) if sparsity else moved


def _carried(path: Tensor, steps: int) -> Tensor:
    """Take paths from the grid where they start to the grid where they end."""
    arrived = path
    for _ in range(steps):
        arrived = warp(path, arrived)
    return arrived


def _ring(poles: int) -> tuple[Tensor, Tensor]:
    """Spread poles evenly over the ring: angles by steps, radii by the golden ratio."""
    place = torch.arange(poles, dtype=torch.float64)
    share = (place * (math.sqrt(5) - 1) / 2 + 0.5) % 1
    # Even in the area: the square of the radius is uniform.
    inner, outer = RADIUS[0] ** 2, RADIUS[1] ** 2
    radius = (inner + (outer - inner) * share).sqrt()
    angle = ANGLE[0] + (ANGLE[1] - ANGLE[0]) * (place + 0.5) / poles
    return radius.float(), angle.float()
