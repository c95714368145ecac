"""`vidpred score`: predictions that any program wrote."""

import argparse
from pathlib import Path

from vidpred.cli.common import HelpWithDefaults, device_of, say
from vidpred.cli.scoring import add_scoring_options, publish, score
from vidpred.cli.value_types import given_path
from vidpred.errors import PredictionError
from vidpred.files import expand_home, require_folder


def add_score_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Add `score`; parsing sets `run`, a function from arguments to exit status."""
    parser = subparsers.add_parser(
        "score",
        help="score predictions that any program wrote, without a checkpoint",
        description="Score predicted frames against true ones. Each folder holds one entry a clip: "
        "a folder of PNG or JPEG frames, an .npy array, or a video. Targets that begin with the "
        "past frames (`vidpred data clips` writes such) give motion masks, and baselines are "
        "scored as well. Results are appended as they come; the same command resumes where it "
        "stopped.",
        formatter_class=HelpWithDefaults,
    )
    parser.add_argument(
        "--pred",
        type=given_path,
        required=True,
        help="folder of predicted clips, each with the predicted frames alone: PNG or JPEG, or "
        "an .npy of (T, H, W, C) or (T, C, H, W), uint8 or float in --value-range, or a video",
    )
    parser.add_argument("--target", type=given_path, required=True, help="folder of true clips")
    parser.add_argument("--mask", type=given_path, help="folder of masks, white where moving")
    parser.add_argument("--name", help="of the method; the name of the --pred folder otherwise")
    parser.add_argument(
        "--output", type=given_path, help="folder of the result files (default: results/PROTOCOL)"
    )
    parser.add_argument(
        "--value-range",
        type=float,
        nargs=2,
        metavar=("BLACK", "WHITE"),
        default=(0.0, 1.0),
        help="of float arrays, such as -1 1; 8-bit values are 0 to 255 whatever it says",
    )
    parser.add_argument(
        "--no-baselines", action="store_true", help="do not score the baselines as well"
    )
    add_scoring_options(parser, protocol=None)
    parser.set_defaults(run=run_score)


def run_score(arguments: argparse.Namespace) -> int:
    """Run `vidpred score`: progress on stderr, the table on stdout.

    Raises:
        VidpredError: When folders do not match, or clips could not be scored.
    """
    for folder in (arguments.pred, arguments.target):
        require_folder(expand_home(folder), "a folder with one entry for each clip")
    # Here and not above: these bring torch, and `--help` has to answer at once.
    from vidpred.evaluation import load_protocol
    from vidpred.evaluation.results.reading import of_another_list
    from vidpred.evaluation.scoring.methods import FilesMethod, baselines
    from vidpred.evaluation.scoring.scored_method import ScoredMethod, require_method_name
    from vidpred.evaluation.sources.clip_folder import ClipFolder, pair_clips
    from vidpred.evaluation.sources.folder_clips import FolderClips
    from vidpred.models import BASELINES

    protocol = load_protocol(arguments.protocol)
    value_range = (arguments.value_range[0], arguments.value_range[1])
    try:
        pred = ClipFolder(arguments.pred, value_range=value_range)
        target = ClipFolder(arguments.target, value_range=value_range)
    except ValueError as error:
        raise PredictionError(f"--value-range: {error}") from error
    pair_clips(pred, target)
    masks = None if arguments.mask is None else ClipFolder(arguments.mask)
    source = FolderClips(protocol.protocol, target, masks)
    if source.mask["source"] == "none" and protocol.protocol.mask is not None:
        say(
            "the targets hold no past frames, so motion is not known: the moving area is not "
            "scored. Give --mask, or targets that begin with the past frames"
        )
    device = device_of(arguments.device)
    folder = arguments.output or Path("results") / protocol.protocol.name
    methods: list[ScoredMethod] = []
    if source.has_context and not arguments.no_baselines:
        found = baselines(device, protocol.protocol.clips.context_frames)
        # Those that `vidpred test` left there for the whole list stay: they are as good or better.
        methods += [
            method
            for method in found
            if not of_another_list(folder / f"{method.description['name']}.json", protocol, source)
        ]
    name = arguments.name or arguments.pred.absolute().name
    require_method_name(name)
    if name in BASELINES:
        raise PredictionError(f"{name!r} is the name of a baseline; give another with --name")
    details = {"folder": arguments.pred.name, "value_range": list(value_range)}
    methods.append(FilesMethod(pred, {"name": name, "kind": "files", "details": details}))
    return publish(score(arguments, protocol, source, methods, folder, device), folder)
