"""Protocols: what they say, what decides their digest, what they refuse."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from vidpred.data.ucf101_layout import LIST_DIR, VIDEO_DIR
from vidpred.errors import ProtocolError
from vidpred.evaluation.protocol import (
    ClipCut,
    FrameFormat,
    available_protocols,
    build_protocol,
    digest_of,
    load_protocol,
)
from vidpred.evaluation.selection import UCF101Videos
from vidpred.flow import FrameDifferenceMask, OpticalFlowMask


def content(**changes: Any) -> dict[str, Any]:
    return {**load_protocol("quick").values, **changes}


def test_the_package_has_protocols() -> None:
    assert {"mathieu2016-ucf101", "clean-ucf101", "quick"} <= set(available_protocols())


@pytest.mark.parametrize("name", available_protocols())
def test_packaged_protocols_load_and_survive_their_own_values(name: str) -> None:
    loaded = load_protocol(name)
    assert loaded.protocol.name == name
    again = build_protocol(loaded.values)
    assert (again.values, again.digest) == (loaded.values, loaded.digest)


def test_the_paper_is_followed() -> None:
    """Facts of the authors' code: list, clips, mask threshold, skip."""
    protocol = load_protocol("mathieu2016-ucf101").protocol
    assert protocol.videos == UCF101Videos(split=1, every=10, expected=379)
    cut = protocol.clips
    assert (cut.starts, cut.context_frames, cut.horizon, cut.rollout) == ([0], 4, 2, "recursive")
    assert (protocol.frames.height, protocol.frames.width) == (240, 320)
    assert isinstance(protocol.mask, OpticalFlowMask)
    assert protocol.mask.threshold == 0.2
    assert protocol.skip is not None
    assert (protocol.skip.measure.key, protocol.skip.at_least) == ("psnr.mathieu_code.moving", 50)
    assert {m.key for m in protocol.measures} >= {
        f"{metric}.mathieu_code.{area}"
        for metric in ("psnr", "ssim", "sharpness")
        for area in ("moving", "whole")
    }


def test_the_clean_protocol_takes_the_same_videos() -> None:
    clean, code = (load_protocol(f"{name}-ucf101").protocol for name in ("clean", "mathieu2016"))
    assert clean.videos == code.videos
    assert clean.clips.horizon == 8
    assert len(clean.clips.starts) > 1
    assert isinstance(clean.mask, FrameDifferenceMask)
    assert clean.skip is None


def test_subsets_take_every_video_that_is_there() -> None:
    for name in ("clean", "mathieu2016"):
        whole, part = (load_protocol(f"{name}-{kind}").values for kind in ("ucf101", "subset"))
        assert part["videos"]["init_args"] == {
            **whole["videos"]["init_args"],
            "every": 1,
            "expected": 3783,
        }
        different = {key for key in whole if whole[key] != part[key]}
        assert different == {"name", "description", "videos"}


def test_the_digest_covers_all_that_decides() -> None:
    values = load_protocol("quick").values
    assert digest_of({**values, "name": "other", "description": "other"}) == digest_of(values)
    for key in values.keys() - {"name", "description"}:
        assert digest_of({**values, key: "other"}) != digest_of(values)


def test_defaults_that_are_written_out_change_no_digest() -> None:
    plain = content()
    del plain["clips"]["frame_step"]
    assert build_protocol(plain).digest == load_protocol("quick").digest


