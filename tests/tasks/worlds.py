"""Clips in memory for tests of the tasks: a bright square that moves one pixel a frame."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from vidpred.batch import ClipBatch
from vidpred.models import MultiScaleDiscriminator, MultiScaleGenerator
from vidpred.tasks import AdversarialTask, NextFrameTask


def moving_squares(count: int, frames: int = 5, size: int = 32) -> list[dict[str, Any]]:
    """Clips of a square over noise, each from its own place, so that no two are alike."""
    generator = torch.Generator().manual_seed(7)
    clips = []
    for k in range(count):
        clip = torch.randint(0, 90, (1, 3, size, size), generator=generator, dtype=torch.uint8)
        clip = clip.repeat(frames, 1, 1, 1)
        top, left = torch.randint(2, size - 14, (2,), generator=generator).tolist()
        for t in range(frames):
            clip[t, :, top : top + 8, left + t : left + t + 8] = 200
        clips.append({"frames": clip, "video_id": f"square{k}", "start": torch.tensor(0)})
    return clips


def loader(clips: list[dict[str, Any]], batch_size: int) -> DataLoader[ClipBatch]:
    return DataLoader(clips, batch_size=batch_size)  # type: ignore[arg-type]


def trainer(**options: Any) -> pl.Trainer:
    defaults = {
        "accelerator": "cpu",
        "max_epochs": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return pl.Trainer(**{**defaults, **options})


def fit(task: NextFrameTask, batches: int = 1, batch_size: int = 8, **options: Any) -> pl.Trainer:
    """Train on batches of fresh clips, without validation."""
    engine = trainer(**options)
    engine.fit(task, loader(moving_squares(batches * batch_size), batch_size))
    return engine


def small_networks(**options: Any) -> tuple[MultiScaleGenerator, MultiScaleDiscriminator]:
    torch.manual_seed(0)
    return (
        MultiScaleGenerator.from_preset("small"),
        MultiScaleDiscriminator.from_preset("small", **options),
    )


def adversarial_task(**options: Any) -> AdversarialTask:
    return AdversarialTask(*small_networks(), **options)
