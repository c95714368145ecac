"""What is scored: the contract of methods, and which of them a protocol can score."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from torch import Tensor

from vidpred.errors import PredictionError
from vidpred.evaluation.clips import EvaluationClip
from vidpred.evaluation.protocol import ClipCut, Protocol
from vidpred.evaluation.results.result import TRUTH, Method
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
