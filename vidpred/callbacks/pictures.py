"""What the predictions look like."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jsonargparse.typing import PositiveFloat, PositiveInt
from lightning_utilities.core.rank_zero import rank_zero_warn
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from vidpred.batch import Evaluation
from vidpred.callbacks.base import EvaluationWatcher, Stage
from vidpred.errors import VideoError
from vidpred.files import replacing
from vidpred.loggers import ShownClip, log_clips
from vidpred.metrics import psnr
from vidpred.ops.checks import require_positive
from vidpred.video import write_video
from vidpred.viz import side_by_side, strip


class _Clip(NamedTuple):
    context: Tensor
    target: Tensor
    pred: Tensor
    name: str


class Pictures(EvaluationWatcher):
    """Show some clips of each validation and of the test: context, truth, prediction, difference.

    Writes a strip (`.png`) and a video (`.mp4`) of every clip into `pictures/` of the run's folder,
    named by stage, training batches seen and clip, and logs them to TensorBoard and W&B, with clip,
    batches and PSNR as their caption. The clips are
    spread evenly over the batches and are the same every time. When pictures cannot be written,
    this is said once and the run continues: numbers and checkpoints matter more.

    Args:
        num_clips: Clips to show.
        every_n_validations: Show every n-th validation, beginning with the first.
        fps: Frames per second of the videos, slow enough to see single frames.
    """

    def __init__(
        self,
        *,
        num_clips: PositiveInt = 4,
        every_n_validations: PositiveInt = 1,
        fps: PositiveFloat = 4.0,
    ) -> None:
        require_positive("num_clips", num_clips)
        require_positive("every_n_validations", every_n_validations)
        if not fps > 0:
            raise ValueError(f"fps is {fps}; expected frames per second above 0")
        self.num_clips = num_clips
        self.every_n_validations = every_n_validations
        self.fps = fps
        self._clips: list[_Clip] = []
        self._names: list[str] = []
        self._validations = 0
        self._wanted = True
        self._warned = False

    def start(self, stage: Stage, trainer: Trainer) -> None:
        """Forget earlier clips."""
        self._clips = []
        self._wanted = True
        if trainer.sanity_checking:
            self._wanted = False
        elif stage == "val":
            self._wanted = self._validations % self.every_n_validations == 0

    def watch(
        self,
        stage: Stage,
        trainer: Trainer,
        evaluation: Evaluation,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Keep the clips of this batch that are to be shown."""
        if not self._wanted or not trainer.is_global_zero or dataloader_idx:
            return
        batches = trainer.num_val_batches if stage == "val" else trainer.num_test_batches
        size = len(evaluation["target"])
        for index in clips_of_batch(batch_idx, batches[0], size, self.num_clips):
            if len(self._clips) < self.num_clips:
                name = self._names[index] if index < len(self._names) else f"clip {index}"
                self._clips.append(_clip(evaluation, index, name))

    def on_validation_batch_end(self, *arguments: Any, **named: Any) -> None:
        """Note the names of the batch's clips; see `watch`."""
        self._names = _names(*arguments, **named)
        super().on_validation_batch_end(*arguments, **named)

    def on_test_batch_end(self, *arguments: Any, **named: Any) -> None:
        """Note the names of the batch's clips; see `watch`."""
        self._names = _names(*arguments, **named)
        super().on_test_batch_end(*arguments, **named)

    def finish(self, stage: Stage, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write and log them; count the validations, of which one that is broken off is none."""
        self._validations += stage == "val"
        folder = trainer.log_dir or trainer.default_root_dir  # asks all processes
        clips, self._clips = self._clips, []
        if not clips or trainer.fast_dev_run:  # type: ignore[attr-defined]  # set by a function
            return
        step: int = getattr(pl_module, "batches_seen", trainer.global_step)
        try:
            shown = self._write(Path(folder) / "pictures", f"{stage}_{step:07d}", clips, step)
            log_clips(trainer.loggers, stage, shown, fps=self.fps, step=step)
        except (OSError, VideoError) as error:
            if not self._warned:
                self._warned = True
                rank_zero_warn(
                    f"pictures cannot be written: {error}. The run continues without them; "
                    "further failures are not reported."
                )

    def state_dict(self) -> dict[str, Any]:
        """Remember how many validations there were, so that a resumed run keeps its rhythm."""
        return {"validations": self._validations}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the count."""
        self._validations = state_dict["validations"]

    def _write(self, folder: Path, name: str, clips: list[_Clip], step: int) -> list[ShownClip]:
        folder.mkdir(parents=True, exist_ok=True)
        shown = []
        for k, clip in enumerate(clips):
            frames = (clip.context, clip.target, clip.pred)
            drawn = ShownClip(
                picture=strip(*frames),
                frames=side_by_side(*frames),
                picture_file=folder / f"{name}_{k}.png",
                video_file=folder / f"{name}_{k}.mp4",
                caption=_caption(clip, step),
            )
            _write_picture(drawn.picture_file, drawn.picture)
            write_video(drawn.video_file, drawn.frames, fps=self.fps)
            shown.append(drawn)
        return shown


def clips_of_batch(
    batch_idx: int, num_batches: float, batch_size: int, num_clips: int
) -> list[int]:
    """Choose clips of a batch so that all batches together show `num_clips`, spread evenly.

    Args:
        batch_idx: Number of the batch, from 0.
        num_batches: How many there are; infinite when unknown, and then the first are shown.
        batch_size: Clips in this batch.
        num_clips: Clips wanted in all.

    Returns:
        Indices in the batch.

    Example:
        >>> [clips_of_batch(b, 8, 2, 4) for b in range(8)]
        [[0], [], [0], [], [0], [], [0], []]
        >>> clips_of_batch(0, 1, 8, 4)
        [0, 2, 4, 6]
    """
    batches = int(min(num_batches, num_clips)) if num_batches == float("inf") else int(num_batches)
    here = sum(k * batches // num_clips == batch_idx for k in range(num_clips))
    here = min(here, batch_size)
    return [k * batch_size // here for k in range(here)]


def _names(
    trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *_: Any, **__: Any
) -> list[str]:
    """Give the videos of a batch, where it says them."""
    named = batch.get("video_id") if isinstance(batch, Mapping) else None
    return [str(name) for name in named or ()]


def _caption(clip: _Clip, step: int) -> str:
    values = psnr(clip.pred[None], clip.target[None], data_range=1.0)[0].tolist()
    scores = ", ".join(f"t+{k} {value:.1f}" for k, value in enumerate(values, start=1))
    return f"{clip.name} after {step:,} batches; PSNR in dB: {scores}"


def _clip(evaluation: Evaluation, index: int, name: str) -> _Clip:
    # To the CPU at once: memory on the device is for the model.
    context, target, pred = (
        evaluation[key][index].float().cpu() for key in ("context", "target", "pred")
    )
    return _Clip(context, target, pred, name)


def _write_picture(path: Path, picture: Tensor) -> None:
    with replacing(path) as temporary:
        to_pil_image(picture).save(temporary)
