"""`vidpred serve`: a page on this machine to drop clips on."""

import argparse
import re
import signal
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from vidpred._version import __version__
from vidpred.cli.common import (
    add_device_option,
    add_module_option,
    device_of,
    end_by_signal,
    import_modules,
    say,
)
from vidpred.cli.value_types import at_least_one, memory_amount, not_empty
from vidpred.errors import VidpredError
from vidpred.files import expand_home, split_name
from vidpred.resources import no_such_checkpoint, packaged_weights

if TYPE_CHECKING:
    import socket

    from vidpred.page.limits import Limits

DEFAULT_PORT = 8750
EXAMPLE = "moving shapes"

DESCRIPTION = """\
Show a page for this machine's browser: drop a clip, choose a model, and watch truth, prediction and
copying the last frame side by side, with PSNR over time. Only this machine can reach it; nothing
that is dropped leaves it, and all of it is removed when the tab is closed.
"""

EXAMPLES = """\
examples:
  vidpred serve --open
  vidpred serve --model runs/l2/checkpoints/best.ckpt --model other=other.safetensors
  ssh -L 8750:localhost:8750 HOST vidpred serve     then open http://localhost:8750 here
"""


def add_serve_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Add `serve`; parsing sets `run`, a function from arguments to exit status."""
    parser = subparsers.add_parser(
        "serve",
        help="a page on this machine: drop a clip, watch its prediction",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        type=not_empty,
        metavar="[NAME=]CHECKPOINT",
        help="checkpoint of `vidpred fit`, named by the folder of its run, or safetensors file of "
        "`vidpred export`, to offer next to the bundled models and the baselines; may be repeated",
    )
    add_module_option(parser)
    parser.add_argument(
        "--port",
        type=_port,
        metavar="N",
        help=f"port of the loopback address; 0 takes a free one (default: {DEFAULT_PORT}, or a "
        "free one when that is taken)",
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    add_device_option(parser)
    parser.add_argument(
        "--max-upload",
        type=memory_amount,
        default="256MiB",
        metavar="AMOUNT",
        help="largest clip file that is taken (default: 256MiB)",
    )
    parser.add_argument(
        "--max-frames",
        type=at_least_one,
        default=3600,
        metavar="N",
        help="most frames of a clip (default: 3600, two minutes at 30 frames per second)",
    )
    parser.add_argument(
        "--max-disk",
        type=memory_amount,
        default="2GiB",
        metavar="AMOUNT",
        help="most space for all temporary files (default: 2GiB)",
    )
    parser.add_argument(
        "--max-memory",
        type=memory_amount,
        default="4GiB",
        metavar="AMOUNT",
        help="large frames are predicted in tiles to stay below this (default: 4GiB)",
    )
    parser.set_defaults(run=run_serve)


def run_serve(arguments: argparse.Namespace) -> int:
    """Run `vidpred serve` until Ctrl-C.

    Returns:
        Exit status 0.

    Raises:
        VidpredError: When the page cannot be shown.
    """
    _require_packages()
    for model in arguments.model:
        _require_there(split_name(model)[1])
    # Here and not above: these bring packages of the extra, then torch; `--help` needs neither.
    from vidpred.page.address import LOOPBACK
    from vidpred.page.disk import temporary_root

    with temporary_root() as root, _listening(arguments.port) as listener:
        from vidpred.kernels import accelerate, enabled, keep_freed_memory
        from vidpred.page.choices import model_choices
        from vidpred.page.server import page_server

        if enabled(default=True):
            keep_freed_memory()
        device = device_of(arguments.device)
        own = _own_models(arguments.model)
        choices = model_choices(own, modules=import_modules(arguments.module), device=device)
        if device.type == "cpu":  # as `vidpred predict` computes
            for choice in choices.values():
                accelerate(choice.predictor)
        address = f"http://{LOOPBACK}:{listener.getsockname()[1]}/"

        def ready() -> None:
            print(address, flush=True)
            say(f"temporary files in {root}; Ctrl-C ends the page and removes them")
            if arguments.open:
                webbrowser.open(address)

        server = page_server(
            root,
            choices,
            limits=_limits(arguments),
            examples={EXAMPLE: _render_example(root)},
            device=device,
            max_memory=arguments.max_memory,
            version=__version__,
            ready=ready,
        )
        # The server ends in peace and raises the signal again: files are removed all the same.
        signal.signal(signal.SIGTERM, end_by_signal)
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
    return 0


def _require_packages() -> None:
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise VidpredError(
            f"the page needs {' and '.join(missing)}; install what is missing with: "
            "pip install 'vidpred[page]'"
        )


def _require_there(checkpoint: str) -> None:
    """Refuse a missing file before anything heavy is loaded."""
    here = expand_home(checkpoint).exists() or checkpoint in packaged_weights()
    if not here and "://" not in checkpoint:
        raise no_such_checkpoint(checkpoint)


def _own_models(given: Sequence[str]) -> dict[str, str]:
    """Give checkpoints by name."""
    from vidpred.storage.saved import named_checkpoint

    own: dict[str, str] = {}
    for text in given:
        name, checkpoint = named_checkpoint(text)
        if not re.fullmatch(r"\w[\w.+-]{0,39}", name):
            raise VidpredError(
                f"--model {text}: {name!r} is no name; expected NAME={checkpoint}, the name of at "
                "most 40 letters, digits and _.+-, the first a letter or digit"
            )
        if name in own:
            raise VidpredError(
                f"--model {text}: {name} is there twice; choose another name: NAME={checkpoint}"
            )
        own[name] = checkpoint
    return own


@contextmanager
def _listening(port: int | None) -> "Iterator[socket.socket]":
    """Take the port that was asked for; without one, the usual one or a free one."""
    from vidpred.page.address import listening

    with ExitStack() as stack:
        if port is not None:
            yield stack.enter_context(listening(port))
            return
        try:
            found = stack.enter_context(listening(DEFAULT_PORT))
        except VidpredError:
            found = stack.enter_context(listening(0))
        yield found


def _limits(arguments: argparse.Namespace) -> "Limits":
    from vidpred.page.limits import Limits

    return Limits(
        upload_bytes=arguments.max_upload,
        frames=arguments.max_frames,
        disk_bytes=arguments.max_disk,
    )


def _render_example(folder: Path) -> Path:
    """Write a clip for who has none at hand."""
    from vidpred.data.shapes_world import render_moving_shapes
    from vidpred.video import write_video

    frames, _ = render_moving_shapes("Bounce", num_frames=48, height=192, width=256, seed=3)
    path = folder / "example.avi"
    write_video(path, frames, fps=15)
    return path


def _port(text: str) -> int:
    if not re.fullmatch(r"\d{1,5}", text) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r}; expected a port from 0 to 65535")
    return int(text)
