"""How good the predictions are, compared with copying the last frame."""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from jsonargparse.typing import ClosedUnitInterval
from lightning_utilities.core.rank_zero import rank_zero_info
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn
from rich.console import Console
from torch import Tensor

from vidpred.batch import Evaluation
from vidpred.callbacks.base import EvaluationWatcher, Stage
from vidpred.callbacks.quality_results import QualityResults, QualityScore, quality_table
from vidpred.files import write_json
from vidpred.kernels import describe
from vidpred.metrics import PSNR, SSIM, Sharpness
from vidpred.metrics.frame_average import FrameAverage
from vidpred.models import CopyLastFrame
from vidpred.ops import frame_difference_mask
from vidpred.ops.motion import MOTION_THRESHOLD
from vidpred.plain import without_nan
from vidpred.provenance import provenance

DATA_RANGE = 1.0  # of `Evaluation`
RESULTS_FILE = "{stage}_metrics.json"

SELECTION = "selection"
"""Logged name of the number by which the best checkpoint is chosen; see `FrameQuality`."""


class FrameQuality(EvaluationWatcher):
    """Measure PSNR, SSIM and sharpness of every predicted frame, for the model and for copy-last.

    Over whole frames and over the moving area, which is where frames differ by more than a
    threshold in the last known motion (`vidpred.ops.frame_difference_mask`); it needs two context
    frames. Conventions are "standard" of `vidpred.metrics`. Each value is the mean over clips (of
    dB: the mean of the dB) in constant memory, over all processes and all loaders of the stage.

    Logged at the end of validation and test, with stage in {val, test} and metric in {psnr, ssim,
    sharpness}: `{stage}/{metric}[_moving][_copy_last]`, the mean over frames, the same with
    `_t+01`, `_t+02` ... for each frame, and `{stage}/clips`. NaN means that nothing moved.
    `{stage}/selection` is the PSNR of the first frame in the moving area, or in the whole frame
    when no motion is known; it always is a number, for choosing the best checkpoint. After
    `test` and `validate` a table goes to the standard output, and `test_metrics.json` or
    `val_metrics.json` to the run's folder.

    Args:
        motion_threshold: A pixel moves when any channel changes by more than this, of full scale.

    Attributes:
        results: What the last validation or test gave, as plain data; None before.
    """

    def __init__(self, *, motion_threshold: ClosedUnitInterval = MOTION_THRESHOLD) -> None:
        if not 0 <= motion_threshold <= 1:
            raise ValueError(
                f"motion_threshold is {motion_threshold}; expected a part of full scale in [0, 1]"
            )
        self.motion_threshold = float(motion_threshold)
        self.results: QualityResults | None = None
        self._averages: dict[tuple[str, str, str], FrameAverage] = {}
        self._context_frames = 0
        self._horizon = 0
        self._told = False

    def start(self, stage: Stage, trainer: Trainer) -> None:
        """Forget the clips of the last evaluation."""
        self._averages = {}

    def watch(
        self,
        stage: Stage,
        trainer: Trainer,
        evaluation: Evaluation,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Score the clips of a batch."""
        context, target, pred = (evaluation[key] for key in ("context", "target", "pred"))
        self._context_frames, self._horizon = context.shape[1], target.shape[1]
        copy_last = CopyLastFrame(context_frames=self._context_frames)(context, self._horizon)
        masks: dict[str, Tensor | None] = {"whole": None}
        if self._context_frames > 1:
            frames = torch.cat((context, target), dim=1)
            masks["moving"] = frame_difference_mask(frames, self._horizon, self.motion_threshold)
        elif not self._told:
            self._told = True
            rank_zero_info(
                "FrameQuality: one context frame shows no motion, so whole frames alone are scored"
            )
        if not self._averages:
            self._averages = _new_averages(masks, self._horizon, target.device)
        predictions = {"model": pred, "copy_last": copy_last}
        for (predictor, area, _), average in self._averages.items():
            average.update(predictions[predictor], target, masks[area])

    def finish(self, stage: Stage, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the averages."""
        if not self._averages:
            return
        scores: dict[str, dict[str, dict[str, QualityScore]]] = {}
        logged: dict[str, float] = {}
        for (predictor, area, metric), average in self._averages.items():
            per_frame = average.per_frame()
            scores.setdefault(predictor, {}).setdefault(area, {})[metric] = {
                "mean": without_nan(per_frame.mean().item()),
                "per_frame": [without_nan(value) for value in per_frame.tolist()],
                "clips": average.clips().tolist(),
            }
            name = f"{stage}/{metric}"
            name += "_moving" if area == "moving" else ""
            name += "_copy_last" if predictor == "copy_last" else ""
            logged[name] = per_frame.mean().item()
            for frame, value in enumerate(per_frame.tolist(), start=1):
                logged[f"{name}_t+{frame:02d}"] = value
        logged[f"{stage}/{SELECTION}"] = _selection(scores["model"])
        clips = scores["model"]["whole"]["psnr"]["clips"][0]
        logged[f"{stage}/clips"] = float(clips)
        batches_seen: int | None = getattr(pl_module, "batches_seen", None)
        if batches_seen is not None:
            logged["step"] = float(batches_seen)  # Lightning takes this key as the logging axis
        # All processes hold the same values already: sync_dist only says so.
        pl_module.log_dict(logged, batch_size=1, sync_dist=True)
        self.results = {
            "stage": stage,
            "clips": clips,
            "context_frames": self._context_frames,
            "horizon": self._horizon,
            "conventions": self._conventions(moving="moving" in scores["model"]),
            "scores": scores,
            "provenance": provenance(batches_seen=batches_seen, kernels=describe(pl_module)),
        }

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the result; see `_publish`."""
        self._publish(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the result when validating is all that was asked for; see `_publish`."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._publish(trainer)

    def _publish(self, trainer: Trainer) -> None:
        """Print the table, then write the file, so that a full disk does not hide the result."""
        folder = trainer.log_dir or trainer.default_root_dir  # asks all processes
        if not trainer.is_global_zero or self.results is None:
            return
        Console().print(quality_table(self.results))
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]  # set by a function of Lightning
            path = Path(folder) / RESULTS_FILE.format(stage=self.results["stage"])
            write_json(path, self.results)
            rank_zero_info(f"the scores with their conventions are in {path}")

    def _conventions(self, *, moving: bool) -> dict[str, str | float | None]:
        return {
            "psnr": "standard",
            "ssim": "standard",
            "sharpness": "standard",
            "data_range": DATA_RANGE,
            "average": "mean over clips of each clip's value (dB: mean of dB), then over frames",
            "baseline": "CopyLastFrame",
            "motion_mask": "frame_difference_mask" if moving else None,
            "motion_threshold": self.motion_threshold if moving else None,
        }


def _new_averages(
    areas: Mapping[str, object], horizon: int, device: torch.device
) -> dict[tuple[str, str, str], FrameAverage]:
    # Apple's GPU has no float64, in which sums over many clips are kept.
    device = torch.device("cpu") if device.type == "mps" else device
    averages: dict[tuple[str, str, str], FrameAverage] = {}
    for predictor in ("model", "copy_last"):
        for area in areas:
            metrics: dict[str, FrameAverage] = {
                "psnr": PSNR(data_range=DATA_RANGE, horizon=horizon),
                "ssim": SSIM(data_range=DATA_RANGE, horizon=horizon),
                "sharpness": Sharpness(data_range=DATA_RANGE, horizon=horizon),
            }
            for name, metric in metrics.items():
                averages[predictor, area, name] = metric.to(device)
    return averages


def _selection(scores: Mapping[str, Mapping[str, QualityScore]]) -> float:
    candidates = (
        scores[area]["psnr"]["per_frame"][0] for area in ("moving", "whole") if area in scores
    )
    return next((value for value in candidates if value is not None), math.nan)
