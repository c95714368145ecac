"""Conditions next to videos that cannot be used."""

from collections.abc import Mapping
from pathlib import Path

from vidpred.data.doctor.findings import Finding
from vidpred.errors import VideoError
from vidpred.plain import counted
from vidpred.video.conditions import conditions_path, cut_conditions, read_conditions


def condition_findings(root: Path, frames: Mapping[str, int]) -> list[Finding]:
    """Find conditions that cannot be read, or have fewer rows than their video has frames.

    Args:
        root: Folder of the data set.
        frames: Number of frames of each video, by its name below the root.
    """
    problems = []
    for name, count in frames.items():
        path = conditions_path(root / name)
        try:
            cut_conditions(read_conditions(root / name), range(count), path=path)
        except VideoError as error:
            problems.append(f"{path.relative_to(root)}: {error.problem}")
    if not problems:
        return []
    return [
        Finding(
            "conditions",
            True,
            f"{counted(len(problems), 'file')} of conditions cannot be used",
            tuple(problems),
            "Write them again with a row for each frame, or delete them; their videos are not in "
            "quarantine.",
        )
    ]
