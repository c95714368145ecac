"""UCF101, straight from its AVI files."""

from pathlib import Path
from typing import Literal

from jsonargparse.typing import (
    ClosedUnitInterval,
    NonNegativeInt,
    OpenUnitInterval,
    PositiveInt,
)

from vidpred.data.catalog import Listing, Split
from vidpred.data.module import ClipDataModule
from vidpred.data.patches import MOTION_THRESHOLD
from vidpred.data.ucf101_lists import locate, read_list, validation_rows
from vidpred.errors import DataError

VIDEO_DIR = "UCF-101"
LIST_DIR = "ucfTrainTestlist"
_SOURCE = (
    "Get UCF101 from https://www.crcv.ucf.edu/data/UCF101.php (videos and train/test splits "
    "for action recognition), or write a small set in this layout: `vidpred data toy <folder>`."
)


class UCF101DataModule(ClipDataModule):
    """The 101 classes of human actions of Soomro, Zamir and Shah (CRCV-TR-12-01, 2012).

    Test is the official test list. Validation is cut from the official train list by whole groups,
    because the clips of a group show one scene. Files that the lists name and the disk lacks are
    counted in the summary and left out.

    Args:
        root: Folder with `UCF-101/<Class>/*.avi` and `ucfTrainTestlist/*.txt`.
        split: Official split.
        val_fraction: Share of each class's train groups that becomes validation; at least one
            group.
        list_dir: Folder of the lists when they are elsewhere.
        context_frames: See `ClipDataModule`, as for all that follow.
        horizon: Frames to predict in training.
        eval_horizon: Frames to predict in validation and test.
        patch_size: Side of training patches.
        motion_threshold: Motion that a patch must show.
        patches_per_clip: Patches of each decoded clip.
        batch_size: Patches in a training batch.
        eval_batch_size: Clips in an evaluation batch.
        samples_per_epoch: Patches that make an epoch.
        max_val_videos: At most this many validation videos.
        max_test_videos: At most this many test videos.
        frame_step: Distance between two frames of a clip.
        num_workers: Loading processes.
        seed: Of the training stream.
    """

    def __init__(
        self,
        root: str | Path = "data/ucf101",
        *,
        split: Literal[1, 2, 3] = 1,
        val_fraction: OpenUnitInterval = 0.1,
        list_dir: str | Path | None = None,
        context_frames: PositiveInt = 4,
        horizon: PositiveInt = 1,
        eval_horizon: PositiveInt = 2,
        patch_size: PositiveInt = 32,
        motion_threshold: ClosedUnitInterval = MOTION_THRESHOLD,
        patches_per_clip: PositiveInt = 1,
        batch_size: PositiveInt = 8,
        eval_batch_size: PositiveInt = 1,
        samples_per_epoch: PositiveInt | None = None,
        max_val_videos: PositiveInt | None = None,
        max_test_videos: PositiveInt | None = None,
        frame_step: PositiveInt = 1,
        num_workers: NonNegativeInt | None = None,
        seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__(
            context_frames=context_frames,
            horizon=horizon,
            eval_horizon=eval_horizon,
            patch_size=patch_size,
            motion_threshold=motion_threshold,
            patches_per_clip=patches_per_clip,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            samples_per_epoch=samples_per_epoch,
            max_val_videos=max_val_videos,
            max_test_videos=max_test_videos,
            frame_step=frame_step,
            num_workers=num_workers,
            seed=seed,
        )
        if split not in (1, 2, 3):
            raise ValueError(f"split is {split}; expected 1, 2 or 3, the official splits")
        if not 0 < val_fraction < 1:
            raise ValueError(f"val_fraction is {val_fraction}; expected a number in (0, 1)")
        self.root = Path(root).expanduser()
        self.split = split
        self.val_fraction = val_fraction
        self.list_dir = Path(list_dir).expanduser() if list_dir else self.root / LIST_DIR

    def list_split(self, split: Split) -> Listing:
        """Say which of a split's listed videos are on the disk.

        Raises:
            DataError: When the root, the lists or the videos are not there.
        """
        self._require_layout()
        if split == "test":
            rows = read_list(self._list_path("test"))
        else:
            train = read_list(self._list_path("train"))
            held_out = validation_rows(train, self.val_fraction)
            rows = [row for row in train if (row in held_out) == (split == "val")]
        return locate(rows, self.root / VIDEO_DIR)

    def _list_path(self, name: Literal["train", "test"]) -> Path:
        return self.list_dir / f"{name}list0{self.split}.txt"

    def _require_layout(self) -> None:
        video_dir = self.root / VIDEO_DIR
        for folder in (self.root, video_dir):
            if not folder.is_dir():
                raise DataError(f"{folder}: there is no such folder. {_SOURCE}")
        for path in (self._list_path("train"), self._list_path("test")):
            if not path.is_file():
                raise DataError(
                    f"{path}: there is no such list; set list_dir, or get it. {_SOURCE}"
                )
        if next(video_dir.glob("*/*"), None) is None:
            raise DataError(f"{video_dir}: no class folder in it holds a file. {_SOURCE}")
