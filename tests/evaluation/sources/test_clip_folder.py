"""Clips that other programs wrote: what is read, what pairs, what is refused."""

import os
import shutil
import sys
import tracemalloc
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from vidpred.errors import PredictionError
from vidpred.evaluation.sources.clip_folder import ClipFolder, pair_clips
from vidpred.evaluation.sources.frame_files import write_clip
from vidpred.video import write_video

HEIGHT, WIDTH = 20, 26


def clip_of(frames: int, channels: int = 3, height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    """Noise, so that any other order of frames, channels, rows or columns shows."""
    generator = torch.Generator().manual_seed(frames)
    return torch.randint(
        0, 256, (frames, channels, height, width), generator=generator, dtype=torch.uint8
    )


def save_npy(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("frames", [1, 12])
def test_what_is_written_is_read_bit_for_bit(tmp_path: Path, channels: int, frames: int) -> None:
    clip = clip_of(frames, channels)
    write_clip(tmp_path / "root" / "a clip+00008", clip)
    folder = ClipFolder(tmp_path / "root")
    assert folder.clips == ["a clip+00008"]
    back = folder.read("a clip+00008")
    assert back.dtype == torch.uint8
    assert torch.equal(back, clip)
    assert torch.equal(folder.read_pred("a clip+00008", frames), clip.float() / 255)
    names = sorted(path.name for path in (tmp_path / "root" / "a clip+00008").iterdir())
    assert names == [f"{number:04d}.png" for number in range(1, frames + 1)]


Writer = Callable[[Path, Tensor], None]


def as_pngs(root: Path, clip: Tensor) -> None:
    write_clip(root / "clip", clip)


def as_array(root: Path, clip: Tensor) -> None:
    save_npy(root / "clip.npy", clip.permute(0, 2, 3, 1).numpy())


def as_array_in_folder(root: Path, clip: Tensor) -> None:
    save_npy(root / "clip" / "pred.npy", clip.numpy())


def as_floats(root: Path, clip: Tensor) -> None:
    save_npy(root / "clip.npy", (clip.double() / 255).numpy())


def as_video(root: Path, clip: Tensor) -> None:
    write_video(root / "clip.avi", clip, codec="ffv1")


def as_video_in_folder(root: Path, clip: Tensor) -> None:
    (root / "clip").mkdir()
    write_video(root / "clip" / "pred.avi", clip, codec="ffv1")


@pytest.mark.parametrize(
    "write",
    [as_pngs, as_array, as_array_in_folder, as_floats, as_video, as_video_in_folder],
)
def test_every_form_gives_the_same_frames(tmp_path: Path, write: Writer) -> None:
    clip = clip_of(6)
    write(tmp_path, clip)
    folder = ClipFolder(tmp_path)
    assert folder.clips == ["clip"]
    assert torch.equal(folder.read_pred("clip", 6), clip.float() / 255)
    context, target = folder.read_target("clip", 4, 2)
    assert context is not None
    assert torch.equal(torch.cat((context, target)), clip.float() / 255)
    assert target.shape == (2, 3, HEIGHT, WIDTH)
    assert folder.read("clip").dtype == (torch.float32 if write is as_floats else torch.uint8)
    context, target = folder.read_target("clip", 3, 6)
    assert context is None
    assert len(target) == 6
    for read in (
        lambda: folder.read_pred("clip", 2),
        lambda: folder.read_target("clip", 4, 1),
        lambda: folder.read_target("clip", 4, 3),
    ):
        with pytest.raises(PredictionError, match=r"clip 'clip': .*clip.*6 frame.*expected "):
            read()


def test_the_counts_that_would_be_right_are_named(tmp_path: Path) -> None:
    write_clip(tmp_path / "a", clip_of(5))
    with pytest.raises(PredictionError, match=r"5 frame\(s\); expected 2 .* or 6 \(the 4 known"):
        ClipFolder(tmp_path).read_target("a", 4, 2)
    with pytest.raises(PredictionError, match=r"5 frame\(s\); expected 2 \(the horizon"):
        ClipFolder(tmp_path).read_pred("a", 2)


@pytest.mark.parametrize(("context_frames", "horizon"), [(0, 2), (4, 0)])
def test_counts_below_one_are_refused(tmp_path: Path, context_frames: int, horizon: int) -> None:
    write_clip(tmp_path / "a", clip_of(2))
    folder = ClipFolder(tmp_path)
    with pytest.raises(ValueError, match="at least 1"):
        folder.read_target("a", context_frames, horizon)
    with pytest.raises(ValueError, match="at least 1"):
        folder.read_pred("a", 0)


def test_litter_notes_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    clip = clip_of(2)
    write_clip(tmp_path / "a", clip)
    write_clip(tmp_path / "b", clip)
    for folder in (tmp_path, tmp_path / "a"):
        for name in (
            ".DS_Store",
            "Thumbs.db",
            "desktop.ini",
            "README",
            "scores.json",
            "._0001.png",
        ):
            (folder / name).write_bytes(b"junk")
        (folder / "__MACOSX").mkdir()
        (folder / ".unfinished").mkdir()
    assert ClipFolder(tmp_path).clips == ["a", "b"]
    assert torch.equal(ClipFolder(tmp_path).read("a"), clip)


def test_links_spaces_and_other_scripts_are_fine(tmp_path: Path) -> None:
    clip = clip_of(2)
    write_clip(tmp_path / "elsewhere" / "x", clip)
    root = tmp_path / "root"
    root.mkdir()
    (root / "прыжок 跳 é").symlink_to(tmp_path / "elsewhere" / "x")
    (tmp_path / "link").symlink_to(root)
    folder = ClipFolder(tmp_path / "link")
    assert torch.equal(folder.read("прыжок 跳 é"), clip)
    (root / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(PredictionError, match=r"gone: no form of frames"):
        ClipFolder(root)


def test_a_root_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match=r"absent: there is no such folder; expected"):
        ClipFolder(tmp_path / "absent")
    (tmp_path / "file").write_text("x")
    with pytest.raises(PredictionError, match=r"file: it is a file; expected"):
        ClipFolder(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PredictionError, match=r"empty: no clip in it; expected"):
        ClipFolder(tmp_path / "empty")
    write_clip(tmp_path / "frames", clip_of(2))
    with pytest.raises(PredictionError, match=r"frames holds frames itself \(0001.png\); expected"):
        ClipFolder(tmp_path / "frames")


def test_what_is_not_certainly_a_clip_is_refused(tmp_path: Path) -> None:
    clip = clip_of(2)
    write_clip(tmp_path / "a", clip)
    save_npy(tmp_path / "a.npy", clip.numpy())
    with pytest.raises(PredictionError, match=r"clip 'a': .*a and .*a\.npy both hold it"):
        ClipFolder(tmp_path)
    (tmp_path / "a.npy").rename(tmp_path / "b.npz")
    with pytest.raises(PredictionError, match=r"b\.npz: no form of frames that is read here"):
        ClipFolder(tmp_path)


@pytest.mark.parametrize(
    ("extra", "held"),
    [
        (["0001.png", "v.mp4"], r"1 image\(s\) \('0001.png'\) and 1 array\(s\) or video\(s\)"),
        (["v.mp4", "w.avi"], r"2 array\(s\) or video\(s\) \('v.mp4', 'w.avi'\)"),
        (["v.mp4", "v.npy"], r"2 array\(s\) or video\(s\)"),
        (["0001.png", "more/"], r"1 image\(s\) .* and 1 folder\(s\) \('more'\)"),
        (["one/", "two/", "three/", "four/"], r"4 folder\(s\) \('four', 'one', 'three', \.\.\.\)"),
        ([], "holds no frame; expected"),
        (["notes.txt"], "holds no frame; expected"),
        (["0001.tif"], r"0001\.tif: no form of frames"),
    ],
)
def test_an_ambiguous_clip_is_refused_by_name(tmp_path: Path, extra: list[str], held: str) -> None:
    clip = tmp_path / "some clip"
    clip.mkdir()
    for name in extra:
        (clip / name).mkdir() if name.endswith("/") else (clip / name).write_bytes(b"x")
    folder = ClipFolder(tmp_path)
    with pytest.raises(PredictionError, match=rf"clip 'some clip': .*some clip.*{held}"):
        folder.read("some clip")


def test_a_clip_that_is_not_there_is_refused(tmp_path: Path) -> None:
    write_clip(tmp_path / "a", clip_of(1))
    with pytest.raises(PredictionError, match=r"clip 'b': .* has no such clip among its 1"):
        ClipFolder(tmp_path).read_pred("b", 1)


def test_finding_clips_opens_none(tmp_path: Path) -> None:
    for name in ("c.mp4", "a.npy", "d.GIF"):
        (tmp_path / name).write_bytes(b"not what it says")
    (tmp_path / "b.v2").mkdir()
    assert ClipFolder(tmp_path).clips == ["a", "b.v2", "c", "d"]


def roots(tmp_path: Path, pred: list[str], target: list[str]) -> tuple[ClipFolder, ClipFolder]:
    for side, names in (("pred", pred), ("target", target)):
        for name in names:
            (tmp_path / side / name).mkdir(parents=True)
    return ClipFolder(tmp_path / "pred"), ClipFolder(tmp_path / "target")


def test_clips_pair_by_name_whatever_their_form(tmp_path: Path) -> None:
    pred, target = roots(tmp_path, ["b", "a"], ["a", "b"])
    assert pair_clips(pred, target) == ["a", "b"]
    shutil.rmtree(tmp_path / "pred" / "a")
    (tmp_path / "pred" / "a.mp4").write_bytes(b"")
    assert pair_clips(ClipFolder(tmp_path / "pred"), target) == ["a", "b"]


@pytest.mark.parametrize(
    ("pred", "target", "said"),
    [
        (
            ["a"],
            list("abcdef"),
            r"pred has 1, .*target 6\. 5 only in .*target: 'b', 'c', 'd', \.\.\.",
        ),
        (["a", "b", "x"], ["a", "b"], r"pred has 3, .*target 2\. 1 only in .*pred: 'x'\. Expected"),
        (["a", "p"], ["a", "t"], r"1 only in .*pred: 'p'; 1 only in .*target: 't'\. Expected"),
        (["v_Yoyo"], ["v_YoYo"], r"'v_Yoyo' and 'v_YoYo' differ in case or accents' coding alone"),
        (
            [unicodedata.normalize("NFD", "é")],
            [unicodedata.normalize("NFC", "é")],
            r"differ in case or accents' coding alone\. Expected the same names",
        ),
    ],
)
def test_clips_that_do_not_match_are_named(
    tmp_path: Path, pred: list[str], target: list[str], said: str
) -> None:
    folders = roots(tmp_path, pred, target)
    with pytest.raises(PredictionError, match=said):
        pair_clips(*folders)


@pytest.mark.parametrize(
    "value_range", [(0.0, 0.0), (1.0, 0.0), (0.0, float("inf")), (float("nan"), 1.0)]
)
def test_a_range_must_ascend(tmp_path: Path, value_range: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"value_range is .*expected"):
        ClipFolder(tmp_path, value_range=value_range)


MOTION = torch.tensor([[0, 255, 128, 127]] * 5, dtype=torch.uint8).expand(2, 1, 5, 4)
MOVING = torch.tensor([[False, True, True, False]] * 5).expand(2, 1, 5, 4)


def test_masks_are_read_from_every_form(tmp_path: Path) -> None:
    write_clip(tmp_path / "grey", MOTION)
    write_clip(tmp_path / "rgb", MOTION.expand(-1, 3, -1, -1))
    save_npy(tmp_path / "bytes.npy", MOTION.numpy())
    save_npy(tmp_path / "ones.npy", MOVING[:, 0].numpy().astype(np.uint8))
    save_npy(tmp_path / "bool.npy", MOVING.permute(0, 2, 3, 1).numpy())
    for frame in (1, 2):
        (tmp_path / "bits").mkdir(exist_ok=True)
        Image.fromarray(MOVING[0, 0].numpy()).save(tmp_path / "bits" / f"{frame}.png")
    folder = ClipFolder(tmp_path)
    assert len(folder.clips) == 6
    for clip in folder.clips:
        mask = folder.read_mask(clip, 2, (5, 4))
        assert mask.dtype == torch.bool
        assert torch.equal(mask, MOVING), clip


def test_a_mask_survives_a_lossy_video(tmp_path: Path) -> None:
    mask = torch.zeros(3, 1, 32, 48, dtype=torch.uint8)
    for frame in range(3):
        mask[frame, :, 8:24, 8 + 8 * frame : 24 + 8 * frame] = 255
    write_video(tmp_path / "a.mp4", mask)
    read = ClipFolder(tmp_path).read_mask("a", 3, (32, 48))
    assert torch.equal(read, mask > 0)


def test_a_still_mask_is_a_mask(tmp_path: Path) -> None:
    write_clip(tmp_path / "a", MOTION * 0)
    assert not ClipFolder(tmp_path).read_mask("a", 2, (5, 4)).any()


def test_masks_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    write_clip(tmp_path / "a", MOTION)
    write_clip(tmp_path / "dark", MOVING.byte())
    red = torch.zeros(2, 3, 5, 4, dtype=torch.uint8)
    red[:, 0, 0] = 200
    write_clip(tmp_path / "red", red)
    save_npy(tmp_path / "float.npy", MOVING.numpy().astype(np.float32))
    folder = ClipFolder(tmp_path)
    with pytest.raises(PredictionError, match=r"clip 'a': .*mask is 4 x 5 .*frames are 5 x 4"):
        folder.read_mask("a", 2, (4, 5))
    with pytest.raises(PredictionError, match=r"clip 'a': .*2 frame\(s\); expected 3"):
        folder.read_mask("a", 3, (5, 4))
    with pytest.raises(PredictionError, match=r"clip 'dark': .*largest value of the mask is 1;"):
        folder.read_mask("dark", 2, (5, 4))
    with pytest.raises(PredictionError, match=r"clip 'red': .*has colors; expected gray"):
        folder.read_mask("red", 2, (5, 4))
    with pytest.raises(PredictionError, match=r"clip 'float': .*float32; expected a mask: bool"):
        folder.read_mask("float", 2, (5, 4))


def test_a_mask_is_no_clip(tmp_path: Path) -> None:
    save_npy(tmp_path / "bool.npy", MOVING.numpy())
    with pytest.raises(PredictionError, match=r"clip 'bool'.*bool; expected uint8"):
        ClipFolder(tmp_path).read("bool")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_flat_over_many_clips(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for index in range(300):
        if index % 3 == 0:
            save_npy(root / f"{index:03d}.npy", clip_of(2, height=64, width=64).numpy())
        elif index % 3 == 1:
            write_clip(root / f"{index:03d}", clip_of(2, height=64, width=64))
        else:
            (root / f"{index:03d}").symlink_to(root / f"{index - 1:03d}")
    folder = ClipFolder(root)
    for clip in folder.clips[:50]:
        folder.read_pred(clip, 2)
    before = resident_bytes()
    tracemalloc.start()
    try:
        for clip in folder.clips[50:]:
            folder.read_pred(clip, 2)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # 250 clips kept would be 6 MB as bytes, which Python counts, and 25 MB as floats, which only
    # the system sees. What stays are caches of the interpreter's and pages of the allocator's.
    assert kept < 1_000_000
    assert peak - kept < 8 * 2 * 3 * 64 * 64  # one clip at a time, with its copies
    assert resident_bytes() - before < 6_000_000


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_open_files_do_not_pile_up(tmp_path: Path) -> None:
    for index in range(30):
        save_npy(tmp_path / f"{index}.npy", clip_of(2).numpy())
    folder = ClipFolder(tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    kept = [folder.read(clip) for clip in folder.clips]
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert len(kept) == 30


def test_real_videos_are_clips(real_data: Path) -> None:
    folder = ClipFolder(real_data / "other" / "openstl_examples")
    for clip in folder.clips:
        context, target = folder.read_target(clip, 65, 10)
        assert context is not None
        assert (len(context), target.shape) == (65, (10, 3, 32, 32))
    with pytest.raises(PredictionError, match=r"clip 'Archery': .*or video\(s\) \('v_Archery"):
        ClipFolder(real_data / "ucf101" / "UCF-101").read("Archery")
