"""What all data modules share: loaders, lengths that follow the task, exact resume."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from vidpred.batch import TRUE_FRAMES, ClipBatch
from vidpred.data.augmentation import ClipAugmentation
from vidpred.data.blocks import TrainingBlocks, TrainingStream, multiple_at_least
from vidpred.data.catalog import Split
from vidpred.data.loading import (
    BlockSampler,
    ClipLoader,
    EvaluationSet,
    TrainingLoader,
    evaluation_loader,
)
from vidpred.data.mirror import mirrored_batch
from vidpred.data.options import ClipOptions
from vidpred.data.stream import TRAINING_ALONE, changes_of, require_same_stream
from vidpred.errors import DataError, SettingError
from vidpred.plain import python_number

BATCHES_PER_EPOCH = 1000
"""Length of an epoch when `samples_per_epoch` is not given: the stream itself has no end."""

NOT_DRAWN = ("num_workers", "eval_batch_size", "max_test_videos", "max_damaged", "copy_ahead")
"""Options that change neither what is drawn nor what is validated on."""

NEEDED: dict[str, tuple[Split, ...]] = {
    "fit": ("train", "val"),
    "validate": ("val",),
    "test": ("test",),
    "predict": ("test",),
}
"""Splits that each stage of Lightning needs."""


@dataclass(kw_only=True, eq=False, repr=False)
class ClipStreamDataModule(ClipOptions, pl.LightningDataModule, ABC):
    """Training clips from an endless stream, and whole evaluation clips; subclasses say of what.

    The options are fields, so that a subclass adds its own and repeats none.

    Training draws without end and never twice alike, also when a run is broken off and resumed; an
    epoch is a number of draws. Training clips have `context_frames + horizon` frames, evaluation
    clips `context_frames + eval_horizon`, at full size or resized, in a fixed order.

    Args:
        context_frames: Frames that a predictor sees; None follows the task's predictor, and is 4
            without one.
        horizon: Frames that it is trained to predict; None follows the task (`training_horizon`),
            and is 1 without one.
        eval_horizon: Frames that it predicts in validation, test and prediction.
        patch_size: Height and width of training patches in pixels, one number for squares (Mathieu
            et al. 2016: 32, then 64), `[height, width]` for rectangles; null trains on whole
            frames, one of each clip.
        resize: `[height, width]` to which whole frames are resized before anything else, in
            training and evaluation: bilinear with antialiasing, aspect not kept, as protocols
            with `fit: resize` do it (`vidpred.ops.frame_format.resize_frames`), rounded to 8 bits.
        color: rgb, or gray: the luma 0.299 R + 0.587 G + 0.114 B (Rec. 601), as in protocols.
        motion_threshold: A patch is accepted when its last two context frames differ by more than
            this, root mean square in [0, 1]; 0.02 lets about half of UCF101's random patches pass.
        patches_per_clip: Patches cut from each clip.
        mixed_videos: Passes whose patches are mixed, at least, none of them through the same video
            where there are enough; see `vidpred.data.TrainingBlocks`. A batch takes one patch of
            each. Decoding is what costs, so more clips and patches of each video load faster, and
            the videos of a block come back `clips_per_video * patches_per_clip` times within it.
        batch_size: Patches in a training batch, for each process.
        eval_batch_size: Whole clips in a validation or test batch; above 1 needs frames of one
            size.
        samples_per_epoch: Patches that make a training epoch over all processes; 1000 batches a
            process when `None`.
        frame_step: Distance between two frames of a clip.
        flip_probability: How often a training clip is mirrored left to right, as a whole and on the
            device; the paper does not mirror. With conditions, see `mirrored_condition`.
        augmentation: Other random changes of training clips; see `vidpred.data.ClipAugmentation`.
            Not for data with conditions.
        copy_ahead: Copy training batches to a GPU while the ones before them are learned from.
        num_workers: Processes that load; one for each core, at most 4, when `None`. 0 loads in the
            training process.
        seed: Of the training stream; the global seed (`seed_everything`) when `None`, 0 when there
            is none.

    Attributes:
        lengths: Frames of training clips, with what follows the task.
        accept_changes: Let a resume continue with data or a batch size that the run did not have.

    Raises:
        ValueError: For a value out of range.
    """

    def __post_init__(self) -> None:
        pl.LightningDataModule.__init__(self)
        self.require_ranges()
        self.lengths = self.lengths_for(None)
        self._workers = _default_workers() if self.num_workers is None else self.num_workers
        self.accept_changes = False
        self._batches_done = 0
        self._train: TrainingBlocks | None = None
        self._eval: dict[Split, EvaluationSet] = {}

    @abstractmethod
    def find_data(self) -> None:
        """Find what there is, once; called by `setup` of every stage.

        Raises:
            DataError: When the data are not where they were looked for.
        """

    @abstractmethod
    def training_stream(self, together: int) -> TrainingStream:
        """Give the stream of training clips, of `loaded_frames` frames.

        Args:
            together: Neighboring positions that share their draws; a multiple of the batch size.
        """

    @abstractmethod
    def evaluation_set(self, split: Split) -> EvaluationSet:
        """Give the clips of validation or test, of `evaluation_length` frames."""

    @abstractmethod
    def summary(self) -> str:
        """Say in words what the splits hold, a line each; needs `setup`."""

    @abstractmethod
    def describe_data(self) -> dict[str, str]:
        """Give digests that change with what is drawn from, by name, for resumes."""

    def require_conditions(self, names: Sequence[str]) -> None:
        """Refuse data that lack what a predictor is conditioned on.

        Args:
            names: `Predictor.conditions`.

        Raises:
            DataError: When one is missing; here, where there are none, whenever one is needed.
        """
        if names:
            raise DataError(
                f"the predictor is conditioned on {', '.join(names)}, and {type(self).__name__} "
                "has no conditions; use data that have them, or another network"
            )

    def mirrored_condition(self, name: str, values: Tensor) -> Tensor:
        """Say what a condition becomes when its clip is mirrored left to right.

        Override it where conditions do not change, or change sign, as horizontal motion does.

        Args:
            name: Of the condition.
            values: Shape (B, T, ...).

        Raises:
            DataError: Here: only the data set knows.
        """
        raise DataError(
            f"flip_probability mirrors frames, and nothing says what becomes of condition {name!r} "
            f"then; set flip_probability: 0, or override {type(self).__name__}.mirrored_condition"
        )

    def follow(self, task: object) -> None:
        """Take from a task what the options leave open; `setup` does so with the trainer's.

        Args:
            task: What learns from the clips; see `ClipOptions.lengths_for`.

        Raises:
            DataError: When an option contradicts the task.
        """
        self.lengths = self.lengths_for(task)
        self.require_channels(task)

    @property
    def evaluation_length(self) -> int:
        """Frames of an evaluation clip."""
        return self.lengths.context_frames + int(self.eval_horizon)

    def setup(self, stage: str) -> None:
        """Find the data and check those that this stage evaluates on.

        Args:
            stage: "fit", "validate", "test" or "predict".

        Raises:
            DataError: When a split that the stage needs has nothing usable, or an option
                contradicts the task.
        """
        task = getattr(self.trainer, "lightning_module", None)
        if task is not None:
            self.follow(task)
        overfit: float = getattr(self.trainer, "overfit_batches", 0)  # declared nowhere
        if stage == "fit" and overfit:
            raise DataError(
                f"overfit_batches is {overfit}; training draws clips without "
                "end, so there are no first batches to repeat. To overfit, train on few videos "
                "(lists of one or two, data/video_folder.yaml) with a small samples_per_epoch"
            )
        self.find_data()
        splits = NEEDED.get(stage, ())
        if splits:
            named = getattr(getattr(task, "predictor", None), "conditions", ())
            self.require_conditions([name for name in named if name != TRUE_FRAMES])
        for split in splits:
            if split == "train":
                self._train = self._train or self._training_blocks()
            elif split not in self._eval:
                self._eval[split] = self.evaluation_set(split)

    def state_dict(self) -> dict[str, Any]:
        """Remember how many batches of this epoch the model has learned from, and of what."""
        if self.trainer is None:
            return {}
        progress = self.trainer.fit_loop.epoch_loop.batch_progress.current.state_dict()
        done = progress["processed"]
        return {
            # `limit_train_batches` may end an epoch before the stream's.
            "batches_done": done if done < self.trainer.num_training_batches else 0,
            "stream": self.describe_stream(),
            "limit_val_batches": str(self.trainer.limit_val_batches),
        }

    def describe_stream(self) -> dict[str, Any]:
        """Say, in plain values, all on which the draws and the validation depend."""
        trainer = self.trainer
        options = {name: getattr(self, name) for name in self._drawing_options()}
        return {
            **{name: _described(value) for name, value in options.items() if name not in NOT_DRAWN},
            "context_frames": self.lengths.context_frames,
            "horizon": self.lengths.horizon,
            "seed": self.stream_seed(),
            "processes": trainer.world_size if trainer else 1,
            # As text: 1 is one batch, 1.0 is all of them.
            "limit_train_batches": str(trainer.limit_train_batches if trainer else 1.0),
            **self.describe_data(),
        }

    def require_same_stream(self, state_dict: Mapping[str, Any]) -> None:
        """Refuse a resume with samples that the run did not have, unless `accept_changes`.

        Args:
            state_dict: What a checkpoint holds of the run's data module.

        Raises:
            DataError: Naming what changed.
        """
        if "stream" in state_dict:  # older checkpoints do not know
            before, now = state_dict["stream"], self.describe_stream()
            require_same_stream(before, now, accepted=self.accept_changes)

    def same_validation(self, state_dict: Mapping[str, Any]) -> bool:
        """Say whether scores of the run that is resumed compare with those of this validation.

        Args:
            state_dict: As for `require_same_stream`.
        """
        before = state_dict.get("stream")
        if before is None:
            return True
        limit = str(self.trainer.limit_val_batches if self.trainer else 1.0)
        changes = changes_of(before, self.describe_stream()).keys()
        return changes <= TRAINING_ALONE and state_dict.get("limit_val_batches", limit) == limit

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume behind these batches.

        Raises:
            DataError: When the samples would be others; see `require_same_stream`.
        """
        if self.trainer is None or self.trainer.state.fn == TrainerFn.FITTING:
            self.require_same_stream(state_dict)
        self._batches_done = state_dict["batches_done"]

    def train_dataloader(self) -> TrainingLoader:
        """Give batches of training clips, frames of shape (B, T, C, H, W)."""
        if self._train is None:
            raise RuntimeError('the training data are not set up; call setup("fit") first')
        trainer = self.trainer
        replicas = trainer.world_size if trainer else 1
        batches = self._samples_per_epoch(replicas) // (self.batch_size * replicas)
        # Of the epoch that is resumed alone: Lightning may ask for a loader again.
        done, self._batches_done = self._batches_done, 0
        sampler = BlockSampler(
            self._train,
            num_batches=batches,
            num_replicas=replicas,
            rank=trainer.global_rank if trainer else 0,
            # A whole epoch done means that the next one begins.
            skip=done % batches,
        )
        device = trainer.strategy.root_device if trainer else torch.device("cpu")
        gpu = device if self.copy_ahead and device.type == "cuda" else None
        return TrainingLoader(self._train, sampler, num_workers=self._workers, gpu=gpu)

    def on_after_batch_transfer(self, batch: ClipBatch, dataloader_idx: int) -> ClipBatch:
        """Change training clips at random; see `flip_probability` and `augmentation`."""
        if self.trainer is None or not self.trainer.training:
            return batch
        if self.flip_probability:
            batch = mirrored_batch(batch, self.flip_probability, condition=self.mirrored_condition)
        if self.augmentation is None:
            return batch
        if "condition" in batch:
            raise DataError(
                "data.augmentation changes frames and their order, and nothing says what becomes "
                f"of the conditions {', '.join(batch['condition'])} then; leave it out"
            )
        frames = self.augmentation(
            batch["frames"], self.lengths.training, self.lengths.context_frames
        )
        return {**batch, "frames": frames}

    @property
    def loaded_frames(self) -> int:
        """Frames of a training clip as it is loaded, before `augmentation` takes some of them."""
        frames = self.lengths.training
        return frames if self.augmentation is None else self.augmentation.frames_needed(frames)

    def val_dataloader(self) -> ClipLoader:
        """Give whole clips of the validation split, frames of shape (B, T, C, H, W)."""
        return self._evaluation_loader("val")

    def test_dataloader(self) -> ClipLoader:
        """Give whole clips of the test split, frames of shape (B, T, C, H, W)."""
        return self._evaluation_loader("test")

    def predict_dataloader(self) -> ClipLoader:
        """Give the clips of `test_dataloader`, of which `trainer.predict` returns predictions."""
        return self._evaluation_loader("test")

    def stream_seed(self) -> int:
        """Give the seed of the training stream."""
        # Lightning's `seed_everything` leaves its seed there, for other processes too.
        return int(os.environ.get("PL_GLOBAL_SEED", 0)) if self.seed is None else int(self.seed)

    def _drawing_options(self) -> list[str]:
        return [field.name for field in fields(ClipOptions)]

    def _samples_per_epoch(self, processes: int) -> int:
        samples = self.samples_per_epoch or BATCHES_PER_EPOCH * self.batch_size * processes
        if samples < self.batch_size * processes:
            raise SettingError(
                f"samples_per_epoch is {samples}; expected at least one batch "
                f"({self.batch_size}) for each of {processes} processes"
            )
        return int(samples)

    def _training_blocks(self) -> TrainingBlocks:
        self._samples_per_epoch(self.trainer.world_size if self.trainer else 1)
        stream = self.training_stream(multiple_at_least(self.mixed_videos, of=self.batch_size))
        return TrainingBlocks(stream, batch_size=self.batch_size)

    def _evaluation_loader(self, split: Split) -> ClipLoader:
        if split not in self._eval:
            raise RuntimeError(f"the {split} data are not set up; call setup first")
        trainer = self.trainer
        return evaluation_loader(
            self._eval[split],
            batch_size=self.eval_batch_size,
            num_workers=self._workers,
            num_replicas=trainer.world_size if trainer else 1,
            rank=trainer.global_rank if trainer else 0,
        )


def _default_workers() -> int:
    return min(4, os.cpu_count() or 1)


def _described(option: Any) -> Any:
    return option.describe() if isinstance(option, ClipAugmentation) else python_number(option)
