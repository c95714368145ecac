"""The W&B logger without account and network, read back from the file that W&B wrote."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import wandb
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader
from wandb_file import find_run, read_run
from wandb_server import WandbServer

from vidpred.batch import Evaluation
from vidpred.callbacks import FrameQuality, Pictures
from vidpred.loggers import ResilientWandbLogger

pytestmark = [
    # Workers would cost more than they bring for a dozen tiny clips.
    pytest.mark.filterwarnings("ignore:The '.*' does not have many workers"),
]


@pytest.fixture(autouse=True)
def _nobody_is_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        if name != "WANDB_SERVICE":  # how this process finds the W&B service that it started
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


class Tiny(LightningModule):
    """Predicts the last frame times a learned factor."""

    def __init__(self, rate: float = 0.1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.factor = nn.Parameter(torch.tensor(0.9))
        self.batches_seen = 0

    def validation_step(self, batch: Tensor, batch_idx: int) -> Evaluation:
        context, target = batch[:, :3], batch[:, 3:]
        pred = (context[:, -1:] * self.factor).clamp(0, 1).expand_as(target)
        return {"context": context, "target": target, "pred": pred}

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        evaluation = self.validation_step(batch, batch_idx)
        loss = (evaluation["pred"] - evaluation["target"]).square().mean()
        self.batches_seen += 10
        self.log_dict({"step": float(self.batches_seen), "train/loss": loss})
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def loader() -> Any:
    frames = torch.rand(4, 5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return DataLoader(frames, batch_size=2)  # type: ignore[arg-type]


def fit(folder: Path, logger: ResilientWandbLogger, **options: Any) -> Trainer:
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=2,
        callbacks=[
            FrameQuality(),
            Pictures(num_clips=2),
            ModelCheckpoint(folder / "checkpoints", monitor="val/psnr", mode="max"),
        ],
        logger=[CSVLogger(folder / "csv", name="", version=""), logger],
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        **options,
    )
    trainer.fit(Tiny(), loader(), loader())
    return trainer


def test_an_offline_run_holds_everything(tmp_path: Path) -> None:
    run_folder = tmp_path / "run"
    logger = ResilientWandbLogger(run_folder, name="first", tags=["test"], detail="all")
    fit(run_folder, logger)
    logger.finish()

    run = find_run(run_folder)
    assert run.project == "vidpred"
    assert run.config["rate"] == 0.1
    # Our own counter is the axis of every chart, although Lightning's stands at a tenth of it.
    assert run.metrics["*"] == "trainer/global_step"
    assert [step for step, _ in run.series("train/loss")] == [10, 20, 30, 40]
    assert [step for step, _ in run.series("val/psnr_moving_copy_last_t+02")] == [20, 40]
    # Two clips a validation, a strip and a video each.
    for k in range(2):
        assert len(run.series(f"val/strip_{k}/_type")) == 2
    for k in range(2):
        videos = [row for row in run.history if row.get(f"val/video_{k}/_type") == "video-file"]
        assert [row["trainer/global_step"] for row in videos] == [20, 40]
        for row in videos:
            path = row[f"val/video_{k}/path"]
            assert path.endswith(".mp4")
            assert path in run.files
            (stored,) = run_folder.rglob(Path(path).name)
            shown = (
                run_folder / "csv" / "pictures" / f"val_{row['trainer/global_step']:07d}_{k}.mp4"
            )
            assert stored.read_bytes() == shown.read_bytes()
    (artifact,) = run.artifacts
    assert artifact["type"] == "model"
    assert artifact["name"].startswith("model-")
    assert sorted(artifact["aliases"]) == ["best", "latest"]
    assert artifact["files"] == ["model.ckpt"]
    assert artifact["metadata"]["monitor"] == "val/psnr"


def test_the_best_checkpoint_is_logged_once_and_again_when_it_is_better(tmp_path: Path) -> None:
    logger = ResilientWandbLogger(tmp_path)
    trainer = fit(tmp_path, logger)
    logger.finalize("success")  # as a test after the fit does
    checkpoint = trainer.checkpoint_callback
    assert isinstance(checkpoint, ModelCheckpoint)
    other = tmp_path / "better.ckpt"
    trainer.save_checkpoint(other)
    checkpoint.best_model_path = str(other)
    logger.after_save_checkpoint(checkpoint)
    logger.finalize("failed")  # an interrupted run keeps its best too
    logger.finish()
    names = [artifact["metadata"]["original_filename"] for artifact in find_run(tmp_path).artifacts]
    assert len(names) == 2
    assert names[1] == "better.ckpt"


def test_steps_may_go_back(tmp_path: Path) -> None:
    # A resumed run repeats batches; W&B's own counter would drop what comes late.
    logger = ResilientWandbLogger(tmp_path)
    for step in (5, 7, 3):
        logger.log_metrics({"loss": step / 10}, step=step)
    logger.finish()
    assert find_run(tmp_path).series("loss") == [(5, 0.5), (7, 0.7), (3, 0.3)]


def test_two_loggers_have_two_runs_and_a_run_of_the_user_is_used(tmp_path: Path) -> None:
    loggers = [ResilientWandbLogger(tmp_path / name) for name in ("a", "b")]
    for logger in loggers:
        logger.log_metrics({"loss": 1.0}, step=1)
    assert loggers[0].experiment.id != loggers[1].experiment.id
    for logger in loggers:
        logger.finish()
    for name in ("a", "b"):
        assert len(find_run(tmp_path / name).series("loss")) == 1

    silent = wandb.Settings(silent=True, console="off")
    own = wandb.init(mode="offline", dir=tmp_path, settings=silent)
    logger = ResilientWandbLogger(tmp_path / "c")
    logger.log_metrics({"loss": 2.0}, step=1)
    assert logger.experiment is own
    own.finish()
    assert not (tmp_path / "c").exists()


def test_a_failing_wandb_is_said_once_and_stops_nothing(tmp_path: Path) -> None:
    logger = ResilientWandbLogger(tmp_path)
    logger.experiment.finish()  # from here on, W&B raises at every call
    with pytest.warns(UserWarning, match="Weights & Biases failed") as warned:
        trainer = fit(tmp_path, logger)
    messages = [str(w.message) for w in warned if "Weights & Biases failed" in str(w.message)]
    assert len(messages) == 1
    assert "other loggers are not affected" in messages[0]
    assert trainer.current_epoch == 2
    assert "val/psnr" in (tmp_path / "csv" / "metrics.csv").read_text()


def test_a_run_that_cannot_start_stops_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    logger = ResilientWandbLogger(blocked / "run")
    with pytest.warns(
        UserWarning, match="Weights & Biases failed at the start of the run"
    ) as warned:
        trainer = fit(tmp_path, logger)
    assert len([w for w in warned if "Weights & Biases failed" in str(w.message)]) == 1
    assert trainer.current_epoch == 2


@pytest.mark.parametrize("mode", ["disabled", "offline", "dryrun"])
def test_the_environment_chooses_the_mode(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    logger = ResilientWandbLogger(tmp_path)
    logger.log_metrics({"loss": 1.0}, step=1)
    logger.finish()
    assert len(list(tmp_path.rglob("*.wandb"))) == (0 if mode == "disabled" else 1)


def test_online_without_a_key_is_offline_and_asks_nothing(tmp_path: Path) -> None:
    logger = ResilientWandbLogger(tmp_path, mode="online")
    with pytest.warns(UserWarning, match="no API key found; run `wandb login`"):
        logger.log_metrics({"loss": 1.0}, step=1)
    logger.finish()
    assert find_run(tmp_path).series("loss") == [(1, 1.0)]


@pytest.mark.slow
def test_no_network_means_an_offline_run(tmp_path: Path) -> None:
    # In a program of its own, because W&B keeps the server's address for the whole process.
    script = (
        "import sys, warnings\n"
        "from vidpred.loggers import ResilientWandbLogger\n"
        "logger = ResilientWandbLogger(sys.argv[1], init_timeout=2)\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    logger.log_metrics({'loss': 1.0}, step=3)\n"
        "print([str(w.message) for w in caught if 'so it is offline' in str(w.message)])\n"
    )
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1:9 login user password {'0' * 40}\n")
    environment = {
        **os.environ,
        "NETRC": str(tmp_path / "netrc"),  # where `wandb login` leaves the key
        "WANDB_BASE_URL": "http://127.0.0.1:9",  # nobody listens on the discard port
    }
    environment.pop("WANDB_SERVICE", None)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "Weights & Biases failed at the start of an online run" in done.stdout
    # Nobody called finish: W&B writes the rest when the program ends.
    # The attempt to go online left a folder too, without "offline" in its name.
    (offline,) = tmp_path.rglob("offline-run-*")
    assert find_run(offline).series("loss") == [(3, 1.0)]


def test_an_offline_run_goes_on_under_its_name(tmp_path: Path) -> None:
    first = ResilientWandbLogger(tmp_path)
    first.log_metrics({"loss": 1.0}, step=1)
    state = first.state_dict()
    first.finish()
    again = ResilientWandbLogger(tmp_path, run_id=state["run_id"])
    again.load_state_dict(state)  # a kill may have come before the first part was written
    again.log_metrics({"loss": 0.5}, step=2)
    assert again.state_dict()["run_id"] == state["run_id"]
    again.finish()
    # `wandb sync` joins the files of one name.
    parts = sorted(tmp_path.glob("wandb/offline-run-*"))
    # Two that begin within a second are told apart by a number at the end.
    assert all(f"-{state['run_id']}" in path.name for path in parts)
    assert [find_run(part).series("loss") for part in parts] == [
        [(1, 1.0)],
        [(1, 1.0), (2, 0.5)],
    ]


ONLINE = """
import sys
from vidpred.loggers import ResilientWandbLogger
folder, run_id = sys.argv[1:]
logger = ResilientWandbLogger(folder, run_id=run_id or None, finish_timeout=2)
for step in range(4):
    logger.log_metrics({"loss": 1.0}, step=step)
