"""The few exceptions that we raise: each says what came, what was expected and what to do.

Wrong values and shapes of arguments stay `ValueError`, wrong types `TypeError`. These are
for the world outside the program: files, videos, checkpoints, runs.
"""

import difflib
import errno
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

_ABOUT_A_NAME = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL}
)
"""Errors of the system that say something about a name; all others are about the system itself."""

DAMAGED = (
    *(RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, AssertionError),
    *(OverflowError, MemoryError, SyntaxError),
    *(struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)
"""What Python and libraries raise, besides `OSError`, over files that were cut, damaged or made up
to confuse them."""


def is_system_error(error: OSError) -> bool:
    """Distinguish an error of the system (permission, disk, network drive) from one about a file.

    Libraries raise `OSError` without a number for files that they cannot read: those are damage.
    """
    return error.errno is not None and error.errno not in _ABOUT_A_NAME


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Name the nearest known name, as the end of a sentence; empty when none is near.

    Args:
        name: What came.
        known: What exists.

    Example:
        >>> did_you_mean("bugdet", ["budget", "seeds"])
        ' (did you mean budget?)'
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""


class VidpredError(Exception):
    """A mistake that the user can correct; the command line shows its message and exits with 2."""


class SettingError(VidpredError, ValueError):
    """Settings of a run that are right one by one and do not go together."""


class NetworkError(VidpredError, ValueError):
    """A network that does not keep to what `vidpred.models.Predictor` asks of it."""


class DataError(VidpredError):
    """A data set that is missing, empty or inconsistent."""


class VideoError(DataError):
    """One video that cannot be read as asked."""

    def __init__(self, path: str | Path, problem: str) -> None:
        """Name the file, then the problem.

        Args:
            path: The video.
            problem: What is wrong with it and what would be right, as the end of a sentence.
        """
        super().__init__(f"{path}: {problem}")
        self.path = Path(path)
        self.problem = problem

    def __reduce__(self) -> tuple[type["VideoError"], tuple[Path, str]]:
        # An exception with two arguments otherwise breaks on its way back from a loader's worker.
        return type(self), (self.path, self.problem)


def missing_video(path: Path) -> VideoError:
    """Say that a video is not there, and of an address in a network how it is read."""
    if re.match(r"[a-z]{2,}:/", str(path)):  # `Path` makes one slash of two
        return VideoError(
            path,
            "it is an address; expected a file: download it, or pipe it through FFmpeg: "
            "ffmpeg -i ADDRESS -f matroska - | vidpred predict -",
        )
    return VideoError(path, "there is no such file")


class AccessError(VideoError):
    """A video that the system did not give: no permission, a failing disk, a network drive gone.

    Nothing is known about the video itself, so this is never remembered of it, and the next reading
    tries again.
    """


class CheckpointError(VidpredError):
    """A checkpoint that cannot be loaded, or that belongs to another architecture."""


class BenchmarkError(VidpredError):
    """A benchmark that cannot be run: its file, its rows or its trainings."""


class ProtocolError(VidpredError):
    """A protocol that does not exist, cannot be read, or does not fit the data."""


class ResultError(VidpredError):
    """A result file that cannot be read, or results that cannot be compared."""


class PredictionError(VidpredError):
    """Predictions or targets on the disk that cannot be scored."""


class ExportError(VidpredError):
    """A predictor that cannot be exported, or a file that would not do what the predictor does."""


class TrainingDivergedError(VidpredError):
    """A loss term or a prediction became NaN or infinite, or grew beyond all measure."""

    def __init__(
        self,
        terms: Iterable[str],
        batch: int,
        problem: str = "not finite",
        well_before: int | None = None,
    ) -> None:
        """Name the terms and when it happened.

        Args:
            terms: Names of the loss terms that are not finite, as they are logged.
            batch: Number of the training batch, counted from 0 over the whole run.
            problem: What they are.
            well_before: Batch before which all was as usual; None is `batch`.
        """
        names = ", ".join(terms)
        super().__init__(
            f"{problem} at batch {batch}: {names}. "
            + (
                "Lower the learning rate or clip the gradients; the rates of the configuration "
                "apply to a run that is resumed, too. In one process -c trainer/recovery.yaml "
                "resumes at lower rates by itself"
                if batch
                else "No optimizer has taken a step, so the learning rate is not the cause: look "
                "for a division by zero, a log or a sqrt in the network's step or in the loss"
            )
        )
        self.terms = names
        self.batch = batch
        self.problem = problem
        self.well_before = batch if well_before is None else well_before
        self.resume_from: Path | None = None
        """Checkpoint from which `callbacks.DivergenceRecovery` wants the run to resume."""

    def __reduce__(self) -> tuple[type["TrainingDivergedError"], tuple[list[str], int, str, int]]:
        return type(self), (self.terms.split(", "), self.batch, self.problem, self.well_before)


class GradientError(VidpredError):
    """Training whose gradients do not go where they must; see `callbacks.GradientCertificate`."""

    def __init__(self, problems: Iterable[str]) -> None:
        """Say all that is wrong at once.

        Args:
            problems: One sentence each, without its full stop, naming the term and the scale.
        """
        self.problems = tuple(problems)
        super().__init__(
            "training is refused, its gradients do not go where they must:"
            + "".join(f"\n- {problem}" for problem in self.problems)
        )

    def __reduce__(self) -> tuple[type["GradientError"], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)
