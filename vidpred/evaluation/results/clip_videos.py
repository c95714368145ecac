"""Where the videos of single clips are that an evaluation keeps."""

from pathlib import Path

from vidpred.evaluation.results.result import PICTURES_FOLDER

SUFFIX = ".avi"
"""Of the videos: FFV1, which keeps every pixel as it was scored."""

OLDER_SUFFIX = ".mp4"
"""Of the videos that version 0.1 wrote: H.264 with chroma subsampled (4:2:0)."""


FUTURES_FOLDER = "futures"
"""In the folder of a clip: futures of methods that draw several."""


def futures_video(results: Path, clip: str, name: str) -> Path | None:
    """Find the video of a clip's first futures, one after the other, as long as each other.

    Args:
        results: Folder of the results.
        clip: Name of the clip.
        name: Of a method.

    Returns:
        Its path; None when there is none.
    """
    place = results / PICTURES_FOLDER / clip / FUTURES_FOLDER / f"{name}{SUFFIX}"
    return place if place.is_file() else None


def clip_video(results: Path, clip: str, name: str) -> Path | None:
    """Find the video of a clip that an evaluation left.

    Args:
        results: Folder of the results.
        clip: Name of the clip.
        name: Of a method, or `TRUTH`.

    Returns:
        The lossless one; without it that of version 0.1; None when there is neither.
    """
    home = results / PICTURES_FOLDER / clip
    places = (home / f"{name}{suffix}" for suffix in (SUFFIX, OLDER_SUFFIX))
    return next((place for place in places if place.is_file()), None)
