"""How unlikely frames of Moving MNIST are at least, whoever predicts them: computed, not fitted.

Two floors, for two ways to score a frame:

- As 8-bit values. Digits and places are known from enough frames, so that the next frame is one of
  a few: places are whole pixels, and where a digit is within its pixel, and exactly where it is
  going, is not seen. `place_nats` gives the probability of the next place, integrated over all
  starts and directions that the places so far leave open. Bounces add nothing by themselves: a
  side reflects, and where a digit touches it, it is known better than before.
- As probabilities of white (`bernoulli`, as Kalchbrenner et al. 2017 score). A gray pixel z costs
  at least its entropy, -z log z - (1 - z) log(1 - z), also for one who knows the frame.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.special import entr

from vidpred.data.digits_world import SPEED, digit_places
from vidpred.data.mnist_digits import SIDE
from vidpred.data.mnist_sequences import DigitSequences
from vidpred.data.moving_mnist import in_color
from vidpred.errors import SettingError
from vidpred.ops.range import to_unit

DIRECTIONS = 1 << 16
"""Over which is integrated; twice as many change the mean over sequences by less than 1 %."""


@dataclass(frozen=True)
class EntropyFloor:
    """The least that frames cost in the mean, in nats a frame.

    Attributes:
        values: Scored as 8-bit values: the uncertainty of the next places alone.
        bernoulli: Scored by the probability of white: the entropy of gray pixels alone.
        sequences: Over which the mean is taken.
        frames: Of each, after the known ones.
    """

    values: float
    bernoulli: float
    sequences: int
    frames: int


def entropy_floor(
    sequences: DigitSequences,
    *,
    count: int = 100,
    known: int = 10,
    horizon: int = 10,
    size: tuple[int, int] | None = None,
    directions: int = DIRECTIONS,
) -> EntropyFloor:
    """Compute the floor of the frames that follow known ones, each given all before it.

    It is a floor because it grants more than frames show: which digits there are, and their places
    also where one covers the other.

    Args:
        sequences: Of which.
        count: Takes the first ones.
        known: Frames that are given, at least 1.
        horizon: Frames that are scored.
        size: Rows and columns to which frames are resized before they are scored.
        directions: Over which is integrated.

    Raises:
        SettingError: For digits that bounce at random: their new directions are not integrated.
        ValueError: For a count below 1.
    """
    if sequences.bounce != "elastic":
        raise SettingError(
            f"bounce is {sequences.bounce!r}; expected elastic: what a random bounce leaves open "
            "is not computed"
        )
    if min(count, known, horizon) < 1:
        raise ValueError(
            f"count is {count}, known {known}, horizon {horizon}; expected at least 1 each"
        )
    values = bernoulli = 0.0
    for number in range(count):
        for digit in range(sequences.num_digits):
            places = digit_places(
                len(sequences.digits),
                (*sequences.seed, number, digit),
                num_frames=known + horizon,
                side=sequences.side,
            )[1]
            nats = place_nats(places, free=sequences.side - SIDE, directions=directions)
            values += float(nats[known:].sum())
        frames = sequences.read(number, horizon, start=known)
        bernoulli += float(gray_nats(to_unit(in_color(frames, size=size, gray=True))).sum())
    scored = count * horizon
    return EntropyFloor(values / scored, bernoulli / scored, count, horizon)


def gray_nats(frames: Tensor) -> Tensor:
    """Give the entropy of gray pixels as probabilities of white.

    Args:
        frames: Shape (..., C, H, W) in [0, 1].

    Returns:
        Nats of each frame, shape (...).

    Example:
        >>> import torch
        >>> gray_nats(torch.full((1, 1, 1), 0.5))
        tensor(0.6931)
    """
    nats: Tensor = entr(frames) + entr(1 - frames)
    return nats.flatten(-3).sum(-1)


def place_nats(
    places: npt.NDArray[np.int64], *, free: int, directions: int = DIRECTIONS
) -> npt.NDArray[np.float64]:
    """Give how surprising each place of a digit is, given those before it.

    The start is uniform in the unit square and the direction uniform, as
    `vidpred.data.render_moving_digits` draws them. For each direction, the starts that lead through
    the places are intervals of rows and of columns, whose lengths are exact; over directions it is
    a sum.

    Args:
        places: Rows and columns of the digit's upper left corner, shape (T, 2), whole pixels.
        free: Pixels that the digit can move, at least 1.
        directions: Over which is summed, equally far apart.

    Returns:
        Nats, shape (T,); infinite for places that no motion goes through.
    """
    angles = (np.arange(directions) + 0.5) * (2 * np.pi / directions)
    axes = [_Starts(SPEED * velocity, free) for velocity in (np.sin(angles), np.cos(angles))]
    shares = [1.0]
    for place in places:
        lengths = [axis.after(int(at)) for axis, at in zip(axes, place, strict=True)]
        shares.append(float((lengths[0] * lengths[1]).sum()) / directions)
        possible = (lengths[0] > 0) & (lengths[1] > 0)
        for axis in axes:
            axis.keep(possible)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: npt.NDArray[np.float64] = -np.diff(np.log(shares))
    return np.where(np.isfinite(found), found, np.inf)


class _Starts:
    """Starts in [0, 1], for each velocity, that lead through the places so far.

    A start is of the kind that reaches its first side in step k, for each k; those that have
    reached it are all in the same place from then on, because a side stops what would pass it.

    Args:
        velocity: Of the digit along one axis, shape (V,), as a share of its free way.
        free: Pixels of the free way.
    """

    def __init__(self, velocity: npt.NDArray[np.float64], free: int) -> None:
        self._free, self._steps = free, 0
        # Seen from the side that it leaves behind, every digit moves forward.
        self._back = velocity < 0
        self._speed = np.abs(velocity)
        # Of those that have not reached a side: the starts still possible, seen from behind.
        self._low, self._high = np.zeros_like(velocity), np.ones_like(velocity)
        # Of those that have, by kind: length of their starts, place and velocity.
        self._length = np.zeros((0, len(velocity)))
        self._place, self._velocity = self._length, self._length

    def after(self, pixel: int) -> npt.NDArray[np.float64]:
        """Take another step, to a pixel, and give the length of the starts that lead there."""
        self._steps += 1
        way = self._speed * self._steps
        self._move()
        # Those that reach their first side now.
        reached = np.maximum(self._high - np.maximum(self._low, 1 - way), 0)
        self._length = np.vstack([self._length, reached])
        self._place = np.vstack([self._place, np.ones_like(way)])
        self._velocity = np.vstack([self._velocity, -self._speed])
        self._high = np.minimum(self._high, 1 - way)
        at = np.where(self._back, 1 - self._place, self._place)
        # A hair beyond where rounding would leave a digit that mirrored arithmetic moved.
        self._length = np.where(np.floor(at * self._free + 1e-9) == pixel, self._length, 0.0)
        low, high = pixel / self._free, (pixel + 1) / self._free
        self._low = np.maximum(self._low, np.where(self._back, 1 - high, low) - way)
        self._high = np.minimum(self._high, np.where(self._back, 1 - low, high) - way)
        total: npt.NDArray[np.float64] = self._length.sum(0) + np.maximum(self._high - self._low, 0)
        return total

    def keep(self, possible: npt.NDArray[np.bool_]) -> None:
        """Forget velocities that are ruled out."""
        for name in ("_back", "_speed", "_low", "_high"):
            setattr(self, name, getattr(self, name)[possible])
        for name in ("_length", "_place", "_velocity"):
            setattr(self, name, getattr(self, name)[:, possible])

    def _move(self) -> None:
        place = np.clip(self._place + self._velocity, 0, 1)
        self._velocity = np.where(
            place <= 0,
            np.abs(self._velocity),
            np.where(place >= 1, -np.abs(self._velocity), self._velocity),
        )
        self._place = place
