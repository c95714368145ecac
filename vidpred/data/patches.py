"""Where to cut training patches: where something moves."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

MOTION_TRIES = 25
"""Crops that are tried before the last one is kept (Mathieu et al. 2016, released code)."""

PATCH_MOTION_THRESHOLD = 0.02
"""Default of `motion_threshold`, a root mean square of full scale: five grey levels.

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


def motion_of_crops(
    before: npt.NDArray[np.uint8],
    after: npt.NDArray[np.uint8],
    tops: npt.NDArray[np.int64],
    lefts: npt.NDArray[np.int64],
    size: int,
) -> npt.NDArray[np.float64]:
    """Measure how much square crops change between two frames.

    Args:
        before: Frame of shape (H, W, C), 0-255.
        after: The next frame, same shape.
        tops: First rows of the crops, any shape, at most H - size.
        lefts: First columns, same shape, at most W - size.
        size: Side of a crop in pixels.

    Returns:
        Root mean square difference over a crop's pixels and channels in [0, 1] of full scale, of
        the shape of `tops`.
    """
    difference = after.astype(np.int32) - before
    # Summed-area table, in whole numbers: all crops cost four lookups each, and nothing is rounded.
    table = np.zeros((before.shape[0] + 1, before.shape[1] + 1), dtype=np.int64)
    np.einsum("hwc,hwc->hw", difference, difference, out=table[1:, 1:], dtype=np.int64)
    np.cumsum(table, axis=0, out=table)
    np.cumsum(table, axis=1, out=table)
    bottoms, rights = tops + size, lefts + size
    total = (
        table[bottoms, rights] - table[tops, rights] - table[bottoms, lefts] + table[tops, lefts]
    )
    mean: npt.NDArray[np.float64] = total / (size * size * before.shape[2])
    return np.sqrt(mean) / 255


def choose_patches(
    before: npt.NDArray[np.uint8],
    after: npt.NDArray[np.uint8],
    *,
    size: int,
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
        size: Side of a patch in pixels, at most H and W.
        count: Number of patches, drawn independently.
        threshold: In [0, 1] of full scale.
        rng: Random source.

    Returns:
        `count` corners.
    """
    tops = rng.integers(before.shape[0] - size + 1, size=(count, MOTION_TRIES))
    lefts = rng.integers(before.shape[1] - size + 1, size=(count, MOTION_TRIES))
    moves = motion_of_crops(before, after, tops, lefts, size) > threshold
    first = np.where(moves.any(axis=1), moves.argmax(axis=1), MOTION_TRIES - 1)
    return [
        Corner(int(tops[patch, index]), int(lefts[patch, index]), bool(moves[patch, index]))
        for patch, index in enumerate(first)
    ]
