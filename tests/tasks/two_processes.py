"""Train in two processes over gloo: what `test_two_processes.py` starts, once a rank."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor
from torch.optim import SGD
from worlds import loader, moving_squares, small_networks, trainer

from vidpred.losses import MultiScaleLoss
from vidpred.models import DeepVoxelFlow
from vidpred.runs.weight_average import WeightAverage
from vidpred.tasks import AdversarialTask, NextFrameTask, ReconstructionTask

BATCHES = 4
BATCH_SIZE = 8


class Curve(Callback):
    """Keeps what is logged after each batch."""

    def __init__(self) -> None:
        self.points: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        self.points.append({k: float(v) for k, v in trainer.logged_metrics.items()})


class Watch(Callback):
    """Keeps what processes draw in training, and the running averages that they validate with."""

    def __init__(self) -> None:
        self.drawn: list[float] = []
        self.averages: dict[str, Tensor] = {}

    def on_train_batch_start(self, *_: Any) -> None:
        self.drawn.append(float(torch.rand(())))

    def on_validation_batch_start(self, trainer: Any, module: Any, *_: Any) -> None:
        self.averages = {name: value.clone() for name, value in module.named_buffers()}


def normalized(*, rank: int, averaged: bool = False) -> dict[str, Any]:
    """Train a network with batch normalization, on other clips in each process."""
    torch.manual_seed(0)
    network = DeepVoxelFlow.from_preset("cpu")
    clips = moving_squares(16, frames=network.context_frames + network.output_frames)
    watch = Watch()
    callbacks = [*([WeightAverage(decay=0.5)] if averaged else []), watch]
    engine = trainer(callbacks=callbacks, devices=2, strategy="ddp", use_distributed_sampler=False)
    mine = loader(clips[8 * rank : 8 * rank + 8], 4)
    module = ReconstructionTask(network, optimizer=partial(SGD, lr=0.01))
    engine.fit(module, mine, loader(clips[:2], 1))
    return {"drawn": watch.drawn, "averages": watch.averages}


def task(kind: str) -> NextFrameTask:
    # Minibatch discrimination compares the clips of both processes.
    generator, discriminator = small_networks(
        spectral_norm=kind == "adversarial", minibatch_kernels=4 if kind == "minibatch" else 0
    )
    loss = MultiScaleLoss(gradient_difference_weight=1)
    optimizer = partial(SGD, lr=0.05)
    if kind == "reconstruction":
        return ReconstructionTask(generator, loss=loss, optimizer=optimizer)
    return AdversarialTask(
        generator,
        discriminator,
        loss=loss,
        generator_optimizer=optimizer,
        discriminator_optimizer=optimizer,
        reconstruction_batches=1,  # the discriminator joins later
    )


def train(kind: str, *, rank: int = 0, processes: int = 1, **options: Any) -> dict[str, Any]:
    """Train on this process's share of each batch; both phases keep their clips."""
    clips = moving_squares(BATCHES * BATCH_SIZE)
    part = BATCH_SIZE // processes // 2
    mine = [
        clips[batch * BATCH_SIZE + half * BATCH_SIZE // 2 + rank * part + k]
        for batch in range(BATCHES)
        for half in range(2)
        for k in range(part)
    ]
    curve = Curve()
    engine = trainer(
        callbacks=[curve], log_every_n_steps=1, use_distributed_sampler=False, **options
    )
    module = task(kind)
    engine.fit(module, loader(mine, 2 * part))
    return {"state": module.state_dict(), "curve": curve.points}


if __name__ == "__main__":
    kind, output, rank = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    if kind in ("normalized", "averaged"):
        result = normalized(rank=rank, averaged=kind == "averaged")
    else:
        result = train(kind, rank=rank, processes=2, devices=2, strategy="ddp")
    torch.save(result, output / f"rank{rank}.pt")
