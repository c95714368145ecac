"""What `vidpred test`, `score` and `benchmark` share: options, one pass of scoring, printout."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vidpred.cli.common import add_device_option, say
from vidpred.cli.progress import counting
from vidpred.cli.value_types import at_least_zero, given_path
from vidpred.errors import VidpredError
from vidpred.plain import counted
from vidpred.resources import PROTOCOLS

if TYPE_CHECKING:
    import torch

    from vidpred.evaluation import Result
    from vidpred.evaluation.clips import ClipSource
    from vidpred.evaluation.protocol import NamedProtocol
    from vidpred.evaluation.scoring.extras import Extras
    from vidpred.evaluation.scoring.scored_method import ScoredMethod

SHOWN_FAILURES = 5


def protocol_help() -> str:
    """Name the protocols of the package."""
    return f"name of a protocol in the package ({', '.join(PROTOCOLS.names())}), or a YAML file"


def add_scoring_options(
    parser: argparse.ArgumentParser, *, protocol: str | None, required: bool = True
) -> None:
    """Add the options that these commands have.

    Args:
        parser: Of the command.
        protocol: Default protocol; None makes the option mandatory.
        required: Whether it does; otherwise the protocols are those of a file.
    """
    parser.add_argument(
        "--protocol",
        default=protocol,
        required=required and protocol is None,
        help=protocol_help() if required else f"in place of the file's: {protocol_help()}",
    )
    add_device_option(parser)
    parser.add_argument(
        "--workers", type=at_least_zero, default=2, help="threads that read clips ahead"
    )
    parser.add_argument(
        "--lpips",
        type=given_path,
        metavar="FILE",
        help="measure LPIPS too, with torchvision's AlexNet weights in this file",
    )
    parser.add_argument(
        "--fvd",
        type=given_path,
        metavar="FILE",
        help="measure the Frechet video distance too, with the TorchScript network in this file",
    )
    parser.add_argument(
        "--fvd-input",
        choices=("i3d", "unit"),
        default="i3d",
        help="how it is called with clips (B, C, T, H, W), giving features (B, F): unit with "
        "values in [0, 1]; i3d, as i3d_torchscript.pt, with 0 to 255 and the keywords rescale, "
        "resize, return_features",
    )
    parser.add_argument(
        "--fvd-context",
        action="store_true",
        help="let it see the known frames before the predicted and the true ones",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace results of other measurements"
    )


def extras_of(arguments: argparse.Namespace, device: "torch.device") -> "Extras":
    """Load the networks that were asked for.

    Raises:
        VidpredError: When a file cannot be loaded.
    """
    from vidpred.evaluation.scoring.extras import Extras
    from vidpred.metrics import FVDNetwork, LPIPSNetwork

    lpips = None if arguments.lpips is None else LPIPSNetwork(arguments.lpips).to(device)
    fvd = None
    if arguments.fvd is not None:
        fvd = FVDNetwork(arguments.fvd, network_input=arguments.fvd_input).to(device)
    return Extras(lpips=lpips, fvd=fvd, fvd_context=arguments.fvd_context)


def score(
    arguments: argparse.Namespace,
    protocol: "NamedProtocol",
    source: "ClipSource",
    methods: "Sequence[ScoredMethod]",
    folder: Path,
    device: "torch.device",
) -> "list[Result]":
    """Score methods as the command line says, with progress."""
    from vidpred.evaluation import evaluate
    from vidpred.kernels import enabled, keep_freed_memory

    if enabled(default=True):
        keep_freed_memory()
    with counting("Scoring clips") as progress:
        return evaluate(
            protocol,
            source,
            methods,
            folder,
            device=device,
            workers=arguments.workers,
            overwrite=arguments.overwrite,
            extras=extras_of(arguments, device),
            progress=progress,
        )


def publish(results: "Sequence[Result]", folder: Path) -> int:
    """Print the comparison on stdout; say on stderr where results are and what is missing.

    Returns:
        Exit status 0.

    Raises:
        VidpredError: When clips could not be scored; everything else has been said by then.
    """
    from vidpred.evaluation.compare.comparison import compare
    from vidpred.evaluation.compare.markdown import markdown

    files = {f"{result['method']['name']}.json": result for result in results}
    scored = {name: result for name, result in files.items() if result["rows"]}
    if scored:
        print(markdown(compare(scored)))
        say(f"results: {', '.join(str(folder / name) for name in scored)}")
        say(f"next: vidpred compare {folder} --output report.html")
    require_all_scored(results)
    return 0


def require_all_scored(results: "Sequence[Result]") -> None:
    """Name the first clips that could not be scored.

    Raises:
        VidpredError: When there are any.
    """
    failures = {
        f"{clip}: {why}" if clip not in why else why
        for result in results
        for clip, why in result["clips"]["failed"].items()
    }
    if not failures:
        return
    for failure in sorted(failures)[:SHOWN_FAILURES]:
        say(f"  {failure}")
    problems = f"{counted(len(failures), 'problem')} left clips unscored, the first are above"
    if not any(result["rows"] for result in results):
        raise VidpredError(f"{problems}; no clip could be scored, so there is no result")
    raise VidpredError(
        f"{problems}; all are in the results (clips.failed). What is scored is kept: mend these "
        "files and run the same command again"
    )
