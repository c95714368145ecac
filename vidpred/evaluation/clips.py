"""Clips to be scored, as a stream: from a data set's videos, or from folders of frames."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vidpred.errors import AccessError, VidpredError
from vidpred.ops.duplicates import near_duplicates
from vidpred.prefetch import mapped_ahead


@dataclass(frozen=True)
class EvaluationClip:
    """One clip, ready to be predicted and scored.

    Attributes:
        name: Unique within the clip list.
        video: The video that it was cut from.
        start: Index of its first frame; None when unknown.
        context: True past frames, shape (T, C, H, W), float in [0, 1]; None when not known.
        target: True future frames, shape (horizon, C, H, W), float in [0, 1].
        mask: Boolean, shape (horizon, 1, H, W), true where moving; None when motion is not known.
        condition: By name, what is known of the frames besides pixels, such as `actions`: shape
            (T + horizon, ...), of the context frames first; None when nothing is.
    """

    name: str
    video: str
    start: int | None
    context: Tensor | None
    target: Tensor
    mask: Tensor | None
    condition: dict[str, Tensor] | None = None

    def motion(self) -> list[float | None]:
        """Give, by target, the RMS difference of the two true frames before it, in percent."""
        known = self.target[:-1] if self.context is None else self._known()
        change = torch.diff(known, dim=0).square().mean(dim=(1, 2, 3)).sqrt() * 100
        unknown = len(self.target) - len(change)
        return [None] * unknown + [float(value) for value in change]

    def moving(self) -> list[float | None]:
        """Give, by target, the share of pixels that the mask marks."""
        if self.mask is None:
            return [None] * len(self.target)
        return [float(value) for value in self.mask.float().mean(dim=(1, 2, 3))]

    def near_duplicates(self) -> list[int] | None:
        """Give the frames that nearly repeat the one before, the context's first frame being 0.

        See `vidpred.ops.duplicates.near_duplicates`; None when the context is not known.
        """
        if self.context is None:
            return None
        marked = near_duplicates(torch.cat((self.context, self.target))[None])[0]
        return [index for index, repeats in enumerate(marked.tolist(), start=1) if repeats]

    def _known(self) -> Tensor:
        assert self.context is not None  # the caller asked
        return torch.cat((self.context[-2:], self.target[:-1]))


Loaded = dict[str, EvaluationClip | VidpredError]
"""By name, a clip, or why it could not be read."""


@dataclass(frozen=True)
class Unit:
    """Clips that are read together, as those of one video are.

    Attributes:
        names: Names of the clips.
        load: Reads them; a `VidpredError` that it raises is that of all of them.
    """

    names: tuple[str, ...]
    load: Callable[[], Loaded]


class ClipSource(ABC):
    """A list of clips, and how to read them.

    Attributes:
        names: All clips of the list, those that are not on the disk included.
        missing: Videos of the list that are not on the disk.
        videos_expected: Videos that the protocol's list has; None when unknown.
        videos_listed: Videos in the list that was found.
        mask: What the masks are, for results; see `vidpred.evaluation.results.result.Result`.
    """

    names: Sequence[str]
    missing: Sequence[str]
    videos_expected: int | None
    videos_listed: int
    mask: dict[str, object]

    @abstractmethod
    def units(self) -> Iterator[Unit]:
        """Yield what is on the disk, in a fixed order, without reading it."""

    @abstractmethod
    def fingerprint(self, clip: str) -> str:
        """Identify the files of a clip and their state, by their sizes and times."""


def read_ahead(units: Sequence[Unit], *, workers: int) -> Iterator[Loaded]:
    """Read units in threads while earlier ones are scored; memory holds a few of them at a time.

    Decoding, flow and resizing leave Python's lock, so threads run side by side.

    Args:
        units: What to read.
        workers: Threads; 0 reads in this one.

    Yields:
        The clips of each unit, in the order given.
    """
    yield from mapped_ahead(_load, units, workers=workers)


def _load(unit: Unit) -> Loaded:
    try:
        return unit.load()
    except AccessError:
        raise  # of the system: no clip is failed for it, and the next run resumes from here
    except VidpredError as error:
        return dict.fromkeys(unit.names, error)


def clips_left(units: Collection[Unit], done: Collection[str]) -> list[Unit]:
    """Give the units of which a clip is not done."""
    return [unit for unit in units if not set(unit.names) <= set(done)]
