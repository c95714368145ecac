"""`vidpred data prepare`: a data set from the web."""

import argparse
from dataclasses import replace
from pathlib import Path

from vidpred.cli.common import HelpWithDefaults, say
from vidpred.cli.doctor import add_doctor_parser
from vidpred.cli.progress import transferring
from vidpred.cli.refused_values import refusals
from vidpred.cli.value_types import above_zero, at_least_zero, given_path


def add_prepare_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Add `prepare` to the data commands."""
    parser = subparsers.add_parser(
        "prepare",
        help="download and unpack UCF101",
        description="Download UCF101 (6.9 GB, and as much again when unpacked): the ZIP of the "
        "THUMOS 2014 challenge, whose SHA-256 is known, and the split lists of its authors. Unpack "
        "both into the layout that is read here and check the result. Interrupted at any point, "
        "the same command resumes.",
        formatter_class=HelpWithDefaults,
    )
    parser.add_argument("dataset", choices=("ucf101",), help="data set")
    parser.add_argument(
        "root",
        metavar="ROOT",
        type=given_path,
        nargs="?",
        default=Path("data/ucf101"),
        help="folder",
    )
    parser.add_argument(
        "--videos",
        metavar="ADDRESS_OR_FILE",
        help="another copy of the videos' archive (RAR or ZIP), on a site or on the disk",
    )
    parser.add_argument(
        "--official-rar",
        action="store_true",
        help="download the RAR of the authors' site instead, which has no published hash and needs "
        "bsdtar, 7-Zip or unrar",
    )
    parser.add_argument("--videos-sha256", metavar="HASH", help="what --videos must hash to")
    parser.add_argument(
        "--lists",
        metavar="ADDRESS_OR_FILE",
        help="another copy of the archive of the split lists (recognition task)",
    )
    parser.add_argument("--lists-sha256", metavar="HASH", help="what --lists must hash to")
    parser.add_argument(
        "--max-unpacked-gb",
        type=above_zero,
        default=20.0,
        help="refuse an archive that holds more (1 GB = 1,000,000,000 bytes)",
    )
    parser.add_argument(
        "--keep-archives", action="store_true", help="leave them in ROOT/.downloads"
    )
    parser.add_argument(
        "--retries",
        type=at_least_zero,
        default=8,
        help="fruitless attempts in a row before giving up",
    )
    parser.add_argument(
        "--timeout", type=above_zero, default=60.0, help="connection timeout, in seconds"
    )
    parser.set_defaults(run=prepare)


def prepare(arguments: argparse.Namespace) -> int:
    """Run `vidpred data prepare`: progress on stderr, the folder on stdout, then the doctor.

    Returns:
        The doctor's exit status.

    Raises:
        VidpredError: When something cannot be had, read or written, or an option is wrong.
    """
    # Here and not above: these bring torch, and `--help` has to answer at once.
    from vidpred.data.fetch.prepare_ucf101 import (
        DEFAULT_VIDEOS,
        OFFICIAL_LISTS,
        OFFICIAL_VIDEOS,
        custom_source,
        prepare_ucf101,
    )
    from vidpred.errors import DataError

    if arguments.official_rar and arguments.videos:
        raise DataError("--official-rar and --videos both name the videos; give one of them")
    standard = OFFICIAL_VIDEOS if arguments.official_rar else DEFAULT_VIDEOS
    say(
        "UCF101 (Soomro, Zamir and Shah, CRCV-TR-12-01, 2012): clips of videos that users "
        "uploaded, commonly described as for research use; their rights stay with them"
    )
    with transferring() as progress, refusals(DataError):
        sources = [
            custom_source(given, sha256=sha256)
            if given
            else replace(known, sha256=sha256 or known.sha256)
            for given, sha256, known in (
                (arguments.videos, arguments.videos_sha256, standard),
                (arguments.lists, arguments.lists_sha256, OFFICIAL_LISTS),
            )
        ]
        prepared = prepare_ucf101(
            arguments.root,
            videos=sources[0],
            lists=sources[1],
            max_unpacked_bytes=int(arguments.max_unpacked_gb * 1e9),
            keep_archives=arguments.keep_archives,
            retries=arguments.retries,
            timeout=arguments.timeout,
            progress=progress,
            notice=say,
        )
    for what, count in (("videos", prepared.videos), ("lists", prepared.lists)):
        if count is not None:
            say(f"{count:,} {what} unpacked")
    print(prepared.root, flush=True)
    return _examine(prepared.root)


def _examine(root: Path) -> int:
    """Run `vidpred data doctor` as it is without options."""
    parser = argparse.ArgumentParser()
    add_doctor_parser(parser.add_subparsers())
    arguments = parser.parse_args(["doctor", "--", str(root)])
    return int(arguments.run(arguments))
