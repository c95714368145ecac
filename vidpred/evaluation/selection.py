"""Which videos a protocol takes from a folder."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jsonargparse.typing import OpenUnitInterval, PositiveInt
from torch import Tensor

from vidpred.data.catalog import Listing, Video
from vidpred.data.kth_sequences import PEOPLE, PersonSplit, list_people
from vidpred.data.ucf101_layout import LIST_DIR, VIDEO_DIR, explain_layout
from vidpred.data.ucf101_lists import locate, read_list
from vidpred.errors import DataError
from vidpred.files import require_folder
from vidpred.ops.checks import require_positive
from vidpred.video import read_clip
from vidpred.video.folders import no_videos


class VideoSelection(ABC):
    """Chooses videos below a root, in a fixed order.

    Attributes:
        expected: Videos that the whole data set gives; None when unknown.
    """

    expected: int | None = None

    @abstractmethod
    def select(self, root: Path) -> Listing:
        """Say which videos are chosen, and which of them are not on the disk.

        Args:
            root: Folder of the data set.

        Raises:
            DataError: When the data set is not there.
        """

    def read(self, video: Video, start: int, length: int, frame_step: int = 1) -> Tensor:
        """Read frames of a video that was chosen; here, of its file.

        Args:
            video: One of those that `select` gave.
            start: Index of the first frame, counted from 0.
            length: T.
            frame_step: Distance between two frames.

        Returns:
            uint8, shape (T, C, H, W) with C 3 or 1.

        Raises:
            VideoError: When it cannot be read, or is too short.
        """
        begin = video.require_frames(start, length, frame_step)
        return read_clip(video.path, begin, length, frame_step)


@dataclass(frozen=True)
class UCF101Videos(VideoSelection):
    """Rows of UCF101's official test list, or of any data set in its layout.

    Attributes:
        split: Official split.
        every: Takes the rows 1, 1 + every, ...; on a part of the data set, those of them that are
            there, and no others.
        limit: Takes at most this many of the videos that are there, evenly spaced; all when None.
        expected: Videos that this gives on the official lists.
    """

    split: Literal[1, 2, 3] = 1
    every: PositiveInt = 1
    limit: PositiveInt | None = None
    expected: PositiveInt | None = None

    def __post_init__(self) -> None:
        require_positive("every", self.every)

    def select(self, root: Path) -> Listing:
        """Choose rows of the list and find their files.

        Raises:
            DataError: When the lists or the videos are not there.
        """
        path = root / LIST_DIR / f"testlist0{self.split}.txt"
        if not path.is_file() or not (root / VIDEO_DIR).is_dir():
            missing = root / VIDEO_DIR if path.is_file() else path
            if root.is_dir() and (said := explain_layout(root)) is not None:
                raise DataError(f"{root}: {said}")
            raise DataError(
                f"{missing}: not there; expected {VIDEO_DIR}/<Class>/*.avi and {LIST_DIR}/*.txt "
                "below the data root, as in UCF101 (`vidpred data toy <folder>` writes such a set)"
            )
        return locate(read_list(path)[:: self.every], root / VIDEO_DIR).limited(self.limit)


@dataclass(frozen=True)
class KTHVideos(VideoSelection):
    """Sequences of KTH's test people, each a video of its own; see `vidpred.data.KTHDataModule`.

    Attributes:
        people: Which people are for test.
        limit: Takes at most this many of the sequences that are there, evenly spaced; all when
            None.
        expected: Sequences that this gives on the whole data set.
    """

    people: PersonSplit = "official"
    limit: PositiveInt | None = None
    expected: PositiveInt | None = None

    def select(self, root: Path) -> Listing:
        """Choose sequences and find their files.

        Raises:
            DataError: When the sequence file is not there.
        """
        return list_people(root, PEOPLE[self.people]["test"]).limited(self.limit)


@dataclass(frozen=True)
class HeldOutVideos(VideoSelection):
    """Test videos of a user's own folder, which training never saw: `VideoFolderDataModule`'s.

    Attributes:
        val_fraction: As the data module's.
        test_fraction: As the data module's.
        test_list: Text file with a path below the root on each line, as the data module's; nothing
            is split by hash then. A relative path is looked for below the root first.
        limit: Takes at most this many, evenly spaced; all when None.
        expected: Videos that this gives on the whole data set.
    """

    val_fraction: OpenUnitInterval = 0.1
    test_fraction: OpenUnitInterval = 0.1
    test_list: str | None = None
    limit: PositiveInt | None = None
    expected: PositiveInt | None = None

    def select(self, root: Path) -> Listing:
        """Choose the test videos.

        Raises:
            DataError: When the folder or the list is not there, or no video is in it.
        """
        path = None
        if self.test_list is not None:
            below = root / self.test_list
            path = below if below.is_file() else Path(self.test_list).expanduser()
        # Imported here: a data module needs Lightning, which takes seconds.
        from vidpred.data.video_folder import VideoFolderDataModule

        data = VideoFolderDataModule(
            root,
            val_fraction=self.val_fraction,
            test_fraction=self.test_fraction,
            train_list=path,
            val_list=path,
            test_list=path,
        )
        return data.list_split("test").limited(self.limit)


@dataclass(frozen=True)
class FolderVideos(VideoSelection):
    """All videos below a folder, in the order of their names.

    Attributes:
        limit: Takes at most this many, evenly spaced; all when None.
        expected: Videos that this gives on the whole data set.
    """

    limit: PositiveInt | None = None
    expected: PositiveInt | None = None

    def select(self, root: Path) -> Listing:
        """Choose videos.

        Raises:
            DataError: When the folder is not there or holds none.
        """
        from vidpred.data.video_folder import find_videos  # here: it needs Lightning

        names = find_videos(require_folder(root, "a folder of videos"))
        if not names:
            raise DataError(no_videos(root))
        videos = tuple(Video(path=root / name, video_id=name) for name in names)
        return Listing(videos).limited(self.limit)
