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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from other_loaders import (
    BATCH,
    LENGTH,
    BareDecoding,
    Clips,
    OpenedVideo,
    PatchesByHand,
    loader_row,
    missing_torchcodec,
    stream_of,
    torchcodec_reader,
    torchvision_row,
    videos_of,
)
from torch.utils.data import DataLoader
from turns import Row, side_by_side
from worker_memory import memory

from vidpred.data import TrainingClips, UCF101DataModule
from vidpred.data.index.video_index import VideoIndex
from vidpred.evaluation.scoring.scoring_pass import measured_by
from vidpred.video import decode_clips, probe


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


def index(root: Path) -> None:
    """Build the index again, in an empty cache."""
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
