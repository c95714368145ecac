"""What a checkpoint says of its task: where its weights come from, and of which networks."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import pytorch_lightning as pl
from packaging.version import Version
from torch import nn

from vidpred._version import __version__
from vidpred.errors import CheckpointError
from vidpred.provenance import provenance
from vidpred.seen_videos import SeenVideos, remember, remembered
from vidpred.storage.checkpoint import CHECKPOINT_KEY
from vidpred.storage.description import differing_weights


@runtime_checkable
class Summarized(Protocol):
    """Data that say in words what they consist of, as `vidpred.data.ClipDataModule` does."""

    def summary(self) -> str:
        """Count videos of each split, a line each."""


def describe_training(task: pl.LightningModule, batches_seen: int) -> dict[str, Any]:
    """Say where the weights come from, next to every score that they will get."""
    data = getattr(task.trainer, "datamodule", None)
    origin = provenance(batches_seen=batches_seen)
    return {
        "task": type(task).__name__,
        "seed": origin["seed"],
        "vidpred": origin["vidpred"],
        "torch": origin["torch"],
        "commit": origin["commit"],
        "data": type(data).__name__ if data is not None else None,
        "videos": data.summary() if isinstance(data, Summarized) else None,
    }


@runtime_checkable
class KnowsItsVideos(Protocol):
    """Data that know which videos they consist of, as `vidpred.data.ClipDataModule` does."""

    def seen_videos(self) -> SeenVideos:
        """Say on which videos weights are trained and chosen."""


def seen_videos(task: pl.LightningModule, network: nn.Module) -> str | None:
    """Say on which videos a network is trained, now and before, as a checkpoint keeps it.

    Returns:
        None when nothing is known.
    """
    data = getattr(task.trainer, "datamodule", None)
    if isinstance(data, KnowsItsVideos):
        remember(network, data.seen_videos())
    seen = remembered(network)
    return None if seen is None else seen.text


def require_same_networks(
    checkpoint: Mapping[str, Any], networks: Mapping[str, Any], weights: Mapping[str, Any]
) -> dict[str, Any]:
    """Refuse a checkpoint of other networks, naming what differs.

    Args:
        checkpoint: As Lightning reads it.
        networks: Descriptions of the networks that are here.
        weights: Their state by name, which the checkpoint's is to replace.

    Returns:
        What the checkpoint says of itself.

    Raises:
        CheckpointError: When it is not ours, of a later version or of another architecture.
    """
    if CHECKPOINT_KEY not in checkpoint:
        raise CheckpointError(
            "the checkpoint holds no description of a predictor; expected one of vidpred"
        )
    said = dict(checkpoint[CHECKPOINT_KEY])
    _require_known_version(str(said.get("version", "0")))
    known = ("version", "training", "seen_videos", "batches_seen")
    there = {name: value for name, value in said.items() if name not in known}
    differences = _differences("", there, dict(networks))
    if differences:
        raise CheckpointError(
            "the checkpoint belongs to another architecture: " + "; ".join(differences) + ". "
            "Use the configuration that it was trained with (config.yaml in its run folder)"
        )
    # A network of the same description, whose code was changed since.
    if wrong := differing_weights(checkpoint["state_dict"], weights):
        raise CheckpointError(
            f"the checkpoint's weights are not those of the networks here: {wrong}. Use the code "
            "that it was trained with, or train again in another folder (--run-dir)"
        )
    return said


def _require_known_version(version: str) -> None:
    if Version(version) > Version(__version__):
        raise CheckpointError(
            f"the checkpoint was saved by vidpred {version}, and this is {__version__}, which does "
            f"not know what that keeps; expected an earlier one: pip install 'vidpred>={version}'"
        )


def _differences(name: str, found: Any, expected: Any) -> list[str]:
    if found == expected:
        return []
    if isinstance(found, dict) and isinstance(expected, dict):
        return [
            line
            for key in dict.fromkeys([*expected, *found])
            for line in _differences(f"{name}.{key}".strip("."), found.get(key), expected.get(key))
        ]
    return [f"{name} is {found} there, {expected} here"]
