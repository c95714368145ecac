"""`vidpred test` by a protocol: checkpoints and baselines in one pass over the clips."""

import argparse
from pathlib import Path

from vidpred.cli.common import (
    HelpWithDefaults,
    add_module_option,
    device_of,
    import_modules,
    require_checkpoint_there,
    require_data_folder,
    say,
)
from vidpred.cli.scoring import add_scoring_options, publish, score
from vidpred.cli.value_types import given_path, not_empty
from vidpred.files import split_name


def add_test_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Add `test`; parsing sets `run`, a function from arguments to exit status."""
    parser = subparsers.add_parser(
        "test",
        help="score checkpoints and baselines by a protocol",
        description="Score checkpoints, and the baselines (copy last, linear, and optical-flow "
        "extrapolation with and without regard to repeated frames), all in one pass over the clips "
        "of a protocol. Results are appended as they come; the same command resumes where it "
        "stopped, and a checkpoint that is added later is scored alone.",
        epilog="The clips of a run's own data module are scored by vidpred validate -c FILE "
        "--ckpt-path FILE --split test.",
        formatter_class=HelpWithDefaults,
    )
    parser.add_argument(
        "checkpoints",
        nargs="*",
        type=not_empty,
        metavar="[NAME=]CHECKPOINT",
        help="checkpoint of `vidpred fit`, named by the folder of its run; safetensors file of "
        "`vidpred export`; or name of a bundled pretrained model",
    )
    parser.add_argument(
        "--root", type=given_path, required=True, help="folder of the data set, such as data/ucf101"
    )
    parser.add_argument(
        "--output", type=given_path, help="folder of the result files (default: results/PROTOCOL)"
    )
    parser.add_argument(
        "--no-baselines", action="store_true", help="do not score the baselines as well"
    )
    add_module_option(parser)
    add_scoring_options(parser, protocol="quick")
    parser.set_defaults(run=run_test)


def run_test(arguments: argparse.Namespace) -> int:
    """Run `vidpred test`: progress on stderr, the table on stdout.

    Raises:
        VidpredError: When data or checkpoints cannot be read, or clips could not be scored.
    """
    require_data_folder(arguments.root)
    for checkpoint in arguments.checkpoints:
        require_checkpoint_there(split_name(checkpoint)[1])
    # Here and not above: these bring torch, and `--help` has to answer at once.
    from vidpred.evaluation import load_protocol
    from vidpred.evaluation.scoring.checkpoint_methods import checkpoint_methods
    from vidpred.evaluation.scoring.methods import baselines
    from vidpred.evaluation.scoring.scored_method import ScoredMethod
    from vidpred.evaluation.sources.video_clips import VideoClips
    from vidpred.models import BASELINES

    protocol = load_protocol(arguments.protocol)
    device = device_of(arguments.device)
    source = VideoClips(protocol.protocol, arguments.root)
    if source.missing:
        there = source.videos_listed - len(source.missing)
        say(f"{there} of the {source.videos_listed} videos of the list are there")
    methods: list[ScoredMethod] = []
    if not arguments.no_baselines:
        methods += baselines(device, protocol.protocol.clips.context_frames)
    taken = set(BASELINES)  # theirs even when they are not scored
    modules = import_modules(arguments.module)
    methods += checkpoint_methods(arguments.checkpoints, device, taken=taken, modules=modules)
    folder = arguments.output or Path("results") / protocol.protocol.name
    return publish(score(arguments, protocol, source, methods, folder, device), folder)
