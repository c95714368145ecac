"""What is scored: predictors, and predictions that other programs wrote."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from vidpred.batch import TRUE_FRAMES
from vidpred.errors import PredictionError
from vidpred.evaluation.clips import EvaluationClip
from vidpred.evaluation.fingerprints import fingerprint_of
from vidpred.evaluation.protocol import ClipCut, Protocol
from vidpred.evaluation.results.result import TRUTH, Method
from vidpred.evaluation.sources.clip_folder import ClipFolder
from vidpred.evaluation.sources.frame_files import size_in_words
from vidpred.kernels import describe
from vidpred.models import BASELINES, Likelihood, Predictor, baseline
from vidpred.plain import counted
from vidpred.seen_videos import SeenVideos


class ScoredMethod(ABC):
    """Gives predictions of clips.

    Attributes:
        description: What it is, for results.
        seen_videos: Those that it was trained or validated on; None when unknown.
    """

    description: Method
    seen_videos: SeenVideos | None = None

    @abstractmethod
    def predict(self, clips: Sequence[EvaluationClip], cut: ClipCut) -> Tensor:
        """Predict clips of one frame size.

        Args:
            clips: B of them, with context where the method needs one.
            cut: How many frames, and how they are rolled out.

        Returns:
            Shape (B, horizon, C, H, W), float in [0, 1].

        Raises:
            VidpredError: When a clip cannot be predicted.
        """

    def futures(self, clips: Sequence[EvaluationClip], protocol: Protocol) -> Iterator[Tensor]:
        """Give the futures that a protocol scores, one after the other; by default the prediction.

        Args:
            clips: B of them, of one frame size.
            protocol: Says how many futures, if several.

        Yields:
            Chunks of shape (k, B, horizon, C, H, W), float in [0, 1], the k adding up to K.

        Raises:
            VidpredError: When a clip cannot be predicted.
        """
        yield self.predict(clips, protocol.clips)[None]

    def log_prob(self, clips: Sequence[EvaluationClip], cut: ClipCut) -> Tensor | None:
        """Give how likely the true futures are.

        Args:
            clips: B of them, of one frame size.
            cut: How many frames.

        Returns:
            Nats, shape (B, horizon); None for a method that has no likelihood.
        """
        return None

    @property
    def stochastic(self) -> bool:
        """Whether `futures` differ."""
        return False

    @property
    def has_likelihood(self) -> bool:
        """Whether `log_prob` gives one."""
        return False

    def require(self, protocol: Protocol) -> None:
        """Refuse a protocol by which this method cannot be scored.

        Baselines are not refused: cells of likelihoods are empty.

        Raises:
            PredictionError: Saying what the method lacks.
        """
        if self.description["kind"] == "baseline":
            return
        name, first = self.description["name"], protocol.measures[0]
        if first.of_likelihood and not self.has_likelihood:
            raise PredictionError(
                f"{name}: it has no likelihood, and protocol {protocol.name} ranks by "
                f"{first.metric}; expected a predictor with log_prob (vidpred.models.Likelihood), "
                "or a protocol that ranks by another measure"
            )

    def fingerprint(self, clip: str) -> str:
        """Identify what is read of a clip and its state; nothing is read by default."""
        return ""

    def kernels(self) -> str | None:
        """Say how its convolutions were computed; None where nothing is."""
        return None


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


def require_stochastic(methods: Sequence[ScoredMethod], protocol: Protocol) -> None:
    """Refuse a protocol that draws several futures when no predictor draws any.

    The one future of the other predictors and of the baselines is best, mean and worst at once,
    so that they are scored in one table with a stochastic one.

    Raises:
        PredictionError: Naming the predictors.
    """
    given = [each for each in methods if each.description["kind"] != "baseline"]
    if protocol.samples is None or not given or any(each.stochastic for each in given):
        return
    names = ", ".join(str(each.description["name"]) for each in given)
    raise PredictionError(
        f"{names}: one future of a clip is all that is predicted, and protocol {protocol.name} "
        f"draws {protocol.samples.count}; expected a stochastic predictor (one with stochastic = "
        "True) among them, or a protocol without samples"
    )


def require_method_name(name: str) -> None:
    """Refuse what cannot be the name of a result file and of its pictures.

    Raises:
        PredictionError: Saying what can.
    """
    if not re.fullmatch(r"\w[\w.+-]{0,99}", name) or name == TRUTH:
        raise PredictionError(
            f"{name!r} cannot name a result; expected at most 100 letters, digits, . _ + - that "
            f"begin with a letter or digit, and not {TRUTH!r}"
        )
