"""What all data modules share: options, data sets, loaders."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from jsonargparse.typing import ClosedUnitInterval, NonNegativeInt, PositiveInt
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities import rank_zero_info

from vidpred.batch import ClipBatch
from vidpred.data.blocks import TrainingBlocks, multiple_at_least
from vidpred.data.catalog import (
    SPLITS,
    Listing,
    Split,
    evenly_spaced,
    require_disjoint,
)
from vidpred.data.evaluation_clips import EvaluationClips, readable_videos
from vidpred.data.index.video_index import VideoIndex
from vidpred.data.loading import (
    BlockSampler,
    ClipLoader,
    ClipSampler,
    TrainingLoader,
    collate_or_error,
)
from vidpred.data.mirror import mirrored
from vidpred.data.patches import PATCH_MOTION_THRESHOLD
from vidpred.data.stream import describe_videos, require_same_stream
from vidpred.data.training_clips import TrainingClips
from vidpred.data.worker_start import start_worker
from vidpred.errors import DataError, SettingError
from vidpred.ops.checks import require_positive
from vidpred.plain import python_number

BATCHES_PER_EPOCH = 1000
"""Length of an epoch when `samples_per_epoch` is not given: the stream itself has no end."""


@dataclass(kw_only=True, eq=False, repr=False)
class ClipDataModule(pl.LightningDataModule, ABC):
    """Training patches and whole evaluation frames of the videos that a subclass lists.

    The options are fields, so that a subclass adds its own and repeats none.

    Training draws without end and never twice alike, also when a run is broken off and resumed; an
    epoch is a number of draws. Validation and
    test read the first `context_frames + eval_horizon` frames of each video, at full size, in a
    fixed order.

    Args:
        context_frames: Frames that a predictor sees.
        horizon: Frames that it is trained to predict.
        eval_horizon: Frames that it predicts in validation and test.
        patch_size: Height and width of training patches in pixels (Mathieu et al. 2016: 32, then
            64).
        motion_threshold: A patch is accepted when its last two context frames differ by more than
            this, root mean square in [0, 1]; 0.02 lets about half of UCF101's random patches pass.
        clips_per_video: Clips drawn in one pass through a video, at different starts.
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
        max_val_videos: Use this many validation videos, evenly spaced over the list; all when
            `None`.
        max_test_videos: The same for test.
        frame_step: Distance between two frames of a clip.
        flip_probability: How often a training clip is mirrored left to right, as a whole and on the
            device; the paper does not mirror.
        copy_ahead: Copy training batches to a GPU while the ones before them are learned from.
        max_damaged: Share of the training videos that may break while they are decoded; they go
            into the quarantine of the data set's index, and more than this is an error.
        num_workers: Processes that load; one for each core, at most 4, when `None`. 0 loads in the
            training process.
        seed: Of the training stream; the global seed (`seed_everything`) when `None`, 0 when there
            is none.

    Attributes:
        accept_changes: Let a resume go on with data or a batch size that the run did not have.

    Raises:
        ValueError: For a value out of range.
    """

    context_frames: PositiveInt = 4
    horizon: PositiveInt = 1
    eval_horizon: PositiveInt = 2
    patch_size: PositiveInt = 32
    motion_threshold: ClosedUnitInterval = PATCH_MOTION_THRESHOLD
    clips_per_video: PositiveInt = 4
    patches_per_clip: PositiveInt = 4
    mixed_videos: PositiveInt = 32
    batch_size: PositiveInt = 8
    eval_batch_size: PositiveInt = 1
    samples_per_epoch: PositiveInt | None = None
    max_val_videos: PositiveInt | None = None
    max_test_videos: PositiveInt | None = None
    frame_step: PositiveInt = 1
    flip_probability: ClosedUnitInterval = 0.0
    copy_ahead: bool = True
    max_damaged: ClosedUnitInterval = 0.2
    num_workers: NonNegativeInt | None = None
    seed: NonNegativeInt | None = None

    def __post_init__(self) -> None:
        super().__init__()
        self._check()
        self._workers = _default_workers() if self.num_workers is None else self.num_workers
        self.accept_changes = False
        self._batches_done = 0
        self._left_out: dict[str, str] = {}
        self._videos_described: dict[str, str] = {}
        self.listings: dict[Split, Listing] = {}
        self._train: TrainingBlocks | None = None
        self._eval: dict[Split, EvaluationClips] = {}

    @abstractmethod
    def list_split(self, split: Split) -> Listing:
        """Say which videos a split holds, in a fixed order that no option of the sampling changes.

        Raises:
            DataError: When the data set is not where it was looked for.
        """

    def index_root(self) -> Path | None:
        """Give the folder that holds all videos, for an index of it; None keeps none."""
        return None

    def prepare_data(self) -> None:
        """Look for the data before loggers start, so that a wrong path leaves nothing behind."""
        for split in SPLITS:
            self.list_split(split)

    def setup(self, stage: str) -> None:
        """Find the videos and check those that this stage evaluates on.

        Args:
            stage: "fit", "validate" or "test"; "predict" needs nothing from here.

        Raises:
            DataError: When a split that the stage needs has no usable video.
        """
        needed: dict[str, tuple[Split, ...]] = {
            "fit": ("train", "val"),
            "validate": ("val",),
            "test": ("test",),
        }
        if not self.listings:
            listings = {split: self.list_split(split) for split in SPLITS}
            require_disjoint(listings)
            self.listings = listings
            rank_zero_info(self.summary())
        for split in needed.get(stage, ()):
            self._require_videos(split)
            if split == "train":
                self._train = self._train or self._training_blocks()
            elif split not in self._eval:
                self._eval[split] = self._evaluation_clips(split)

    def summary(self) -> str:
        """Count videos, classes and missing files of each split, a line each; needs `setup`."""
        lines = []
        for split, listing in self.listings.items():
            classes = len({video.label for video in listing.videos})
            line = f"{split}: {len(listing.videos)} videos, {classes} classes"
            if listing.missing:
                line += f" ({len(listing.missing)} listed videos are not on the disk)"
            lines.append(line)
        return "\n".join(lines)

    def state_dict(self) -> dict[str, Any]:
        """Remember how many batches of this epoch the model has learned from, and of which videos.

        A resumed run leaves out what the run left out from its beginning, and no more: what came
        into quarantine since must not change its draws.
        """
        if self.trainer is None:
            return {}
        progress = self.trainer.fit_loop.epoch_loop.batch_progress.current.state_dict()
        done = progress["processed"]
        return {
            # `limit_train_batches` may end an epoch before the stream's.
            "batches_done": done if done < self.trainer.num_training_batches else 0,
            "left_out": self._left_out,
            "stream": self.describe_stream(),
        }

    def describe_stream(self) -> dict[str, Any]:
        """Say, in plain values, all on which the draws and the validation depend."""
        if not self._videos_described:
            for split in ("train", "val"):
                videos = (self.listings.get(split) or self.list_split(split)).videos
                self._videos_described[f"{split}_videos"] = describe_videos(videos)
        trainer = self.trainer
        without = ("num_workers", "eval_batch_size", "max_test_videos", "max_damaged", "copy_ahead")
        options = {f.name: getattr(self, f.name) for f in fields(ClipDataModule)}
        return {
            **{
                name: python_number(value) for name, value in options.items() if name not in without
            },
            "seed": self._stream_seed(),
            "processes": trainer.world_size if trainer else 1,
            # As text: 1 is one batch, 1.0 is all of them.
            "limit_train_batches": str(trainer.limit_train_batches if trainer else 1.0),
            **self._videos_described,
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

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on behind these batches.

        Raises:
            DataError: When the samples would be others; see `require_same_stream`.
        """
        if self.trainer is None or self.trainer.state.fn == TrainerFn.FITTING:
            self.require_same_stream(state_dict)
        self._batches_done = state_dict["batches_done"]
        self._left_out = state_dict["left_out"]
        if self._train is not None:
            self._train.stream.left_out = self._paths_left_out()

    def train_dataloader(self) -> TrainingLoader:
        """Give batches of random patches, frames of shape (B, T, C, patch_size, patch_size)."""
        if self._train is None:
            raise RuntimeError('the training data are not set up; call setup("fit") first')
        trainer = self.trainer
        replicas = trainer.world_size if trainer else 1
        batches = self._samples_per_epoch(replicas) // (self.batch_size * replicas)
        sampler = BlockSampler(
            self._train,
            num_batches=batches,
            num_replicas=replicas,
            rank=trainer.global_rank if trainer else 0,
            # A whole epoch done means that the next one begins.
            skip=self._batches_done % batches,
        )
        device = trainer.strategy.root_device if trainer else torch.device("cpu")
        gpu = device if self.copy_ahead and device.type == "cuda" else None
        return TrainingLoader(self._train, sampler, num_workers=self._workers, gpu=gpu)

    def on_after_batch_transfer(self, batch: ClipBatch, dataloader_idx: int) -> ClipBatch:
        """Mirror some of the training clips; see `flip_probability`."""
        if self.flip_probability and self.trainer is not None and self.trainer.training:
            return {**batch, "frames": mirrored(batch["frames"], self.flip_probability)}
        return batch

    def val_dataloader(self) -> ClipLoader:
        """Give whole clips of the validation videos, frames of shape (B, T, C, H, W)."""
        return self._evaluation_loader("val")

    def test_dataloader(self) -> ClipLoader:
        """Give whole clips of the test videos, frames of shape (B, T, C, H, W)."""
        return self._evaluation_loader("test")

    def _check(self) -> None:
        for name in (
            "context_frames",
            "horizon",
            "eval_horizon",
            "patch_size",
            "clips_per_video",
            "patches_per_clip",
            "mixed_videos",
            "batch_size",
            "eval_batch_size",
            "samples_per_epoch",
            "max_val_videos",
            "max_test_videos",
            "frame_step",
        ):
            value = getattr(self, name)
            if value is not None:
                require_positive(name, value)
        for name in ("motion_threshold", "max_damaged", "flip_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a number in [0, 1]")
        if (self.seed is not None and self.seed < 0) or (
            self.num_workers is not None and self.num_workers < 0
        ):
            raise ValueError(
                f"seed is {self.seed}, num_workers {self.num_workers}; expected neither below 0"
            )

    def _require_videos(self, split: Split) -> None:
        listing = self.listings[split]
        if not listing.videos:
            raise DataError(
                f"no video of the {split} split is on the disk "
                f"({len(listing.missing)} are listed and missing). {self.summary()}"
            )

    def _samples_per_epoch(self, processes: int) -> int:
        samples = self.samples_per_epoch or BATCHES_PER_EPOCH * self.batch_size * processes
        if samples < self.batch_size * processes:
            raise SettingError(
                f"samples_per_epoch is {samples}; expected at least one batch "
                f"({self.batch_size}) for each of {processes} processes"
            )
        return int(samples)

    def _stream_seed(self) -> int:
        # Lightning's `seed_everything` leaves its seed there, for other processes too.
        return int(os.environ.get("PL_GLOBAL_SEED", 0)) if self.seed is None else self.seed

    def _training_blocks(self) -> TrainingBlocks:
        self._samples_per_epoch(self.trainer.world_size if self.trainer else 1)
        index = self._refreshed_index()
        stream = TrainingClips(
            self.listings["train"].videos,
            context_frames=self.context_frames,
            horizon=self.horizon,
            patch_size=self.patch_size,
            motion_threshold=self.motion_threshold,
            clips_per_video=self.clips_per_video,
            patches_per_clip=self.patches_per_clip,
            together=multiple_at_least(self.mixed_videos, of=self.batch_size),
            frame_step=self.frame_step,
            seed=self._stream_seed(),
            index=index,
            max_damaged=self.max_damaged,
            left_out=self._paths_left_out(),
        )
        return TrainingBlocks(stream, batch_size=self.batch_size)

    def _refreshed_index(self) -> VideoIndex | None:
        """Read once what training has to know of every video, and say what is left out."""
        root = self.index_root()
        if root is None:
            return None
        index = VideoIndex(root)
        videos = [video.path for video in self.listings["train"].videos]
        report = index.refresh(videos)
        if report.new + report.changed:
            rank_zero_info(f"index: {report.new + report.changed} videos were read ({index.file})")
        names = {index.name(path) for path in videos}
        aside = {n: said.reason for n, said in index.quarantined().items() if n in names}
        if aside:
            rank_zero_info(
                f"{len(aside)} training videos are in quarantine and left out, such as "
                f"{next(iter(aside))}; `vidpred data doctor` says why"
            )
        self._left_out = aside
        index.close()
        return index

    def _paths_left_out(self) -> dict[Path, str]:
        root = self.index_root() or Path()
        return {root / name: reason for name, reason in self._left_out.items()}

    def _evaluation_clips(self, split: Split) -> EvaluationClips:
        length = self.context_frames + self.eval_horizon
        limit = self.max_val_videos if split == "val" else self.max_test_videos
        chosen = evenly_spaced(self.listings[split].videos, limit)
        videos = readable_videos(
            chosen,
            length=length,
            frame_step=self.frame_step,
            split=split,
            one_size=self.eval_batch_size > 1,
        )
        return EvaluationClips(videos, length=length, frame_step=self.frame_step)

    def _evaluation_loader(self, split: Split) -> ClipLoader:
        if split not in self._eval:
            raise RuntimeError(f"the {split} data are not set up; call setup first")
        trainer = self.trainer
        sampler = ClipSampler(
            len(self._eval[split]),
            num_replicas=trainer.world_size if trainer else 1,
            rank=trainer.global_rank if trainer else 0,
        )
        return ClipLoader(
            self._eval[split],
            sampler=sampler,
            batch_size=self.eval_batch_size,
            num_workers=self._workers,
            collate_fn=collate_or_error,
            worker_init_fn=start_worker,
            persistent_workers=self._workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # as in `TrainingLoader`
        )


def _default_workers() -> int:
    return min(4, os.cpu_count() or 1)
