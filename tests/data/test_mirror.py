import pytest
import torch

from vidpred.data.mirror import mirrored


def test_whole_clips_are_mirrored_or_none_of_their_frames() -> None:
    frames = torch.randint(0, 256, (64, 5, 3, 4, 6), dtype=torch.uint8)
    torch.manual_seed(0)
    found = mirrored(frames, 0.25)
    assert found.dtype == torch.uint8
    flipped = [torch.equal(a, b.flip(-1)) for a, b in zip(found, frames, strict=True)]
    kept = [torch.equal(a, b) for a, b in zip(found, frames, strict=True)]
    assert all(a != b for a, b in zip(flipped, kept, strict=True))
    assert 6 <= sum(flipped) <= 26  # 16 of 64 on average; one run in a thousand lies outside
    assert torch.equal(mirrored(frames, 0.0), frames)
    assert torch.equal(mirrored(frames, 1.0), frames.flip(-1))


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_training_sees_mirrored_clips_and_validation_does_not(
    probability: float, toy_root: object
) -> None:
    import pytorch_lightning as pl

    from vidpred.data import UCF101DataModule

    class Seen(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))
            self.frames: dict[str, torch.Tensor] = {}

        def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
            self.frames["train"] = batch["frames"]
            return self.weight * 0

        def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
            self.frames["val"] = batch["frames"]

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0)

    def seen(probability: float) -> dict[str, torch.Tensor]:
        data = UCF101DataModule(
            root=str(toy_root),
            batch_size=4,
            num_workers=0,
            seed=1,
            max_val_videos=1,
            flip_probability=probability,
        )
        task = Seen()
        trainer = pl.Trainer(
            accelerator="cpu",
            max_steps=1,
            limit_train_batches=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(task, datamodule=data)
        return task.frames

    plain, found = seen(0.0), seen(probability)
    expected = plain["train"].flip(-1) if probability else plain["train"]
    assert torch.equal(found["train"], expected)
    assert torch.equal(found["val"], plain["val"])
