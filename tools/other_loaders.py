"""Loaders that the data engine is measured against: TorchCodec, torchvision, and FFmpeg alone."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.codec.context import ThreadType
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler
from turns import Row

from vidpred.data import TrainingClips, UCF101DataModule
from vidpred.data.patches import PATCH_MOTION_THRESHOLD, choose_patches
from vidpred.video import VideoInfo, probe

LENGTH = 5
PATCH = 32
BATCH = 16


def videos_of(root: Path) -> list[Path]:
    return sorted((root / "UCF-101").glob("*/*.avi"))


def missing_torchcodec() -> str | None:
    try:
        import torchcodec.decoders  # noqa: F401
    except (ImportError, RuntimeError) as error:  # it raises RuntimeError without FFmpeg
        return str(error).splitlines()[0]
    return None


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
        kept: Whether all files stay open, and decoding continues where it was when that is between
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
