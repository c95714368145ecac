"""What a data set consists of: videos, and which of them a split holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

from lightning_utilities.core.rank_zero import rank_zero_warn
from torch import Tensor

from vidpred.batch import ClipBatch
from vidpred.data.shared_memory import joined
from vidpred.errors import DataError, VideoError, is_system_error
from vidpred.plain import counted

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Video:
    """One video of a data set.

    Attributes:
        path: The file.
        video_id: Name that is unique within the data set, such as "Archery/v_Archery_g01_c01".
        label: Name of its class, "" when there are none.
        group: Videos of one group show the same scene and must not be split; `None` when unknown.
        begin: First frame of the file that belongs to the video.
        end: First frame after it; None for the end of the file.
    """

    path: Path
    video_id: str
    label: str = ""
    group: str | None = None
    begin: int = 0
    end: int | None = None

    def require_frames(self, start: int, length: int, frame_step: int = 1) -> int:
        """Give the index in the file of a clip's first frame.

        Args:
            start: Index of it in the video, counted from `begin`.
            length: Frames of the clip.
            frame_step: Distance between two of them.

        Raises:
            VideoError: When the clip leaves the part of the file that belongs to the video.
        """
        last = start + (length - 1) * frame_step
        if self.end is not None and self.begin + last >= self.end:
            raise VideoError(
                self.path,
                f"{self.video_id} has {self.end - self.begin} frames, and frames {start} to {last} "
                "were asked for; ask for fewer, or leave it out",
            )
        return self.begin + start


@dataclass(frozen=True)
class Listing:
    """The videos of one split.

    Attributes:
        videos: Those on the disk, in a fixed order.
        missing: Names that the split's list holds and the disk does not.
    """

    videos: tuple[Video, ...]
    missing: tuple[str, ...] = ()

    def limited(self, count: int | None) -> "Listing":
        """Keep at most `count` of the videos, evenly spaced; all when None."""
        return Listing(tuple(evenly_spaced(self.videos, count)), self.missing)


class ClipSample(TypedDict):
    """One draw of a data set.

    Attributes:
        frames: uint8, shape (P, T, C, H, W): P patches of clips of one video, 1 in evaluation.
        video_id: Name of the video.
        start: int64, shape (P,): index of the first frame of each one's clip.
        accepted: bool, shape (P,): whether a patch moves enough; true in evaluation.
        condition: By name, shape (P, T, ...); absent where the video has none.
    """

    frames: Tensor
    video_id: str
    start: Tensor
    accepted: Tensor
    condition: NotRequired[dict[str, Tensor]]


def collate_clips(samples: Sequence[ClipSample]) -> ClipBatch:
    """Join draws into a batch; the patches of one draw stay next to each other.

    Args:
        samples: Draws, each with frames of shape (P, T, C, H, W).

    Returns:
        The batch; B is the number of patches of all draws.

    Raises:
        DataError: When frame sizes or conditions differ, or a worker has no room for the batch.
    """
    sizes = {tuple(sample["frames"].shape[-2:]): sample["video_id"] for sample in samples}
    if len(sizes) > 1:
        found = ", ".join(f"{height} x {width} ({name})" for (height, width), name in sizes.items())
        raise DataError(
            f"videos of different frame sizes cannot share a batch: {found}; "
            "set eval_batch_size: 1, or bring the videos to one size"
        )
    names = [name for sample in samples for name in [sample["video_id"]] * len(sample["frames"])]
    batch = ClipBatch(
        frames=joined([sample["frames"] for sample in samples]),
        video_id=names,
        start=joined([sample["start"] for sample in samples]),
        accepted=joined([sample["accepted"] for sample in samples]),
    )
    for sample in samples:
        require_same_conditions(samples[0], sample)
    if "condition" in samples[0]:
        batch["condition"] = {
            name: joined([sample["condition"][name] for sample in samples])
            for name in samples[0]["condition"]
        }
    return batch


def require_same_conditions(one: ClipSample, other: ClipSample) -> None:
    """Refuse to join clips whose conditions differ in name, shape or type.

    Raises:
        DataError: Naming both videos.
    """
    found, expected = _conditions_in_words(other), _conditions_in_words(one)
    if found != expected:
        raise DataError(
            f"{other['video_id']} has conditions {found}, and {one['video_id']} {expected}; "
            "expected the same for all videos of a data set"
        )


def _conditions_in_words(sample: ClipSample) -> str:
    found = [
        f"{name} ({values.dtype}, {list(values.shape[2:])} a frame)"
        for name, values in sorted(sample.get("condition", {}).items())
    ]
    return ", ".join(found) or "none"


def evenly_spaced(videos: Sequence[Video], count: int | None) -> list[Video]:
    """Choose `count` of the videos (all when `None`), spread evenly over their order."""
    if count is None or count >= len(videos):
        return list(videos)
    return [videos[index * len(videos) // count] for index in range(count)]


def require_disjoint(listings: dict[Split, Listing]) -> None:
    """Refuse a video that two splits hold, and warn of a group that two splits share.

    Raises:
        DataError: Naming the video and both splits.
    """
    owners: dict[Path, Split] = {}
    groups: dict[str, tuple[Video, Split]] = {}
    shared: dict[str, str] = {}
    for split, listing in listings.items():
        for video in listing.videos:
            owner = owners.setdefault(video.path.resolve(), split)
            if owner != split:
                raise DataError(
                    f"{video.video_id} is in {owner} and in {split}; "
                    "a video must belong to one split, correct the lists"
                )
            if video.group is not None:
                first, of = groups.setdefault(video.group, (video, split))
                if of != split:
                    shared.setdefault(
                        video.group, f"{first.video_id} in {of}, {video.video_id} in {split}"
                    )
    if shared:
        rank_zero_warn(
            f"{counted(len(shared), 'group')} of videos that show one scene or person "
            f"{'is' if len(shared) == 1 else 'are'} in more than one split, such as "
            f"{next(iter(shared.values()))}: scores come out too good; put each group into one "
            "split"
        )


def read_lines(path: Path) -> list[str]:
    """Give the lines of a text file that are not empty, without a byte-order mark.

    Raises:
        DataError: When it is not UTF-8, or the system does not give it.
        FileNotFoundError: When it is not there.
    """
    try:
        # Not `splitlines`, which also ends lines at characters that names of files may hold.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        if not is_system_error(error):
            raise
        raise DataError(
            f"{path}: the list cannot be read ({error.strerror}); correct its permissions, or look "
            "after the disk or network drive"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error}); save the list as UTF-8") from error
    return [line.strip() for line in lines if line.strip()]
