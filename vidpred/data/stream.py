"""Whether a resumed run would draw what it would have drawn."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_info

from vidpred.data.catalog import Video
from vidpred.errors import DataError
from vidpred.video.conditions import conditions_path


def describe_videos(videos: Sequence[Video]) -> str:
    """Say how many videos there are, with digests that change with their names and their sizes."""
    names, sizes = hashlib.sha256(), hashlib.sha256()
    for video in sorted(videos, key=lambda video: video.video_id):
        names.update(os.fsencode(f"{video.video_id}\n"))
        size = video.path.stat().st_size if video.path.is_file() else 0  # or a folder of frames
        sizes.update(f"{size}\n".encode())
        conditions = conditions_path(video.path)
        if conditions.is_file():
            sizes.update(f"{conditions.stat().st_size}\n".encode())
    return f"{len(videos)} (names {names.hexdigest()[:8]}, sizes {sizes.hexdigest()[:8]})"


WITHOUT_A_NAME = {"resize": None, "color": "rgb"}
"""What options were in checkpoints that do not name them: those of 0.1."""


TRAINING_ALONE = frozenset(
    {
        *("augmentation", "batch_size", "clips_per_video", "flip_probability", "horizon"),
        *("limit_train_batches", "mixed_videos", "motion_threshold", "patch_size"),
        *("patches_per_clip", "processes", "samples_per_epoch", "seed", "train_videos"),
    }
)
"""Entries of a stream on which no validation depends."""


def changes_of(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """Say by name what differs between two descriptions of a stream."""
    before = {**WITHOUT_A_NAME, **before}
    return {
        name: f"{name} was {before.get(name)}, is {value}"
        for name, value in now.items()
        if before.get(name) != value
    }


def require_same_stream(
    before: Mapping[str, Any], now: Mapping[str, Any], *, accepted: bool
) -> None:
    """Refuse samples that a run did not have, or say that they changed.

    Args:
        before: What `ClipDataModule.describe_stream` gave when the checkpoint was saved.
        now: What it gives.
        accepted: Only say it.

    Raises:
        DataError: Naming what changed.
    """
    changes = changes_of(before, now)
    if not changes:
        return
    said = "the samples are not those of the run that is resumed: " + "; ".join(changes.values())
    if not accepted:
        raise DataError(
            f"{said}. Resume with what it had (config.yaml in its folder), or accept that its "
            "curves become those of two: --accept-changes true"
        )
    rank_zero_info(f"{said}; accepted")
