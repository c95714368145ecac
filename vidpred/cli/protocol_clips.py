"""`vidpred data clips`: the clips of a protocol as pictures, for other programs to predict."""

import argparse
from pathlib import Path

from vidpred.cli.common import HelpWithDefaults, at_least_zero, require_data_folder, say
from vidpred.cli.progress import counting


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
    parser.add_argument("output", metavar="FOLDER", type=Path, help="where clips go")
    parser.add_argument("--protocol", required=True, help="name of a protocol, or a YAML file")
    parser.add_argument("--root", type=Path, required=True, help="folder of the data set")
    parser.add_argument(
        "--workers", type=at_least_zero, default=2, help="threads that read clips ahead"
    )
    parser.set_defaults(run=write_clips)


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
    units = list(source.units())
    there = {name for unit in units for name in unit.names if (arguments.output / name).exists()}
    left = clips_left(units, there)
    failures = []
    with counting("Writing clips") as progress:
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
    say(
        f"each clip holds {cut.context_frames} known frames and {cut.horizon} to be predicted. "
        f"Predict these into PRED/<clip>/0001.png ... (or PRED/<clip>.npy), then: vidpred score "
        f"--pred PRED --target {arguments.output} --protocol {arguments.protocol}"
    )
    print(arguments.output)
    if failures:
        raise DataError(f"{len(failures)} clips cannot be read: " + "; ".join(failures[:3]))
    return 0
