"""Measure the data engine side by side with TorchCodec and torchvision, on the same files.

    python tools/bench_data.py --root data/ucf101

Rows of TorchCodec need it and FFmpeg (`pip install torchcodec`, `apt-get install ffmpeg`) and are
left out, with the reason, where one is missing. Machines are shared and change their pace within
seconds, so the workers of all rows live side by side, take short turns, and are stopped while
others have theirs; medians over the turns are printed with their ratio.
"""

import argparse
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.codec.context import ThreadType
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler
from turns import Row, side_by_side
from worker_memory import memory

from vidpred.data import TrainingClips, UCF101DataModule
from vidpred.data.index.video_index import VideoIndex
from vidpred.data.patches import PATCH_MOTION_THRESHOLD, choose_patches
from vidpred.evaluation.scoring.scoring_pass import measured_by
from vidpred.video import VideoInfo, decode_clips, probe

LENGTH = 5
PATCH = 32
BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="UCF101, or a part of it")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=6, help="turns of a row")
    parser.add_argument("--seconds", type=float, default=2, help="of a turn")
    parser.add_argument("--clips", type=int, default=50_000, help="of the memory test; 0 skips it")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    origin = measured_by(torch.device("cpu"))
    print(f"date {origin['date']}, commit {origin['commit']}")
    print(f"versions {origin['versions']}, {os.cpu_count()} cores, {arguments.workers} workers\n")
    options = (arguments.root, arguments.workers)
    if arguments.clips:
        # First: workers begin with their parent's memory, and a training's has not seen the rest.
        memory(arguments.root, arguments.clips, arguments.workers)
    turns = (arguments.rounds, arguments.seconds)
    side_by_side("motion patches of 5 x 32 x 32, patches/s", patch_rows(*options), *turns)
    side_by_side("full clips of 5 frames, clips/s", clip_rows(*options), *turns)
    index(arguments.root)
    entries(arguments.root)


def videos_of(root: Path) -> list[Path]:
    return sorted((root / "UCF-101").glob("*/*.avi"))


def missing_torchcodec() -> str | None:
    try:
        import torchcodec.decoders  # noqa: F401
    except (ImportError, RuntimeError) as error:  # it raises RuntimeError without FFmpeg
        return str(error).splitlines()[0]
    return None


def patch_rows(root: Path, workers: int) -> dict[str, Row]:
    """One patch of one clip an item as torchvision has it, and K x P: P patches of K clips.

    All rows draw alike: a class, a video of it, a start, each uniformly.
    """
    rows: dict[str, Row] = {}
    reason = missing_torchcodec()
    if reason is None:
        rows["torchvision.datasets.UCF101, 1 x 1"] = torchvision_row(root, workers)
        for clips, patches in ((1, 1), (4, 4), (8, 8)):
            by_hand = PatchesByHand(stream_of(root), clips, patches)
            rows[f"TorchCodec by hand, {clips} x {patches}"] = loader_row(
                by_hand, clips * patches, workers
            )
    else:
        print(f"no row of TorchCodec: {reason}\n")

    def ours(clips: int, patches: int) -> Row:
        def begin() -> Iterator[Any]:
            data = UCF101DataModule(
                root,
                batch_size=BATCH,
                clips_per_video=clips,
                patches_per_clip=patches,
                num_workers=workers,
                seed=1,
            )
            data.setup("fit")
            loader = data.train_dataloader()
            loader.num_batches = loader.sampler.num_batches = 10**9  # type: ignore[attr-defined]
            return (batch["frames"] for batch in loader)

        return begin

    for clips, patches in ((1, 1), (1, 4), (4, 4), (8, 4), (8, 8), (16, 4)):
        rows[f"vidpred, {clips} x {patches}"] = ours(clips, patches)
    for kept in (False, True):
        bare = BareDecoding(stream_of(root), kept=kept)
        how = "all files kept open" if kept else "a file opened for each clip"
        rows[f"FFmpeg decoding alone, 1 x 1, {how}"] = loader_row(bare, 1, workers)
    return rows


