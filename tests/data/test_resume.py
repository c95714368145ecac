from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from worlds import small_networks, trainer

from vidpred.batch import ClipBatch
from vidpred.data import UCF101DataModule
from vidpred.tasks import ReconstructionTask


class Recorder(pl.Callback):
    """Notes the draws of each batch, and breaks the run off in the middle of one."""

    def __init__(self, broken_off_at: int | None = None) -> None:
        self.draws: list[tuple[Any, ...]] = []
        self.broken_off_at = broken_off_at

    def on_before_zero_grad(self, *_: Any) -> None:
        if self.broken_off_at == len(self.draws):
            raise RuntimeError("the power is cut")

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: ClipBatch,
        batch_idx: int,
    ) -> None:
        self.draws.append((*batch["video_id"], *batch["start"].tolist()))

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        trainer.save_checkpoint(Path(trainer.default_root_dir) / "cut.ckpt", weights_only=False)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("broken_off_at", [2, 5, 6, 8])
def test_samples_go_on_where_they_were(
    broken_off_at: int, workers: int, tmp_path: Path, toy_root: Path
) -> None:
    def fit(recorder: Recorder, epochs: int = 2, **options: Any) -> list[tuple[Any, ...]]:
        data = UCF101DataModule(
            *(toy_root,),
            batch_size=4,
            samples_per_epoch=24,
            mixed_videos=8,
            clips_per_video=2,
            patches_per_clip=1,  # blocks of 4 batches, of which an epoch of 6 takes one and a half
            num_workers=workers,
            seed=3,
        )
        torch.manual_seed(0)
        task = ReconstructionTask(small_networks()[0])
        engine = trainer(
            max_epochs=epochs, callbacks=[recorder], default_root_dir=tmp_path, limit_val_batches=0
        )
        engine.fit(task, datamodule=data, **options)
        return recorder.draws

    whole = fit(Recorder())
    assert len(set(whole)) == 12
    cut = Recorder(broken_off_at)
    with pytest.raises(RuntimeError, match="the power is cut"):
        fit(cut)
    rest = fit(Recorder(), ckpt_path=tmp_path / "cut.ckpt")
    assert cut.draws + rest == whole


def test_a_resumed_epoch_alone_is_shorter(toy_root: Path) -> None:
    data = UCF101DataModule(
        toy_root, batch_size=4, samples_per_epoch=24, patch_size=16, num_workers=0
    )
    data.setup("fit")
    data.load_state_dict({"batches_done": 2, "left_out": {}})
    # A second loader is that of a later epoch (reload_dataloaders_every_n_epochs), or of a new run.
    assert [len(list(data.train_dataloader())) for _ in range(2)] == [4, 6]
