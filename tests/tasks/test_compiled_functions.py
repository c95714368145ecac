"""`Speed(compile=...)`: each task computes by what is compiled, or refuses it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from worlds import loader, moving_squares, small_networks, trainer

from vidpred.errors import SettingError
from vidpred.models import DMVFN, ConvLSTM, EDMPredictor, MixtureGenerator, PredRNN
from vidpred.tasks import (
    DeepSupervisionTask,
    DiffusionTask,
    LikelihoodTask,
    PredictionTask,
    ReconstructionTask,
    RecurrentTask,
    Speed,
)
from vidpred.tasks.speed import CompiledFunctions, CompileMode

COMPILED: dict[str, Callable[[], PredictionTask]] = {
    "reconstruction": lambda: ReconstructionTask(ConvLSTM((4,), context_frames=2)),
    "scales": lambda: ReconstructionTask(small_networks()[0]),
    "recurrent": lambda: RecurrentTask(
        PredRNN(4, layers=1, context_frames=2, decoupling=True), horizon=2
    ),
    "diffusion": lambda: DiffusionTask(EDMPredictor((4,), blocks=1, features=4, attention=False)),
    "likelihood": lambda: LikelihoodTask(MixtureGenerator.from_preset("small", components=2)),
}


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_every_task_that_compiles_computes_by_it(
    name: str, mode: CompileMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def compiles(function: Callable[..., Any], **_: Any) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            calls.append(function.__name__)
            return function(*arguments, **options)

        return called

    monkeypatch.setattr(torch, "compile", compiles)
    task = COMPILED[name]()
    length = task.predictor.context_frames + task.training_horizon
    batch: Any = {"frames": torch.randint(256, (2, length, 3, 16, 16), dtype=torch.uint8)}
    losses = []
    for speed in ("off", mode):
        task._compiled = CompiledFunctions(speed)
        torch.manual_seed(0)
        losses.append(task.objective(batch).loss)
        assert bool(calls) == (speed != "off")
    assert losses[0] == losses[1]


def test_tasks_that_compile_nothing_refuse_it() -> None:
    task = DeepSupervisionTask(DMVFN((8, 4), (2, 1)), speed=Speed(compile="default"))
    with pytest.raises(SettingError, match="compile is default; expected off: DeepSuperv"):
        trainer().fit(task, loader(moving_squares(2), 2))