def stream_of(root: Path) -> TrainingClips:
    """Give draws of videos, one a position."""
    data = UCF101DataModule(root, batch_size=BATCH, clips_per_video=1, patches_per_clip=1, seed=2)
    data.setup("fit")
    stream: TrainingClips = data.train_dataloader().dataset.stream  # type: ignore[attr-defined]
    return stream


class PatchesByHand(Dataset[torch.Tensor]):
    """What a user of TorchCodec would write: decoders kept, several clips a call, same rule."""

    def __init__(self, stream: TrainingClips, clips: int, patches: int) -> None:
        self.draws = stream.draws
        self.paths = [video.path for video in stream.videos]
        self.counts = [probe(path).num_frames for path in self.paths]
        self.clips, self.patches = clips, patches
        self.decoders: dict[int, Any] = {}

    def __len__(self) -> int:
        return 10**6

    def __getitem__(self, index: int) -> torch.Tensor:
        from torchcodec.decoders import VideoDecoder

        rng = np.random.default_rng((7, index))
        video = next(self.draws.candidates(index))
        if video not in self.decoders:
            self.decoders[video] = VideoDecoder(
                self.paths[video], dimension_order="NHWC", num_ffmpeg_threads=1
            )
        possible = self.counts[video] - LENGTH + 1
        starts = np.sort(rng.choice(possible, self.clips, replace=possible < self.clips))
        wanted = [int(start) + k for start in starts for k in range(LENGTH)]
        frames = self.decoders[video].get_frames_at(wanted).data
        cut = []
        for clip in frames.split(LENGTH):
            corners = choose_patches(
                *(clip[2].numpy(), clip[3].numpy()),
                size=PATCH,
                count=self.patches,
                threshold=PATCH_MOTION_THRESHOLD,
                rng=rng,
            )
            cut += [clip[:, y : y + PATCH, x : x + PATCH] for y, x, _ in corners]
        return torch.stack(cut)


class BareDecoding(Dataset[torch.Tensor]):
    """The limit of a clip a draw: its frames and those before them are decoded, and thrown away.

    Nothing is checked, converted or cut out.

    Args:
        stream: Draws of videos.
        kept: Whether all files stay open, and decoding goes on where it stood when that is between
            the key frame and the clip.
    """

    def __init__(self, stream: TrainingClips, *, kept: bool) -> None:
        self.draws, self.kept = stream.draws, kept
        self.infos = [probe(video.path) for video in stream.videos]
        self.opened: dict[int, OpenedVideo] = {}

    def __len__(self) -> int:
        return 10**6

    def __getitem__(self, index: int) -> torch.Tensor:
        video = next(self.draws.candidates(index))
        info = self.infos[video]
        opened = self.opened.pop(video, None) or OpenedVideo(info)
        start = int(np.random.default_rng((7, index)).integers(info.num_frames - LENGTH + 1))
        opened.decode([start])
        if self.kept:
            self.opened[video] = opened
        else:
            opened.container.close()
        return torch.zeros(1, LENGTH, PATCH, PATCH, 3, dtype=torch.uint8)


class OpenedVideo:
    """A decoder, and the number of the frame that it gives next."""

    def __init__(self, info: VideoInfo) -> None:
        self.keys = np.asarray(info.key_frames)
        self.container = av.open(str(info.path))
        self.stream = self.container.streams.video[0]
        self.stream.codec_context.thread_type = ThreadType.NONE
        self.frames = self.container.decode(self.stream)
        self.next = 0

    def decode(self, starts: Sequence[int]) -> None:
        """Decode what ascending clips need, each from its key frame on or from where this is."""
        decoded = 0
        for start in starts:
            key = int(self.keys[np.searchsorted(self.keys, start, side="right") - 1])
            if not key <= self.next <= max(start, decoded):
                self.container.seek(key, stream=self.stream)  # AVI counts frames
                self.frames, self.next = self.container.decode(self.stream), key
            while self.next < start + LENGTH:
                next(self.frames, None)
                self.next += 1
            decoded = self.next


