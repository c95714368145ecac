import hashlib
import os
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from vidpred.data import (
    MOTIONS,
    Motion,
    MovingShapesDataModule,
    UCF101DataModule,
    render_moving_shapes,
    write_moving_shapes,
)
from vidpred.data.catalog import SPLITS
from vidpred.errors import DataError


def warp_backward(frames: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """Sample each frame at x + flow, bilinearly; pixel centers are whole numbers."""
    height, width = frames.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    grid = torch.stack(
        [(x + flow[:, 0]) * 2 / (width - 1) - 1, (y + flow[:, 1]) * 2 / (height - 1) - 1], dim=-1
    )
    return F.grid_sample(frames, grid, align_corners=True, padding_mode="border")


def followed(flow: torch.Tensor) -> torch.Tensor:
    """Moving pixels whose content is neither hidden nor outside the next frame, (T - 1, H, W)."""
    height, width = flow.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x, y = x + flow[:, 0], y + flow[:, 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    # Things hide each other where the flow jumps: stay 3 pixels away from there.
    highest, lowest = F.max_pool2d(flow, 7, 1, 3), -F.max_pool2d(-flow, 7, 1, 3)
    return inside & ((highest - lowest).amax(dim=1) < 1) & (flow.norm(dim=1) > 0.3)


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("clip", [1, 2])
def test_flow_says_where_each_pixel_goes(motion: Motion, clip: int) -> None:
    frames, flow = render_moving_shapes(motion, num_frames=16, clip=clip)
    assert frames.shape == (16, 3, 96, 128)
    assert flow.shape == (15, 2, 96, 128)
    now, after = frames[:-1].float() / 255, frames[1:].float() / 255
    mask = followed(flow)
    assert mask.float().mean() > 0.05

    def difference(flow: torch.Tensor) -> torch.Tensor:
        return (warp_backward(after, flow) - now).abs().amax(dim=1)[mask]

    # Half of the pixels agree to 2.5 grey levels; what bilinear sampling makes of the textures'
    # edges, which are a pixel wide, keeps the mean at 0.026 or below (measured).
    assert difference(flow).median() < 0.01
    assert difference(flow).mean() < 0.03
    # Axes exchanged, turned round, or none.
    for wrong in (flow.flip(1), -flow, torch.zeros_like(flow)):
        assert difference(wrong).mean() > 3 * difference(flow).mean()


@pytest.mark.parametrize("motion", MOTIONS)
def test_motion_is_visible_and_moderate(motion: Motion) -> None:
    for group in (1, 2, 3):
        frames, flow = render_moving_shapes(motion, num_frames=12, group=group)
        speed = flow.norm(dim=1)
        assert speed.max() < 9
        assert (speed > 0.3).float().mean() > 0.05
        assert speed[speed > 0.3].mean() > 0.4
        change = frames.float().diff(dim=0).abs().amax(dim=1) / 255
        assert (change > 0.04).float().mean() > 0.05


def test_equal_arguments_give_equal_clips_and_groups_share_their_look() -> None:
    first, flow = render_moving_shapes("Bounce", num_frames=4)
    again, flow_again = render_moving_shapes("Bounce", num_frames=4)
    assert torch.equal(first, again)
    assert torch.equal(flow, flow_again)

    def corner_colors(group: int, clip: int, seed: int = 0) -> torch.Tensor:
        frames, _ = render_moving_shapes(
            "Bounce", num_frames=1, group=group, clip=clip, seed=seed, height=200, width=200
        )
        return frames.float().flatten(2).median(dim=2).values

    same = (corner_colors(1, 1) - corner_colors(1, 2)).abs().max()
    other = (corner_colors(1, 1) - corner_colors(2, 1)).abs().max()
    assert same < 15 < other
    assert not torch.equal(first, render_moving_shapes("Bounce", num_frames=4, clip=2)[0])
    assert not torch.equal(first, render_moving_shapes("Bounce", num_frames=4, seed=1)[0])


def test_a_longer_clip_begins_like_a_shorter_one() -> None:
    short, _ = render_moving_shapes("Zoom", num_frames=3)
    long, _ = render_moving_shapes("Zoom", num_frames=9)
    assert torch.equal(long[:3], short)


def test_any_size_and_a_single_frame() -> None:
    frames, flow = render_moving_shapes("Spin", num_frames=1, height=33, width=17)
    assert frames.shape == (1, 3, 33, 17)
    assert flow.shape == (0, 2, 33, 17)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="Bounce, Drift, Spin, Zoom"):
        render_moving_shapes("Fall")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 16 x 16"):
        render_moving_shapes("Spin", height=8)
    with pytest.raises(ValueError, match="num_frames"):
        render_moving_shapes("Spin", num_frames=0)
    with pytest.raises(ValueError, match="at least 3 groups"):
        write_moving_shapes("x", num_groups=2)


def digest(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_the_set_has_the_layout_of_ucf101(toy_root: Path) -> None:
    assert sorted(path.name for path in (toy_root / "UCF-101").iterdir()) == list(MOTIONS)
    lists = toy_root / "ucfTrainTestlist"
    assert (lists / "classInd.txt").read_bytes() == b"1 Bounce\r\n2 Drift\r\n3 Spin\r\n4 Zoom\r\n"
    assert (lists / "testlist01.txt").read_bytes().startswith(b"Bounce/v_Bounce_g01_c01.avi\r\n")
    assert (lists / "trainlist01.txt").read_bytes().startswith(b"Bounce/v_Bounce_g02_c01.avi 1\r\n")
    for split, group in ((1, "g01"), (2, "g02"), (3, "g03")):
        test = (lists / f"testlist0{split}.txt").read_text().split()
        train = (lists / f"trainlist0{split}.txt").read_text().split()[::2]
        assert {name.split("_")[2] for name in test} == {group}
        assert len(test) == 8
        assert len(set(test) | set(train)) == 24


def test_written_frames_are_the_rendered_ones(toy_root: Path) -> None:
    data = UCF101DataModule(toy_root, num_workers=0)
    data.setup("test")
    batch = next(iter(data.test_dataloader()))
    assert batch["video_id"] == ["Bounce/v_Bounce_g01_c01"]
    frames, _ = render_moving_shapes("Bounce", num_frames=12, height=48, width=64)
    error = (batch["frames"][0].float() - frames[:6].float()).square().mean().sqrt()
    assert error < 12  # coding noise, and color at half the resolution


def test_rendering_again_gives_the_same_files(tmp_path: Path) -> None:
    def write(name: str) -> Path:
        return write_moving_shapes(
            tmp_path / name, num_groups=3, clips_per_group=1, num_frames=3, height=32, width=32
        )

    assert digest(write("one")) == digest(write("two"))


def test_an_interrupted_rendering_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    root = tmp_path / "set"

    def stop(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    size = {"num_groups": 3, "clips_per_group": 1, "num_frames": 3, "height": 32, "width": 32}
    with pytest.raises(KeyboardInterrupt):
        write_moving_shapes(root, **size, progress=stop)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
    calls = []
    write_moving_shapes(root, **size, progress=lambda *call: calls.append(call))  # type: ignore[arg-type]
    assert calls == [(done, 12) for done in range(1, 13)]
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_two_processes_render_the_same_set_at_once(tmp_path: Path) -> None:
    root = tmp_path / "shapes"
    size = {"num_groups": 3, "clips_per_group": 1, "num_frames": 3, "height": 32, "width": 32}
    statuses = []

    def let_another_one_render(done: int, _: int) -> None:
        if done != 2:
            return
        if (child := os.fork()) == 0:
            status = 1  # no pytest in here: the child leaves by _exit
            try:
                write_moving_shapes(root, **size)  # type: ignore[arg-type]
                status = 0
            finally:
                os._exit(status)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    write_moving_shapes(root, **size, progress=let_another_one_render)  # type: ignore[arg-type]
    assert statuses == [0]
    assert list(tmp_path.iterdir()) == [root]
    assert len(list(root.rglob("*.avi"))) == 12


def test_only_our_own_set_is_ever_replaced(tmp_path: Path) -> None:
    root = tmp_path / "set"
    root.mkdir()
    (root / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(DataError, match="something else at this place"):
            write_moving_shapes(root, overwrite=overwrite)
    assert (root / "thesis.txt").read_text() == "years of work"
    (root / "thesis.txt").unlink()

    def write(num_frames: int, *, overwrite: bool = False) -> None:
        write_moving_shapes(
            root,
            num_groups=3,
            clips_per_group=1,
            num_frames=num_frames,
            height=32,
            width=32,
            overwrite=overwrite,
        )

    write(3)
    before = digest(root)
    write(3, overwrite=True)
    assert digest(root) == before
    with pytest.raises(DataError, match="--overwrite"):
        write(4)
    assert digest(root) == before
    write(4, overwrite=True)
    assert digest(root) != before


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match="cannot be written"):
        write_moving_shapes(tmp_path / "file" / "set", num_groups=3)


def test_the_data_module_renders_once_and_then_is_ucf101(tmp_path: Path) -> None:
    data = MovingShapesDataModule(
        tmp_path / "set",
        num_groups=3,
        clips_per_group=1,
        num_frames=6,
        height=40,
        width=48,
        samples_per_epoch=16,
        num_workers=0,
    )
    data.prepare_data()
    written = digest(tmp_path / "set")
    data.prepare_data()
    assert digest(tmp_path / "set") == written
    data.setup("fit")
    data.setup("test")
    groups = {split: {v.group for v in data.listings[split].videos} for split in SPLITS}
    assert [len(groups[split]) for split in SPLITS] == [4, 4, 4]
    assert next(iter(data.train_dataloader()))["frames"].shape == (8, 5, 3, 32, 32)
    assert next(iter(data.val_dataloader()))["frames"].shape == (1, 6, 3, 40, 48)
