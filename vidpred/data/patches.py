"""Where to cut training patches: where something moves."""

import math
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

MOTION_TRIES = 25
"""Crops that are tried before the last one is kept (Mathieu et al. 2016, released code)."""

PATCH_MOTION_THRESHOLD = 0.02
"""Default of `motion_threshold`, a root mean square of full scale: five gray levels.

None is published. Of 10,280 random 32 x 32 crops of 257 UCF101 clips (40 of each) 47 % exceed it:
the moving half. In 88 % of the clips at least one of 25 crops does.
"""


class Corner(NamedTuple):
    """Where a patch is.

    Attributes:
        top: First row.
        left: First column.
        accepted: Whether it moves; else it is the last of the tries.
    """

    top: int
    left: int
    accepted: bool


def motion_of_crop(
    before: npt.NDArray[np.uint8],
    after: npt.NDArray[np.uint8],
    top: int,
    left: int,
    size: int | tuple[int, int],
) -> float:
    """Measure how much a crop changes between two frames.

    Args:
        before: Frame of shape (H, W, C), 0-255.
        after: The next frame, same shape.
        top: First row of the crop; the crop lies in the frame.
        left: First column.
        size: Height and width of the crop in pixels, one number for a square.

    Returns:
        Root mean square difference over the crop's pixels and channels in [0, 1] of full scale.
    """
    rows, columns = (size, size) if isinstance(size, int) else size
    crop = slice(top, top + rows), slice(left, left + columns)
    # The sum is a whole number: nothing is rounded.
    squares = cv2.norm(after[crop], before[crop], cv2.NORM_L2SQR)
    return math.sqrt(squares / after[crop].size) / 255


def choose_patches(
    before: npt.NDArray[np.uint8],
    after: npt.NDArray[np.uint8],
    *,
    size: int | tuple[int, int],
    count: int,
    threshold: float,
    rng: np.random.Generator,
) -> list[Corner]:
    """Draw the corners of patches that move.

    Source: Mathieu et al. 2016, released code: a random crop is accepted when the root mean square
    difference between its last two input frames exceeds a threshold; after 25 tries the last is
    kept.

    Args:
        before: The last input frame but one, shape (H, W, C), 0-255.
        after: The last input frame, same shape.
        size: Height and width of a patch in pixels, one number for squares; at most (H, W).
        count: Number of patches, drawn independently.
        threshold: In [0, 1] of full scale.
        rng: Random source.

    Returns:
        `count` corners.
    """
    rows, columns = (size, size) if isinstance(size, int) else size
    tops = rng.integers(before.shape[0] - rows + 1, size=(count, MOTION_TRIES))
    lefts = rng.integers(before.shape[1] - columns + 1, size=(count, MOTION_TRIES))
    corners = []
    for patch in range(count):
        # Most moving patches are found in a few tries, so crops are looked at one by one.
        for top, left in zip(tops[patch].tolist(), lefts[patch].tolist(), strict=True):
            accepted = motion_of_crop(before, after, top, left, size) > threshold
            if accepted or (rows, columns) == before.shape[:2]:
                break  # of a whole frame, there is one crop
        corners.append(Corner(top, left, accepted))
    return corners
