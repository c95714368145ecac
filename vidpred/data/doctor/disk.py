"""What the lists name and the disk holds, compared."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path

from vidpred.data.doctor.findings import Finding
from vidpred.data.ucf101_lists import locate


def compare_with_disk(
    rows: Collection[str],
    video_dir: Path,
    on_disk: Collection[str],
    *,
    subset: bool,
    official: bool,
) -> list[Finding]:
    """Find listed videos that are missing or written otherwise, and files that no list names.

    Args:
        rows: All rows of all lists, each once.
        video_dir: Folder of the class folders.
        on_disk: The videos below the root, by path below the root.
        subset: Whether missing videos are meant to be missing.
        official: Whether the set is UCF101.
    """
    listing = locate(rows, video_dir)
    found = {f"{video.path.parent.name}/{video.path.name}" for video in listing.videos}
    findings = []
    if listing.missing:
        findings.append(_missing(listing.missing, len(rows), subset=subset, official=official))
    written = {name.lower(): name for name in found}
    other_case = [
        f"{row}: on the disk {written[row.lower()]}"
        for row in rows
        if row.lower() in written and row not in found
    ]
    if other_case:
        folders = {
            f"{row.split('/')[0]} -> {written[row.lower()].split('/')[0]}"
            for row in rows
            if row.lower() in written and row.split("/")[0] != written[row.lower()].split("/")[0]
        }
        summary = f"{len(other_case)} videos are written in another case than in the lists"
        if folders:
            summary += f"; class folders: {', '.join(sorted(folders)[:5])}"
        advice = "Nothing to do here: the case is ignored. Other programs need the lists' names."
        findings.append(Finding("case", False, summary, tuple(other_case), advice))
    findings += _collisions(video_dir)
    used = {f"{video_dir.name}/{name}" for name in found}
    if unlisted := sorted(set(on_disk) - used):
        summary = f"{len(unlisted)} videos on the disk are in no list"
        advice = "They are not used. A misspelt name would also be among the missing videos."
        findings.append(Finding("unlisted", False, summary, tuple(unlisted), advice))
    return findings


def _missing(missing: Iterable[str], listed: int, *, subset: bool, official: bool) -> Finding:
    by_class: dict[str, list[str]] = defaultdict(list)
    for row in missing:
        by_class[row.split("/")[0]].append(row)
    names = [row for rows in by_class.values() for row in rows]
    fetch = "`vidpred data prepare ucf101` fetches them" if official else "Fetch them"
    return Finding(
        "missing",
        not subset,
        f"{len(names)} of {listed} listed videos are not on the disk, in {len(by_class)} classes",
        tuple(names),
        "Expected with --subset; scores on a part are no benchmark numbers."
        if subset
        else f"{fetch}; with --subset a part is enough.",
    )


def _collisions(video_dir: Path) -> list[Finding]:
    """Find names that differ in their case alone: only one of each is ever used."""
    found = []
    folders = sorted(video_dir.iterdir()) if video_dir.is_dir() else []
    for names in [folders, *(sorted(path.iterdir()) for path in folders if path.is_dir())]:
        alike: dict[str, list[str]] = defaultdict(list)
        for path in names:
            alike[path.name.lower()].append(path.relative_to(video_dir).as_posix())
        found += [" and ".join(same) for same in alike.values() if len(same) > 1]
    if not found:
        return []
    return [
        Finding(
            "case",
            True,
            f"{len(found)} names differ in their case alone, and only one of each is used",
            tuple(found),
            "Put the files into one folder, under one name.",
        )
    ]
