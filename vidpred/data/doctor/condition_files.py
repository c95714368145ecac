"""Conditions next to videos that cannot be used."""

from collections.abc import Mapping
from pathlib import Path

from vidpred.data.doctor.findings import Finding
from vidpred.errors import VideoError
from vidpred.plain import counted
from vidpred.video.conditions import conditions_path, cut_conditions, read_conditions


def condition_findings(root: Path, frames: Mapping[str, int]) -> list[Finding]:
    """Find conditions that cannot be read, or whose rows are not as many as their video's frames.

    Args:
        root: Folder of the data set.
        frames: Number of frames of each video, by its name below the root.
    """
    problems, longer = [], []
    for name, count in frames.items():
        path = conditions_path(root / name)
        where = path.relative_to(root)
        try:
            rows = read_conditions(root / name)
            cut_conditions(rows, range(count), path=path)
        except VideoError as error:
            problems.append(f"{where}: {error.problem}")
            continue
        longer += [
            f"{where}: {key!r} has {len(values)} rows for {count} frames"
            for key, values in rows.items()
            if len(values) > count
        ]
    findings = []
    if problems:
        findings.append(
            Finding(
                "conditions",
                True,
                f"{counted(len(problems), 'file')} of conditions cannot be used",
                tuple(problems),
                "Write them again with a row for each frame, or delete them; their videos are not "
                "in quarantine.",
            )
        )
    if longer:
        findings.append(
            Finding(
                "conditions",
                False,
                f"{counted(len(longer), 'condition')} with more rows than their video has frames",
                tuple(longer),
                "Row t is taken for frame t: nothing to do where only rows at the end are left "
                "over; of another frame rate, or of a video that was cut, they do not fit.",
            )
        )
    return findings
