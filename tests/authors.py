"""Modules of the papers' authors, from checkouts that the environment names; nothing is copied."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn


def checkout(repository: str) -> Path:
    """Folder of a repository below `VIDPRED_AUTHORS`; skips the test where there is none."""
    root = os.environ.get("VIDPRED_AUTHORS")
    if root is None:
        pytest.skip("set VIDPRED_AUTHORS to a folder of checkouts of the authors; see CONTRIBUTING")
    folder = Path(root).resolve() / repository
    if not folder.is_dir():
        pytest.skip(f"no checkout of {repository} in VIDPRED_AUTHORS, {root}")
    return folder


@contextmanager
def importable(folder: Path) -> Iterator[Callable[[str], ModuleType]]:
    """Give an `import_module` that looks in a folder first; forgets afterwards what it imported."""
    before = dict(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - set(before):
            if str(folder) in str(getattr(sys.modules[name], "__file__", None)):
                del sys.modules[name]


def parameters(network: nn.Module) -> int:
    """Count the trained numbers."""
    return sum(parameter.numel() for parameter in network.parameters())


def give_weights(theirs: nn.Module, ours: nn.Module, renamed: Callable[[str], str]) -> None:
    """Load our state into the authors' module, by a map from their names to ours; all are used."""
    state = ours.state_dict()
    taken = {name: renamed(name) for name in theirs.state_dict()}
    assert set(taken.values()) == set(state)
    theirs.load_state_dict(
        {
            name: state[taken[name]].reshape(value.shape)
            for name, value in theirs.state_dict().items()
        }
    )


def randomize(network: nn.Module) -> None:
    """Give every weight and statistic a value that no mistake of a name leaves unseen."""
    generator = torch.Generator().manual_seed(1)
    for tensor in [*network.parameters(), *network.buffers()]:
        if tensor.is_floating_point():
            noise = torch.randn(tensor.shape, generator=generator).to(tensor)
            tensor.data.add_(0.02 * noise.abs())


def fill(network: nn.Module) -> None:
    """Give every weight and statistic a value by a rule, so that results can be written down."""
    for k, (name, value) in enumerate(sorted(network.state_dict().items())):
        if not value.is_floating_point():
            continue
        wave = torch.cos(0.7 * torch.arange(value.numel(), dtype=torch.float64) + k)
        if value.ndim > 1:
            wave = wave * (2 * value.shape[0] / value.numel()) ** 0.5
        else:
            wave = 0.2 * wave + float(name.endswith(("weight", "running_var")))
        value.copy_(wave.view(value.shape))


def pattern(*shape: int) -> Tensor:
    """Give frames by a rule, in [0, 1]."""
    wave = torch.cos(0.37 * torch.arange(torch.Size(shape).numel(), dtype=torch.float64))
    return (0.5 + 0.5 * wave).float().view(shape)


def probe(frames: Tensor) -> list[float]:
    """Give five values, from the first to the last."""
    values: list[float] = frames.flatten()[torch.linspace(0, frames.numel() - 1, 5).long()].tolist()
    return values
