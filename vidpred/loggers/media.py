"""Pictures and videos, the same for every logger that shows any."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pytorch_lightning.loggers import Logger, WandbLogger
from torch import Tensor

from vidpred.loggers.curves import Chart
from vidpred.loggers.tensorboard import RunTensorBoardLogger


@dataclass(frozen=True)
class ShownClip:
    """One clip, drawn.

    Attributes:
        picture: Strip, uint8, shape (3, H, W).
        frames: Video, uint8, shape (T, 3, H', W').
        picture_file: The strip on the disk.
        video_file: The video on the disk.
        caption: Clip, training batches and PSNR.
    """

    picture: Tensor
    frames: Tensor
    picture_file: Path
    video_file: Path
    caption: str


def log_clips(
    loggers: Sequence[Logger], stage: str, clips: Sequence[ShownClip], *, fps: float, step: int
) -> None:
    """Show clips in TensorBoard and in Weights & Biases; CSV has the files next to it.

    Args:
        loggers: Those of the trainer.
        stage: "val" or "test".
        clips: What to show; clip k is `{stage}/strip_k` and `{stage}/video_k`.
        fps: Frames per second of the videos.
        step: Training batches.
    """
    for logger in loggers:
        if isinstance(logger, RunTensorBoardLogger):
            for k, clip in enumerate(clips):
                logger.log_picture(f"{stage}/strip_{k}", clip.picture, clip.caption, step)
                logger.log_animation(f"{stage}/video_{k}", clip.frames, fps, step)
        elif isinstance(logger, WandbLogger):
            import wandb

            media: dict[str, Any] = {}
            # One key a clip: W&B shows nothing of a list of videos, and wants the images of a list
            # to be of one size.
            for k, clip in enumerate(clips):
                media[f"{stage}/strip_{k}"] = wandb.Image(
                    str(clip.picture_file), caption=clip.caption
                )
                media[f"{stage}/video_{k}"] = wandb.Video(
                    str(clip.video_file), caption=clip.caption
                )
            logger.log_metrics(media, step)


def log_curves(loggers: Sequence[Logger], found: Sequence[Chart], picture: Path, step: int) -> None:
    """Show charts that hold several curves, such as model and copy-last.

    Args:
        loggers: Those of the trainer.
        found: The charts.
        picture: All of them, drawn.
        step: Training batches.
    """
    for logger in loggers:
        if isinstance(logger, RunTensorBoardLogger):
            with Image.open(picture) as image:
                pixels = torch.from_numpy(np.asarray(image.convert("RGB")).copy())
            drawn = "Losses, and scores of model and copy last"
            logger.log_picture("curves", pixels.permute(2, 0, 1), drawn, step)
        elif isinstance(logger, WandbLogger):
            import wandb

            media: dict[str, Any] = {"curves": wandb.Image(str(picture))}
            for chart in found:
                curves = {label: points for label, points in chart.curves.items() if points}
                media[f"charts/{chart.title}"] = wandb.plot.line_series(
                    xs=[[x for x, _ in points] for points in curves.values()],
                    ys=[[y for _, y in points] for points in curves.values()],
                    keys=list(curves),
                    title=chart.title,
                    xname="training batches",
                )
            logger.log_metrics(media, step)
