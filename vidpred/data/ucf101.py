"""UCF101, straight from its AVI files."""

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Literal

from jsonargparse.typing import (
    OpenUnitInterval,
)

from vidpred.data.base import ClipDataModule
from vidpred.data.catalog import Listing, Split
from vidpred.data.ucf101_layout import LIST_DIR, VIDEO_DIR, explain_layout
from vidpred.data.ucf101_lists import locate, read_list, validation_rows
from vidpred.errors import DataError
from vidpred.files import expand_home, require_folder

_SOURCE = (
    "Get UCF101 from https://www.crcv.ucf.edu/data/UCF101.php (videos and train/test splits "
    "for action recognition), or write a small set in this layout: `vidpred data toy <folder>`."
)


@dataclass(eq=False, repr=False)
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

    The other options are those of `ClipDataModule`.
    """

    root: str | Path = "data/ucf101"
    _: KW_ONLY
    split: Literal[1, 2, 3] = 1
    val_fraction: OpenUnitInterval = 0.1
    list_dir: str | Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._root = expand_home(self.root)
        self._list_dir = expand_home(self.list_dir or self._root / LIST_DIR)

    def index_root(self) -> Path:
        """Give the folder of the data set."""
        return self._root

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
        return locate(rows, self._root / VIDEO_DIR)

    def _list_path(self, name: Literal["train", "test"]) -> Path:
        return self._list_dir / f"{name}list0{self.split}.txt"

    def _require_layout(self) -> None:
        video_dir = self._root / VIDEO_DIR
        require_folder(self._root, f"a folder with {VIDEO_DIR} and {LIST_DIR}. {_SOURCE}")
        if (said := explain_layout(self._root)) is not None:
            raise DataError(f"{self._root}: {said}")
        require_folder(video_dir, f"the folder of the class folders. {_SOURCE}")
        for path in (self._list_path("train"), self._list_path("test")):
            if not path.is_file():
                raise DataError(
                    f"{path}: there is no such list; set list_dir, or get it. {_SOURCE}"
                )
        if next(video_dir.glob("*/*"), None) is None:
            raise DataError(f"{video_dir}: no class folder in it holds a file. {_SOURCE}")