print(logger.state_dict()["run_id"], flush=True)
sys.stdin.readline()
for step in range(4, 8):
    logger.log_metrics({"loss": 1.0}, step=step)
logger.finalize("success")
logger.finish()
print("done", flush=True)
"""


def online(server: WandbServer, folder: Path, run_id: str = "") -> "subprocess.Popen[str]":
    environment = {
        **{name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"},
        **{"WANDB_BASE_URL": server.url, "WANDB_API_KEY": "0" * 40},
    }
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    arguments = [sys.executable, "-c", ONLINE, str(folder), run_id]
    return subprocess.Popen(arguments, **pipes, env=environment, text=True)


@pytest.mark.slow
def test_a_server_that_is_lost_holds_nothing_up(tmp_path: Path) -> None:
    server = WandbServer()
    process = online(server, tmp_path)
    assert process.stdout
    name = process.stdout.readline().strip()
    deadline = time.monotonic() + 60
    while not server.rows and time.monotonic() < deadline:
        time.sleep(0.1)
    assert server.runs[0] == name
    assert server.rows[0]["loss"] == 1.0
    server.shutdown()
    server.server_close()
    told, warned = process.communicate("\n", timeout=90)
    assert process.returncode == 0, warned
    assert "done" in told
    (folder,) = tmp_path.glob("wandb/run-*")
    assert f"wandb sync {folder}" in warned
    (file,) = folder.glob("*.wandb")
    assert [step for step, _ in read_run(file).series("loss")] == list(range(8))


@pytest.mark.slow
def test_an_online_run_goes_on_under_its_name(tmp_path: Path) -> None:
    server = WandbServer()
    names = []
    for _ in range(2):
        process = online(server, tmp_path, *names)
        told, warned = process.communicate("\n", timeout=90)
        assert process.returncode == 0, warned
        names = [told.split()[0]]
    assert set(server.runs) == set(names)
    assert len([row for row in server.rows if "loss" in row]) == 16
    server.shutdown()
    server.server_close()
