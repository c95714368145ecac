"""Training of recurrent networks: what they read, what is minimized, what is refused."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging
from torch import Tensor
from torch.optim import Adam
from worlds import loader, moving_squares, trainer

from vidpred.diagnostics.certificate import GradientCertificate
from vidpred.diagnostics.health import TrainingHealth
from vidpred.errors import NetworkError, SettingError
from vidpred.losses import LpLoss
from vidpred.models import ConvLSTM, CopyLastFrame, PhyDNet, PredRNN, RecurrentPredictor
from vidpred.tasks import (
    FrameSampling,
    ReconstructionTask,
    RecurrentTask,
    ReverseScheduledSampling,
    ScheduledSampling,
    TeacherForcing,
)


class Doubling(RecurrentPredictor):
    """Predicts twice what it read: what was read shows in what is predicted."""

    def __init__(self) -> None:
        super().__init__(context_frames=2)
        self.factor = torch.nn.Parameter(torch.tensor(2.0))

    def read(self, frame: Tensor, memory: Any) -> tuple[Tensor, Any]:
        return self.factor * frame, None

    def config(self) -> dict[str, Any]:
        return {}


def predrnn(**options: Any) -> PredRNN:
    return PredRNN(
        4, **{"layers": 2, "kernel": 3, "context_frames": 4, "decoupling": True, **options}
    )


def clips(length: int, channels: int = 3, size: int = 8) -> Any:
    return {"frames": torch.randint(256, (2, length, channels, size, size), dtype=torch.uint8)}


def test_each_frame_is_predicted_from_what_was_read() -> None:
    frames = torch.tensor([1.0, 10.0, 100.0, 1000.0]).view(1, 4, 1, 1, 1)
    pred = Doubling().follow(frames, torch.tensor([[True, True, False]])).pred
    assert pred.flatten().tolist() == [2, 20, 40]
    assert Doubling().follow(frames, torch.tensor([[True, False, True]])).pred[0, 1] == 4


def test_what_is_followed_is_what_is_predicted_in_use() -> None:
    """With true frames in the context and none after it, outputs are those of `forward`."""
    network = predrnn().train()
    frames = torch.rand(2, 7, 3, 8, 8)
    true = torch.tensor([True] * 4 + [False] * 2).expand(2, -1)
    torch.testing.assert_close(network.follow(frames, true).pred[:, 3:], network(frames[:, :4], 3))


def test_frames_of_any_size_are_followed() -> None:
    frames = torch.rand(1, 3, 3, 7, 13)
    pred, _ = predrnn().follow(frames, torch.ones(1, 2, dtype=torch.bool))
    assert pred.shape == (1, 2, 3, 7, 13)


def test_the_objective_is_the_loss_of_all_frames_and_the_penalties() -> None:
    task = RecurrentTask(predrnn(), horizon=3, sampling=TeacherForcing())
    batch = clips(7)
    objective = task.objective(batch)
    frames = batch["frames"].float() / 255
    pred, penalties = task.predictor.follow(  # type: ignore[operator]
        frames, torch.ones(2, 6, dtype=torch.bool)
    )
    expected = (pred - frames[:, 1:]).square().mean()
    torch.testing.assert_close(objective.terms["lp_loss"], expected)
    torch.testing.assert_close(objective.loss, expected + 0.1 * penalties["decoupling"])
    assert objective.pred.shape == objective.target.shape == (2, 3, 3, 8, 8)
    torch.testing.assert_close(objective.pred, pred[:, -3:])


def test_weights_of_penalties_are_the_users() -> None:
    none = RecurrentTask(predrnn(), horizon=1, penalty_weights={"decoupling": 0})
    assert sorted(none.objective(clips(5)).terms) == ["lp_loss"]
    most = RecurrentTask(predrnn(), horizon=1, penalty_weights={"decoupling": 3})
    assert most.objective(clips(5)).weights["decoupling"] == 3
    assert RecurrentTask(predrnn(decoupling=False)).penalty_weights == {}


def test_scheduled_sampling_falls_to_its_end() -> None:
    """The schedule of run.py of PredRNN: 1 - 0.00002 n, 0 from 50,000."""
    schedule = ScheduledSampling()
    for batch in (1, 12_345, 49_999, 50_000, 80_000):
        eta = 1 - 0.00002 * batch if batch < 50_000 else 0.0
        assert schedule.probabilities(batch) == (1.0, pytest.approx(eta, abs=1e-9))


def test_reverse_scheduled_sampling_is_that_of_the_script() -> None:
    """The formulas of run.py of PredRNN, with the settings of its script for Moving MNIST."""
    schedule = ReverseScheduledSampling()
    assert schedule.probabilities(24_999) == (0.5, 0.5)
    context, later = schedule.probabilities(30_000)
    assert context == pytest.approx(1 - 0.5 * math.exp(-5_000 / 2_500))
    assert later == pytest.approx(0.5 - 0.5 / 25_000 * 5_000)
    assert schedule.probabilities(50_000) == (1.0, 0.0)


class Known(FrameSampling):
    def probabilities(self, batch_number: int) -> tuple[float, float]:
        return 0.8, 0.3


def test_draws_have_their_probabilities_and_the_first_frame_is_read() -> None:
    drawn = Known().draw(clips=20_000, context_frames=3, horizon=3, batch_number=1)
    assert drawn.shape == (20_000, 5)
    expected = torch.tensor([1.0, 0.8, 0.8, 0.3, 0.3])
    torch.testing.assert_close(drawn.float().mean(0), expected, atol=0.02, rtol=0)


def test_one_draw_may_decide_for_the_batch() -> None:
    schedule = ScheduledSampling(decay_batches=2, draws="batch")
    drawn = torch.stack([schedule.draw(3, 2, 4, batch_number=1) for _ in range(400)])
    assert drawn.shape == (400, 3, 5)
    assert drawn[..., :2].all()
    decided = drawn[:, 0, 2]
    assert torch.equal(drawn[..., 2:], decided[:, None, None].expand(-1, 3, 3))
    assert 0.4 < decided.float().mean() < 0.6


def test_the_schedule_follows_the_batches_of_the_run() -> None:
    task = RecurrentTask(predrnn(), horizon=2, sampling=ScheduledSampling(decay_batches=1))
    found: list[float] = []
    probabilities = task.sampling.probabilities
    task.sampling.probabilities = lambda n: found.append(n) or probabilities(n)  # type: ignore
    task.batches_seen = 7
    task.objective(clips(6))
    assert found == [8]


@pytest.mark.parametrize("network", ["predrnn", "phydnet"])
def test_it_learns_under_everything_that_watches(network: str) -> None:
    predictor: RecurrentPredictor = predrnn(residual=True)
    if network == "phydnet":
        predictor = PhyDNet(32, lstm_hidden=(), kernel=3, residual=True, context_frames=4)
    task = RecurrentTask(
        predictor,
        horizon=3,
        sampling=ScheduledSampling(decay_batches=3),
        optimizer=partial(Adam, lr=3e-3),
    )
    certificate, health = GradientCertificate(), TrainingHealth(every_n_batches=2, patience=99)
    watching = [certificate, health, EMAWeightAveraging(decay=0.9, update_every_n_steps=1)]
    squares = loader(moving_squares(2, frames=7, size=20), 2)
    losses = []
    for epochs in (1, 5):
        engine = trainer(max_epochs=epochs, callbacks=watching, log_every_n_steps=1)
        engine.fit(task, squares)
        losses.append(float(engine.logged_metrics["train/loss"]))
    assert losses[1] < losses[0]
    assert task.batches_seen == 6
    assert set(task.penalty_weights) <= {
        name.removeprefix("train/") for name in engine.logged_metrics
    }


def test_recurrent_networks_are_trained_by_the_usual_task_too() -> None:
    for predictor in (predrnn(decoupling=False), ConvLSTM((4,), context_frames=4)):
        task = ReconstructionTask(predictor, loss=LpLoss(), horizon=3)
        assert task.training_horizon == 3
        task.objective(clips(7)).loss.backward()
        assert all(p.grad is not None for p in predictor.parameters())


def test_conditions_that_would_be_ignored_are_refused() -> None:
    network = Doubling()
    network.conditions = ("actions",)
    given = {"actions": torch.zeros(1, 3)}
    with pytest.raises(NetworkError, match=r"Doubling is conditioned on actions.*frames alone"):
        network(torch.zeros(1, 2, 1, 4, 4), 1, condition=given)
    with pytest.raises(NetworkError, match="conditioned on actions"):
        network.follow(torch.zeros(1, 3, 1, 4, 4), torch.ones(1, 2, dtype=torch.bool))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(SettingError, match="CopyLastFrame does not read frame after frame"):
        RecurrentTask(CopyLastFrame())  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="no penalty 'moment'; expected one of: decoupling"):
        RecurrentTask(predrnn(), penalty_weights={"moment": 1.0})
    with pytest.raises(SettingError, match="no penalty 'x'; expected one of: none, leave"):
        RecurrentTask(Doubling(), penalty_weights={"x": 1.0})
    with pytest.raises(ValueError, match="penalty_weights decoupling is -1"):
        RecurrentTask(predrnn(), penalty_weights={"decoupling": -1.0})
    with pytest.raises(ValueError, match="horizon is 0"):
        RecurrentTask(predrnn(), horizon=0)
    with pytest.raises(ValueError, match="every weight of the loss is 0"):
        RecurrentTask(predrnn(), loss=LpLoss(weight=0.0))
    with pytest.raises(SettingError, match="training clips have 9 frames; expected 4 of context"):
        RecurrentTask(predrnn(), horizon=3).objective(clips(9))
    with pytest.raises(ValueError, match="start is 2; expected a probability"):
        ScheduledSampling(2)
    with pytest.raises(ValueError, match="decay_batches is 0"):
        ScheduledSampling(decay_batches=0)
    with pytest.raises(ValueError, match="draws is 'clip'; expected frame or batch"):
        ScheduledSampling(draws="clip")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="first_batches is 5, last_batches 5; expected more"):
        ReverseScheduledSampling(5, 5)
    with pytest.raises(ValueError, match="alpha is 0"):
        ReverseScheduledSampling(alpha=0)
    with pytest.raises(ValueError, match="expected at least 2 frames, and one value for each"):
        Doubling().follow(torch.rand(1, 3, 1, 4, 4), torch.ones(1, 3, dtype=torch.bool))
