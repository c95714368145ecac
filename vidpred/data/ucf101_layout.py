"""Where UCF101's files lie, and other places where copies of it have them."""

import re
from pathlib import Path

from vidpred.video.folders import cannot_be_listed, read_folder

VIDEO_DIR = "UCF-101"
LIST_DIR = "ucfTrainTestlist"

_NAME = re.compile(r"v_[A-Za-z]+_g\d+_c\d+\.\w+")
_SIDES = frozenset({"train", "test", "val", "valid", "validation"})
_AS_IT_IS = (
    "To use the folder as it is, split by the names of its videos: --data data/video_folder.yaml "
    "to train, --protocol folder to test; scores are then no numbers of UCF101"
)


def explain_layout(root: Path) -> str | None:
    """Recognize a copy of UCF101 that lies otherwise than its authors gave it.

    Args:
        root: The folder that was given.

    Returns:
        What it is and what to do; None for the authors' layout, and for anything unknown.
    """
    video_dir = root / VIDEO_DIR
    place = video_dir if video_dir.is_dir() else root
    try:
        content = read_folder(place)
    except OSError as error:
        return cannot_be_listed(place, error)
    if any(_NAME.fullmatch(name) for name in content.videos):
        return (
            f"{place} holds videos without class folders; expected {VIDEO_DIR}/<Class>/*.avi, such "
            f"as {VIDEO_DIR}/Archery/v_Archery_g01_c01.avi: move each to the folder of its class, "
            f"which its name says. {_AS_IT_IS}"
        )
    folders = [name for name in content.folders if name != LIST_DIR]
    if folders and all(name.lower() in _SIDES for name in folders):
        return (
            f"{place} is split into {', '.join(folders)}, as some copies are; UCF101's split is "
            f"that of its lists: move all class folders to {root / VIDEO_DIR}, and put the lists "
            f"into {root / LIST_DIR} (`vidpred data prepare ucf101` fetches both). {_AS_IT_IS}"
        )
    if place is root and any(_holds_videos(root / name) for name in folders):
        return (
            f"the class folders ({', '.join(folders[:3])} ...) lie in it; expected them in "
            f"{root / VIDEO_DIR}, and the lists in {root / LIST_DIR}: give the folder above when "
            f"it has both, or move them. {_AS_IT_IS}"
        )
    return None


def _holds_videos(folder: Path) -> bool:
    try:
        return bool(read_folder(folder).videos)
    except OSError:
        return False
