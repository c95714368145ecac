"""TensorBoard in the run's folder, with the same content as the other loggers."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_only
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor

from vidpred.errors import VidpredError
from vidpred.loggers.keys import Detail, kept

FOLDER = "tensorboard"
"""Folder of the event files, in the run's folder."""

LAYOUT = {
    "model and copying the last frame": {
        f"{title} ({area})": ["Multiline", [f"val/{name}{suffix}", f"val/{name}{suffix}_copy_last"]]
        for name, title in (("psnr", "PSNR, dB"), ("ssim", "SSIM"), ("sharpness", "Sharpness, dB"))
        for suffix, area in (("", "whole frame"), ("_moving", "moving area"))
    }
}
"""Custom scalars: each chart with the model and the baseline."""


class RunTensorBoardLogger(TensorBoardLogger):
    """Writes event files into `tensorboard/` of the run's folder: `tensorboard --logdir runs`.

    Args:
        save_dir: The run's folder.
        detail: "summary" leaves out single scales and frames (about 30 charts), "all" nothing.

    Raises:
        VidpredError: When TensorBoard is not installed, or the folder cannot be written.
    """

    def __init__(self, save_dir: str | Path, *, detail: Detail = "summary") -> None:
        try:
            import tensorboard  # noqa: F401  Lightning would fall back on a package without layouts
        except ImportError as error:
            raise VidpredError(
                "tensorboard.enabled is true, but TensorBoard is not installed; expected the "
                "package: pip install 'vidpred[tensorboard]'"
            ) from error
        folder = Path(save_dir) / FOLDER
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VidpredError(
                f"{folder}: TensorBoard's event files cannot be written there "
                f"({error.strerror or error}); choose another --run_dir, or set "
                "--tensorboard.enabled false"
            ) from error
        super().__init__(save_dir=folder, name="", version="", default_hp_metric=False)
        self.detail = detail
        self._laid_out = False

    @property
    def log_dir(self) -> str:
        """The folder of the event files."""
        return str(self.save_dir)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log numbers at a batch counter."""
        if not self._laid_out:
            self._laid_out = True
            self.experiment.add_custom_scalars(LAYOUT)
        super().log_metrics(kept(metrics, self.detail), None if step is None else int(step))

    @rank_zero_only
    def log_picture(self, name: str, picture: Tensor, caption: str, step: int) -> None:
        """Log an image, and its caption as text of the same name.

        Args:
            name: Such as "val/strip_0".
            picture: uint8, shape (3, H, W).
            caption: What it shows.
            step: Training batches.
        """
        self.experiment.add_image(name, picture.numpy(), step)
        self.experiment.add_text(f"{name}_caption", caption, step)

    @rank_zero_only
    def log_animation(self, name: str, frames: Tensor, fps: float, step: int) -> None:
        """Log a video as an animated GIF, which TensorBoard plays among the images.

        Args:
            name: Such as "val/video_0".
            frames: uint8, shape (T, 3, H, W).
            fps: Frames per second.
            step: Training batches.
        """
        from tensorboard.compat.proto.summary_pb2 import Summary

        pictures = [Image.fromarray(frame.permute(1, 2, 0).numpy()) for frame in frames]
        stream = io.BytesIO()
        pictures[0].save(
            stream,
            "GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=round(1000 / fps),
            loop=0,
        )
        image = Summary.Image(
            height=pictures[0].height,
            width=pictures[0].width,
            colorspace=3,
            encoded_image_string=stream.getvalue(),
        )
        value = Summary.Value(tag=name, image=image)
        writer: Any = self.experiment._get_file_writer()
        writer.add_summary(Summary(value=[value]), step)
