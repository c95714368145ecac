import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from vidpred.data import MovingShapesDataModule, TrainingClips, UCF101DataModule, Video
from vidpred.data.patches import motion_of_crop
from vidpred.errors import DataError
from vidpred.video import read_clip, write_video

MakeVideo = Callable[..., Path]


def clips_of(videos: list[Video], **changes: float) -> TrainingClips:
    options: dict[str, float] = {
        "context_frames": 3,
        "horizon": 1,
        "patch_size": 16,
        "motion_threshold": 0.02,
        "clips_per_video": 1,
        "patches_per_clip": 1,
        "together": 1,
        "frame_step": 1,
        "seed": 0,
    }
    return TrainingClips(videos, **(options | changes))  # type: ignore[arg-type]


@pytest.fixture
def three(tmp_path: Path, make_video: MakeVideo) -> list[Video]:
    return [
        Video(make_video(tmp_path / f"{name}.avi", frames), name, label)
        for name, frames, label in (("a", 8, "one"), ("b", 5, "two"), ("c", 8, "two"))
    ]


def test_a_sample_is_a_patch_of_the_clip_it_names(three: list[Video]) -> None:
    paths = {video.video_id: video.path for video in three}
    for position in range(10):
        sample = clips_of(three, clips_per_video=3, patches_per_clip=2)[position]
        assert sample["frames"].shape == (6, 4, 3, 16, 16)
        assert sample["frames"].dtype == torch.uint8
        for patch, start in zip(sample["frames"], sample["start"], strict=True):
            clip = read_clip(paths[sample["video_id"]], int(start), 4)
            windows = clip.unfold(-2, 16, 1).unfold(-2, 16, 1).permute(2, 3, 0, 1, 4, 5)
            assert (windows == patch).flatten(2).all(dim=2).sum() == 1


def test_a_position_depends_on_seed_and_number_alone(three: list[Video]) -> None:
    fresh = clips_of(three)[7]
    used = clips_of(three)
    for position in (3, 0, 9):
        used[position]
    assert torch.equal(used[7]["frames"], fresh["frames"])
    assert not torch.equal(clips_of(three, seed=1)[7]["frames"], fresh["frames"])
    assert not torch.equal(clips_of(three)[8]["frames"], fresh["frames"])


def test_class_then_video_then_start_are_uniform(three: list[Video]) -> None:
    samples = [clips_of(three)[position] for position in range(400)]
    share = {name: sum(s["video_id"] == name for s in samples) / 400 for name in "abc"}
    # Two classes: the one with a single video gives half of the draws. 4 sigma = 0.1.
    assert share["a"] == pytest.approx(1 / 2, abs=0.1)
    assert share["b"] == pytest.approx(1 / 4, abs=0.09)
    # 8 frames hold 5 clips of 4; 5 frames hold 2.
    assert {int(s["start"]) for s in samples if s["video_id"] == "a"} == set(range(5))
    assert {int(s["start"]) for s in samples if s["video_id"] == "b"} == {0, 1}


def test_clips_of_one_pass_have_different_starts_while_there_are_enough(
    three: list[Video],
) -> None:
    for position in range(10):
        sample = clips_of(three, clips_per_video=5)[position]
        starts = sample["start"].tolist()
        assert starts == sorted(starts)
        # 8 frames hold 5 clips of 4; 5 frames hold 2.
        assert starts == list(range(5)) if sample["video_id"] != "b" else set(starts) <= {0, 1}


def test_neighbors_share_classes_and_videos_out(three: list[Video]) -> None:
    """Each position alone is uniform; among four of them two classes come twice each."""
    clips, share = clips_of(three, together=4), dict.fromkeys("abc", 0)
    for group in range(100):
        drawn = [clips[4 * group + place]["video_id"] for place in range(4)]
        assert sorted(drawn) == ["a", "a", "b", "c"]
        share[drawn[2]] += 1
    assert share["a"] == pytest.approx(50, abs=20)  # 4 sigma
    assert share["b"] == pytest.approx(25, abs=18)


def test_motion_is_judged_on_the_last_two_context_frames(tmp_path: Path) -> None:
    # Motion in the left half before context ends, in the right half at the target alone.
    frames = torch.full((4, 3, 64, 192), 60, dtype=torch.uint8)
    frames[2, :, :, :32] = 200
    frames[3, :, :, :32] = 200
    frames[3, :, :, 64:] = 250
    path = tmp_path / "still.avi"
    write_video(path, frames, codec="ffv1")
    clips = clips_of([Video(path, "still")], patches_per_clip=50)
    patches = clips[0]["frames"].permute(0, 1, 3, 4, 2).numpy()
    moved = [motion_of_crop(patch[1], patch[2], 0, 0, 16) > 0.02 for patch in patches]
    # By chance 30 of 177 columns; the best of 25 tries 99 %.
    assert np.mean(moved) > 0.9


