"""Measure the data engine side by side with TorchCodec and torchvision, on the same files.

    python tools/bench_data.py --root data/ucf101

Rows of TorchCodec need it and FFmpeg (`pip install torchcodec`, `apt-get install ffmpeg`) and are
left out, with the reason, where one is missing. Rounds of all rows alternate, because machines are
shared, and medians are printed with their ratio.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler

from vidpred.data import TrainingClips, UCF101DataModule
from vidpred.data.patches import PATCH_MOTION_THRESHOLD, choose_patches
from vidpred.evaluation.run import measured_by
from vidpred.video import probe, read_clip

LENGTH = 5
PATCH = 32
BATCH = 16
Rate = Callable[[], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="UCF101, or a part of it")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8, help="of a round of a row")
    parser.add_argument("--clips", type=int, default=50_000, help="of the memory test; 0 skips it")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    origin = measured_by(torch.device("cpu"))
    print(f"date {origin['date']}, commit {origin['commit']}")
    print(f"versions {origin['versions']}, {os.cpu_count()} cores, {arguments.workers} workers\n")
    options = (arguments.root, arguments.workers, arguments.seconds)
    side_by_side("motion patches of 5 x 32 x 32, patches/s", patch_rows(*options), arguments.rounds)
    side_by_side("full clips of 5 frames, clips/s", clip_rows(*options), arguments.rounds)
    entries(arguments.root)
    if arguments.clips:
        memory(arguments.root, arguments.clips)


def side_by_side(title: str, rows: dict[str, Rate], rounds: int) -> None:
    """Alternate the rows and print medians, and their ratio to the first."""
    rates: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, row in rows.items():
            rates[name].append(row())
    print(title)
    first = statistics.median(next(iter(rates.values())))
    for name, measured in rates.items():
        median = statistics.median(measured)
        spread = f"{min(measured):.0f} to {max(measured):.0f}"
        print(f"  {name:58s} {median:9.1f}  {median / first:6.2f}x  ({spread})")
    print(flush=True)


def rate_of(batches: Iterator[Any], seconds: float) -> float:
    """Count samples for a while, after the first batch, which starts the workers."""
    next(batches)
    begin, count = time.perf_counter(), 0
    for batch in batches:
        count += len(batch)
        if time.perf_counter() - begin > seconds:
            break
    return count / (time.perf_counter() - begin)


def missing_torchcodec() -> str | None:
    try:
        import torchcodec.decoders  # noqa: F401
    except (ImportError, RuntimeError) as error:  # it raises RuntimeError without FFmpeg
        return str(error).splitlines()[0]
    return None


def patch_rows(root: Path, workers: int, seconds: float) -> dict[str, Rate]:
    rows: dict[str, Rate] = {}
    reason = missing_torchcodec()
    if reason is None:
        rows["torchvision.datasets.UCF101 with TorchCodec"] = torchvision_row(
            root, workers, seconds
        )
    else:
        print(f"no row of TorchCodec: {reason}\n")

    def ours(patches: int) -> Rate:
        def measure() -> float:
            data = UCF101DataModule(
                root, batch_size=BATCH, patches_per_clip=patches, num_workers=workers, seed=1
            )
            data.setup("fit")
            return rate_of((b["frames"] for b in data.train_dataloader()), seconds)

        return measure

    for patches in (1, 4, 8, 16):
        rows[f"vidpred, {patches} patches of each decoded clip"] = ours(patches)
    return rows


def torchvision_row(root: Path, workers: int, seconds: float) -> Rate:
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

    def measure() -> float:
        loader: DataLoader[Any] = DataLoader(
            dataset,
            batch_size=BATCH,
            sampler=RandomSampler(dataset, num_samples=10**6),
            num_workers=workers,
            collate_fn=lambda samples: torch.stack([sample[0] for sample in samples]),
        )
        return rate_of(iter(loader), seconds)

    return measure


class Clips(Dataset[torch.Tensor]):
    """Random full clips, the same for every reader."""

    def __init__(self, root: Path, read: Callable[[int, Path, int], torch.Tensor]) -> None:
        self.paths = sorted((root / "UCF-101").glob("*/*.avi"))
        self.infos = [probe(path) for path in self.paths]
        self.read = read

    def __len__(self) -> int:
        return 10**6

    def __getitem__(self, index: int) -> torch.Tensor:
        rng = np.random.default_rng((7, index))
        video = int(rng.integers(len(self.paths)))
        start = int(rng.integers(self.infos[video].num_frames - LENGTH - 1))
        return self.read(video, self.paths[video], start)


def clip_rows(root: Path, workers: int, seconds: float) -> dict[str, Rate]:
    def row(read: Callable[[int, Path, int], torch.Tensor]) -> Rate:
        def measure() -> float:
            loader: DataLoader[Any] = DataLoader(
                Clips(root, read), batch_size=None, num_workers=workers
            )
            return rate_of(([clip] for clip in loader), seconds)

        return measure

    rows: dict[str, Rate] = {}
    if missing_torchcodec() is None:
        for mode in ("exact", "approximate"):
            rows[f"TorchCodec VideoDecoder, one a file, {mode} seeks"] = row(
                torchcodec_reader(mode)
            )
    infos = Clips(root, lambda *_: torch.empty(0)).infos
    rows["vidpred.read_clip"] = row(
        lambda video, path, start: read_clip(path, start, LENGTH, info=infos[video])
    )
    rows["FFmpeg alone: decoding from the beginning, no conversion"] = row(decode_only)
    return rows


def torchcodec_reader(mode: str) -> Callable[[int, Path, int], torch.Tensor]:
    decoders: dict[int, Any] = {}

    def read(video: int, path: Path, start: int) -> torch.Tensor:
        from torchcodec.decoders import VideoDecoder

        if video not in decoders:
            decoders[video] = VideoDecoder(path, seek_mode=mode, num_ffmpeg_threads=1)
        frames: torch.Tensor = decoders[video].get_frames_in_range(start, start + LENGTH).data
        return frames

    return read


def decode_only(_: int, path: Path, start: int) -> torch.Tensor:
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for number, _frame in enumerate(container.decode(stream)):
            if number == start + LENGTH - 1:
                break
    return torch.zeros(1)


def entries(root: Path) -> None:
    """Show that a draw does not cost more among more videos."""
    print("cost of a clip by number of videos, ms")
    videos = sorted((root / "UCF-101").glob("*/*.avi"))
    for copies in (1, 10, 100):
        with tempfile.TemporaryDirectory() as scratch:
            data = UCF101DataModule(
                _many(root, videos, copies, Path(scratch)), num_workers=0, seed=1
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


def memory(root: Path, clips: int) -> None:
    """Draw many clips in one process and see whether it grows."""
    print(f"resident memory over {clips} clips, MiB")
    data = UCF101DataModule(root, num_workers=0, seed=1)
    data.setup("fit")
    stream: TrainingClips = data.train_dataloader().dataset.stream  # type: ignore[attr-defined]
    points = []
    for position in range(clips):
        stream[position]
        if position % (clips // 10) == clips // 10 - 1:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            points.append((position + 1, pages * resource.getpagesize() / 2**20))
            print(f"  {points[-1][0]:6d}: {points[-1][1]:.1f}", flush=True)
    later = np.array(points[2:])  # caches fill first
    slope = np.polyfit(later[:, 0], later[:, 1], 1)[0] * 10_000
    print(f"  slope {slope:.2f} MiB per 10,000 clips\n")


if __name__ == "__main__":
    main()
