"""Predictors on the Hugging Face Hub: `hf://owner/name@revision`."""

import os
import re
from pathlib import Path

from vidpred.errors import CheckpointError

SCHEME = "hf://"
WEIGHTS_NAME = "model.safetensors"
"""File of a repository that holds the predictor, as `vidpred export --hub-folder` writes it."""

_ADDRESS = re.compile(r"hf://(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


def is_address(path: str | Path) -> bool:
    """Say whether something names a repository of the Hub.

    Example:
        >>> is_address("hf://owner/name"), is_address("runs/best.ckpt")
        (True, False)
    """
    return str(path).startswith(SCHEME)


def split_address(address: str) -> tuple[str, str | None]:
    """Give repository and revision.

    Raises:
        CheckpointError: When it is not of the form `hf://owner/name@revision`.

    Example:
        >>> split_address("hf://owner/name@v1.0")
        ('owner/name', 'v1.0')
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise CheckpointError(
            f"{address}: expected hf://OWNER/NAME or hf://OWNER/NAME@REVISION, with a branch, tag "
            "or commit as the revision"
        )
    return found["repository"], found["revision"]


def fetch(address: str) -> Path:
    """Download the predictor of a repository, or find it in the cache of huggingface_hub.

    Only `model.safetensors` is downloaded, which runs no code when it is loaded. The variables of
    huggingface_hub apply: HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_OFFLINE.

    Args:
        address: `hf://owner/name` or `hf://owner/name@revision`.

    Returns:
        The file.

    Raises:
        CheckpointError: When the address is wrong, the package huggingface_hub is missing, or the
            file cannot be had.
    """
    repository, revision = split_address(address)
    try:
        from huggingface_hub import errors, hf_hub_download
    except ImportError as error:
        raise CheckpointError(
            f"{address}: downloading from the Hub needs the package huggingface_hub: "
            "pip install 'vidpred[hub]'"
        ) from error
    endpoint = os.environ.get("HF_ENDPOINT") or None
    # Subclasses come before what they are subclasses of.
    problems: dict[type[Exception], str] = {
        errors.GatedRepoError: "you have no access; ask for it on its page, then `hf auth login`",
        errors.RepositoryNotFoundError: "there is no such repository, or it is private; run `hf "
        "auth login` for private ones",
        errors.RevisionNotFoundError: f"it has no revision {revision!r}; expected a branch, tag or "
        "commit of it",
        errors.LocalEntryNotFoundError: "it cannot be reached and is not in the cache; check the "
        "network and HF_ENDPOINT",
        errors.EntryNotFoundError: f"it holds no {WEIGHTS_NAME}; expected what `vidpred export "
        "--hub-folder` writes",
    }
    try:
        return Path(hf_hub_download(repository, WEIGHTS_NAME, revision=revision, endpoint=endpoint))
    except (errors.HfHubHTTPError, errors.EntryNotFoundError, OSError, ValueError) as error:
        fitting = (text for kind, text in problems.items() if isinstance(error, kind))
        problem = next(fitting, f"cannot be downloaded ({error})")
        raise CheckpointError(f"{address}: {problem}") from error