def test_damaged_and_short_videos_are_named_once_and_left_out(
    tmp_path: Path, make_video: MakeVideo, caplog: pytest.LogCaptureFixture
) -> None:
    good = Video(make_video(tmp_path / "good.avi"), "good")
    short = Video(make_video(tmp_path / "short.avi", frames=3), "short")
    small = Video(make_video(tmp_path / "small.avi", height=12), "small")
    cut = Video(make_video(tmp_path / "cut.avi"), "cut")
    cut.path.write_bytes(cut.path.read_bytes()[:3000])
    empty = Video(tmp_path / "empty.avi", "empty")
    empty.path.touch()
    clips = clips_of([good, short, small, cut, empty])
    with caplog.at_level(logging.WARNING):
        samples = [clips[position] for position in range(40)]
    assert {sample["video_id"] for sample in samples} == {"good"}
    for name, problem in (
        ("short.avi", "has 3 frames; a clip of this training takes 4"),
        ("small.avi", "12 x 48, smaller than the patches"),
        ("cut.avi", ""),
        ("empty.avi", "empty"),
    ):
        found = [line for line in caplog.messages if name in line and problem in line]
        assert len(found) == 1, name
    # What was remembered changes no draw.
    assert torch.equal(
        clips_of([good, short, small, cut, empty])[39]["frames"], samples[39]["frames"]
    )


def test_a_single_good_video_among_many_is_found(tmp_path: Path, make_video: MakeVideo) -> None:
    missing = [Video(tmp_path / f"{index}.avi", f"{index}", f"{index}") for index in range(3000)]
    good = Video(make_video(tmp_path / "good.avi"), "good", "good")
    assert clips_of([*missing, good])[0]["video_id"] == "good"


def test_no_usable_video_is_an_error(tmp_path: Path) -> None:
    videos = [Video(tmp_path / f"{name}.avi", name) for name in "abcd"]
    with pytest.raises(DataError, match=r"none of the 4 training videos[^$]*d\.avi: there is no"):
        clips_of(videos)[0]


def test_frame_step_and_one_context_frame(three: list[Video]) -> None:
    sample = clips_of(three[:1], context_frames=1, horizon=2, frame_step=3)[0]
    assert sample["frames"].shape == (1, 3, 3, 16, 16)
    assert int(sample["start"]) in (0, 1)  # a span of 7 in 8 frames


@pytest.mark.filterwarnings(
    # torch advises against more workers than cores; what they give is to be the same all the same.
    "ignore:This DataLoader will create"
)
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_any_number_of_workers_gives_the_same_batches(toy_root: Path, workers: int) -> None:
    def batches(num_workers: int) -> list[torch.Tensor]:
        data = UCF101DataModule(
            toy_root, num_workers=num_workers, samples_per_epoch=300, mixed_videos=8, batch_size=4
        )
        data.setup("fit")
        return [batch["frames"] for batch in data.train_dataloader()]

    for one, other in zip(batches(0), batches(workers), strict=True):
        assert torch.equal(one, other)


def test_real_patches_move_more_than_random_ones(real_data: Path) -> None:
    def mean_motion(threshold: float) -> float:
        data = UCF101DataModule(
            real_data / "ucf101", motion_threshold=threshold, batch_size=40, num_workers=0
        )
        data.setup("fit")
        frames = next(iter(data.train_dataloader()))["frames"].float() / 255
        change = (frames[:, 3] - frames[:, 2]).square().mean(dim=(1, 2, 3)).sqrt()
        return (change > 0.02).float().mean().item()

    # A threshold of 1 accepts nothing, so the last of 25 random crops is kept.
    assert mean_motion(0.02) > mean_motion(1.0) + 0.2


def test_toy_patches_show_motion_at_the_default_threshold(toy_root: Path) -> None:
    data = MovingShapesDataModule(
        toy_root, num_groups=3, num_frames=12, height=48, width=64, batch_size=64, num_workers=0
    )
    data.prepare_data()
    data.setup("fit")
    frames = next(iter(data.train_dataloader()))["frames"].float() / 255
    change = (frames[:, 3] - frames[:, 2]).square().mean(dim=(1, 2, 3)).sqrt()
    assert (change > 0.02).float().mean() > 0.9
