"""Which files in a folder are clips, and which in a clip's folder are its frames."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from vidpred.errors import PredictionError
from vidpred.evaluation.sources.frame_arrays import ARRAY_SUFFIXES
from vidpred.plain import some
from vidpred.video.folders import (
    IMAGE_SUFFIXES,
    LITTER,
    VIDEO_SUFFIXES,
    FolderContent,
    gaps,
    in_order,
)

logger = logging.getLogger(__name__)

_KINDS = "PNG or JPEG frames, one .npy, or one video (" + " ".join(sorted(VIDEO_SUFFIXES)) + ")"
# What people put next to their results. Anything else that we cannot read is refused: it may be a
# clip, and leaving it out would be silent.
_NOTES = frozenset({"", ".txt", ".md", ".json", ".csv", ".tsv", ".yaml", ".yml", ".log", ".xml"})


def find_clips(root: Path) -> dict[str, Path]:
    """Look for clips, opening nothing.

    Args:
        root: A folder with one entry a clip.

    Returns:
        By the name of a clip, its folder, array or video.

    Raises:
        PredictionError: When the root is missing or empty, holds frames itself, or something that
            is no clip, or two entries of one name.
    """
    if not root.is_dir():
        what = "it is a file" if root.exists() else "there is no such folder"
        raise PredictionError(f"{root}: {what}; expected a folder with one entry a clip")
    if not (entries := clip_entries(root)):
        raise PredictionError(
            f"{root}: no clip in it; expected one entry a clip, a folder named by it with {_KINDS}"
        )
    return entries


def clip_entries(root: Path) -> dict[str, Path]:
    """Look for clips as `find_clips` does in a folder that may be empty."""
    entries: dict[str, Path] = {}
    for path in _visible(root):
        if path.is_dir():
            name = path.name
        elif suffix_of(path) in ARRAY_SUFFIXES | VIDEO_SUFFIXES:
            name = path.stem
        elif suffix_of(path) in IMAGE_SUFFIXES:
            raise PredictionError(
                f"{root} holds frames itself ({path.name}); expected one folder a clip: move them "
                f"to {root / '<clip>'}"
            )
        else:
            raise _no_frames(path)
        if name in entries:
            raise PredictionError(
                f"clip {name!r}: {entries[name]} and {path} both hold it; expected one, remove the "
                "other"
            )
        entries[name] = path
    return entries


def find_frames(folder: Path) -> Path | list[Path]:
    """Decide what in a clip's folder is the clip.

    Returns:
        One array or video, or the images in order.

    Raises:
        PredictionError: When nothing is, or more than one thing could be.
        VideoError: When the names of images do not give one order.
    """
    images, others, folders = [], [], []
    for path in _visible(folder):
        if path.is_dir():
            folders.append(path)
        elif suffix_of(path) in IMAGE_SUFFIXES:
            images.append(path)
        elif suffix_of(path) in ARRAY_SUFFIXES | VIDEO_SUFFIXES:
            others.append(path)
        else:
            raise _no_frames(path)
    if len(folders) == len(images) == 0 and len(others) == 1:
        return others[0]
    frames = FolderContent(
        images=[path.name for path in images],
        videos=[path.name for path in others if suffix_of(path) in VIDEO_SUFFIXES],
        folders=[path.name for path in folders],
    ).frames
    if frames and not any(suffix_of(path) in ARRAY_SUFFIXES for path in others):
        _say_what_is_left(folder, frames, [path.name for path in (*images, *others, *folders)])
        return in_order([folder / name for name in frames])
    held = [
        f"{len(paths)} {kind} ({some([path.name for path in paths])})"
        for kind, paths in (
            ("image(s)", images),
            ("array(s) or video(s)", others),
            ("folder(s)", folders),
        )
        if paths
    ]
    raise PredictionError(
        f"{folder}: it holds {' and '.join(held) or 'no frame'}; expected {_KINDS}, and one clip a "
        "folder"
    )


def _say_what_is_left(folder: Path, frames: Sequence[str], names: Sequence[str]) -> None:
    left = [name for name in names if name not in frames]
    if left:
        logger.warning("%s: its %d images are taken, not %s", folder, len(frames), some(left))
    if (missing := gaps(frames)) is not None:
        logger.warning("%s: %s", folder, missing)


def _visible(folder: Path) -> Iterator[Path]:
    """Give what a user put into a folder, sorted, without notes."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise PredictionError(
            f"{folder}: cannot be opened ({error.strerror}); expected a folder that you may read"
        ) from error
    for path in paths:
        if path.name.startswith(".") or path.name.lower() in LITTER:
            continue
        if suffix_of(path) in _NOTES and path.is_file():
            continue
        yield path


def suffix_of(path: Path) -> str:
    """Give the ending of a name, in small letters."""
    return path.suffix.lower()


def _no_frames(path: Path) -> PredictionError:
    return PredictionError(
        f"{path}: no form of frames that is read here; expected {_KINDS}. Convert it, or move it "
        "elsewhere"
    )
