from pathlib import Path

import pytest
import torch

from vidpred.batch import ClipBatch
from vidpred.data import MovingShapesDataModule
from vidpred.data.device_copies import copied_ahead
from vidpred.prefetch import one_ahead


def test_work_on_the_next_begins_before_an_item_is_handed_over() -> None:
    said: list[str] = []

    def begin(item: int) -> int:
        said.append(f"begin {item}")
        return item

    def finish(item: int) -> int:
        said.append(f"finish {item}")
        return item

    got = []
    for item in one_ahead(range(3), begin, finish):
        said.append(f"use {item}")
        got.append(item)
    assert got == [0, 1, 2]
    assert said[:4] == ["begin 0", "begin 1", "finish 0", "use 0"]
    assert said[4:] == ["begin 2", "finish 1", "use 1", "finish 2", "use 2"]
    assert list(one_ahead([], begin, finish)) == []


def shapes(root: Path, **options: object) -> MovingShapesDataModule:
    module = MovingShapesDataModule(
        root=str(root),
        batch_size=4,
        samples_per_epoch=24,
        num_workers=0,
        seed=3,
        num_groups=3,
        clips_per_group=1,
        num_frames=8,
        height=48,
        width=64,
        **options,  # type: ignore[arg-type]
    )
    module.prepare_data()
    module.setup("fit")
    return module


def test_order_and_content_are_those_of_the_loader(tmp_path: Path) -> None:
    plain = list(shapes(tmp_path / "toy").train_dataloader())
    loader = shapes(tmp_path / "toy").train_dataloader()
    ahead = list(one_ahead(loader, lambda batch: {**batch}, lambda begun: begun))
    assert len(plain) == len(ahead) == 6
    for batch, expected in zip(ahead, plain, strict=True):
        assert torch.equal(batch["frames"], expected["frames"])
        assert batch["video_id"] == expected["video_id"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batches_are_copied_to_the_gpu_unchanged(tmp_path: Path) -> None:
    plain: list[ClipBatch] = list(shapes(tmp_path / "toy").train_dataloader())
    device = torch.device("cuda")
    copied = copied_ahead(shapes(tmp_path / "toy").train_dataloader(), device)
    for batch, expected in zip(copied, plain, strict=True):
        assert batch["frames"].device.type == "cuda"
        assert batch["frames"].dtype == torch.uint8
        assert torch.equal(batch["frames"].cpu(), expected["frames"])