def loader_row(dataset: Dataset[torch.Tensor], patches: int, workers: int) -> Row:
    def begin() -> Iterator[Any]:
        loader: DataLoader[Any] = DataLoader(
            dataset,
            batch_size=max(1, BATCH // patches),
            num_workers=workers,
            collate_fn=torch.cat,
        )
        return iter(loader)

    return begin


def torchvision_row(root: Path, workers: int) -> Row:
    from torchvision.datasets import UCF101

    rng = np.random.default_rng(1)

    def crop(clip: torch.Tensor) -> torch.Tensor:
        frames = clip.numpy()
        (corner,) = choose_patches(
            *(frames[2], frames[3]), size=PATCH, count=1, threshold=PATCH_MOTION_THRESHOLD, rng=rng
        )
        rows, columns = (slice(start, start + PATCH) for start in corner[:2])
        return clip[:, rows, columns]

    lists = str(root / "ucfTrainTestlist")
    dataset = UCF101(str(root / "UCF-101"), lists, LENGTH, transform=crop, num_workers=workers)
    classes = [Path(path).parent.name for path in dataset.video_clips.video_paths]
    weights = [
        1 / (classes.count(name) * len(clips))
        for name, clips in zip(classes, dataset.video_clips.clips, strict=True)
        for _ in clips
    ]

    def begin() -> Iterator[Any]:
        loader: DataLoader[Any] = DataLoader(
            dataset,
            batch_size=BATCH,
            sampler=WeightedRandomSampler(weights, num_samples=10**6),
            num_workers=workers,
            collate_fn=lambda samples: torch.stack([sample[0] for sample in samples]),
        )
        return iter(loader)

    return begin


class Clips(Dataset[list[Any]]):
    """Random full clips, the same for every reader."""

    def __init__(
        self, root: Path, read: Callable[[int, Path, list[int]], Any], together: int
    ) -> None:
        self.paths = videos_of(root)
        self.infos = [probe(path) for path in self.paths]
        self.read, self.together = read, together

    def __len__(self) -> int:
        return 10**6

    def __getitem__(self, index: int) -> list[Any]:
        rng = np.random.default_rng((7, index))
        video = int(rng.integers(len(self.paths)))
        possible = self.infos[video].num_frames - LENGTH  # see PatchesByHand
        starts = np.sort(rng.choice(possible, self.together, replace=possible < self.together))
        found: list[Any] = self.read(video, self.paths[video], starts.tolist())
        return found


TOGETHER = 8
"""Clips of one video that the second kind of row reads in one pass."""


def clip_rows(root: Path, workers: int) -> dict[str, Row]:
    """One clip of a random video at a time, then several of one video in one pass."""

    def row(read: Callable[[int, Path, list[int]], None], together: int) -> Row:
        def begin() -> Iterator[Any]:
            clips = Clips(root, read, together)
            return iter(DataLoader(clips, batch_size=None, num_workers=workers))

        return begin

    infos = [probe(path) for path in videos_of(root)]
    readers: dict[str, Callable[[int, Path, list[int]], Any]] = {}
    if missing_torchcodec() is None:
        for mode in ("exact", "approximate"):
            readers[f"TorchCodec, a decoder a file, {mode} seeks"] = torchcodec_reader(mode)

    def whole(video: int, path: Path, starts: list[int]) -> list[torch.Tensor]:
        clips = np.empty(
            (len(starts), LENGTH, infos[video].height, infos[video].width, 3), np.uint8
        )
        for number, clip in enumerate(decode_clips(path, starts, LENGTH, info=infos[video])):
            for k in range(LENGTH):
                clips[number, k] = clip.frame(k)
        return list(torch.from_numpy(clips))

    def unconverted(video: int, path: Path, starts: list[int]) -> list[int]:
        return [len(clip) for clip in decode_clips(path, starts, LENGTH, info=infos[video])]

    opened: dict[int, OpenedVideo] = {}

    def bare(video: int, path: Path, starts: list[int]) -> list[int]:
        if video not in opened:
            opened[video] = OpenedVideo(infos[video])
        opened[video].decode(starts)
        return starts

    readers["vidpred"] = whole
    readers["vidpred, without conversion"] = unconverted
    readers["FFmpeg decoding alone, files kept open"] = bare
    return {
        f"{'1 clip' if together == 1 else f'{together} clips of a video'}: {name}": row(
            read, together
        )
        for together in (1, TOGETHER)
        for name, read in readers.items()
    }


def torchcodec_reader(mode: str) -> Callable[[int, Path, list[int]], list[torch.Tensor]]:
    decoders: dict[int, Any] = {}

    def read(video: int, path: Path, starts: list[int]) -> list[torch.Tensor]:
        from torchcodec.decoders import VideoDecoder

        if video not in decoders:
            decoders[video] = VideoDecoder(path, seek_mode=mode, num_ffmpeg_threads=1)
        decoder = decoders[video]
        if len(starts) == 1:
            return [decoder.get_frames_in_range(starts[0], starts[0] + LENGTH).data]
        wanted = [start + k for start in starts for k in range(LENGTH)]
        return list(decoder.get_frames_at(wanted).data.split(LENGTH))

    return read


def index(root: Path) -> None:
    """Build the index anew, in an empty cache."""
    rates = []
    for _ in range(5):
        with tempfile.TemporaryDirectory() as cache, VideoIndex(root, cache=cache) as index:
            begin = time.perf_counter()
            total = index.refresh(workers=2).total
            rates.append(total / (time.perf_counter() - begin))
    median = statistics.median(rates)
    print(f"cold index, files/s: {median:.0f} ({min(rates):.0f} to {max(rates):.0f})\n", flush=True)


def entries(root: Path) -> None:
    """Show that a draw does not cost more among more videos."""
    print("cost of a clip by number of videos, ms (each a pass of its own)")
    videos = videos_of(root)
    for copies in (1, 10, 100):
        with tempfile.TemporaryDirectory() as scratch:
            data = UCF101DataModule(
                _many(root, videos, copies, Path(scratch)),
                num_workers=0,
                clips_per_video=1,
                seed=1,
            )
            data.setup("fit")
            blocks = data.train_dataloader().dataset
            stream: TrainingClips = blocks.stream  # type: ignore[attr-defined]
            for position in range(50):
                stream[position]
            begin = time.perf_counter()
            for position in range(50, 350):
                stream[position]
            cost = (time.perf_counter() - begin) / 300 * 1000
            print(f"  {len(videos) * copies:6d} entries: {cost:.2f}")
    print(flush=True)


def _many(root: Path, videos: list[Path], copies: int, scratch: Path) -> Path:
    """Link every video several times under names of its own, all of them in the train list."""
    (scratch / "ucfTrainTestlist").mkdir()
    rows = []
    for video in videos:
        (scratch / "UCF-101" / video.parent.name).mkdir(parents=True, exist_ok=True)
        stem, _, clip = video.stem.rpartition("_c")
        for copy in range(copies):
            name = f"{video.parent.name}/{stem}_c{int(clip) + 100 * copy:05d}.avi"
            (scratch / "UCF-101" / name).symlink_to(video.resolve())
            rows.append(name)
    for kind in ("train", "test"):
        chosen = rows if kind == "train" else rows[:1]
        text = "\n".join(chosen if kind == "train" else ["None/none_g01_c01.avi"])
        (scratch / "ucfTrainTestlist" / f"{kind}list01.txt").write_text(text + "\n")
    return scratch


if __name__ == "__main__":
    main()
