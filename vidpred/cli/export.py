"""`vidpred export`: a trained predictor for other programs."""

import argparse
from collections.abc import Mapping

from vidpred.cli.common import add_module_option, import_modules, require_checkpoint_there, say
from vidpred.cli.value_types import at_least_one, given_path, not_empty

FORMATS = ("safetensors", "onnx", "torch-export")


def add_export_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Add `export`; parsing sets `run`, a function from arguments to exit status."""
    parser = subparsers.add_parser(
        "export",
        help="write a trained predictor for other programs, with its model card",
        description="Write a predictor as a file that other programs use: weights alone "
        "(safetensors), or a program for frames of any size (ONNX, torch.export) that takes "
        "context (B, T, C, H, W) in [0, 1] and gives frames (B, horizon, C, H, W). What was "
        "written is compared with the predictor at three frame sizes, and refused when it differs. "
        "Configuration, origin and scores are in the file, and in a model card next to it.",
    )
    parser.add_argument(
        "checkpoint",
        type=not_empty,
        metavar="CHECKPOINT",
        help="checkpoint of `vidpred fit`, safetensors file, or name of a bundled pretrained model",
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="of the file (default: as its ending says)"
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=given_path,
        help="file in .safetensors, .onnx or .pt2; the card has its name, in .md (mine.md; "
        "mine.onnx.md where mine.md is the card of mine.safetensors)",
    )
    parser.add_argument(
        "--hub-folder",
        metavar="FOLDER",
        type=given_path,
        help="instead of a file: a folder for the Hugging Face Hub, with model.safetensors, "
        "config.json and a card, ready for `hf upload OWNER/NAME FOLDER`",
    )
    parser.add_argument(
        "--horizon",
        metavar="N",
        type=at_least_one,
        help="frames that an ONNX or torch.export program predicts (default: one step)",
    )
    parser.add_argument(
        "--results",
        metavar="RESULT",
        nargs="+",
        default=[],
        help="result files of `vidpred test` for this checkpoint, or their folder; those of the "
        "baselines on the same clips are listed as well",
    )
    parser.add_argument(
        "--notes",
        metavar="FILE",
        type=given_path,
        help="Markdown that goes into file and card: what else a user should know",
    )
    add_module_option(parser)
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a file and a card that are there already, or a folder of --hub-folder that "
        "holds nothing else",
    )
    parser.set_defaults(run=run_export)


def run_export(arguments: argparse.Namespace) -> int:
    """Run `vidpred export`: the files on stdout, what was checked on stderr.

    Raises:
        VidpredError: When the checkpoint cannot be loaded or exported, or a file exists already.
    """
    require_checkpoint_there(arguments.checkpoint)
    # Here and not above: these bring torch, and `--help` has to answer at once.
    from vidpred.errors import ExportError
    from vidpred.evaluation.results.gathering import read_results
    from vidpred.export import export
    from vidpred.files import read_text

    try:
        notes = None if arguments.notes is None else read_text(arguments.notes)
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"--notes {arguments.notes}: cannot be read ({error})") from error
    if (arguments.output is None) == (arguments.hub_folder is None):
        raise ExportError("expected one of --output FILE and --hub-folder FOLDER")
    if arguments.hub_folder is not None:
        return _write_hub_folder(arguments, notes)
    written = export(
        arguments.checkpoint,
        arguments.output,
        format=arguments.format,
        horizon=arguments.horizon,
        results=read_results(arguments.results),
        notes=notes,
        modules=import_modules(arguments.module),
        overwrite=arguments.overwrite,
    )
    _say_parity(written.parity)
    if written.smallest_side is not None:
        side = written.smallest_side
        say(f"it takes frames of at least {side} x {side} pixels")
    print(written.file)
    print(written.card)
    return 0


def _write_hub_folder(arguments: argparse.Namespace, notes: str | None) -> int:
    from vidpred.errors import ExportError
    from vidpred.evaluation.results.gathering import read_results
    from vidpred.export.hub_folder import export_hub_folder

    if arguments.format not in (None, "safetensors") or arguments.horizon is not None:
        raise ExportError(
            "--hub-folder writes safetensors, which predict any number of frames; leave --format "
            "and --horizon out"
        )
    written = export_hub_folder(
        arguments.checkpoint,
        arguments.hub_folder,
        results=read_results(arguments.results),
        notes=notes,
        modules=import_modules(arguments.module),
        overwrite=arguments.overwrite,
    )
    _say_parity(written.parity)
    print(written.folder)
    return 0


def _say_parity(parity: Mapping[str, float]) -> None:
    if not parity:
        say("its weights are the predictor's; frames, which need its conditions, were not compared")
        return
    sizes = ", ".join(f"{size}: {found:.1e}" for size, found in parity.items())
    say(f"largest difference from the predictor, by batch x H x W: {sizes}")
