"""What is scored: predictors, and predictions that other programs wrote."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vidpred.errors import PredictionError
from vidpred.evaluation.clips import EvaluationClip
from vidpred.evaluation.protocol import ClipCut
from vidpred.evaluation.results.fingerprints import fingerprint_of
from vidpred.evaluation.results.result import Method
from vidpred.evaluation.sources.clip_folder import ClipFolder
from vidpred.evaluation.sources.frame_files import size_in_words
from vidpred.kernels import describe
from vidpred.models import (
    CopyLastFrame,
    DuplicateAwareFlowExtrapolation,
    LinearExtrapolation,
    OpticalFlowExtrapolation,
    Predictor,
)

TRUTH = "truth"
"""Name of the true frames beside those of methods."""


class ScoredMethod(ABC):
    """Gives predictions of clips.

    Attributes:
        description: What it is, for results.
    """

    description: Method

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

    def fingerprint(self, clip: str) -> str:
        """Tell what is read of a clip from what it was before; nothing is read by default."""
        return ""

    def kernels(self) -> str | None:
        """Say how its convolutions are computed; None where nothing is."""
        return None


class PredictorMethod(ScoredMethod):
    """A predictor.

    Args:
        predictor: In evaluation mode, on the device where it is to run.
        description: What it is.
        device: Where its input goes.
    """

    def __init__(self, predictor: Predictor, description: Method, device: torch.device) -> None:
        self.predictor = predictor
        self.description = description
        self.device = device

    @torch.inference_mode()
    def predict(self, clips: Sequence[EvaluationClip], cut: ClipCut) -> Tensor:
        """Predict from the context; see `ScoredMethod.predict`."""
        known = [clip.context for clip in clips if clip.context is not None]
        if len(known) < len(clips):
            raise PredictionError(f"{clips[0].name}: no past frames to predict from")
        context = torch.stack(known).to(self.device)
        if cut.rollout == "recursive":
            return self._finite(self.predictor(context, cut.horizon), clips)
        frames = torch.cat(
            (context, torch.stack([clip.target for clip in clips]).to(self.device)), 1
        )
        past = context.shape[1]
        steps = [self.predictor(frames[:, k : k + past], 1) for k in range(cut.horizon)]
        return self._finite(torch.cat(steps, dim=1), clips)

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
        """Tell the predicted files of a clip from what they were before."""
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


BASELINES = ("copy_last", "linear", "optical_flow", "optical_flow_dup")
"""Names that no other method may have."""


def baselines(device: torch.device, context_frames: int) -> list[PredictorMethod]:
    """Give the predictors without parameters that every table holds.

    Those that need more frames than the clips have are left out.
    """
    found: dict[str, Predictor] = {"copy_last": CopyLastFrame()}
    if context_frames >= 2:
        found["linear"] = LinearExtrapolation()
        found["optical_flow"] = OpticalFlowExtrapolation()
    if context_frames >= 3:
        found["optical_flow_dup"] = DuplicateAwareFlowExtrapolation()
    return [
        PredictorMethod(predictor, _baseline(name, predictor), device)
        for name, predictor in found.items()
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
