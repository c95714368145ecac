"""`vidpred probe`: what the discriminator of a checkpoint knows about actions."""

import argparse

from vidpred.cli.common import (
    HelpWithDefaults,
    add_device_option,
    add_module_option,
    device_of,
    import_modules,
    require_checkpoint_there,
    require_data_folder,
    say,
)
from vidpred.cli.value_types import at_least_zero, given_path
from vidpred.errors import PredictionError


def add_probe_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Add `probe`; parsing sets `run`, a function from arguments to exit status."""
    parser = subparsers.add_parser(
        "probe",
        help="classify actions by the features of a trained discriminator",
        description="Fit a linear classifier to frozen features of a checkpoint's discriminator on "
        "the training list of UCF101, and report how often it is right on the test list, next to "
        "the same discriminator with random weights and to raw pixels. One clip a video: its first "
        "frames, whole, resized to the size of the discriminator's patches. Intervals of 95 % "
        "are over groups of clips. Needs scikit-learn (extra `probe`).",
        formatter_class=HelpWithDefaults,
    )
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", type=given_path, help="of adversarial training"
    )
    parser.add_argument(
        "--root",
        type=given_path,
        required=True,
        help="folder in UCF101's layout, such as data/ucf101",
    )
    parser.add_argument("--split", type=int, choices=(1, 2, 3), default=1, help="official split")
    parser.add_argument("--list-dir", type=given_path, help="folder of the lists, when elsewhere")
    add_module_option(parser)
    parser.add_argument("--seed", type=at_least_zero, default=0, help="of the random weights")
    parser.add_argument("--json", type=given_path, metavar="FILE", help="write the results as JSON")
    add_device_option(parser)
    parser.set_defaults(run=run_probe)


def run_probe(arguments: argparse.Namespace) -> int:
    """Run `vidpred probe`: progress on stderr, the table on stdout.

    Raises:
        VidpredError: When the checkpoint has no discriminator, or clips or classes are missing.
    """
    require_data_folder(arguments.root)
    require_checkpoint_there(arguments.checkpoint)
    # Here and not above: these bring torch, and `--help` has to answer at once.
    from dataclasses import asdict

    import torch

    from vidpred.data import UCF101DataModule
    from vidpred.evaluation.linear_probe import (
        discriminator_features,
        linear_probe,
        pixel_features,
        read_probe_clips,
        require_classes,
    )
    from vidpred.files import write_json
    from vidpred.storage.discriminators import load_discriminator, untrained

    device = device_of(arguments.device)
    trained = load_discriminator(arguments.checkpoint, modules=import_modules(arguments.module))
    side = int(getattr(trained, "patch_size", 0) or getattr(trained, "image_size", 0) or 64)
    gray = getattr(trained, "channels", 3) == 1
    torch.manual_seed(arguments.seed)
    random = untrained(trained)
    data = UCF101DataModule(arguments.root, split=arguments.split, list_dir=arguments.list_dir)
    listed = {name: data.list_split(name) for name in ("train", "val", "test")}
    known, asked = (*listed["train"].videos, *listed["val"].videos), listed["test"].videos
    require_classes([video.label for video in known], [video.label for video in asked])
    clips = []
    for name, videos in (("training", known), ("test", asked)):
        say(f"reading {len(videos)} {name} clips of {side} x {side}")
        length = trained.context_frames + trained.output_frames
        clips.append(read_probe_clips(videos, length=length, size=(side, side), gray=gray))
    train, test = clips
    features = {
        "trained": [discriminator_features(trained, part.frames, device=device) for part in clips],
        "random": [discriminator_features(random, part.frames, device=device) for part in clips],
        "pixels": [pixel_features(part.frames) for part in clips],
    }
    results = linear_probe(
        {name: (one, two) for name, (one, two) in features.items()},
        train,
        test,
        progress=lambda name: say(f"fitting a classifier to the features: {name}"),
    )
    classes = len(set(train.labels))
    print(
        f"{arguments.checkpoint}: {type(trained).__name__}, split {arguments.split}, "
        f"{len(train.labels)} training and {len(test.labels)} test clips, "
        f"{len(set(test.groups))} test groups, {classes} classes (chance {1 / classes:.1%})\n"
    )
    print("| features | number | top-1 | 95 % interval | over random |")
    print("|---|---|---|---|---|")
    for result in results:
        print(
            f"| {result.name} | {result.features} | {result.top1:.1%} "
            f"| {_in_words(result.interval)} | {_in_words(result.over.get('random'))} |"
        )
    if arguments.json is not None:
        written = {
            "checkpoint": str(arguments.checkpoint),
            "split": arguments.split,
            "classes": classes,
            "train_clips": len(train.labels),
            "test_clips": len(test.labels),
            "results": [asdict(result) for result in results],
        }
        try:
            write_json(arguments.json, written)
        except OSError as error:
            raise PredictionError(
                f"{arguments.json}: cannot be written ({error.strerror})"
            ) from error
    return 0


def _in_words(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.1%} to {interval[1]:.1%}"
