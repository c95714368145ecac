"""Moving MNIST: digits that move in a square and bounce off its sides, rendered on demand."""

import hashlib
from typing import Literal

import numpy as np
import numpy.typing as npt

from vidpred.data.mnist_digits import SIDE, Digits, require_digits

Bounce = Literal["elastic", "random"]
"""What a side does to a digit: reflect it, or send it off with a new, random velocity."""

SPEED = 0.1
"""Step of a digit, as a share of the way that it can move (Srivastava et al. 2015, released code):
3.6 pixels a frame at 64 x 64."""

_VERSION = "vidpred moving digits 1"


def render_moving_digits(
    digits: Digits,
    seed: tuple[int, ...],
    *,
    num_frames: int = 20,
    num_digits: int = 2,
    side: int = 64,
    bounce: Bounce = "elastic",
) -> npt.NDArray[np.uint8]:
    """Render one sequence; equal arguments give equal frames, whoever asks and when.

    Source: Srivastava, Mansimov and Salakhutdinov, "Unsupervised Learning of Video Representations
    using LSTMs", 2015, and its released code: each digit starts at a uniform place with a uniform
    direction, moves `SPEED` of its free way in every frame, is reflected at the sides, and where
    digits overlap the brighter pixel is seen. With `random`, a digit that reaches a side leaves it
    in a direction drawn again: the uncertainty of Stochastic Moving MNIST (Denton and Fergus 2018),
    which draws from integer velocities and scales digits to 32 x 32; here neither is done.

    Args:
        digits: What to draw from, shape (N, 28, 28).
        seed: Numbers that name the sequence; each at least 0.
        num_frames: T.
        num_digits: Digits in a sequence, drawn independently.
        side: Rows and columns of a frame, at least 28.
        bounce: See `Bounce`.

    Returns:
        uint8, shape (T, side, side); a longer sequence begins with the shorter one.

    Raises:
        ValueError: For digits of another size, or numbers out of range.

    Example:
        >>> digits = np.full((10, 28, 28), 255, np.uint8)
        >>> render_moving_digits(digits, (0, 7), num_frames=3).shape
        (3, 64, 64)
    """
    require_digits(digits)
    if side < SIDE or num_frames < 1 or num_digits < 1:
        raise ValueError(
            f"side is {side}, num_frames {num_frames}, num_digits {num_digits}; expected a side of "
            f"at least {SIDE} and the others at least 1"
        )
    frames = np.zeros((num_frames, side, side), np.uint8)
    for number in range(num_digits):
        # Of its own: what one digit draws on its way does not depend on the length of another's.
        which, places = digit_places(
            len(digits), (*seed, number), num_frames=num_frames, side=side, bounce=bounce
        )
        for frame, (top, left) in zip(frames, places, strict=True):
            window = frame[top : top + SIDE, left : left + SIDE]
            np.maximum(window, digits[which], out=window)
    return frames


def digit_places(
    choices: int,
    seed: tuple[int, ...],
    *,
    num_frames: int,
    side: int = 64,
    bounce: Bounce = "elastic",
) -> tuple[int, npt.NDArray[np.int64]]:
    """Draw which digit a sequence shows, and where it is in each frame.

    Args:
        choices: Digits to draw from.
        seed: Of the sequence, and after it the number of the digit in it.
        num_frames: T.
        side: As in `render_moving_digits`.
        bounce: As there.

    Returns:
        The number of the digit, and the row and column of its upper left corner, shape (T, 2).
    """
    rng = np.random.default_rng(seed)
    which = int(rng.integers(choices))
    return which, (_path(rng, num_frames, bounce) * (side - SIDE)).astype(np.int64)


def _path(rng: np.random.Generator, num_frames: int, bounce: Bounce) -> npt.NDArray[np.float64]:
    """Draw a digit's way through the unit square, shape (T, 2): rows and columns."""
    place = rng.random(2)
    velocity = _velocity(rng)
    path = np.empty((num_frames, 2))
    for position in path:
        place = place + velocity
        low, high = place <= 0, place >= 1
        place = np.clip(place, 0, 1)
        if bounce == "random" and (low | high).any():
            velocity = _velocity(rng)
        # Away from the sides that were reached, whatever it was before.
        velocity = np.where(low, abs(velocity), np.where(high, -abs(velocity), velocity))
        position[:] = place
    return path


def _velocity(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    angle = rng.random() * 2 * np.pi
    return SPEED * np.array([np.sin(angle), np.cos(angle)])


def generator_digest(
    digits: Digits, seed: tuple[int, ...], *, num_digits: int, side: int, bounce: Bounce
) -> str:
    """Give the SHA-256 of the digits and of what the generator makes of them.

    It changes with the digits, the options and the code, as far as sixteen rendered sequences show
    it: what two results must share to be compared.

    Args:
        digits: As in `render_moving_digits`.
        seed: Of all sequences, to which the number of a sequence is added.
        num_digits: As there.
        side: As there.
        bounce: As there.

    Returns:
        64 hexadecimal digits.
    """
    numbers = " ".join(map(str, (num_digits, side, bounce, *seed)))
    found = hashlib.sha256(f"{_VERSION} {numbers}".encode())
    found.update(np.ascontiguousarray(digits).tobytes())
    for index in range(16):
        frames = render_moving_digits(
            digits, (*seed, index), num_digits=num_digits, side=side, bounce=bounce
        )
        found.update(frames.tobytes())
    return found.hexdigest()
