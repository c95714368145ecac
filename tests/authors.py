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


def take_weights(ours: nn.Module, theirs: nn.Module, renamed: Callable[[str], str]) -> None:
    """Load the authors' state by a map from their names to ours; every name has to be used."""
    state: dict[str, Tensor] = {renamed(k): v for k, v in theirs.state_dict().items()}
    ours.load_state_dict(state)


def randomize(network: nn.Module) -> None:
    """Give every weight and statistic a value that no mistake of a name leaves unseen."""
    generator = torch.Generator().manual_seed(1)
    for tensor in [*network.parameters(), *network.buffers()]:
        if tensor.is_floating_point():
            noise = torch.randn(tensor.shape, generator=generator).to(tensor)
            tensor.data.add_(0.02 * noise.abs())
