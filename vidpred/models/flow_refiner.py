"""Optical flow carried on and refined: sharp frames whose motion a network corrects."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, Self, cast

import torch
import torch.nn.functional as F
from jsonargparse.typing import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from vidpred.flow import DISFlow, FlowEstimator, described_estimator
from vidpred.models.flow_blend import BLENDED, MOVED, Refinement, blend_images, blend_motions
from vidpred.models.flow_draws import DrawnFuture, draw
from vidpred.models.flow_evidence import (
    FLOW_UNIT,
    HYPOTHESES,
    Evidence,
    carry,
    halve,
    num_cues,
    num_statistics,
    observe,
)
from vidpred.models.flow_modes import FlowModes
from vidpred.models.modulated_unet import ModulatedUNet
from vidpred.models.predictor import Condition, Predictor
from vidpred.ops.checks import require_positive
from vidpred.ops.random import uniform_like
from vidpred.ops.regions import Region, regions
from vidpred.ops.warp import not_finite, warp_region

CHANNELS = 3
"""Of the frames that the network sees; gray ones are shown to it as RGB."""

PRIOR = 6.0
"""Logit that the first hypothesis is ahead of the others before any training."""

REACH = 4.0
"""Pixels by which an output of 1 moves a sample."""

RESIDUAL = 0.1
"""Most that is added to a blended pixel, of full scale."""

Decision = tuple[Tensor | None, DrawnFuture | None]
"""Number of a mode of each clip, shape (B,), and what is decided by chance."""

TILE = 512
"""Height and width, in pixels, above which frames are refined part by part without gradients."""


class FlowRefiner(Predictor):
    """Refines optical-flow extrapolation: a network corrects motions and chooses between them.

    Three motions are carried from the known frames to every future frame: that of the last pair,
    the mean of the last two, and that of the pair before, which is used where the last pair is a
    duplicate. A U-Net at half the size sees the frames, the motions and how wrong the same
    extrapolation would have been one step ago. It corrects each motion, blends the images that they
    sample from the last frame with the last frame as it is and with the older frame (which may show
    what was covered), and adds a small residual. Statistics of the whole clip shift the blend and
    the speeds everywhere: whether a clip moves on or stays on a repeated frame is one decision for
    the whole frame.

    Every future frame is sampled directly from the known ones, so that nothing is blurred twice.
    `forward` blends images, which is closest on average and shows double exposures where motion is
    fast; with `sharp` it blends their motions, and samples the last frame once. `sample` draws
    futures. Without training `forward` is `OpticalFlowExtrapolation`, where no frame is padded.
    Gray frames are predicted as RGB ones whose channels agree.

    Related: Reda et al. 2018 (SDC-Net) also refine the flow of a frozen estimator; Liu et al. 2017
    (Deep Voxel Flow) also blend samples of two frames.

    Args:
        estimator: Of the flow; `DISFlow()` when None.
        context_frames: At least 3; with more of them the cadence of repeated frames shows better.
        widths: Channels of the U-Net, one a level, the first at half the frame's size.
        hidden: Features of the clip-level branch.
        sharp: Whether motions are blended, not images; also an attribute, to be set at any time.
        modes: Likely futures that `sample` takes in turn, once they are fitted
            (`tools/fit_modes.py`, again after the network was trained further); 0 draws by chance
            alone.

    Raises:
        ValueError: For fewer than 3 context frames, no width, or fewer than 0 modes.
        VidpredError: When the estimator's library is not installed.

    Example:
        >>> import torch
        >>> FlowRefiner()(torch.rand(1, 4, 3, 48, 64), horizon=2).shape
        torch.Size([1, 2, 3, 48, 64])
    """

    stochastic = True

    def __init__(
        self,
        estimator: FlowEstimator | None = None,
        *,
        context_frames: PositiveInt = 4,
        widths: Sequence[PositiveInt] = (32, 48, 64, 96),
        hidden: PositiveInt = 64,
        sharp: bool = False,
        modes: NonNegativeInt = 0,
    ) -> None:
        if context_frames < 3:
            raise ValueError(
                f"context_frames is {context_frames}; expected at least 3, which show two motions, "
                "one of them to judge the extrapolation of the other"
            )
        if not widths:
            raise ValueError("widths are empty; expected the channels of at least one level")
        if modes < 0:
            raise ValueError(f"modes is {modes}; expected a number that is at least 0")
        super().__init__(context_frames=context_frames, size_multiple=2 ** len(widths))
        self.estimator = DISFlow() if estimator is None else estimator
        self.widths = tuple(int(width) for width in widths)
        self.hidden = int(hidden)
        self.sharp = bool(sharp)
        seen = 4 * 4 * CHANNELS + num_cues(self.context_frames, CHANNELS) + 2 * HYPOTHESES + 3
        self.network = ModulatedUNet(seen, self.widths, self.hidden)
        self.flow_head = nn.Conv2d(self.widths[0], 3 * (MOVED + 1), 3, padding=1)
        self.pixel_head = nn.Conv2d(self.widths[0], 4 * (BLENDED + CHANNELS), 3, padding=1)
        statistics = num_statistics(self.context_frames)
        self.clip = nn.Sequential(
            nn.Linear(statistics + 2, self.hidden),
            nn.SiLU(),
            nn.Linear(self.hidden, self.hidden),
            nn.SiLU(),
        )
        self.clip_logits = nn.Linear(self.hidden, BLENDED)
        self.clip_speed = nn.Linear(self.hidden, MOVED + 1)
        for head in (self.flow_head, self.pixel_head, self.clip_logits, self.clip_speed):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(cast(Tensor, head.bias))
        self.modes = (
            FlowModes(int(modes), statistics=statistics, features=self.widths[0]) if modes else None
        )
        # On the CPU first: without memory, as `load` builds it, softmax would import torch._dynamo.
        prior = torch.zeros(BLENDED, device="cpu")
        prior[0] = PRIOR
        # What the prior leaves to the others, so that without training nothing is blended.
        rest = -prior.softmax(0)
        rest[0] += 1
        device = torch.get_default_device()
        self.register_buffer("prior", prior.to(device), persistent=False)
        self.prior: Tensor
        self.register_buffer("rest", rest.to(device), persistent=False)
        self.rest: Tensor

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict the next frame; see `Predictor.step`."""
        return self.rollout(context, 1)

    def rollout(
        self, window: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Tensor:
        """Predict every frame directly from the known ones; see `Predictor.rollout`."""
        return torch.stack(list(self.rollout_frames(window, horizon)), dim=1)

    def rollout_frames(
        self, window: Tensor, horizon: int, *, condition: Condition | None = None
    ) -> Iterator[Tensor]:
        """Predict frame by frame; see `Predictor.rollout_frames`."""
        gray = window.shape[2] == 1
        evidence = self.observe(window)
        for k, paths in enumerate(carry(evidence, horizon), start=1):
            frame = self.predict(evidence, paths, k).clamp(0, 1).to(window.dtype)
            yield frame.mean(1, keepdim=True) if gray else frame

    def observe(self, window: Tensor) -> Evidence:
        """Look at the known frames once; see `vidpred.models.flow_evidence.observe`.

        Args:
            window: Shape (B, context_frames, C, H, W) in [0, 1], C 1 or 3.
        """
        if window.shape[2] not in (1, CHANNELS):
            raise ValueError(f"context has {window.shape[2]} channels; expected 1 (gray) or 3")
        return observe(window.expand(-1, -1, CHANNELS, -1, -1), self.estimator)

    def predict(self, evidence: Evidence, paths: Tensor, k: int) -> Tensor:
        """Predict one frame, not clamped, so that gradients reach what lies outside [0, 1].

        Args:
            evidence: Of the known frames.
            paths: Of frame k; see `vidpred.models.flow_evidence.carry`.
            k: Frames ahead, at least 1.

        Returns:
            Shape (B, 3, H, W).
        """
        if torch.is_grad_enabled():
            return self.predict_whole(evidence, paths, k)
        clip = self.clip_features(evidence, k)
        pred = torch.empty_like(evidence.last)
        for part in regions(evidence.last, TILE, multiple=self.size_multiple, margin=self.margin):
            refined = self.refine(evidence, paths, k, clip, part.seen)
            pred[part.kept] = self._picture(evidence, refined, part.seen)[part.inner]
        return pred

    def predict_whole(self, evidence: Evidence, paths: Tensor, k: int) -> Tensor:
        """Do as `predict`, never part by part: no decision depends on the frame's size."""
        whole = Region.of(evidence.last)
        refined = self.refine(evidence, paths, k, self.clip_features(evidence, k), whole)
        return self._picture(evidence, refined, whole)

    def sample(
        self,
        context: Tensor,
        horizon: int,
        *,
        num_samples: int = 1,
        generator: torch.Generator | None = None,
        condition: Condition | None = None,
    ) -> Tensor:
        """Draw single futures: each decides how fast the clip moves, and where it drifts.

        Draws of a network with `modes` take these in random order, so that the first of them differ
        as learned; further ones, and all without modes, decide by chance: a log-normal factor on
        all motion, a drift of what moves, and Gumbel noise on the blend, of the clip and of areas
        of 64 pixels. Blended images show double exposures, and the best of several is closer to the
        truth than with `sharp`. See `vidpred.models.flow_modes`, `vidpred.models.flow_draws` and
        `Predictor.sample`.
        """
        require_positive("num_samples", num_samples)
        window, _ = self._window(context, horizon, condition)
        evidence = self.observe(window)
        decisions = list(self._decisions(evidence, repeat(generator, num_samples)))
        frames = zip(*self._draw(evidence, decisions, horizon, context), strict=True)
        return torch.stack([torch.stack(future, dim=1) for future in frames])

    def futures(
        self,
        context: Tensor,
        horizon: int,
        generators: Iterable[torch.Generator],
        *,
        condition: Condition | None = None,
    ) -> Iterator[Tensor]:
        """Draw futures one by one; the first generator orders the modes. See `sample`."""
        window, _ = self._window(context, horizon, condition)
        evidence = self.observe(window)
        for decision in self._decisions(evidence, generators):
            drawn = self._draw(evidence, [decision], horizon, context)
            yield torch.stack([frame for (frame,) in drawn], dim=1)

    def _decisions(
        self, evidence: Evidence, generators: Iterable[torch.Generator | None]
    ) -> Iterator[Decision]:
        """Give the mode of each clip (B,) and what is decided by chance, for each generator."""
        order: Tensor | None = None
        count = 0 if self.modes is None else self.modes.count
        for number, generator in enumerate(generators):
            if order is None:
                ranks = evidence.statistics.new_empty(len(evidence.statistics), count)
                order = uniform_like(ranks, generator).argsort(dim=1)
            mode = order[:, number % count] if count else None
            yield mode, draw(evidence.last, generator) if number >= count else None

    def _draw(
        self, evidence: Evidence, decisions: Sequence[Decision], horizon: int, context: Tensor
    ) -> Iterator[list[Tensor]]:
        """Give each frame of all decisions, of the channels, size and type of the context."""
        whole = Region.of(evidence.last)
        for k, paths in enumerate(carry(evidence, horizon), start=1):
            refined = self.refine(evidence, paths, k, self.clip_features(evidence, k), whole)
            frames = []
            for mode, chance in decisions:
                one = refined
                if self.modes is not None and mode is not None:
                    likely = self.modes(evidence.statistics, refined.features, mode)
                    one = likely.enlarged().revise(one, k)
                if chance is not None:
                    one = chance.revise(one, k)
                frame = self._picture(evidence, one, whole).clamp(0, 1)
                frames.append(_as_given(frame, context))
            yield frames

    def refine(
        self, evidence: Evidence, paths: Tensor, k: int, clip: Tensor, region: Region
    ) -> Refinement:
        """Run the network on a region of one future frame.

        Args:
            evidence: Of the known frames.
            paths: Of frame k, whole.
            k: Frames ahead.
            clip: Features of the clip-level branch, shape (B, hidden).
            region: Corners are multiples of `size_multiple`.
        """
        with torch.no_grad():
            paths = paths[..., *region.slices]
            to_older = paths[0] + warp_region(evidence.back, paths[0], region)
            seen = self._seen(evidence, paths, to_older, k, region)
        features = self.network(seen.to(clip.dtype), clip)
        batch, height, width = clip.shape[0], *paths.shape[-2:]
        # Planes from here on: whatever follows takes channels one by one.
        moves, pixels = (
            head(features).float().contiguous() for head in (self.flow_head, self.pixel_head)
        )
        moves = F.interpolate(moves, scale_factor=2, mode="bilinear", align_corners=False)
        moves = moves.view(batch, MOVED + 1, 3, height, width)
        everywhere = self.clip_speed(clip).float()[:, :, None, None, None]
        speed = (moves[:, :, 2:] + everywhere).exp()
        pixels = F.pixel_shuffle(pixels, 2)
        starts = torch.stack([*paths, paths[0] / 2, to_older], dim=1)
        return Refinement(
            starts=starts * speed + REACH * moves[:, :, :2],
            logits=pixels[:, :BLENDED]
            + self.clip_logits(clip).float()[:, :, None, None]
            + self.prior[:, None, None],
            residual=RESIDUAL * torch.tanh(pixels[:, BLENDED:]),
            features=features.float(),
        )

    def clip_features(self, evidence: Evidence, k: int) -> Tensor:
        """Run the clip-level branch for frame k, up to its heads; shape (B, hidden)."""
        steps = evidence.statistics.new_tensor([1 / k, k / 8]).expand(
            evidence.statistics.shape[0], 2
        )
        seen = torch.cat([evidence.statistics, steps], dim=1)
        features: Tensor = self.clip(seen.to(self.clip_logits.weight.dtype))
        return features

    @property
    def margin(self) -> int:
        """Pixels around a region on which the network's output there depends, at most."""
        # A 3 x 3 convolution sees 1 pixel of its level to each side, a level has four of them, and
        # enlarging sees 1 pixel of the level below; level i has pixels of 2 ** (i + 1).
        radius: int = sum(6 * 2 ** (i + 1) for i in range(len(self.widths)))
        return -(-radius // self.size_multiple) * self.size_multiple

    @property
    def largest_region(self) -> int:
        """See `Predictor.largest_region`."""
        return TILE + 2 * self.margin

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values, the estimator by its description."""
        return {
            "context_frames": self.context_frames,
            "widths": list(self.widths),
            "hidden": self.hidden,
            **({"sharp": True} if self.sharp else {}),
            **({} if self.modes is None else {"modes": self.modes.count}),
            "estimator": self.estimator.describe(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the predictor whose `config` this is, with fresh weights.

        Raises:
            ValueError: When its estimator was not DIS.
        """
        return cls(**{**config, "estimator": described_estimator(config["estimator"])})

    def _seen(
        self, evidence: Evidence, paths: Tensor, to_older: Tensor, k: int, region: Region
    ) -> Tensor:
        """Collect what the network sees, shape (B, N, H / 2, W / 2)."""
        batch, _, height, width = paths[0].shape
        images = [
            warp_region(evidence.last, paths[0], region),
            warp_region(evidence.older, to_older, region),
            warp_region(evidence.last, paths[2], region),
            evidence.last[..., *region.slices],
        ]
        halved = halve(paths.flatten(0, 1))
        halved = halved.view(HYPOTHESES, batch, 2, height // 2, width // 2)
        spread = (halved - halved[0]).square().sum(2).sqrt().amax(0)[:, None]
        return torch.cat(
            [
                F.pixel_unshuffle(torch.cat(images, dim=1) - 0.5, 2),
                warp_region(evidence.cues, halved[0] / 2, region.halved()),
                *(path / FLOW_UNIT for path in halved),
                spread / FLOW_UNIT,
                torch.full_like(spread, 1 / k),
                torch.full_like(spread, k / 8),
            ],
            dim=1,
        )

    def _picture(self, evidence: Evidence, refined: Refinement, region: Region) -> Tensor:
        weights = refined.logits.softmax(1)
        if self.sharp:
            picture = blend_motions(evidence, refined, weights, region)
        else:
            weights = weights + self.rest[:, None, None]
            picture = blend_images(evidence, refined, weights, region)
        return picture + not_finite(refined.starts.flatten(1, 2))


def _as_given(frames: Tensor, context: Tensor) -> Tensor:
    """Give predicted RGB frames the channels, size and type of the context."""
    height, width = context.shape[-2:]
    if context.shape[2] == 1:
        frames = frames.mean(-3, keepdim=True)
    return frames[..., :height, :width].to(context.dtype)
