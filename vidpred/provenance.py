"""Where a number comes from."""

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import TypedDict

import torch

from vidpred._version import __version__


class Provenance(TypedDict):
    """What it takes to measure again.

    Attributes:
        seed: The global seed, when one was set.
        batches_seen: Training batches before the measurement, when the task counts them.
        vidpred: Our version.
        torch: PyTorch's version.
        commit: Commit of the checkout that ran, ending in "-dirty" when files differed from it;
            None for an installed package.
        kernels: How convolutions were computed, as `vidpred.kernels.describe` says it; None where
            nothing was computed or it is not known. Files of version 0.1 have no such field.
    """

    seed: int | None
    batches_seen: int | None
    vidpred: str
    torch: str
    commit: str | None
    kernels: str | None


def provenance(*, batches_seen: int | None = None, kernels: str | None = None) -> Provenance:
    """Collect what is known about this process.

    Args:
        batches_seen: See `Provenance`.
        kernels: See `Provenance`.
    """
    seed = os.environ.get("PL_GLOBAL_SEED")  # set by Lightning's `seed_everything`
    return {
        "seed": int(seed) if seed else None,
        "batches_seen": batches_seen,
        "vidpred": __version__,
        "torch": str(torch.__version__),  # its own class is nothing that a checkpoint may hold
        "commit": _own_commit(),
        "kernels": kernels,
    }


def git_commit(package: Path) -> str | None:
    """Give the commit that a package folder is checked out at.

    Args:
        package: Folder with an `__init__.py`.

    Returns:
        The full hash, ending in "-dirty" when tracked files were changed; None when git does not
        keep the package (as when it is installed inside somebody else's checkout) or is missing.
    """
    # Within a git hook these point to another repository.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(package), *arguments],
            check=True,
            capture_output=True,
            text=True,
            timeout=10,
            env=environment,
        )
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return None


@cache
def _own_commit() -> str | None:
    """Ask once: the code that runs is that which was imported, whatever happens on the disk."""
    return git_commit(Path(__file__).parent)
