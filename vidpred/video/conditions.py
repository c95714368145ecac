"""What is known of a video's frames besides the pixels: a file of arrays next to the video.

`drive.avi` with `drive.avi.conditions.npz` next to it (for a folder of frames: `drive/` with
`drive.conditions.npz`) has conditions. The file holds arrays by name, such as `actions`, whose row
t belongs to frame t, counted from 0:

    numpy.savez("drive.avi.conditions.npz", actions=actions)   # float32, shape (num_frames, 2)

All names in it travel with the frames, to `ClipBatch["condition"]`, to evaluation clips and to
`vidpred predict`; a network declares which of them it needs (`Predictor.conditions`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidpred.errors import DAMAGED, VideoError
from vidpred.files import replacing

SUFFIX = ".conditions.npz"
"""What the name of a video is followed by."""

Rows = dict[str, npt.NDArray[Any]]
"""By name, one row for each frame of a video: shape (num_frames, ...)."""


def conditions_path(video: str | Path) -> Path:
    """Give the place of a video's conditions, whether or not they exist."""
    video = Path(video)
    return video.with_name(video.name + SUFFIX)


def has_conditions(video: str | Path) -> bool:
    """Say whether a video has conditions."""
    return conditions_path(video).is_file()


def write_conditions(video: str | Path, conditions: Mapping[str, npt.ArrayLike | Tensor]) -> Path:
    """Write the conditions of a video next to it.

    Args:
        video: Path of the video; it need not exist yet.
        conditions: By name, an array of shape (num_frames, ...): row t belongs to frame t.

    Returns:
        The file.

    Raises:
        ValueError: For an array without rows, of text or objects, or with NaN or infinite values.
    """
    path = conditions_path(video)
    arrays = {name: np.asarray(rows) for name, rows in conditions.items()}
    for name, rows in arrays.items():
        _require_numbers(path, name, rows)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's stub takes names for its options
    return path


def read_conditions(video: str | Path) -> Rows:
    """Read all conditions of a video; none when there is no file.

    Returns:
        By name, an array of shape (num_frames, ...).

    Raises:
        VideoError: When the file cannot be read, or holds something else than finite numbers.
    """
    path = conditions_path(video)
    try:
        # Opened here: numpy leaves a file open that it cannot read.
        with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except FileNotFoundError:
        return {}
    except (OSError, *DAMAGED) as error:
        raise VideoError(
            path, f"cannot be read as arrays by name ({error}); write it with numpy.savez"
        ) from error
    for name, rows in found.items():
        if not isinstance(rows, np.ndarray):
            raise VideoError(path, f"{name} is no array; write it with numpy.savez")
        try:
            _require_numbers(path, name, rows)
        except ValueError as error:
            raise VideoError(path, str(error).removeprefix(f"{path}: ")) from error
    return found


def cut_conditions(
    rows: Mapping[str, npt.NDArray[Any]], frames: Sequence[int], *, path: str | Path
) -> dict[str, Tensor]:
    """Give the conditions of some frames, cut exactly as the frames are.

    Args:
        rows: What `read_conditions` gave.
        frames: Indices of the frames of a clip, in the clip's order: with a frame step every
            `frame_step`-th row is taken, and the rows between are not.
        path: Where the rows come from, for messages.

    Returns:
        By name, shape (T, ...): float32 for floating-point rows, bool as it is, int64 for other
        whole numbers.

    Raises:
        VideoError: When there are fewer rows than frames.
    """
    needed = max(frames, default=-1) + 1
    found = {}
    for name, values in rows.items():
        if len(values) < needed:
            raise VideoError(
                Path(path),
                f"condition {name!r} has {len(values)} rows, and frame {needed - 1} was asked for; "
                "expected a row for each frame",
            )
        found[name] = _tensor(values[list(frames)])
    return found


def clip_conditions(
    video: str | Path, start: int, length: int, frame_step: int = 1
) -> dict[str, Tensor]:
    """Read the conditions of the frames that `vidpred.video.read_clip` gives.

    Args:
        video: Path of the video.
        start: Index of the first frame, counted from 0.
        length: T, the number of frames.
        frame_step: Distance between two of them.

    Returns:
        By name, shape (T, ...); empty when the video has none. See `cut_conditions`.

    Raises:
        VideoError: As `read_conditions` and `cut_conditions`.
    """
    rows = read_conditions(video)
    frames = range(start, start + length * frame_step, frame_step)
    return cut_conditions(rows, frames, path=conditions_path(video))


def _tensor(values: npt.NDArray[Any]) -> Tensor:
    kinds = {"f": np.float32, "b": np.bool_}
    return torch.from_numpy(np.ascontiguousarray(values, kinds.get(values.dtype.kind, np.int64)))


def _require_numbers(path: Path, name: str, rows: npt.NDArray[Any]) -> None:
    if rows.dtype.kind not in "fiub" or rows.ndim == 0 or rows.size == 0:
        raise ValueError(
            f"{path}: condition {name!r} is {rows.dtype} of shape {rows.shape}; expected numbers "
            "with a row for each frame"
        )
    if rows.dtype.kind == "f":
        with np.errstate(over="ignore"):
            finite = np.isfinite(rows.astype(np.float32))
        if not finite.all():
            raise ValueError(
                f"{path}: condition {name!r} is not finite at frame "
                f"{int(np.argwhere(~finite)[0][0])}; expected finite numbers that float32 holds"
            )
    if rows.dtype.kind == "u" and rows.max() > np.iinfo(np.int64).max:
        raise ValueError(
            f"{path}: condition {name!r} holds {rows.max()}; expected numbers that int64 holds"
        )
