"""Several clips and patches from each pass through a video, mixed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from vidpred.batch import ClipBatch
from vidpred.data import (
    BlockPart,
    ClipSample,
    TrainingBlocks,
    TrainingClips,
    UCF101DataModule,
    Video,
)
from vidpred.data.blocks import Block, mixed, multiple_at_least
from vidpred.errors import DataError

MakeVideo = Callable[..., Path]


def samples(count: int, patches: int) -> list[ClipSample]:
    """Clips whose pixels tell which clip and patch they are."""
    return [
        ClipSample(
            frames=torch.stack(
                [torch.full((2, 3, 4, 4), 10 * clip + k, dtype=torch.uint8) for k in range(patches)]
            ),
            video_id=f"v{clip}",
            start=torch.arange(patches) + 100 * clip,
            accepted=torch.tensor([k % 2 == 0 for k in range(patches)]),
        )
        for clip in range(count)
    ]


def batches_of(draws: list[ClipSample], size: int) -> list[ClipBatch]:
    patches = len(draws[0]["frames"])
    block = Block(range(len(draws) * patches))
    places = mixed(len(draws), patches, np.random.default_rng(0))
    for sample, found in zip(draws, places, strict=True):
        block.take(sample, found)
    return block.batches(size)


def stream_of(
    videos: list[Video], patches: int, *, seed: int = 0, clips: int = 1, together: int = 4
) -> TrainingClips:
    return TrainingClips(
        videos,
        context_frames=3,
        horizon=1,
        patch_size=16,
        motion_threshold=0.02,
        clips_per_video=clips,
        patches_per_clip=patches,
        together=together,
        frame_step=1,
        seed=seed,
    )


@pytest.fixture
def videos(tmp_path: Path, make_video: MakeVideo) -> list[Video]:
    return [Video(make_video(tmp_path / f"{n}.avi", frames=20), f"{n}") for n in range(6)]


def test_every_patch_comes_once_and_no_batch_takes_a_draw_twice() -> None:
    batches = batches_of(samples(12, 5), 4)
    assert len(batches) == 12 * 5 // 4
    marks = [int(frames[0, 0, 0, 0]) for batch in batches for frames in batch["frames"]]
    assert sorted(marks) == sorted(10 * clip + k for clip in range(12) for k in range(5))
    for batch in batches:
        assert len(set(batch["video_id"])) == 4
        for k, frames in enumerate(batch["frames"]):
            mark = int(frames[0, 0, 0, 0])
            assert batch["video_id"][k] == f"v{mark // 10}"
            assert batch["start"][k] == 100 * (mark // 10) + mark % 10
            assert batch["accepted"][k] == (mark % 10 % 2 == 0)


def test_draws_come_back_in_another_order() -> None:
    batches = batches_of(samples(12, 2), 4)
    first, second = batches[:3], batches[3:]
    assert [b["video_id"] for b in first] != [b["video_id"] for b in second]
    # Not all first patches before all second ones.
    assert {int(b["start"][k]) % 100 for b in first for k in range(4)} == {0, 1}


def test_a_block_holds_a_whole_number_of_batches(videos: list[Video]) -> None:
    assert [multiple_at_least(least, of=4) for least in (1, 4, 8, 9)] == [4, 4, 8, 12]
    blocks = TrainingBlocks(stream_of(videos, 2, clips=3, together=12), batch_size=4)
    assert (blocks.videos, blocks.batches) == (12, 12 * 2 * 3 // 4)
    with pytest.raises(ValueError, match=r"12 draws .* expected a multiple of .* 8"):
        TrainingBlocks(stream_of(videos, 2, together=12), batch_size=8)


def test_a_block_depends_on_seed_and_number_alone(videos: list[Video]) -> None:
    def frames(number: int, seed: int = 0, before: int | None = None) -> torch.Tensor:
        blocks = TrainingBlocks(stream_of(videos, 2, seed=seed), batch_size=2)
        if before is not None:
            blocks[BlockPart(before, 0, 1)]
        made = blocks[BlockPart(number, 0, blocks.batches)]
        assert isinstance(made, list)
        return torch.cat([batch["frames"] for batch in made])

    assert torch.equal(frames(3), frames(3, before=1))
    assert not torch.equal(frames(3), frames(4))
    assert not torch.equal(frames(3), frames(3, seed=1))


def test_a_part_is_a_part_of_the_whole(videos: list[Video]) -> None:
    blocks = TrainingBlocks(stream_of(videos, 3), batch_size=2)
    whole, part = blocks[BlockPart(2, 0, 6)], blocks[BlockPart(2, 1, 4)]
    assert isinstance(whole, list)
    assert isinstance(part, list)
    assert len(whole) == 6
    for one, other in zip(whole[1:4], part, strict=True):
        assert torch.equal(one["frames"], other["frames"])


def test_blocks_take_the_draws_of_the_stream_once(videos: list[Video]) -> None:
    stream = stream_of(videos, 2)
    blocks = TrainingBlocks(stream, batch_size=2)
    drawn = []
    for number in range(3):
        made = blocks[BlockPart(number, 0, blocks.batches)]
        assert isinstance(made, list)
        drawn += [(v, int(s)) for b in made for v, s in zip(b["video_id"], b["start"], strict=True)]
    expected = [
        (stream[k]["video_id"], int(start)) for k in range(12) for start in stream[k]["start"]
    ]
    assert sorted(drawn) == sorted(expected)


def test_an_error_travels_as_a_value(tmp_path: Path) -> None:
    blocks = TrainingBlocks(stream_of([Video(tmp_path / "no.avi", "no")], 1), batch_size=2)
    assert isinstance(blocks[BlockPart(0, 0, 1)], DataError)


def test_a_batch_spans_as_many_videos_as_it_has_patches(toy_root: Path) -> None:
    """By default, where there are enough videos; and a block as many as are mixed."""
    data = UCF101DataModule(toy_root, num_workers=0, batch_size=4, mixed_videos=8)
    data.setup("fit")
    blocks = data.train_dataloader().dataset
    assert isinstance(blocks, TrainingBlocks)
    assert len(blocks.stream.videos) == 8
    for number in range(3):
        batches = blocks[BlockPart(number, 0, blocks.batches)]
        assert isinstance(batches, list)
        assert len(batches) == 8 * 4 * 4 // 4
        assert {len(set(batch["video_id"])) for batch in batches} == {4}
        assert len({name for batch in batches for name in batch["video_id"]}) == 8
