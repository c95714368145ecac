"""Optical flow carried on and refined: frames that are sampled from the known ones."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, Self

import torch
from jsonargparse.typing import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from vidpred.flow import DISFlow, FlowEstimator, described_estimator
from vidpred.models.flow_blend import (
    BLENDED,
    COHERENT,
    MOVED,
    Refinement,
    blend_images,
    blend_motions,
)
from vidpred.models.flow_draws import DrawnFuture, draw
from vidpred.models.flow_evidence import (
    Evidence,
    carry,
    num_cues,
    num_statistics,
    observe,
)
from vidpred.models.flow_modes import FlowModes
from vidpred.models.flow_network import CHANNELS, FlowNetwork
from vidpred.models.predictor import Condition, Predictor
from vidpred.ops.checks import require_positive
from vidpred.ops.random import uniform_like
from vidpred.ops.regions import Region, regions
from vidpred.ops.warp import not_finite, warp_region

PRIOR = 6.0
"""Logit that the first hypothesis is ahead of the others before any training."""

Decision = tuple[Tensor | None, DrawnFuture | None]
"""Number of a mode of each clip, shape (B,), and what is decided by chance."""

TILE = 512
"""Height and width, in pixels, above which frames are refined part by part without gradients."""


class FlowRefiner(Predictor):
    """Refines optical-flow extrapolation: chooses between motions, once for the whole clip.

    Motions are carried from the known frames to every future frame: that of the last pair, the mean
    of the last two, that of the pair before, which is used where the last pair is a duplicate, and
    a smoothed mean. The last frame is sampled along each of them, slower, faster and back, and
    blended with itself as it is and with the older frame. Statistics of the whole clip, among them
    how wrong such motions would have been one step ago, decide the blend and the speeds: whether a
    clip moves on or stays on a repeated frame is one decision for the whole frame.

    With `widths` a U-Net at half the size decides pixel by pixel in addition: it sees the frames,
    the motions and their errors, corrects motions, shifts the blend (the older frame may show what
    was covered), and adds a small residual.

    Every future frame is sampled directly from the known ones, so that nothing is blurred twice.
    `forward` blends images, which is closest on average and shows double exposures where motion is
    fast; with `sharp` it blends their motions, smooths them a little so that no edge is torn, and
    samples the last frame once. `sample` draws futures. Without training `forward` is
    `OpticalFlowExtrapolation`, where no frame is padded; with `sharp` it is that away from edges.
    Gray frames are predicted as RGB ones whose channels agree.

    Related: Reda et al. 2018 (SDC-Net) also refine the flow of a frozen estimator; Liu et al. 2017
    (Deep Voxel Flow) also blend samples of two frames.

    Args:
        estimator: Of the flow; `DISFlow()` when None.
        context_frames: At least 3; with more of them the cadence of repeated frames shows better.
        widths: Channels of the U-Net, one a level, the first at half the frame's size; without any
            there is none.
        hidden: Features of the clip-level branch.
        sharp: Whether motions are blended, not images; also an attribute, to be set at any time.
        modes: Likely futures that `sample` takes in turn, once they are fitted
            (`tools/fit_modes.py`, again after the network was trained further); 0 draws by chance
            alone.

    Raises:
        ValueError: For fewer than 3 context frames, or fewer than 0 modes.
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
        widths: Sequence[PositiveInt] = (),
        hidden: PositiveInt = 256,
        sharp: bool = False,
        modes: NonNegativeInt = 0,
    ) -> None:
        if context_frames < 3:
            raise ValueError(
                f"context_frames is {context_frames}; expected at least 3, which show two motions, "
                "one of them to judge the extrapolation of the other"
            )
        if modes < 0:
            raise ValueError(f"modes is {modes}; expected a number that is at least 0")
        # Cues are at half the size, with a network and without.
        super().__init__(context_frames=context_frames, size_multiple=2 ** max(1, len(widths)))
        self.estimator = DISFlow() if estimator is None else estimator
        self.widths = tuple(int(width) for width in widths)
        self.hidden = int(hidden)
        self.sharp = bool(sharp)
        self.network: FlowNetwork | None = None
        if self.widths:
            self.network = FlowNetwork(
                self.widths, context_frames=self.context_frames, clip_features=self.hidden
            )
        statistics = num_statistics(self.context_frames)
        self.clip = nn.Sequential(
            nn.Linear(statistics + 2, self.hidden),
            nn.SiLU(),
            nn.Linear(self.hidden, self.hidden),
            nn.SiLU(),
        )
        self.clip_logits = nn.Linear(self.hidden, BLENDED)
        self.clip_speed = nn.Linear(self.hidden, MOVED + 1)
        for head in (self.clip_logits, self.clip_speed):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        self.modes: FlowModes | None = None
        if modes:
            features = self.widths[0] if self.widths else num_cues(self.context_frames, CHANNELS)
            self.modes = FlowModes(int(modes), statistics=statistics, features=features)
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
            own = paths[..., *region.slices]
            to_older = own[0] + warp_region(evidence.back, own[0], region)
        starts = torch.stack([*own, own[0] / 2, to_older], dim=1)
        log_speed = self.clip_speed(clip).float()[:, :, None, None, None]
        logits = self.clip_logits(clip).float()[:, :, None, None] + self.prior[:, None, None]
        if self.network is None:
            return Refinement(
                starts=starts * log_speed.exp(),
                logits=logits,
                residual=starts.new_zeros(starts.shape[0], CHANNELS, 1, 1),
                features=evidence.cues[..., *region.halved().slices],
            )
        pixels = self.network(evidence, own, k, clip, region)
        return Refinement(
            starts=starts * (log_speed + pixels.log_speed).exp() + pixels.shifts,
            logits=logits + pixels.logits,
            residual=pixels.residual,
            features=pixels.features,
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
        """Pixels around a region on which what is predicted there depends, at most."""
        radius = 0 if self.network is None else self.network.radius
        radius += COHERENT // 2 if self.sharp else 0
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
