"""The networks of `examples/`: trained, scored and used as their docstrings say, somewhere else."""

import ast
import importlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import vidpred
from vidpred.cli.main import main
from vidpred.data.moving_shapes import write_moving_shapes
from vidpred.errors import TrainingDivergedError
from vidpred.kernels import accelerate
from vidpred.tasks import LikelihoodTask, PredictionTask, ReconstructionTask, VariationalTask

EXAMPLES = Path(__file__).parents[2] / "examples"
NETWORKS = ("simvp", "convlstm", "vae", "pixelcnn")


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder outside the checkout with copies of the examples and a world of 16 x 16."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for path in EXAMPLES.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    write_moving_shapes(
        folder / "toy", num_groups=3, clips_per_group=1, num_frames=12, height=16, width=16
    )
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in NETWORKS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return folder


def fit(name: str, *more: str) -> None:
    options = {
        "data.root": "toy",
        "run_dir": "run",
        "data.samples_per_epoch": "16",
        "data.batch_size": "4",
        "data.mixed_videos": "1",
        "data.max_val_videos": "2",
        "data.num_workers": "0",
        "trainer.max_epochs": "1",
        "trainer.log_every_n_steps": "1",
        "trainer.enable_progress_bar": "false",
        "wandb.enabled": "false",
    }
    given = [word for key, value in options.items() for word in (f"--{key}", value)]
    assert main(["fit", "-c", f"{name}.yaml", *given, *more]) == 0


def use(name: str, *protocol: str) -> None:
    checkpoint = "run/checkpoints/last.ckpt"
    module = ["--module", name]
    assert main(["test", checkpoint, *module, "--root", "toy", *protocol]) == 0
    (video, *_) = sorted(Path("toy/UCF-101").glob("*/*.avi"))
    predict = ["predict", str(video), "--model", checkpoint, *module, "--horizon", "2"]
    assert main([*predict, "--output", "future.npy"]) == 0
    assert Path("future.npy").stat().st_size > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.parametrize("name", NETWORKS)
def test_an_example_is_trained_scored_and_used(name: str, elsewhere: Path) -> None:
    if name == "pixelcnn":
        fit(name)
        use(name, "--protocol", "pixelcnn_protocol.yaml")
    else:
        fit(name, "--data.patch_size", "16")
        use(name, "--protocol", "quick")
    loaded = vidpred.load("run/checkpoints/last.ckpt", modules=[sys.modules[name]])
    channels = loaded.channels or 3
    context = torch.rand(1, 4, channels, 8, 8)
    assert loaded(context, 2).shape == (1, 2, channels, 8, 8)
    one, two = (
        loaded.sample(context, 1, num_samples=2, generator=torch.Generator().manual_seed(0))
        for _ in range(2)
    )
    assert torch.equal(one, two)
    assert torch.equal(one[0], one[1]) != loaded.stochastic


def test_pixels_are_drawn_from_the_distribution_that_is_trained(elsewhere: Path) -> None:
    """Drawing keeps features of the pixels before; `log_prob` computes all pixels in one pass."""
    sys.path.insert(0, str(elsewhere))
    network = importlib.import_module("pixelcnn").PixelCNN(width=8, layers=2)
    accelerate(network)  # which must not convolve by the masked weights as well
    frames = torch.randint(0, 256, (2, 5, 1, 6, 7)) / 255
    levels = iter((frames[:, 4] * 255).flatten(1).T[..., None])  # by row, then column
    found = torch.zeros(2)

    def choose(probabilities: torch.Tensor) -> torch.Tensor:
        level = next(levels)
        found.add_(probabilities.gather(1, level.round().long())[:, 0].log())
        return level

    assert torch.allclose(network.paint(frames[:, :4], choose), frames[:, 4:], atol=1e-6)
    expected = network.log_prob(frames[:, :4], frames[:, 4:])[:, 0]
    assert torch.allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_an_example_is_short_and_written_against_public_names(name: str) -> None:
    text = (EXAMPLES / f"{name}.py").read_text()
    assert len(text.splitlines()) < 150
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("vidpred"):
            assert str(node.module).count(".") <= 1, node.module
            assert not any(alias.name.startswith("_") for alias in node.names)
    described = ast.get_docstring(tree) or ""
    for command in ("vidpred fit", "vidpred test", "vidpred predict"):
        assert command in described


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_that_diverged_is_found_by_its_task(name: str, elsewhere: Path) -> None:
    """What is not finite passes through the network: none of it is an error of its own."""
    sys.path.insert(0, str(elsewhere))
    module = importlib.import_module(name)
    tasks: dict[str, Callable[[], PredictionTask]] = {
        "simvp": lambda: ReconstructionTask(module.SimVP()),
        "convlstm": lambda: module.TeacherForcing(module.ConvLSTM()),
        "vae": lambda: VariationalTask(module.VAE()),
        "pixelcnn": lambda: LikelihoodTask(module.PixelCNN()),
    }
    task = tasks[name]()
    for parameter in task.predictor.parameters():
        parameter.data.fill_(torch.nan)
    task.batches_seen = 1
    length, channels = 4 + task.training_horizon, task.predictor.channels or 3
    batch: Any = {"frames": torch.zeros(1, length, channels, 8, 8, dtype=torch.uint8)}
    assert not task.objective(batch).loss.isfinite()
    with pytest.raises(TrainingDivergedError, match="prediction"):
        PredictionTask.evaluate(task, batch, "val")
    context = torch.zeros(1, 4, channels, 8, 8)
    assert task.predictor.sample(context, 1).isnan().all()
