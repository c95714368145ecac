"""Data modules whose clips are cut from video files."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from jsonargparse.typing import ClosedUnitInterval, PositiveInt
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn

from vidpred.data.catalog import SPLITS, Listing, Split, Video, evenly_spaced, require_disjoint
from vidpred.data.clip_stream import ClipStreamDataModule
from vidpred.data.evaluation_clips import EvaluationClips, readable_videos
from vidpred.data.index.video_index import VideoIndex
from vidpred.data.stream import describe_videos
from vidpred.data.training_clips import TrainingClips
from vidpred.errors import DataError, VideoError
from vidpred.plain import counted
from vidpred.seen_videos import SeenVideos
from vidpred.video.conditions import conditions_path, has_conditions, read_conditions


@dataclass(kw_only=True, eq=False, repr=False)
class ClipDataModule(ClipStreamDataModule):
    """Training patches and whole evaluation frames of the videos that a subclass lists.

    Validation and test read the first frames of each video. A video with a file of arrays next to
    it (`vidpred.video.conditions`) gives them with its frames, by key: `batch["condition"]`.

    Args:
        clips_per_video: Clips drawn in one pass through a video, at different starts.
        max_val_videos: Use this many validation videos, evenly spaced over the list; all when
            `None`.
        max_test_videos: The same for test.
        max_damaged: Share of the training videos that may break while they are decoded; they go
            into the quarantine of the data set's index, and more than this is an error.

    The other options are those of `ClipStreamDataModule`.

    Attributes:
        listings: The videos of each split; filled by `setup`.
    """

    clips_per_video: PositiveInt = 4
    max_val_videos: PositiveInt | None = None
    max_test_videos: PositiveInt | None = None
    max_damaged: ClosedUnitInterval = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        self._left_out: dict[str, str] = {}
        self._videos_described: dict[str, str] = {}
        self.listings: dict[Split, Listing] = {}

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

    def find_data(self) -> None:
        """List the videos of all splits, once."""
        if not self.listings:
            listings = {split: self.list_split(split) for split in SPLITS}
            require_disjoint(listings)
            self.listings = listings
            rank_zero_info(self.summary())

    def seen_videos(self) -> SeenVideos:
        """Say on which videos weights are trained and chosen; needs `setup`."""
        return SeenVideos.of(
            video.video_id for split in ("train", "val") for video in self._videos(split)
        )

    def summary(self) -> str:
        """Count videos, classes and missing files of each split, a line each; needs `setup`."""
        lines = []
        for split, listing in self.listings.items():
            videos = counted(len(listing.videos), "video")
            labels = {video.label for video in listing.videos}
            line = f"{split}: {videos}, {counted(len(labels), 'class', 'classes')}"
            if listing.missing:
                line += f" ({len(listing.missing)} listed videos are not on the disk)"
            lines.append(line)
        return "\n".join(lines)

    def training_stream(self, together: int) -> TrainingClips:
        """Give random clips of the training videos; see `vidpred.data.TrainingClips`."""
        videos = self._videos("train")
        _require_conditions_of_all(videos)
        index = self._refreshed_index()
        if index is not None and self.patch_size is None and self.resize is None:
            _require_one_size(videos, index)
        return TrainingClips(
            videos,
            context_frames=self.lengths.context_frames,
            horizon=self.loaded_frames - self.lengths.context_frames,
            patch_size=self.patch_shape,
            motion_threshold=self.motion_threshold,
            clips_per_video=self.clips_per_video,
            patches_per_clip=self.patches_per_clip,
            together=together,
            frame_step=self.frame_step,
            seed=self.stream_seed(),
            index=index,
            max_damaged=self.max_damaged,
            left_out=self._paths_left_out(),
            resize=self.frame_shape,
            gray=self.color == "gray",
        )

    def evaluation_set(self, split: Split) -> EvaluationClips:
        """Give the first frames of each video of a split, without those that cannot be read."""
        limit = self.max_val_videos if split == "val" else self.max_test_videos
        videos = readable_videos(
            evenly_spaced(self._videos(split), limit),
            length=self.evaluation_length,
            frame_step=self.frame_step,
            split=split,
            one_size=self.eval_batch_size > 1 and self.resize is None,
        )
        return EvaluationClips(
            videos,
            length=self.evaluation_length,
            frame_step=self.frame_step,
            resize=self.frame_shape,
            gray=self.color == "gray",
        )

    def require_conditions(self, names: Sequence[str]) -> None:
        """Refuse videos that lack what a predictor is conditioned on.

        Raises:
            DataError: Naming a video and what it has.
        """
        for listing in self.listings.values() if names else ():
            for video in listing.videos[:1]:
                found = read_conditions(video.path)
                missing = [name for name in names if name not in found]
                if missing:
                    raise DataError(
                        f"the predictor is conditioned on {', '.join(missing)}, and "
                        f"{video.video_id} comes with {', '.join(found) or 'frames alone'}; "
                        f"expected arrays of these names in {conditions_path(video.path)}"
                    )

    def state_dict(self) -> dict[str, Any]:
        """Remember, besides the place in the stream, which videos the run left out.

        A resumed run leaves out what the run left out from its beginning, and no more: what came
        into quarantine since must not change its draws.
        """
        state = super().state_dict()
        return {**state, "left_out": self._left_out} if state else state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume behind these batches, with the videos that the run had."""
        super().load_state_dict(state_dict)
        self._left_out = state_dict["left_out"]
        if self._train is not None and isinstance(self._train.stream, TrainingClips):
            self._train.stream.left_out = self._paths_left_out()

    def describe_data(self) -> dict[str, str]:
        """Give digests of the names and sizes of the videos that are drawn and validated on."""
        if not self._videos_described:
            for split in ("train", "val"):
                videos = (self.listings.get(split) or self.list_split(split)).videos
                self._videos_described[f"{split}_videos"] = describe_videos(videos)
        return self._videos_described

    def _drawing_options(self) -> list[str]:
        # Not those of a subclass, which choose videos: these are described themselves.
        return [field.name for field in fields(ClipDataModule)]

    def _videos(self, split: Split) -> tuple[Video, ...]:
        listing = self.listings[split]
        if not listing.videos and not listing.missing:
            held = sum(len(other.videos) for other in self.listings.values())
            raise DataError(
                f"{self.index_root()}: no video of the {split} split is on the disk, as it holds "
                f"{held} video(s) in all; expected at least 3, one each for train, val and test: "
                "add videos, or name those of each split in lists"
            )
        if not listing.videos:
            raise DataError(
                f"no video of the {split} split is on the disk "
                f"({len(listing.missing)} are listed and missing). {self.summary()}"
            )
        return listing.videos

    def _refreshed_index(self) -> VideoIndex | None:
        """Read once what training has to know of every video, and say what is left out."""
        root = self.index_root()
        if root is None:
            return None
        index = VideoIndex(root)
        videos = [video.path for video in self.listings["train"].videos]
        report = index.refresh(videos)
        if report.new + report.changed:
            where = "in memory" if index.in_memory else index.file
            rank_zero_info(f"index: {report.new + report.changed} videos were read ({where})")
        for name, reason in list(report.unreadable.items())[:3]:
            rank_zero_warn(f"{root / name}: {reason}")
        names = {index.name(path) for path in videos}
        aside = {n: said.reason for n, said in index.quarantined().items() if n in names}
        if aside:
            rank_zero_info(
                f"{len(aside)} training videos are in quarantine and left out, such as "
                f"{next(iter(aside))}; `vidpred data doctor` says why"
            )
        self._left_out = aside
        if not index.in_memory:  # else workers could not take over what was read
            index.close()
        return index

    def _paths_left_out(self) -> dict[Path, str]:
        root = self.index_root() or Path()
        return {root / name: reason for name, reason in self._left_out.items()}


def _require_conditions_of_all(videos: Sequence[Video]) -> None:
    """Refuse videos of which some have conditions and others have none."""
    without = [video for video in videos if not has_conditions(video.path)]
    if without and len(without) < len(videos):
        raise DataError(
            f"{len(without)} of {len(videos)} training videos have no conditions, such as "
            f"{without[0].video_id}; expected {conditions_path(without[0].path).name} next to each "
            "video, or next to none"
        )


def _require_one_size(videos: Sequence[Video], index: VideoIndex) -> None:
    """Refuse whole frames of different sizes, before a batch of them is made."""
    sizes: dict[tuple[int, int], Video] = {}
    for video in videos:
        try:
            info = index.facts(video.path)
        except VideoError:
            continue  # it is left out when it is drawn
        sizes.setdefault((info.height, info.width), video)
    if len(sizes) > 1:
        found = ", ".join(
            f"{height} x {width} ({video.video_id})" for (height, width), video in sizes.items()
        )
        raise DataError(
            f"whole frames of the training videos have {len(sizes)} sizes: {found}; a batch needs "
            "one size: set data.resize, or train on patches (data.patch_size)"
        )
