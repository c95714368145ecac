"""KTH's sequence file and person split; folders of a user's own under a protocol."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from vidpred.data import KTHDataModule, VideoFolderDataModule
from vidpred.data.kth_sequences import PEOPLE, read_sequence_list
from vidpred.errors import DataError, PredictionError
from vidpred.evaluation.clips import EvaluationClip
from vidpred.evaluation.protocol import build_protocol, load_protocol
from vidpred.evaluation.scoring.methods import PredictorMethod
from vidpred.evaluation.sources.video_clips import VideoClips
from vidpred.models import CopyLastFrame
from vidpred.ops import to_unit
from vidpred.video import read_clip

MakeVideo = Callable[..., Path]

HEAD = """\
Training:   person11, 12, 13, 14, 15, 16, 17, 18
Validation: person19, 20, 21, 23, 24, 25, 01, 04
Test:       person22, 02, 03, 05, 06, 07, 08, 09, 10

"""


@pytest.fixture
def kth(tmp_path: Path, make_video: MakeVideo) -> Path:
    """One video of a person of each split, with two sequences each, as KTH writes them."""
    root = tmp_path / "kth"
    rows = [
        "person11_boxing_d1\t\tframes\t1-12, 14-25",
        "person19_walking_d2    \tframes\t2-12, 13-24",
        "person22_running_d3\t\tframes\t1-10, 12-24",
        "person02_running_d3\t\tframes\t1-8",
        "person13_handclapping_d3\t*missing*",
    ]
    (root / "boxing").mkdir(parents=True)
    (root / "00sequences.txt").write_text(HEAD + "\r\n".join(rows), newline="")
    make_video(root / "boxing" / "person11_boxing_d1_uncomp.avi", frames=26)
    make_video(root / "walking" / "person19_walking_d2_uncomp.avi", frames=26)
    make_video(root / "person22_running_d3_uncomp.avi", frames=26)  # not in a folder
    return root


def test_the_sequence_file_counts_from_1(kth: Path) -> None:
    rows = {row.name: row for row in read_sequence_list(kth / "00sequences.txt")}
    assert len(rows) == 5
    assert rows["person11_boxing_d1"].ranges == ((0, 11), (13, 24))
    assert rows["person13_handclapping_d3"].ranges == ()


@pytest.mark.parametrize("people", list(PEOPLE))
def test_no_person_is_in_two_splits(people: Any) -> None:
    found = PEOPLE[people]
    assert sorted(number for members in found.values() for number in members) == [*range(1, 26)]


def test_training_stays_inside_a_sequence(kth: Path) -> None:
    data = KTHDataModule(kth, batch_size=8, num_workers=0, patch_size=None, resize=(16, 16))
    data.setup("fit")
    seen: dict[str, set[int]] = {}
    for batch, _ in zip(data.train_dataloader(), range(12), strict=False):
        for name, start in zip(batch["video_id"], batch["start"].tolist(), strict=True):
            seen.setdefault(name, set()).add(start)
    # Clips of 5 frames in frames 0 to 11, and in 13 to 24.
    assert seen["boxing/person11_boxing_d1_1"] <= set(range(8))
    assert seen["boxing/person11_boxing_d1_2"] <= set(range(13, 21))
    assert len(seen) == 2
    clips = list(data.val_dataloader())
    assert [int(clip["start"]) for clip in clips] == [1, 12]
    walking = kth / "walking" / "person19_walking_d2_uncomp.avi"
    assert read_clip(walking, 12, 6).shape[0] == clips[1]["frames"].shape[1]
    assert "test: 2 videos, 1 class (1 listed videos are not on the disk)" in data.summary()


def test_the_protocol_takes_the_test_people(kth: Path) -> None:
    values = load_protocol("kth").values
    cut = {**values["clips"], "context_frames": 6, "horizon": 6}
    source = VideoClips(build_protocol({**values, "clips": cut}).protocol, kth)
    assert source.missing == ["running/person02_running_d3_1"]
    first, second = (next(iter(unit.load().values())) for unit in source.units())
    # Ten frames are too few, and the next ones belong to another sequence.
    assert "has 10 frames, and frames 0 to 11 were asked for" in str(first)
    assert isinstance(second, EvaluationClip)
    assert second.context is not None
    assert second.context.shape == (6, 1, 64, 64)
    path = kth / "person22_running_d3_uncomp.avi"
    luma = to_unit(read_clip(path, 11, 6)).mean().item()
    assert second.context.mean().item() == pytest.approx(luma, abs=0.05)


def test_what_is_no_sequence_file_is_named(kth: Path) -> None:
    path = kth / "00sequences.txt"
    path.write_text(HEAD + "person11_boxing_d1 frames all\n")
    with pytest.raises(DataError, match="expected the name of a video and ranges of frames"):
        KTHDataModule(kth).prepare_data()
    path.write_text(HEAD + "person11_boxing_d1 frames 12-3\n")
    with pytest.raises(DataError, match="ends before it begins"):
        KTHDataModule(kth).prepare_data()
    path.write_text(HEAD)
    with pytest.raises(DataError, match="no row such as"):
        KTHDataModule(kth).prepare_data()
    path.unlink()
    with pytest.raises(DataError, match=r"there is no such file; get 00sequences\.txt"):
        KTHDataModule(kth).prepare_data()


def test_the_folder_protocol_keeps_training_videos_out(
    tmp_path: Path, make_video: MakeVideo
) -> None:
    root = tmp_path / "own"
    for number in range(8):
        make_video(root / f"{number}.avi", frames=10)
    data = VideoFolderDataModule(root)
    expected = [video.video_id for video in data.list_split("test").videos]
    trained = {video.video_id for video in data.list_split("train").videos}
    named = load_protocol("folder")
    source = VideoClips(named.protocol, root)
    assert [name.split("+")[0] for name in source.names] == expected
    assert not trained & set(expected)
    (root / "test.txt").write_text("3.avi\n5.avi\n")
    lists = {
        "class_path": "vidpred.evaluation.HeldOutVideos",
        "init_args": {"test_list": "test.txt"},
    }
    by_list = VideoClips(build_protocol({**named.values, "videos": lists}).protocol, root)
    assert by_list.names == ["3.avi+00000", "5.avi+00000"]
    clip = next(iter(next(iter(by_list.units())).load().values()))
    assert isinstance(clip, EvaluationClip)
    assert torch.equal(clip.target, to_unit(read_clip(root / "3.avi", 4, 4)))


def test_a_gray_protocol_and_a_network_of_colors_do_not_go_together() -> None:
    rgb = CopyLastFrame()
    rgb.channels = 3
    method = PredictorMethod(
        rgb, {"name": "net", "kind": "model", "details": {}}, torch.device("cpu")
    )
    method.require(load_protocol("folder").protocol)
    with pytest.raises(PredictionError, match=r"takes frames of 3 channels, and protocol kth"):
        method.require(load_protocol("kth").protocol)
