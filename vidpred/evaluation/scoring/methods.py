"""What is scored: predictors, and predictions that other programs wrote."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from vidpred.batch import TRUE_FRAMES
from vidpred.errors import PredictionError
from vidpred.evaluation.clips import EvaluationClip
from vidpred.evaluation.fingerprints import fingerprint_of
from vidpred.evaluation.protocol import ClipCut, Protocol
from vidpred.evaluation.results.result import Method
from vidpred.evaluation.scoring.scored_method import ScoredMethod
from vidpred.evaluation.sources.clip_folder import ClipFolder
from vidpred.evaluation.sources.frame_files import size_in_words
from vidpred.kernels import describe
from vidpred.models import BASELINES, Likelihood, Predictor, baseline
from vidpred.plain import counted
from vidpred.seen_videos import SeenVideos


class PredictorMethod(ScoredMethod):
    """A predictor.

    Args:
        predictor: In evaluation mode, on the device where it is to run.
        description: What it is.
        device: Where its input goes.
        seen_videos: See `ScoredMethod`.
    """

    def __init__(
        self,
        predictor: Predictor,
        description: Method,
        device: torch.device,
        *,
        seen_videos: SeenVideos | None = None,
    ) -> None:
        self.seen_videos = seen_videos
        self.predictor = predictor
        self.description = description
        self.device = device

    def require(self, protocol: Protocol) -> None:
        """Refuse a protocol of other channels or sizes; see `ScoredMethod.require`."""
        super().require(protocol)
        color, wanted = protocol.frames.color, self.predictor.channels
        found = 1 if color == "gray" else 3
        if wanted not in (None, found):
            raise PredictionError(
                f"{self.description['name']}: it takes frames of {counted(wanted, 'channel')}, and "
                f"protocol {protocol.name} gives {found} (frames.color: {color}); expected the "
                f"same: use a protocol with frames.color: {'gray' if wanted == 1 else 'rgb'}"
            )
        side, frames = self.predictor.image_size, protocol.frames
        if side and (frames.height, frames.width) not in ((None, None), (side, side)):
            raise PredictionError(
                f"{self.description['name']}: it takes frames of {side} x {side} alone, and "
                f"protocol {protocol.name} gives {frames.height} x {frames.width}; expected a "
                f"protocol with frames: {{height: {side}, width: {side}}}"
            )

    @property
    def stochastic(self) -> bool:
        """See `ScoredMethod.stochastic`."""
        return self.predictor.stochastic

    @property
    def has_likelihood(self) -> bool:
        """See `ScoredMethod.has_likelihood`."""
        return isinstance(self.predictor, Likelihood)

    @torch.inference_mode()
    def predict(self, clips: Sequence[EvaluationClip], cut: ClipCut) -> Tensor:
        """Predict from the context; see `ScoredMethod.predict`."""
        predicted = [
            self.predictor(context, horizon, **condition)
            for context, horizon, condition in self._windows(clips, cut)
        ]
        return self._finite(torch.cat(predicted, dim=1), clips)

    def futures(self, clips: Sequence[EvaluationClip], protocol: Protocol) -> Iterator[Tensor]:
        """Draw futures, each from a generator of its own; see `ScoredMethod.futures`.

        Clips are drawn one by one, so that a future does not depend on its batch.
        """
        samples = protocol.samples
        if samples is None or not self.stochastic:
            yield self.predict(clips, protocol.clips)[None]
            return
        drawn = [
            self._draw(
                clip,
                protocol.clips,
                [samples.generator(clip.name, index) for index in range(samples.count)],
            )
            for clip in clips
        ]
        for futures in zip(*drawn, strict=True):
            yield self._finite(torch.cat(futures), clips)[None]

    @torch.inference_mode()
    def log_prob(self, clips: Sequence[EvaluationClip], cut: ClipCut) -> Tensor | None:
        """Ask the predictor for the likelihood of the targets; see `ScoredMethod.log_prob`."""
        predictor = self.predictor
        if not isinstance(predictor, Likelihood):
            return None
        frames = self._frames(clips)
        past = frames.shape[1] - cut.horizon
        first = past - self.predictor.context_frames
        if first < 0:
            raise PredictionError(
                f"{clips[0].name}: {past} past frames; expected at least "
                f"{self.predictor.context_frames} (context_frames)"
            )
        found = predictor.log_prob(
            frames[:, first:past], frames[:, past:], **self._condition(clips, first, None)
        )
        if found.shape != (len(clips), cut.horizon) or not torch.isfinite(found).all():
            raise PredictionError(
                f"{clips[0].name}: log_prob gave shape {tuple(found.shape)}, from "
                f"{found.min().item():g} to {found.max().item():g}; expected finite nats of shape "
                f"{(len(clips), cut.horizon)}, a value for each clip and frame"
            )
        return found

    @torch.inference_mode()
    def _draw(
        self, clip: EvaluationClip, cut: ClipCut, generators: Sequence[torch.Generator]
    ) -> Iterator[Tensor]:
        """Draw futures of one clip, each of shape (1, horizon, C, H, W)."""
        windows = self._windows([clip], cut)
        drawn = [
            self.predictor.futures(context, horizon, generators, **condition)
            for context, horizon, condition in windows
        ]
        for parts in zip(*drawn, strict=True):
            yield torch.cat(parts, dim=1)

    def _windows(
        self, clips: Sequence[EvaluationClip], cut: ClipCut
    ) -> list[tuple[Tensor, int, dict[str, Any]]]:
        """Say what is predicted in turn: known frames, frames ahead, and given conditions."""
        if cut.rollout == "recursive":
            return [(self._context(clips), cut.horizon, self._condition(clips, 0, None))]
        frames = self._frames(clips)
        past = frames.shape[1] - cut.horizon
        return [
            (frames[:, k : k + past], 1, self._condition(clips, k, k + past + 1))
            for k in range(cut.horizon)
        ]

    def _context(self, clips: Sequence[EvaluationClip]) -> Tensor:
        known = [clip.context for clip in clips if clip.context is not None]
        if len(known) < len(clips):
            raise PredictionError(f"{clips[0].name}: no past frames to predict from")
        return torch.stack(known).to(self.device)

    def _frames(self, clips: Sequence[EvaluationClip]) -> Tensor:
        target = torch.stack([clip.target for clip in clips]).to(self.device)
        return torch.cat((self._context(clips), target), dim=1)

    def _condition(
        self, clips: Sequence[EvaluationClip], first: int, end: int | None
    ) -> dict[str, dict[str, Tensor]]:
        """Give the conditions of some frames as a keyword, for predictors that name some."""
        names = self.predictor.conditions
        if not names:
            return {}
        known = [self._conditions_of(clip) for clip in clips]
        for clip, given in zip(clips, known, strict=True):
            missing = [name for name in names if name not in given]
            if missing:
                raise PredictionError(
                    f"{clip.name}: the predictor needs the condition {', '.join(missing)}, and the "
                    f"clip has {', '.join(given) or 'none'}; expected arrays with an entry for "
                    "each frame next to the video (VIDEO.conditions.npz)"
                )
        stacked = {name: torch.stack([given[name] for given in known]) for name in names}
        return {"condition": {name: c[:, first:end].to(self.device) for name, c in stacked.items()}}

    def _conditions_of(self, clip: EvaluationClip) -> dict[str, Tensor]:
        given = dict(clip.condition or {})
        if TRUE_FRAMES in self.predictor.conditions and clip.context is not None:
            given[TRUE_FRAMES] = torch.cat((clip.context, clip.target))
        return given

    def kernels(self) -> str | None:
        """See `ScoredMethod.kernels`."""
        return describe(self.predictor)

    def _finite(self, pred: Tensor, clips: Sequence[EvaluationClip]) -> Tensor:
        if not torch.isfinite(pred).all():
            raise PredictionError(f"{clips[0].name}: the prediction is not finite")
        return pred.float()


class FilesMethod(ScoredMethod):
    """Predictions on the disk, a folder or file for each clip.

    Args:
        folder: The predictions.
        description: What they are.
    """

    def __init__(self, folder: ClipFolder, description: Method) -> None:
        self.folder = folder
        self.description = description

    def predict(self, clips: Sequence[EvaluationClip], cut: ClipCut) -> Tensor:
        """Read what was predicted; see `ScoredMethod.predict`."""
        return torch.stack([self._read(clip, cut.horizon) for clip in clips])

    def fingerprint(self, clip: str) -> str:
        """Identify the predicted files of a clip and their state."""
        return fingerprint_of([self.folder.entry(clip)])

    def _read(self, clip: EvaluationClip, horizon: int) -> Tensor:
        pred = self.folder.read_pred(clip.name, horizon)
        if pred.shape != clip.target.shape:
            raise PredictionError(
                f"clip {clip.name!r}: predicted frames are {size_in_words(pred.shape)}, true ones "
                f"{size_in_words(clip.target.shape)}; expected frames alike, write both in the "
                "same form (a video is always RGB)"
            )
        return pred


def baselines(device: torch.device, context_frames: int) -> list[PredictorMethod]:
    """Give the predictors without parameters that every table holds.

    Those that need more frames than the clips have are left out.
    """
    found = {name: baseline(name) for name in BASELINES}
    return [
        PredictorMethod(predictor, _baseline(name, predictor), device)
        for name, predictor in found.items()
        if predictor.context_frames <= context_frames
    ]


def _baseline(name: str, predictor: Predictor) -> Method:
    return {"name": name, "kind": "baseline", "details": class_of(predictor)}


def class_of(predictor: Predictor) -> dict[str, Any]:
    """Say what a predictor is, and how large."""
    return {
        "class": type(predictor).__name__,
        "arguments": predictor.config(),
        "parameters": sum(parameter.numel() for parameter in predictor.parameters()),
    }
