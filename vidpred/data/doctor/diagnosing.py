"""Look a data set over: what is wrong with it, and what to do about it."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

from jsonargparse.typing import NonNegativeInt, PositiveInt

from vidpred.data.doctor import video_files as doctor_files
from vidpred.data.doctor.condition_files import condition_findings
from vidpred.data.doctor.decoding import Decoded, decode, decoding_findings
from vidpred.data.doctor.disk import compare_with_disk
from vidpred.data.doctor.findings import Diagnosis, Finding, PhaseProgress
from vidpred.data.doctor.repeated_frames import repeated_frames
from vidpred.data.doctor.split_lists import examine_lists, is_ucf101, read_lists
from vidpred.data.index.records import IndexReport, Quarantined
from vidpred.data.index.video_index import VideoIndex
from vidpred.data.ucf101_layout import LIST_DIR, VIDEO_DIR
from vidpred.errors import DataError, VideoError
from vidpred.ops.checks import require_positive
from vidpred.video import VideoInfo
from vidpred.video.folders import frames_in_the_root, no_videos

Layout = Literal["UCF101", "UCF101 layout", "folder"]


def diagnose(
    index: VideoIndex,
    *,
    frames: PositiveInt = 5,
    sample: NonNegativeInt = 50,
    seed: NonNegativeInt = 0,
    full: bool = False,
    subset: bool = False,
    list_dir: str | Path | None = None,
    workers: PositiveInt | None = None,
    progress: PhaseProgress | None = None,
) -> Diagnosis:
    """Examine the videos of an index, and the lists when they lie in UCF101's layout.

    Truncated and damaged videos are put into the index's quarantine. What is there already is
    decoded whole again, and released when nothing is wrong with it. Which videos were decoded is
    remembered in the index until they change.

    Args:
        index: Of the data set's folder.
        frames: Frames of a clip; the first ones of every video are decoded.
        sample: Videos to decode whole, chosen at random.
        seed: Of this choice.
        full: Decode all videos whole.
        subset: Whether it is well that listed videos are missing.
        list_dir: Folder of UCF101's lists when they are not in ucfTrainTestlist below the root.
        workers: Threads; one a core, at most 8, when `None`.
        progress: Called with what is being done, the number of files done, and of all.

    Raises:
        ValueError: For a number out of range.
    """
    require_positive("frames", frames)
    if workers is not None:
        require_positive("workers", workers)
    if sample < 0 or seed < 0:
        raise ValueError(f"sample is {sample}, seed {seed}; expected neither below 0")
    threads = workers or min(8, os.cpu_count() or 1)
    report = index.refresh(
        workers=threads,
        progress=progress and (lambda done, total: progress("Indexing videos", done, total)),
    )
    known, states = index.known(), index.states()
    infos = {name: info for name, info in known.items() if isinstance(info, VideoInfo)}
    layout, findings = _examine_layout(
        index.root, known, subset=subset, list_dir=None if list_dir is None else Path(list_dir)
    )
    cut = doctor_files.truncated(index, infos)
    whole = {name: info for name, info in infos.items() if name not in cut}
    before = index.quarantined()
    decoded = decode(
        index,
        whole,
        frames=frames,
        sample=sample,
        seed=seed,
        full=full,
        suspects={name for name, entry in before.items() if entry.source != "index"},
        workers=threads,
        progress=progress,
    )
    sound = {
        name: info
        for name, info in whole.items()
        if name not in decoded.damaged and name not in decoded.not_given
    }
    findings += [
        *_folder_findings(index, report),
        *doctor_files.cannot_be_opened(index.root, known, states),
        *_truncated(cut),
        *_not_given(decoded),
        *decoding_findings(decoded, infos),
        *condition_findings(
            index.root, {n: i.num_frames for n, i in sound.items()} | decoded.fewer
        ),
        *doctor_files.too_short(infos, frames),
        *doctor_files.odd_sizes(infos, fault=layout == "UCF101"),
        *doctor_files.duplicates(index, states, workers=threads, progress=progress),
        *doctor_files.lying_headers(whole),
        *repeated_frames(index, sound, workers=threads, progress=progress),
        *_update_quarantine(index, before, cut | decoded.damaged, decoded),
    ]
    return Diagnosis(
        root=str(index.root),
        layout=layout,
        counts={
            "videos": report.total,
            "folders" if layout == "folder" else "classes": len({Path(n).parent for n in known}),
            "frames": sum(info.num_frames for info in infos.values()),
            "decoded whole": decoded.whole,
            "first frames decoded": decoded.heads,
            "in quarantine": len(index.quarantined()),
        },
        findings=tuple(sorted(findings, key=lambda finding: not finding.fault)),
        quarantine=index.quarantined(),
    )


def _examine_layout(
    root: Path,
    known: Mapping[str, VideoInfo | VideoError],
    *,
    subset: bool,
    list_dir: Path | None,
) -> tuple[Layout, list[Finding]]:
    video_dir, lists_at = root / VIDEO_DIR, list_dir or root / LIST_DIR
    if list_dir is None and not video_dir.is_dir() and not lists_at.is_dir():
        return "folder", []
    lists, faults = read_lists(lists_at)
    rows = list(dict.fromkeys(row for some in lists.values() for row in some))
    classes = {row.split("/")[0] for row in rows}
    classes |= {Path(name).parent.name for name in known if name.startswith(f"{VIDEO_DIR}/")}
    official = is_ucf101(classes)
    findings = examine_lists(lists, faults, official=official)
    if not video_dir.is_dir():
        findings.append(
            Finding(
                "layout",
                True,
                f"there is no folder {VIDEO_DIR} with the class folders",
                (str(video_dir),),
                f"Give the folder above {VIDEO_DIR}, or move the class folders into one.",
            )
        )
    elif rows:
        # A folder that cannot be listed is a finding of the index.
        with suppress(PermissionError, DataError):
            findings += compare_with_disk(rows, video_dir, known, subset=subset, official=official)
    return "UCF101" if official else "UCF101 layout", findings


def _folder_findings(index: VideoIndex, report: IndexReport) -> list[Finding]:
    findings = []
    if report.unreadable:
        items = tuple(f"{name}: {why}" for name, why in report.unreadable.items())
        advice = (
            "Correct permissions, or look after the disk or network drive. Nothing is remembered "
            "of them: they are tried again."
        )
        summary = f"{len(items)} folders or files are not given by the system"
        findings.append(Finding("system", True, summary, items, advice))
    if report.frames:
        said = frames_in_the_root(index.root, report.frames)
        findings.append(Finding("layout", True, "the folder is one video", (said,)))
    elif report.total == 0 and not report.unreadable:
        said = no_videos(index.root)
        findings.append(Finding("layout", True, "there is no video", (said,)))
    if report.notes:
        items = tuple(f"{name}: {note}" for name, note in report.notes.items())
        summary = f"{len(items)} folders of frames hold something else, or lack a frame"
        advice = "Nothing to do when this is as it is meant to be."
        findings.append(Finding("frames", False, summary, items, advice))
    if index.in_memory:
        findings.append(
            Finding(
                "cache",
                True,
                "the index cannot be kept, so training will not know of this quarantine",
                (str(index.file.parent),),
                "Set VIDPRED_CACHE to a folder that can be written, for training too.",
            )
        )
    return findings


def _not_given(decoded: Decoded) -> list[Finding]:
    if not decoded.not_given:
        return []
    items = tuple(f"{name}: {why}" for name, why in decoded.not_given.items())
    summary = f"{len(items)} videos were not given by the system while they were decoded"
    return [Finding("system", True, summary, items, "Nothing is remembered of them; try again.")]


def _truncated(cut: Mapping[str, str]) -> list[Finding]:
    if not cut:
        return []
    return [
        Finding(
            "truncated",
            True,
            f"{len(cut)} files were cut off",
            tuple(f"{name}: {reason}" for name, reason in cut.items()),
            "Fetch them again; training leaves them out until they change.",
        )
    ]


def _update_quarantine(
    index: VideoIndex,
    before: Mapping[str, Quarantined],
    bad: Mapping[str, str],
    decoded: Decoded,
) -> list[Finding]:
    for name, reason in bad.items():
        index.quarantine(name, reason, source="doctor")
    sound = [name for name in before if name in decoded.sound and name not in bad]
    for name in sound:
        index.release(name)
    if not sound:
        return []
    return [
        Finding(
            "released",
            False,
            f"{len(sound)} videos were in quarantine, and nothing is wrong with them now",
            tuple(f"{name}: {before[name].source} said {before[name].reason}" for name in sound),
            "They are used again. The disk or the network may have failed for a moment.",
        )
    ]