def test_a_protocol_may_build_on_another(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: quick\nname: mine\nmeasures:\n  - {metric: psnr}\n")
    loaded = load_protocol(path)
    assert loaded.protocol.name == "mine"
    assert [measure.key for measure in loaded.protocol.measures] == ["psnr.standard.whole"]
    assert loaded.protocol.clips == load_protocol("quick").protocol.clips


def test_what_a_protocol_does_not_say_stays_as_it_is_below(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text(
        "base: quick\n"
        "clips: {frame_step: 2, context_frames: 3, horizon: 2, rollout: one_step}\n"
        "frames: {height: 40, width: 40, fit: center_crop}\n"
        "mask: {init_args: {threshold: 0.1}}\n"
    )
    second.write_text(f"base: {first}\nclips: {{horizon: 1}}\nframes: {{height: 32, width: 32}}\n")
    loaded = load_protocol(second).protocol
    assert loaded.name == "second"  # not the other's, nor what that says of itself
    assert "first.yaml" in loaded.description
    assert loaded.clips == ClipCut([0], 2, 3, 1, "one_step")
    assert loaded.frames == FrameFormat(32, 32, "center_crop")
    assert isinstance(loaded.mask, FrameDifferenceMask)
    assert loaded.mask.threshold == 0.1


def test_an_object_of_another_class_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("base: quick\nmask: {class_path: vidpred.flow.OpticalFlowMask}\n")
    mask = load_protocol(path).protocol.mask
    assert isinstance(mask, OpticalFlowMask)
    assert mask.threshold == 0.2


def test_a_protocol_may_not_build_on_itself(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text(f"base: {second}\n")
    second.write_text(f"base: {first}\n")
    with pytest.raises(ProtocolError, match="leads back to itself"):
        load_protocol(first)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"horizon": 3}, "horizon"),
        ({"clips": {"starts": []}}, r"clips\.starts is \[\]"),
        ({"clips": {"starts": [4, 4]}}, "each at least 0, once"),
        ({"clips": {"starts": [0], "context_frames": 1}}, "at least 2"),
        ({"frames": {"height": 8}}, "both or none"),
        ({"measures": []}, "at least one"),
        ({"measures": [{"metric": "vmaf"}]}, "vmaf"),
        ({"mask": None}, "expected a mask"),
        ({"skip": {"measure": {"metric": "ms_ssim"}, "at_least": 1}}, "not among measures"),
        ({"videos": {"class_path": "vidpred.evaluation.NoVideos"}}, "NoVideos"),
    ],
)
def test_what_is_no_protocol_is_refused(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(content(**changes)))
    with pytest.raises(ProtocolError, match=told) as refusal:
        load_protocol(path)
    assert str(path) in str(refusal.value)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ProtocolError, match=r"no protocol 'ucf'.*clean-ucf101.*quick"):
        load_protocol("ucf")


@pytest.mark.parametrize("text", ["a: [", "- a\n- b\n", ""])
def test_a_file_that_is_no_mapping_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ProtocolError, match=r"wrong\.yaml"):
        load_protocol(path)
    with pytest.raises(ProtocolError, match=r"there is no such file; expected .* quick"):
        load_protocol(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        ({"metric": "psnr", "variant": "plain"}, "psnr has no convention 'plain'.*standard or"),
        ({"metric": "ms_ssim", "variant": "mathieu_code"}, "expected variant: standard"),
        ({"metric": "ms_ssim", "area": "moving"}, "MS-SSIM has no masked form"),
        ({"metric": "ssim", "variant": "masked_mean"}, "masked_mean is of moving pixels"),
    ],
)
def test_measures_that_cannot_be_taken_are_refused_with_the_protocol(
    measure: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build_protocol(content(measures=[measure]))


def test_a_limit_keeps_what_is_missing(tmp_path: Path) -> None:
    lists, videos = tmp_path / LIST_DIR, tmp_path / VIDEO_DIR / "Archery"
    lists.mkdir()
    videos.mkdir(parents=True)
    names = [f"Archery/v_Archery_g01_c0{k}.avi" for k in range(1, 6)]
    (lists / "testlist01.txt").write_text("\n".join(names))
    for name in names[:3]:
        (videos.parent / name).touch()
    whole, limited = (UCF101Videos(limit=limit).select(tmp_path) for limit in (None, 2))
    assert (len(whole.videos), len(limited.videos)) == (3, 2)
    assert len(whole.missing) == 2
    assert limited.missing == whole.missing
    assert UCF101Videos(limit=1_000_000).select(tmp_path) == whole
