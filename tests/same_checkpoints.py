"""Whether two checkpoints are equal to the bit."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidpred.runs.clock import CLOCK_KEY
from vidpred.storage.checkpoint import read_checkpoint


def require_same(one: Path, other: Path) -> None:
    """Compare every tensor and plain value, but for folders, W&B runs, commits and time."""
    a, b = (leaves(_without_names(path)) for path in (one, other))
    differing = [key for key in sorted(a.keys() | b.keys()) if not _equal(a.get(key), b.get(key))]
    if differing:
        found = "\n".join(
            f"{key}: {a.get(key)!s:.40}, {b.get(key)!s:.40}" for key in differing[:20]
        )
        raise AssertionError(f"{len(differing)} of {len(a)} differ, such as\n{found}")


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    return type(one) is type(other) and bool(one == other)


def leaves(value: Any, name: str = "") -> dict[str, Any]:
    """Give what a checkpoint holds by its path."""
    if isinstance(value, dict):
        parts = list(value.items())
    elif isinstance(value, list | tuple):
        parts = list(enumerate(value))
    else:
        return {name: value}
    return {k: v for key, part in parts for k, v in leaves(part, f"{name}/{key}").items()}


def _without_names(path: Path) -> dict[str, Any]:
    checkpoint = read_checkpoint(path)
    checkpoint["vidpred_resume"]["loggers"].pop("ResilientWandbLogger", None)
    checkpoint["vidpred"]["training"].pop("commit")  # a checkout may be worked on meanwhile
    checkpoint["callbacks"].pop(CLOCK_KEY, None)  # no two runs take as long
    for key, state in checkpoint["callbacks"].items():
        if key.startswith("ModelCheckpoint"):
            assert Path(state.pop("dirpath")).resolve() == path.parent.resolve()
            state["best_k_models"] = {Path(k).name: v for k, v in state["best_k_models"].items()}
            for name in ("best_model_path", "kth_best_model_path"):
                state[name] = Path(state[name]).name
    return checkpoint
