"""`vidpred data`: the data's own commands."""

import argparse

from vidpred.cli.common import HelpWithDefaults, cleaned_up_after_sigterm
from vidpred.cli.doctor import add_doctor_parser, add_index_parser
from vidpred.cli.prepare import add_prepare_parser
from vidpred.cli.progress import counting
from vidpred.cli.protocol_clips import add_clips_parser
from vidpred.cli.refused_values import refusals
from vidpred.cli.value_types import at_least_one, given_path


def add_data_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Add `data` and its commands; parsing sets `run`, a function from arguments to exit status."""
    parser = subparsers.add_parser("data", help="write, download and check data sets")
    commands = parser.add_subparsers(dest="data_command", required=True, metavar="COMMAND")
    toy = commands.add_parser(
        "toy",
        help="write a small set of moving shapes in UCF101's layout",
        description="Render textured moving shapes into real AVI files in UCF101's layout, with "
        "official-style split lists, for tests and first trials. Needs no network.",
        formatter_class=HelpWithDefaults,
    )
    toy.add_argument("root", metavar="ROOT", type=given_path, help="folder to make")
    toy.add_argument("--height", type=at_least_one, default=96, help="rows of a frame")
    toy.add_argument("--width", type=at_least_one, default=128, help="columns of a frame")
    toy.add_argument("--frames", type=at_least_one, default=40, help="frames of a clip")
    toy.add_argument(
        "--groups", type=at_least_one, default=8, help="scenes of each of the four classes"
    )
    toy.add_argument("--clips-per-group", type=at_least_one, default=2, help="clips of each scene")
    toy.add_argument("--seed", type=int, default=0, help="of the data")
    toy.add_argument(
        "--overwrite",
        action="store_true",
        help="replace moving shapes that are there; any other folder is never touched",
    )
    toy.set_defaults(run=write_toy_set)
    add_prepare_parser(commands)
    add_index_parser(commands)
    add_doctor_parser(commands)
    add_clips_parser(commands)


def write_toy_set(arguments: argparse.Namespace) -> int:
    """Run `vidpred data toy`: progress on stderr, the folder on stdout.

    Raises:
        VidpredError: When the folder cannot be used or an argument is out of range.
    """
    # Here and not above: these bring torch, and `--help` has to answer at once.
    from vidpred.data.moving_shapes import write_moving_shapes
    from vidpred.errors import DataError

    with (
        cleaned_up_after_sigterm(),
        counting("Rendering moving shapes") as progress,
        refusals(DataError),
    ):
        root = write_moving_shapes(
            arguments.root,
            num_groups=arguments.groups,
            clips_per_group=arguments.clips_per_group,
            num_frames=arguments.frames,
            height=arguments.height,
            width=arguments.width,
            seed=arguments.seed,
            overwrite=arguments.overwrite,
            progress=progress,
        )
    print(root)
    return 0
