"""`vidpred quickstart`: data, training, evaluation and pictures, with nothing given."""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from vidpred.cli.common import HelpWithDefaults, say
from vidpred.cli.progress import counting
from vidpred.cli.value_types import given_path
from vidpred.errors import VidpredError

if TYPE_CHECKING:
    from vidpred.callbacks import QualityResults

BATCH_SIZE = 16
"""Of `experiment/quickstart.yaml`: a discriminator's and a generator's draw of 8 patches each."""

EPOCHS = 6

BATCHES = 1200


def add_quickstart_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Add `quickstart`; parsing sets `run`, a function from arguments to exit status."""
    parser = subparsers.add_parser(
        "quickstart",
        help="train and test a small predictor on moving shapes, in a few minutes",
        description="Write a small set of real AVI files, train the adversarial predictor of "
        "Mathieu et al. 2016 at reduced width, and test it against copying the last frame. Needs "
        "no data, no account and no GPU.",
        formatter_class=HelpWithDefaults,
    )
    parser.add_argument(
        "--output",
        type=given_path,
        default=Path("runs/quickstart"),
        help="folder of the run; a number is appended when it exists",
    )
    parser.add_argument(
        "--batches",
        type=int,
        default=BATCHES,
        help="training batches; fewer only check the installation",
    )
    parser.add_argument("--seed", type=int, default=1, help="of weights and samples")
    parser.set_defaults(run=run_quickstart)


def run_quickstart(arguments: argparse.Namespace) -> int:
    """Run `vidpred quickstart`: progress on stderr, the table on stdout.

    Returns:
        0 when the predictor beats copying the last frame in the moving area at the first frame, in
        PSNR and SSIM; else 1, unless `--batches` asked for a shorter training.

    Raises:
        VidpredError: When an argument is out of range.
    """
    if arguments.batches < EPOCHS:
        raise VidpredError(f"--batches is {arguments.batches}; expected at least {EPOCHS}")
    output = _free_folder(arguments.output)
    # Here and not above: these bring torch, and `--help` has to answer at once.
    from vidpred.callbacks import FrameQuality
    from vidpred.cli.trainer import VidpredCLI, run_cli
    from vidpred.data.moving_shapes import write_moving_shapes

    say(f"1/3 writing moving shapes into {output / 'data'}")
    with counting("Rendering moving shapes") as progress:
        write_moving_shapes(output / "data", progress=progress)
    say(f"2/3 training {arguments.batches} batches into {output}")
    cli = run_cli(
        [
            *("fit", "-c", "experiment/quickstart.yaml", "--run_dir", str(output)),
            f"--data.root={output / 'data'}",
            f"--data.samples_per_epoch={arguments.batches // EPOCHS * BATCH_SIZE}",
            *("--seed_everything", str(arguments.seed)),
        ]
    )
    if not isinstance(cli, VidpredCLI):
        return cli
    say("3/3 testing the best checkpoint against copying the last frame")
    best = str(output / "checkpoints" / "best.ckpt")
    cli.trainer.test(cli.model, datamodule=cli.datamodule, ckpt_path=best, verbose=False)
    # `trainer.callbacks` is set by a function of Lightning, so its type is not known.
    callbacks: list[object] = cli.trainer.callbacks  # type: ignore[attr-defined]
    quality = next(callback for callback in callbacks if isinstance(callback, FrameQuality))
    say(f"done: {output} holds")
    say("  checkpoints/best.ckpt   the predictor")
    say("  pictures/               strips (PNG) and videos (MP4): truth, prediction, difference")
    say("  test_metrics.json       the table with its conventions, seed and versions")
    say("  metrics.csv, wandb/     every curve")
    say("next: its prediction of a video, side by side with the truth")
    say(f"  {predict_command(best)}")
    say("then: the same networks and losses on your own folder of videos")
    say(
        "  vidpred fit -c experiment/adv_gdl.yaml -c model/adam_adversarial.yaml "
        "--data data/video_folder.yaml --data.root FOLDER"
    )
    return _verdict(quality.results, arguments.batches)


def predict_command(checkpoint: str) -> str:
    """Give the command that predicts a video by a checkpoint, as a shell takes it."""
    return f"vidpred predict VIDEO --model {shlex.quote(checkpoint)} --compare"


def _verdict(results: "QualityResults | None", batches: int) -> int:
    scores = results["scores"] if results else {}
    better = bool(scores)
    for metric in ("psnr", "ssim") if scores else ():
        ours = scores["model"]["moving"][metric]["per_frame"][0]
        copy = scores["copy_last"]["moving"][metric]["per_frame"][0]
        better = better and ours is not None and copy is not None and ours > copy
    if better:
        say("The predictor beats copying the last frame where something moves.")
    else:
        say("The predictor does not yet beat copying the last frame where something moves.")
    if batches < BATCHES:
        say(f"All works: {batches} batches check the installation; a predictor takes {BATCHES:,}.")
    return 0 if better or batches < BATCHES else 1


def _free_folder(wanted: Path) -> Path:
    folder, number = wanted, 2
    while folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        folder = wanted.with_name(f"{wanted.name}-{number}")
        number += 1
    return folder
