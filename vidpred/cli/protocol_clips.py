"""`vidpred data clips`: the clips of a protocol as pictures, for other programs to predict."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from vidpred.cli.common import HelpWithDefaults, cleaned_up_after_sigterm, require_data_folder, say
from vidpred.cli.progress import counting
from vidpred.cli.scoring import protocol_help
from vidpred.cli.value_types import at_least_zero, given_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vidpred.evaluation.clips import Loaded


def add_clips_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Add `clips` to the data commands."""
    parser = subparsers.add_parser(
        "clips",
        help="write the clips of a protocol as PNG frames",
        description="Write every clip of a protocol as a folder of PNG frames, the known ones "
        "first. Any program can predict from these; `vidpred score --target` takes the folder as "
        "it is. Clips that exist are left alone.",
        formatter_class=HelpWithDefaults,
    )
    parser.add_argument("output", metavar="FOLDER", type=given_path, help="where clips go")
    parser.add_argument("--protocol", required=True, help=protocol_help())
    parser.add_argument("--root", type=given_path, required=True, help="folder of the data set")
    parser.add_argument(
        "--workers", type=at_least_zero, default=2, help="threads that read clips ahead"
    )
    parser.set_defaults(run=write_clips)


def _require_no_others(folder: Path, names: "Sequence[str]", protocol: str) -> None:
    """Refuse a folder with clips of another list, which `vidpred score` would take for targets."""
    from vidpred.errors import DataError
    from vidpred.evaluation.sources.clip_entries import clip_entries
    from vidpred.plain import counted, some

    if folder.is_dir() and (others := sorted(set(clip_entries(folder)) - set(names))):
        raise DataError(
            f"{folder}: holds {counted(len(others), 'clip')} that protocol {protocol} does not cut "
            f"from this root ({some(others)}); choose another folder, or remove them"
        )


def _require_same(folder: Path, loaded: "Loaded", written: set[str]) -> None:
    """Refuse a folder whose clips are of another protocol or of other videos."""
    import torch

    from vidpred.errors import DataError
    from vidpred.evaluation.clips import EvaluationClip
    from vidpred.evaluation.sources.frame_files import read_images
    from vidpred.ops import unit_to_uint8

    for name in written:
        clip = loaded[name]
        if not isinstance(clip, EvaluationClip) or clip.context is None:
            continue
        frames = unit_to_uint8(torch.cat((clip.context, clip.target)))
        files = sorted((folder / name).glob("*.png"))
        # Gray frames are written with one channel.
        if len(files) != len(frames) or not (read_images(files) == frames).all():
            raise DataError(
                f"{folder / name}: holds other frames than this protocol cuts from this root; "
                "choose another folder, or remove that one"
            )


def write_clips(arguments: argparse.Namespace) -> int:
    """Run `vidpred data clips`: progress on stderr, the folder on stdout.

    Raises:
        VidpredError: When the data cannot be read or the folder not be written.
    """
    require_data_folder(arguments.root)
    # Here and not above: these bring torch, and `--help` has to answer at once.
    import torch

    from vidpred.errors import DataError, VidpredError
    from vidpred.evaluation import load_protocol
    from vidpred.evaluation.clips import clips_left, read_ahead
    from vidpred.evaluation.sources.frame_files import write_clip
    from vidpred.evaluation.sources.video_clips import VideoClips
    from vidpred.ops import unit_to_uint8

    protocol = load_protocol(arguments.protocol).protocol
    source = VideoClips(protocol, arguments.root, with_masks=False)
    _require_no_others(arguments.output, source.names, protocol.name)
    units = list(source.units())
    there = {name for unit in units for name in unit.names if (arguments.output / name).exists()}
    for unit in units:
        if written := there & set(unit.names):
            _require_same(arguments.output, unit.load(), written)
            break
    left = clips_left(units, there)
    failures = []
    with cleaned_up_after_sigterm(), counting("Writing clips") as progress:
        for done, loaded in enumerate(read_ahead(left, workers=arguments.workers), start=1):
            for name, clip in loaded.items():
                if isinstance(clip, VidpredError):
                    failures.append(str(clip))
                elif name not in there and clip.context is not None:
                    frames = unit_to_uint8(torch.cat((clip.context, clip.target)))
                    try:
                        write_clip(arguments.output / name, frames)
                    except OSError as error:
                        raise DataError(
                            f"{arguments.output}: cannot be written ({error.strerror})"
                        ) from error
            progress(done, len(left))
    cut = protocol.clips
    if there:
        say(f"{len(there)} clips were there before and are left alone")
    missing, listed = len(source.missing), source.videos_expected or source.videos_listed
    if missing:
        say(f"{listed - missing} of {listed} videos are there: no benchmark number comes of these")
    say(
        f"each clip holds {cut.context_frames} known frames and {cut.horizon} to be predicted. "
        f"Predict these into PRED/<clip>/0001.png ... (or PRED/<clip>.npy), then: vidpred score "
        f"--pred PRED --target {arguments.output} --protocol {arguments.protocol}"
    )
    print(arguments.output)
    if failures:
        raise DataError(f"{len(failures)} clips cannot be read: " + "; ".join(failures[:3]))
    return 0
