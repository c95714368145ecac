"""What predictions of a video are conditioned on besides its frames."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from vidpred.batch import TRUE_FRAMES
from vidpred.errors import DAMAGED, PredictionError
from vidpred.video.conditions import (
    Rows,
    conditions_path,
    cut_conditions,
    read_conditions,
)

if TYPE_CHECKING:
    from vidpred.prediction.windows import Input, Window


def read_condition_option(name: str, path: Path) -> Rows:
    """Read the array of `--condition NAME=FILE.npy`.

    Args:
        name: Of the condition.
        path: File of an array whose row t belongs to frame t of the video.

    Raises:
        PredictionError: When it cannot be read or holds something else than finite numbers.
    """
    try:
        rows = np.load(path, allow_pickle=False)
    except (OSError, *DAMAGED) as error:
        raise PredictionError(
            f"--condition {name}: {path} cannot be read as an array ({error}); write it with "
            "numpy.save"
        ) from error
    if not (isinstance(rows, np.ndarray) and rows.dtype.kind in "fiub" and rows.ndim and rows.size):
        raise PredictionError(
            f"--condition {name}: {path} holds no numbers by frame; expected an array with a row "
            "for each frame"
        )
    if rows.dtype.kind == "f" and not np.isfinite(rows).all():
        raise PredictionError(f"--condition {name}: {path} holds NaN or infinite values")
    return {name: rows}


def conditions_of(path: Path, names: Sequence[str], given: Rows) -> Rows | None:
    """Give what a predictor needs to know of a video; None for one that needs frames alone.

    Args:
        path: The video; arrays next to it are read, see `vidpred.video.conditions`.
        names: `Predictor.conditions`.
        given: Arrays by name that take the place of those.

    Raises:
        PredictionError: When one is missing, or is the future itself.
        VideoError: When the arrays next to the video cannot be read.
    """
    if not names:
        return None
    if TRUE_FRAMES in names:
        raise PredictionError(
            f"{path}: this network is shown the frames that it draws, so it reconstructs and "
            "cannot predict; `vidpred test` scores its reconstructions"
        )
    rows = {**read_conditions(path), **given}
    missing = [name for name in names if name not in rows]
    if missing:
        raise PredictionError(
            f"{path}: the predictor is conditioned on {', '.join(missing)}, and the video comes "
            f"with {', '.join(rows) or 'frames alone'}; give --condition {missing[0]}=FILE.npy, or "
            f"{conditions_path(path).name} next to it, with a row for each frame, those to predict "
            "included"
        )
    return {name: rows[name] for name in names}


def condition_of_window(
    window: "Window", source: "Input", context_frames: int, horizon: int
) -> dict[str, Tensor] | None:
    """Cut the rows of the frames that a prediction knows, and of those that it predicts.

    Returns:
        By name, shape (context_frames + horizon, ...); None where there are none.

    Raises:
        VideoError: When there are fewer rows than that.
    """
    if source.conditions is None or window.index is None:
        return None
    first = window.index + 1 - context_frames
    frames = range(first, first + context_frames + horizon)
    return cut_conditions(source.conditions, frames, path=source.path)
