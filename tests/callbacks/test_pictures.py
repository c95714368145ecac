"""`Pictures` in a real trainer: which clips, which files, and that it never stops a run."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader

from vidpred.batch import Evaluation
from vidpred.callbacks import Pictures
from vidpred.callbacks.pictures import clips_of_batch
from vidpred.video import read_clip
from vidpred.viz import strip

# Workers would cost more than they bring for a dozen tiny clips.
pytestmark = pytest.mark.filterwarnings("ignore:The '.*' does not have many workers")


class CopyLast(LightningModule):
    """Learns nothing, predicts two copies of the last of three frames."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))
        self.batches_seen = 0

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.batches_seen += 1
        return self.nothing * batch.mean()

    def validation_step(self, batch: Tensor, batch_idx: int) -> Evaluation:
        context, target = batch[:, :3], batch[:, 3:]
        return {"context": context, "target": target, "pred": context[:, -1:].expand_as(target)}

    def test_step(self, batch: Tensor, batch_idx: int) -> Evaluation:
        return self.validation_step(batch, batch_idx)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def clips(count: int) -> Tensor:
    """Each clip is flat, of a grey of its own."""
    return torch.linspace(0.1, 0.9, count).view(-1, 1, 1, 1, 1).expand(-1, 5, 3, 16, 16).clone()


def loader(count: int) -> Any:
    return DataLoader(clips(count), batch_size=2)  # type: ignore[arg-type]


def make_trainer(folder: Path, pictures: Pictures, **options: Any) -> Trainer:
    return Trainer(
        accelerator="cpu",
        callbacks=[pictures],
        logger=CSVLogger(folder, name="", version=""),
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        log_every_n_steps=1,
        **options,
    )


def test_writes_strips_and_videos_of_clips_spread_over_the_test(tmp_path: Path) -> None:
    model = CopyLast()
    model.batches_seen = 120
    make_trainer(tmp_path, Pictures(num_clips=3)).test(model, loader(12), verbose=False)
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    stems = [f"test_0000120_{k}" for k in range(3)]
    assert names == sorted(f"{stem}.{kind}" for stem in stems for kind in ("png", "mp4"))
    for stem, index in zip(stems, (0, 4, 8), strict=True):  # first of batches 0, 2 and 4 of 6
        clip = clips(12)[index]
        expected = strip(clip[:3], clip[3:], clip[3:])
        with Image.open(tmp_path / "pictures" / f"{stem}.png") as picture:
            assert picture.tobytes() == expected.permute(1, 2, 0).numpy().tobytes()
    video = read_clip(tmp_path / "pictures" / "test_0000120_0.mp4", 0, 5)
    assert len(video) == 5


def test_shows_every_nth_validation_but_never_the_sanity_check(tmp_path: Path) -> None:
    pictures = Pictures(num_clips=1, every_n_validations=2)
    trainer = make_trainer(tmp_path, pictures, max_epochs=3, num_sanity_val_steps=1)
    trainer.fit(CopyLast(), loader(4), loader(2))
    names = sorted(path.name for path in (tmp_path / "pictures").glob("*.png"))
    # Two batches an epoch; validations 1 and 3 of 3.
    assert names == ["val_0000002_0.png", "val_0000006_0.png"]
    again = Pictures(num_clips=1, every_n_validations=2)
    again.load_state_dict(pictures.state_dict())
    assert again.state_dict() == {"validations": 3}


# Lightning's remark on the file that stands in the way.
@pytest.mark.filterwarnings("ignore:Experiment logs directory")
def test_a_folder_that_cannot_be_written_is_said_once_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "pictures").write_text("a file where the folder should be")
    trainer = make_trainer(tmp_path, Pictures(), max_epochs=3, num_sanity_val_steps=0)
    with pytest.warns(UserWarning, match="pictures cannot") as warned:
        trainer.fit(CopyLast(), loader(4), loader(2))
    messages = [str(w.message) for w in warned if "pictures cannot be written" in str(w.message)]
    assert len(messages) == 1
    assert trainer.current_epoch == 3


def test_a_trial_run_leaves_no_files(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, Pictures(), fast_dev_run=True, default_root_dir=tmp_path)
    trainer.fit(CopyLast(), loader(4), loader(2))
    assert list(tmp_path.rglob("*.png")) == []


@pytest.mark.parametrize(
    ("num_batches", "batch_size", "num_clips", "shown"),
    [
        (8, 2, 4, [0, 4, 8, 12]),  # one of every second batch
        (2, 8, 4, [0, 4, 8, 12]),  # two of each batch, a half apart
        (1, 2, 4, [0, 1]),  # fewer clips than wanted
        (3, 4, 4, [0, 2, 4, 8]),
    ],
)
def test_clips_are_spread_evenly(
    num_batches: int, batch_size: int, num_clips: int, shown: list[int]
) -> None:
    chosen = [
        batch * batch_size + index
        for batch in range(num_batches)
        for index in clips_of_batch(batch, num_batches, batch_size, num_clips)
    ]
    assert chosen == shown


def test_an_endless_loader_shows_its_first_clips() -> None:
    chosen = [clips_of_batch(batch, float("inf"), 2, 3) for batch in range(5)]
    assert chosen == [[0], [0], [0], [], []]


def test_refuses_numbers_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="num_clips is 0"):
        Pictures(num_clips=0)
    with pytest.raises(ValueError, match="every_n_validations is -1"):
        Pictures(every_n_validations=-1)
    with pytest.raises(ValueError, match="fps is 0"):
        Pictures(fps=0)
