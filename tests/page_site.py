"""A server of the page on a free port, with models that are quick, slow or random."""

import threading
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidpred.models import Predictor
from vidpred.ops import normal_like
from vidpred.page.address import listening
from vidpred.page.choices import ModelChoice, model_choices
from vidpred.page.limits import Limits
from vidpred.page.server import page_server

LIMITS = Limits(
    upload_bytes=2 * 2**20,
    frames=60,
    pixels=1_000_000,
    clips=2,
    predictions=2,
    tabs=3,
    disk_bytes=8 * 2**20,
    horizon=12,
    samples=4,
    grace_seconds=0.5,
)


class Slow(Predictor):
    """Takes a fifth of a second a frame."""

    def __init__(self) -> None:
        super().__init__(context_frames=1)

    def step(self, context: Tensor) -> Tensor:
        time.sleep(0.2)
        return context[:, -1:]

    def config(self) -> dict[str, Any]:
        return {}


class Noisy(Predictor):
    """Adds noise of its own to the last frame, so that every future differs."""

    def __init__(self) -> None:
        super().__init__(context_frames=2, stochastic=True)

    def step(self, context: Tensor) -> Tensor:
        return context[:, -1:]

    def sample_step(
        self, context: Tensor, *, generator: torch.Generator | None = None, condition: Any = None
    ) -> Tensor:
        last = context[:, -1:]
        return (last + 0.1 * normal_like(last, generator)).clamp(0, 1)

    def config(self) -> dict[str, Any]:
        return {}


class Broken(Predictor):
    """Fails in its first step."""

    def __init__(self) -> None:
        super().__init__(context_frames=1)

    def step(self, context: Tensor) -> Tensor:
        raise RuntimeError("a bug")

    def config(self) -> dict[str, Any]:
        return {}


class Server:
    """Runs in a thread."""

    def __init__(self, root: Path, limits: Limits, examples: dict[str, Path]) -> None:
        self.root = root
        choices = model_choices({}, device=torch.device("cpu"))
        for name, predictor in (("slow", Slow()), ("noisy", Noisy()), ("broken", Broken())):
            choices[name] = ModelChoice(name, "yours", name, predictor.eval())
        self._listening = listening(0)
        listener = self._listening.__enter__()
        self.port = listener.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        ready = threading.Event()
        self._server = page_server(
            root,
            choices,
            limits=limits,
            examples=examples,
            device=torch.device("cpu"),
            max_memory=4 * 2**30,
            version="test",
            ready=ready.set,
        )
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        assert ready.wait(60)

    def files(self) -> list[str]:
        """What lies in the folder of temporary files, by relative path."""
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*"))

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        self._listening.__exit__(None, None, None)
        assert not self._thread.is_alive()
