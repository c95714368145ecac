"""`vidpred data index` and `vidpred data doctor`: what is in a data set, and what is wrong."""

import argparse
import sys
from typing import TYPE_CHECKING

from vidpred.cli.common import HelpWithDefaults, require_no_folder
from vidpred.cli.progress import counting_phases
from vidpred.cli.value_types import at_least_one, at_least_zero, given_path
from vidpred.files import expand_home, require_folder, write_json
from vidpred.plain import counted

if TYPE_CHECKING:
    from vidpred.data.doctor.findings import Diagnosis, Finding

SHOWN_ITEMS = 3
VIDEOS = "a folder of videos"
SINGULAR = {"videos": "video", "folders": "folder", "classes": "class", "frames": "frame"}
REQUIRES_ACTION = 2
"""Exit status when something has to be done about the data; 1 would be a mistake of ours."""


def add_index_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Add `index` to the data commands."""
    parser = subparsers.add_parser(
        "index",
        help="read once what later runs have to know about every video",
        description="Count the frames of every video below a folder and keep what was found in "
        "the user's cache (VIDPRED_CACHE), so that later runs begin at once. Only what is new or "
        "has changed is read. Training does this by itself.",
        formatter_class=HelpWithDefaults,
    )
    parser.add_argument("root", metavar="ROOT", type=given_path, help="folder of the data set")
    parser.add_argument("--workers", type=at_least_one, help="threads; one a core by default")
    parser.set_defaults(run=build_index)


def add_doctor_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Add `doctor` to the data commands."""
    parser = subparsers.add_parser(
        "doctor",
        help="find damaged, missing, duplicate or misplaced videos",
        description="Examine a folder of videos, and the split lists of UCF101's layout. Damaged "
        "videos are put into a quarantine that training leaves out. Exit status 0: healthy, 2: "
        "something requires action.",
        formatter_class=HelpWithDefaults,
    )
    parser.add_argument("root", metavar="ROOT", type=given_path, help="folder of the data set")
    parser.add_argument(
        "--full",
        action="store_true",
        help="decode every video whole; an interrupted examination resumes",
    )
    parser.add_argument("--frames", type=at_least_one, default=5, help="frames of a clip")
    parser.add_argument("--sample", type=at_least_zero, default=50, help="videos to decode whole")
    parser.add_argument("--seed", type=at_least_zero, default=0, help="of the sampling")
    parser.add_argument("--subset", action="store_true", help="listed videos may be missing")
    parser.add_argument(
        "--list-dir", type=given_path, help="folder of UCF101's lists, when elsewhere"
    )
    parser.add_argument("--json", type=given_path, metavar="FILE", help="write everything as JSON")
    parser.add_argument("--workers", type=at_least_one, help="threads; one a core by default")
    parser.add_argument("--release", action="store_true", help="empty the quarantine, and stop")
    parser.set_defaults(run=examine)


def build_index(arguments: argparse.Namespace) -> int:
    """Run `vidpred data index`: progress on stderr, a summary on stdout.

    Raises:
        VidpredError: When the folder is not there.
    """
    require_folder(expand_home(arguments.root), VIDEOS)
    # Here and not above: it brings torch, and `--help` has to answer at once.
    from vidpred.data.index.video_index import VideoIndex
    from vidpred.video.folders import frames_in_the_root

    with VideoIndex(arguments.root) as index, counting_phases() as progress:
        report = index.refresh(
            workers=arguments.workers,
            progress=lambda done, total: progress("Indexing videos", done, total),
        )
        file = "memory" if index.in_memory else index.file
        left_out = len(index.quarantined())
    _say(
        f"{counted(report.total, 'video')}: {report.new} new, {report.changed} changed, "
        f"{report.gone} gone, {report.broken} cannot be read, {left_out} in quarantine"
    )
    for name, reason in report.unreadable.items():
        _say(f"not given by the system: {name} ({reason})")
    for name, note in report.notes.items():
        _say(f"{name}: {note}")
    if report.frames:
        _say(frames_in_the_root(arguments.root, report.frames))
    if left_out or report.unreadable:
        _say(f"what to do: vidpred data doctor {arguments.root}")
    _say(f"index: {file}")
    return 0


def examine(arguments: argparse.Namespace) -> int:
    """Run `vidpred data doctor`: progress on stderr, the report on stdout.

    Raises:
        VidpredError: When the folder is not there, or the JSON file cannot be written.
    """
    require_folder(expand_home(arguments.root), VIDEOS)
    if arguments.json is not None:
        require_no_folder(arguments.json, ".json")
    # Here and not above: these bring torch, and `--help` has to answer at once.
    from vidpred.data.doctor.diagnosing import diagnose
    from vidpred.data.index.video_index import VideoIndex
    from vidpred.errors import DataError

    with VideoIndex(arguments.root) as index:
        if arguments.release:
            released = index.quarantined()
            index.release()
            _say(
                f"{counted(len(released), 'video')} released; those that cannot be opened come back"
            )
            return 0
        with counting_phases() as progress:
            diagnosis = diagnose(
                index,
                frames=arguments.frames,
                sample=arguments.sample,
                seed=arguments.seed,
                full=arguments.full,
                subset=arguments.subset,
                list_dir=arguments.list_dir,
                workers=arguments.workers,
                progress=progress,
            )
    show(diagnosis)
    if arguments.json is not None:
        try:
            write_json(arguments.json, diagnosis.to_plain())
        except OSError as error:
            raise DataError(f"{arguments.json}: cannot be written ({error.strerror})") from error
    return 0 if diagnosis.healthy else REQUIRES_ACTION


def show(diagnosis: "Diagnosis") -> None:
    """Print a report for people on stdout."""
    _say(f"{diagnosis.root} ({diagnosis.layout})")
    counts = diagnosis.counts.items()
    names = [SINGULAR.get(name, name) if count == 1 else name for name, count in counts]
    _say("  " + ", ".join(f"{n:,} {name}" for (_, n), name in zip(counts, names, strict=True)))
    faults = [finding for finding in diagnosis.findings if finding.fault]
    notes = [finding for finding in diagnosis.findings if not finding.fault]
    for title, findings in (("Requires action", faults), ("Worth knowing", notes)):
        if findings:
            _say(f"\n{title}")
        for finding in findings:
            _show_finding(finding)
    if diagnosis.quarantine:
        _say(
            f"\nTraining leaves out {counted(len(diagnosis.quarantine), 'video')} until the file "
            f"changes; to empty this quarantine: vidpred data doctor {diagnosis.root} --release"
        )
    _say("\nhealthy" if diagnosis.healthy else f"\nnot healthy: kinds of faults: {len(faults)}")


def _show_finding(finding: "Finding") -> None:
    _say(f"  [{finding.kind}] {finding.summary}")
    for item in finding.items[:SHOWN_ITEMS]:
        _say(f"      {item}")
    if len(finding.items) > SHOWN_ITEMS:
        _say(f"      ... and {len(finding.items) - SHOWN_ITEMS} more (--json FILE names all)")
    if finding.advice:
        _say(f"    -> {finding.advice}")


def _say(line: str) -> None:
    # A file's name need not be text in any encoding, and no terminal shows all text.
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"  # it may be closed
    print(line.encode(encoding, errors="backslashreplace").decode(encoding))
