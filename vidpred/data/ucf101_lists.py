"""UCF101's split lists, and how their rows are found on a disk."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from vidpred.data.catalog import Listing, Video, read_lines
from vidpred.errors import DataError, is_system_error
from vidpred.video.folders import cannot_be_listed

_GROUP = re.compile(r"_(g\d+)_c\d+$", re.IGNORECASE)


def read_list(path: Path) -> list[str]:
    """Read the rows of a split list, "Archery/v_Archery_g01_c01.avi".

    Line ends may be of either kind, and the class number that the train lists carry is dropped.

    Raises:
        DataError: When a row has no class folder, or the list no row.
    """
    rows = [line.split()[0] for line in read_lines(path)]
    for row in rows:
        if row.count("/") != 1:
            raise DataError(
                f"{path}: row {row!r}; expected <Class>/<file>.avi as in UCF101's lists"
            )
    if not rows:
        raise DataError(f"{path}: the list is empty; fetch it again")
    return rows


def group_of(row: str) -> str | None:
    """Give the scene that a row's video shows, "g01"; `None` when its name does not say."""
    match = _GROUP.search(Path(row).stem)
    return match.group(1).lower() if match else None


def validation_rows(rows: Iterable[str], val_fraction: float) -> set[str]:
    """Choose the rows of a train list that become validation, by whole groups.

    Each class gives the same share of its groups, at least one and never all. Which ones follows
    from a hash of class and group: the list alone decides, not what is on the disk, and classes
    give groups of different numbers, so that a part of the data set still holds some of them.

    Args:
        rows: Rows of a train list.
        val_fraction: Share of each class's groups, in (0, 1).
    """
    groups: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        label = row.split("/")[0].lower()
        groups[label][group_of(row) or row].append(row)
    chosen: set[str] = set()
    for label, members in groups.items():
        count = min(max(1, round(val_fraction * len(members))), len(members) - 1)
        order = sorted(members, key=lambda group: _hash(f"{label}/{group.lower()}"))
        for group in order[:count]:
            chosen.update(members[group])
    return chosen


def locate(rows: Iterable[str], video_dir: Path) -> Listing:
    """Find the rows' files, whatever the case of folders and names.

    UCF101's own folder is HandstandPushups and the files in it are v_HandStandPushups_*; copies of
    the data set and of its lists disagree about both.

    Args:
        rows: Rows of a split list.
        video_dir: Folder of the class folders.
    """
    folders = _by_lower_name(video_dir)
    listing: list[Video] = []
    missing: list[str] = []
    for row in rows:
        folder, name = row.split("/")
        class_dir = folders.get(folder.lower())
        path = _by_lower_name(class_dir).get(name.lower()) if class_dir else None
        if class_dir is None or path is None:
            missing.append(row)
            continue
        group = group_of(row)
        listing.append(
            Video(
                path=path,
                video_id=row.rsplit(".", 1)[0],
                label=class_dir.name,
                group=f"{class_dir.name}/{group}" if group else None,
            )
        )
    _by_lower_name.cache_clear()
    return Listing(tuple(listing), tuple(missing))


@cache
def _by_lower_name(folder: Path) -> dict[str, Path]:
    try:
        return {path.name.lower(): path for path in sorted(folder.iterdir())}
    except OSError as error:
        if is_system_error(error):
            raise DataError(cannot_be_listed(folder, error)) from error
        return {}


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
