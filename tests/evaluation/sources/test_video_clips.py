"""The clips that a protocol cuts from real files."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from vidpred.data.ucf101_lists import read_list
from vidpred.errors import DataError, VideoError
from vidpred.evaluation.clips import EvaluationClip, Loaded, Unit, clips_left, read_ahead
from vidpred.evaluation.protocol import FrameFormat, Protocol, build_protocol, load_protocol
from vidpred.evaluation.sources.video_clips import VideoClips, bring_to_format, clip_name
from vidpred.ops import to_unit
from vidpred.video import read_clip, write_video
from vidpred.video.conditions import write_conditions


def protocol(**changes: Any) -> Protocol:
    return build_protocol({**load_protocol("quick").values, **changes}).protocol


def loaded(source: VideoClips) -> Loaded:
    return {k: v for part in read_ahead(list(source.units()), workers=2) for k, v in part.items()}


def test_clips_hold_the_frames_that_the_protocol_names(toy_root: Path) -> None:
    cut = {"starts": [2, 0], "frame_step": 2, "context_frames": 2, "horizon": 1}
    source = VideoClips(protocol(clips=cut), toy_root)
    rows = read_list(toy_root / "ucfTrainTestlist" / "testlist01.txt")
    clips = loaded(source)
    assert len(clips) == len(source.names) == 2 * len(rows)
    assert source.missing == []
    video = rows[0].removesuffix(".avi")
    path = toy_root / "UCF-101" / rows[0]
    for start in (0, 2):
        clip = clips[clip_name(video, start)]
        assert isinstance(clip, EvaluationClip)
        assert (clip.video, clip.start) == (video, start)
        expected = to_unit(read_clip(path, start, 3, 2))
        assert clip.context is not None
        assert torch.equal(torch.cat((clip.context, clip.target)), expected)
        change = (expected[1] - expected[0]).square().mean().sqrt().item() * 100
        assert clip.motion() == pytest.approx([change])
        assert clip.moving()[0] == pytest.approx(clip.mask.float().mean().item())  # type: ignore[union-attr]


def test_videos_whose_clips_would_share_a_name_are_refused(tmp_path: Path) -> None:
    folder = {"class_path": "vidpred.evaluation.FolderVideos"}
    frames = torch.zeros(8, 3, 16, 16, dtype=torch.uint8)
    for name in ("run/v_run_01.avi", "v_run_01.avi"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_video(tmp_path / name, frames)
    with pytest.raises(
        DataError, match=r"v_run_01\.avi and .* would be named v_run_01.avi; expected"
    ):
        VideoClips(protocol(videos=folder), tmp_path)


def test_a_short_video_gives_the_clips_that_it_has(toy_root: Path, tmp_path: Path) -> None:
    cut = {"starts": [0, 1], "context_frames": 4, "horizon": 4}  # the files have 8 frames
    clips = loaded(VideoClips(protocol(clips=cut), toy_root))
    assert all(
        isinstance(clip, EvaluationClip) == name.endswith("+00000") for name, clip in clips.items()
    )
    assert any("asked for" in str(clip) for clip in clips.values() if isinstance(clip, VideoError))


def test_missing_videos_are_counted(toy_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "part"
    shutil.copytree(toy_root, root)
    rows = read_list(root / "ucfTrainTestlist" / "testlist01.txt")
    (root / "UCF-101" / rows[0]).unlink()
    part, whole = (
        VideoClips(protocol(videos={"class_path": "vidpred.evaluation.UCF101Videos"}), folder)
        for folder in (root, toy_root)
    )
    assert part.missing == [rows[0].removesuffix(".avi")]
    assert sorted(part.names) == sorted(whole.names)  # the list is the same
    assert len(loaded(part)) == len(loaded(whole)) - 1


def test_a_root_without_data_is_refused(toy_root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected UCF-101"):
        VideoClips(protocol(), tmp_path)
    root = tmp_path / "empty"
    shutil.copytree(toy_root / "ucfTrainTestlist", root / "ucfTrainTestlist")
    (root / "UCF-101").mkdir()
    every = {"class_path": "vidpred.evaluation.UCF101Videos"}
    with pytest.raises(DataError, match="none of the 4 videos"):
        VideoClips(protocol(videos=every), root)


def test_folders_of_videos_serve_too(tmp_path: Path) -> None:
    frames = torch.randint(0, 256, (8, 3, 32, 48), dtype=torch.uint8)
    (tmp_path / "deep").mkdir()
    write_video(tmp_path / "deep" / "a.mp4", frames)
    folder = {"class_path": "vidpred.evaluation.FolderVideos"}
    assert list(loaded(VideoClips(protocol(videos=folder), tmp_path))) == ["deep__a.mp4+00000"]
    tested = {"class_path": "vidpred.evaluation.HeldOutVideos"}
    with pytest.raises(DataError, match="none of its videos is a test video of protocol quick"):
        VideoClips(protocol(videos=tested), tmp_path)
    with pytest.raises(DataError, match="there is no such folder"):
        VideoClips(protocol(videos=folder), tmp_path / "none")


def test_conditions_are_cut_as_the_frames_are(tmp_path: Path) -> None:
    frames = torch.randint(0, 256, (12, 3, 16, 16), dtype=torch.uint8)
    for name in ("a.avi", "b.avi", "c.avi"):
        write_video(tmp_path / name, frames)
    write_conditions(tmp_path / "a.avi", {"actions": torch.arange(12.0)[:, None]})
    write_conditions(tmp_path / "b.avi", {"actions": torch.arange(8.0)[:, None]})
    cut = {"starts": [0, 4], "frame_step": 2, "context_frames": 2, "horizon": 2}
    folder = {"class_path": "vidpred.evaluation.FolderVideos"}
    source = VideoClips(protocol(clips=cut, videos=folder), tmp_path)
    clips = loaded(source)
    for start, expected in ((0, [0, 2, 4, 6]), (4, [4, 6, 8, 10])):
        clip = clips[f"a.avi+{start:05d}"]
        assert isinstance(clip, EvaluationClip)
        assert clip.condition is not None
        assert clip.condition["actions"].flatten().tolist() == expected
        bare = clips[f"c.avi+{start:05d}"]
        assert isinstance(bare, EvaluationClip)
        assert bare.condition is None
    # Too few rows concern the clips that need them alone.
    assert isinstance(clips["b.avi+00000"], EvaluationClip)
    assert "frame 10 was asked for" in str(clips["b.avi+00004"])
    # What is scored again when it changes.
    before = source.fingerprint("a.avi+00000")
    write_conditions(tmp_path / "a.avi", {"actions": torch.arange(24.0).view(12, 2)})
    assert source.fingerprint("a.avi+00000") != before


def test_names_of_clips_can_be_names_of_files() -> None:
    assert clip_name("YoYo/v_YoYo_g01_c01", 8) == "v_YoYo_g01_c01+00008"
    handstand = "HandstandPushups/v_HandStandPushups_g01_c01"  # UCF101's own spelling
    assert clip_name(handstand, 0) == "v_HandStandPushups_g01_c01+00000"
    assert clip_name("holiday/beach.mp4", 0) == "holiday__beach.mp4+00000"


def test_frames_are_brought_to_the_protocols_format() -> None:
    frames = torch.rand(2, 3, 12, 16)
    same = bring_to_format(frames, FrameFormat(height=12, width=16))
    assert same is frames
    assert bring_to_format(frames, FrameFormat()) is frames
    cropped = bring_to_format(frames, FrameFormat(height=8, width=10, fit="center_crop"))
    assert torch.equal(cropped, frames[..., 2:10, 3:13])
    flat = bring_to_format(torch.full((1, 3, 12, 16), 0.25), FrameFormat(height=6, width=8))
    assert torch.allclose(flat, torch.full((1, 3, 6, 8), 0.25))  # averages of equal values
    gray = bring_to_format(frames, FrameFormat(color="gray"))
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]  # Rec. 601
    assert torch.allclose(gray, (frames * weights).sum(dim=1, keepdim=True), atol=1e-6)
    with pytest.raises(ValueError, match="cannot be cropped"):
        bring_to_format(frames, FrameFormat(height=20, width=16, fit="center_crop"))


def unit(number: int) -> Unit:
    def load() -> Loaded:
        if number == 3:
            raise DataError("number 3 is broken")
        return {str(number): DataError("stands for a clip")}

    return Unit((str(number),), load)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_reading_ahead_keeps_the_order_and_survives_errors(workers: int) -> None:
    found = list(read_ahead([unit(k) for k in range(8)], workers=workers))
    assert [list(part) for part in found] == [[str(k)] for k in range(8)]
    assert str(found[3]["3"]) == "number 3 is broken"


def test_only_what_is_left_is_read() -> None:
    units = [Unit(("a", "b"), dict), Unit(("c",), dict)]
    assert clips_left(units, {"a", "c"}) == units[:1]
    assert clips_left(units, {"a", "b", "c"}) == []
