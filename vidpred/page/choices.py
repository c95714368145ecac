"""The models that a page offers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import torch

from vidpred.errors import CheckpointError, VidpredError
from vidpred.models import BASELINES, Predictor, baseline
from vidpred.storage import load_predictor, packaged_weights

Kind = Literal["bundled", "yours", "baseline"]

_BASELINES_ABOUT = {
    "copy_last": "repeats the last known frame",
    "linear": "changes every pixel on as it last changed",
    "optical_flow": "moves every pixel on as it last moved",
    "optical_flow_dup": "the same, looking past a last frame that is a duplicate",
}
_BEST_FIRST = ("optical_flow", "optical_flow_dup", "linear", "copy_last")


@dataclass(frozen=True)
class ModelChoice:
    """One model that can be chosen.

    Attributes:
        name: As it is chosen.
        kind: Where it comes from.
        about: What it is, as a short phrase.
        predictor: In evaluation mode, on the device where it runs.
    """

    name: str
    kind: Kind
    about: str
    predictor: Predictor

    @property
    def stochastic(self) -> bool:
        """Whether it gives several futures."""
        return bool(getattr(self.predictor, "stochastic", False))

    def to_plain(self) -> dict[str, Any]:
        """Give what the page shows of it."""
        return {
            "name": self.name,
            "kind": self.kind,
            "about": self.about,
            "context_frames": self.predictor.context_frames,
            "stochastic": self.stochastic,
        }


def model_choices(
    own: Mapping[str, str], *, modules: Sequence[ModuleType] = (), device: torch.device
) -> dict[str, ModelChoice]:
    """Load every model that a page offers.

    Args:
        own: Checkpoints by the name under which they are offered.
        modules: Where the classes of their networks may be, next to `vidpred.models`.
        device: Where they run.

    Returns:
        By name: the user's own first, then bundled ones, then baselines.

    Raises:
        VidpredError: When a checkpoint cannot be loaded, or its name is taken.
    """
    bundled = packaged_weights()
    choices: dict[str, ModelChoice] = {}
    for name, path in own.items():
        if name in bundled or name in BASELINES:
            raise VidpredError(f"--model {name}={path}: {name} is a model of vidpred; rename yours")
        predictor = load_predictor(path, modules=modules)
        _require_frames_alone(path, predictor)
        choices[name] = _network(name, "yours", predictor, f"{Path(path).name}, ", device)
    for name, file in bundled.items():
        choices[name] = _network(name, "bundled", load_predictor(file), "", device)
    for name in sorted(BASELINES, key=_place):
        about = _BASELINES_ABOUT.get(name, type(baseline(name)).__name__)
        choices[name] = ModelChoice(name, "baseline", about, baseline(name).to(device))
    return choices


def _place(baseline_name: str) -> int:
    """Put the better ones first, and those that are new last."""
    known = baseline_name in _BEST_FIRST
    return _BEST_FIRST.index(baseline_name) if known else len(_BEST_FIRST)


def _network(
    name: str, kind: Kind, predictor: Predictor, source: str, device: torch.device
) -> ModelChoice:
    weights = sum(parameter.numel() for parameter in predictor.parameters())
    size = f"{weights / 1e6:.1f} M" if weights >= 1e6 else f"{weights / 1e3:.0f} k"
    about = f"{source}{type(predictor).__name__}, {size} parameters"
    return ModelChoice(name, kind, about, predictor.to(device))


def _require_frames_alone(path: str, predictor: Predictor) -> None:
    needed = tuple(getattr(predictor, "conditions", ()))
    if needed:
        raise CheckpointError(
            f"{path}: its predictor needs {', '.join(needed)} next to frames, which a video does "
            "not hold; use it in Python, with vidpred.load"
        )
