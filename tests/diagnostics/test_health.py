"""`TrainingHealth`: right numbers, and each warning provoked by a training that really fails so."""

import copy
import csv
import json
import math
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.cli import LightningArgumentParser
from torch import Tensor, nn
from torch.optim import SGD, Adam
from wandb_file import find_run, read_records
from worlds import loader, moving_squares, trainer

from vidpred.callbacks import TrainingHealth
from vidpred.diagnostics.advice import fitting, predictor_name
from vidpred.diagnostics.signs import (
    discriminator_statistics,
    gradient_norms_and_cosines,
    resemblance,
)
from vidpred.diagnostics.symptoms import SYMPTOMS
from vidpred.loggers import ResilientWandbLogger, RunCSVLogger
from vidpred.losses import (
    AdversarialLoss,
    DiscriminatorObjective,
    GeneratorObjective,
    MultiScaleLoss,
)
from vidpred.models import ConvLSTM, MultiScaleDiscriminator, MultiScaleGenerator, ScalePredictor
from vidpred.models.discriminator import DiscriminatorScale
from vidpred.models.multiscale import GeneratorScale
from vidpred.ops import to_unit, unit_to_signed
from vidpred.tasks import AdversarialTask, NextFrameTask, ReconstructionTask

still = partial(SGD, lr=0.0)


class Simple(ScalePredictor):
    """One scale, one weight: a generator that fails in a way of its own."""

    def __init__(self, weight: float = 0.0) -> None:
        super().__init__(num_scales=1, context_frames=4)
        self.weight = nn.Parameter(torch.tensor(weight))

    def config(self) -> dict[str, Any]:
        return {}


class Copying(Simple):
    def forward_scales(self, context: Tensor) -> list[Tensor]:
        return [context[:, -1:] + 0.001 * self.weight]


class Collapsed(Simple):
    """Helvetica: the same picture whatever it is asked."""

    def forward_scales(self, context: Tensor) -> list[Tensor]:
        rows = torch.linspace(-1, 1, context.shape[-2]).view(-1, 1)
        return [(rows + self.weight).expand_as(context[:, -1:])]


class Fading(Simple):
    """Between the last frame and grey, as its weight says."""

    def forward_scales(self, context: Tensor) -> list[Tensor]:
        return [context[:, -1:] * (1 - self.weight)]


class Checkered(Simple):
    def forward_scales(self, context: Tensor) -> list[Tensor]:
        last = context[:, -1:]
        rows, columns = torch.meshgrid(*map(torch.arange, last.shape[-2:]), indexing="ij")
        return [last + self.weight * (1.0 - 2 * ((rows + columns) % 2))]


def watched(
    task: NextFrameTask, folder: Path, batches: int, clips: Any = None, **options: Any
) -> TrainingHealth:
    """Train, with a check before every batch but the first; two in a row are told."""
    health = TrainingHealth(every_n_batches=1, patience=2)
    engine = trainer(
        callbacks=[health], default_root_dir=folder, **{"logger": RunCSVLogger(folder), **options}
    )
    engine.fit(task, loader(clips or moving_squares(4 * batches, size=24), 4))
    return health


def told(folder: Path) -> list[dict[str, Any]]:
    path = folder / "health.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def two_scales(*, spectral_norm: bool = False, **options: Any) -> AdversarialTask:
    """Networks for patches of 24 pixels that take milliseconds to train."""
    torch.manual_seed(0)
    return AdversarialTask(
        MultiScaleGenerator([GeneratorScale((16,), (3, 3))] * 2),
        MultiScaleDiscriminator(
            [DiscriminatorScale((16,), (3,), (32,))] * 2, patch_size=24, spectral_norm=spectral_norm
        ),
        **options,
    )


def of_simple(generator: Simple, **options: Any) -> ReconstructionTask:
    return ReconstructionTask(generator, **{"optimizer": still, **options})


def winning() -> AdversarialTask:
    return two_scales(generator_optimizer=still, discriminator_optimizer=partial(Adam, lr=3e-3))


def guessing() -> AdversarialTask:
    return two_scales(discriminator_optimizer=still)


def faint() -> AdversarialTask:
    return two_scales(adversarial_weight=1e-4)


def drowning() -> AdversarialTask:
    return two_scales(adversarial_weight=1e6, generator_optimizer=still)


def dead() -> ReconstructionTask:
    generator = MultiScaleGenerator([GeneratorScale((16,), (3, 3))] * 2)
    nn.init.constant_(generator.networks[0][-1].bias, 100.0)  # tanh is flat there
    return ReconstructionTask(generator)


@pytest.mark.filterwarnings("ignore:health")  # other symptoms may show as well
@pytest.mark.parametrize(
    ("make", "batches", "symptom", "says", "option"),
    [
        (winning, 40, "discriminator wins", "right on every clip (accuracy", "instance_noise 0.1"),
        (guessing, 22, "discriminator guesses", "is at chance", "discriminator_steps 2"),
        (faint, 22, "adversarial term faint", "on the other terms alone", "raise model.adv"),
        (drowning, 6, "adversarial term drowns", "of the gradient", "lower model.adv"),
        (dead, 6, "network dead", "network of scale_2 has had no gradient", "--ckpt-path"),
        (lambda: of_simple(Copying()), 6, "copies", "change by 0% of what", "motion_threshold"),
        (lambda: of_simple(Collapsed()), 8, "collapse", "differ by 0% of", "lower model.optim"),
        (lambda: of_simple(Checkered(0.5)), 6, "roughness", "patterns or noise", "lower model."),
    ],
)
def test_what_goes_wrong_is_told_with_the_option_to_change(
    make: Any, batches: int, symptom: str, says: str, option: str, tmp_path: Path
) -> None:
    with pytest.warns(UserWarning, match="health at batch"):
        watched(make(), tmp_path, batches)
    (line,) = [line for line in told(tmp_path) if line["symptom"] == symptom]
    assert says in line["text"]
    assert option in line["text"]
    assert "{" not in line["text"]


def test_l2_on_what_cannot_be_foreseen_grows_blurry(tmp_path: Path) -> None:
    # Frames of noise that know nothing of each other: l2 is smallest for their mean, plain grey.
    task = of_simple(Fading(), optimizer=partial(SGD, lr=0.1))
    noise = [
        {"frames": torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8)} for _ in range(4 * 24)
    ]
    with pytest.warns(UserWarning, match="predictions grow blurry"):
        watched(task, tmp_path, 24, noise)
    (line,) = told(tmp_path)
    assert line["symptom"] == "blur"
    assert "gradient_difference_weight" in line["text"]


class Drifting(Simple):
    """Right about clips that drift by a pixel a frame."""

    def forward_scales(self, context: Tensor) -> list[Tensor]:
        return [context[:, -1:].roll(1, -1) + self.weight]


class Cautious(Simple):
    """Takes a twentieth of the step that is right."""

    def forward_scales(self, context: Tensor) -> list[Tensor]:
        last = context[:, -1:]
        return [last + 0.05 * (last.roll(1, -1) - last) + self.weight]


def drifting(count: int) -> list[dict[str, Any]]:
    pictures = torch.randint(0, 256, (count, 3, 16, 16), dtype=torch.uint8)
    return [{"frames": torch.stack([p.roll(t, -1) for t in range(5)])} for p in pictures]


def test_a_training_that_fares_well_is_left_alone(tmp_path: Path) -> None:
    health = watched(of_simple(Drifting(0.01)), tmp_path, 10, drifting(40))
    assert told(tmp_path) == []
    assert health.signs is not None
    for name in ("motion_ratio", "diversity", "edge_strength"):
        assert health.signs.overall[name] == pytest.approx(1, abs=0.02)


def test_small_steps_in_the_right_direction_are_no_copies(tmp_path: Path) -> None:
    health = watched(of_simple(Cautious()), tmp_path, 6, drifting(24))
    assert health.signs is not None
    assert health.signs.overall["motion_ratio"] == pytest.approx(0.05, abs=0.01)
    assert health.signs.overall["gain_over_copy"] == pytest.approx(1 - 0.95**2, abs=1e-4)
    assert told(tmp_path) == []


def test_advice_names_only_what_the_task_has() -> None:
    simple = of_simple(Copying())
    parser = LightningArgumentParser()
    parser.add_lightning_class_args(type(simple), "model")
    known = {name for name in vars(parser.get_defaults()["model"])}
    for symptom in SYMPTOMS:
        keys = re.findall(r"model\.(\w+)", fitting(symptom.advice, simple))
        assert set(keys) <= known, symptom.name
    copies = next(symptom.advice for symptom in SYMPTOMS if symptom.name == "copies")
    assert fitting(copies, simple).startswith("train on patches that move")
    assert "model.loss.init_args.gradient_difference_weight" in fitting(copies, simple)
    plain = ReconstructionTask(ConvLSTM((4,), context_frames=2))
    assert "loss" not in fitting(copies, plain)
    assert "raise model.optimizer.init_args.lr" in fitting(copies, plain)
    assert "raise model.adversarial_weight" in fitting(copies, two_scales())
    assert "motion_threshold" not in fitting(copies, plain, data=object())
    assert [predictor_name(task) for task in (plain, simple, two_scales())] == [
        *("predictor", "generator", "generator")
    ]


def test_a_symptom_is_told_once_and_again_when_it_comes_back(tmp_path: Path) -> None:
    class Relapsing(Copying):
        def forward_scales(self, context: Tensor) -> list[Tensor]:
            return [context[:, -1:].roll(1 if self.recovered else 0, -1) + 0.001 * self.weight]

        recovered = False

    class Task(ReconstructionTask):
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            self.generator.recovered = 5 <= self.batches_seen < 7
            return super().training_step(batch, batch_idx)

    task = Task(Relapsing(1.0), optimizer=still)
    with pytest.warns(UserWarning, match="the generator copies"):
        watched(task, tmp_path, 10, drifting(4 * 10))
    assert [(line["batch"], line["symptom"]) for line in told(tmp_path)] == [
        *((2, "copies"), (9, "copies"))
    ]
    assert "for 2 batches" in told(tmp_path)[0]["text"]


def test_a_resumed_run_warns_as_it_would_have(tmp_path: Path) -> None:
    first, second = (
        TrainingHealth(patience=3, every_n_batches=1),
        TrainingHealth(patience=3, every_n_batches=1),
    )
    task = of_simple(Copying())
    trainer(callbacks=[first], default_root_dir=tmp_path).fit(
        task, loader(moving_squares(12, size=24), 4)
    )
    assert told(tmp_path) == []  # two checks, before batches 1 and 2
    second.load_state_dict(first.state_dict())
    with pytest.warns(UserWarning, match="for 3 batches"):
        trainer(callbacks=[second], default_root_dir=tmp_path).fit(
            task, loader(moving_squares(4, size=24), 4)
        )


@pytest.mark.filterwarnings("ignore:health")
def test_logged_to_csv_and_wandb_with_a_table_and_an_alert(tmp_path: Path) -> None:
    wandb_logger = ResilientWandbLogger(tmp_path, mode="offline")
    loggers = [RunCSVLogger(tmp_path, flush_logs_every_n_steps=1), wandb_logger]
    with pytest.warns(UserWarning, match="health at batch 20: the discriminator is at chance"):
        watched(guessing(), tmp_path, 22, logger=loggers)
    wandb_logger.finish()
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("train/health/margin_scale_2")]
    assert [int(row["step"]) for row in rows] == list(range(1, 22))
    for name in ("real_accuracy", "fake_accuracy", "margin", "saturation", "gradient_norm_lp_loss"):
        for scale in (2, 1):
            assert math.isfinite(float(rows[0][f"train/health/{name}_scale_{scale}"]))
    assert -1 <= float(rows[0]["train/health/gradient_cosine_lp_loss_adversarial_loss"]) <= 1
    history = find_run(tmp_path).history
    assert [r["train/health/warnings/nrows"] for r in history if "train/health/warnings/nrows" in r]
    (path,) = tmp_path.rglob("run-*.wandb")
    alerts = [r.alert for r in read_records(path) if r.WhichOneof("record_type") == "alert"]
    (alert,) = [alert for alert in alerts if alert.title == "vidpred: discriminator guesses"]
    assert "model.discriminator_steps 2" in alert.text


def test_training_is_the_same_without_it(tmp_path: Path) -> None:
    task = two_scales(
        spectral_norm=True,
        loss=MultiScaleLoss(gradient_difference_weight=1.0),
        mismatched_pairs=True,
        r1_weight=1.0,
        instance_noise=0.1,
        generator_optimizer=partial(Adam, lr=1e-3),
    )
    states = []
    for trained, callbacks in (
        (copy.deepcopy(task), [TrainingHealth(every_n_batches=1, patience=100)]),
        (task, []),
    ):
        torch.manual_seed(3)
        trainer(callbacks=callbacks, default_root_dir=tmp_path).fit(
            trained, loader(moving_squares(12, size=24), 4)
        )
        states.append({**trained.state_dict(), "random": torch.get_rng_state()})
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


def test_verdicts_have_the_values_that_their_names_say() -> None:
    objective = DiscriminatorObjective(
        terms={},
        weights={},
        real_logits=[torch.tensor([[5.0], [-1.0], [0.5], [0.5]]), torch.full((4, 1), 9.0)],
        fake_logits=[torch.tensor([[-5.0], [-0.9], [4.0], [-4.5]]), torch.full((4, 1), -9.0)],
    )
    found = discriminator_statistics(objective, AdversarialLoss())
    assert found["real_accuracy"].tolist() == [0.75, 1]
    assert found["fake_accuracy"].tolist() == [0.75, 1]
    assert found["margin"].tolist() == pytest.approx([5 / 4 + 6.4 / 4, 18])
    # Cross-entropy's slope is sigmoid(-|logit|) for a right verdict: below 0.01 beyond 4.595.
    assert found["saturation"].tolist() == [0.25, 1]
    # At hinge, beyond the margin of 1; least squares judges by the middle of its labels.
    assert discriminator_statistics(objective, AdversarialLoss("hinge"))["saturation"].tolist() == [
        3 / 8,
        1,
    ]
    least_squares = discriminator_statistics(objective, AdversarialLoss("least_squares"))
    assert least_squares["real_accuracy"].tolist() == [0.25, 1]


def _clips() -> tuple[Tensor, Tensor]:
    frames = torch.stack([clip["frames"] for clip in moving_squares(6)])
    signed = unit_to_signed(to_unit(frames))
    return signed[:, :4], signed[:, 4:]


def test_resemblance_is_1_for_the_truth_and_0_for_copies_and_for_a_collapse() -> None:
    context, target = _clips()

    def of(pred: Tensor, true: Tensor = target) -> dict[str, float]:
        objective = GeneratorObjective(
            terms={}, weights={}, context=context, targets=[true], preds=[pred]
        )
        return {name: value.item() for name, value in resemblance(objective).items()}

    assert of(target) == pytest.approx(dict.fromkeys(of(target), 1.0))
    assert of(context[:, -1:])["motion_ratio"] == 0
    assert of(context[:, -1:])["gain_over_copy"] == 0
    assert of(target.mean(0, keepdim=True).expand_as(target))["diversity"] == pytest.approx(0)
    assert of(target / 2) == pytest.approx(
        {**of(target / 2), "diversity": 0.5, "edge_strength": 0.5}
    )
    half_way = (context[:, -1:] + target) / 2
    assert of(half_way)["motion_ratio"] == pytest.approx(0.5)
    assert of(half_way)["gain_over_copy"] == pytest.approx(0.75)
    # 0.06 of [-1, 1] is 0.03 of full scale, which does not count as moving.
    assert math.isnan(of(target, context[:, -1:] + 0.06)["motion_ratio"])


def test_pulls_have_the_norms_and_cosines_of_the_gradients() -> None:
    weight = nn.Parameter(torch.tensor([3.0, 4.0]))
    frozen = nn.Parameter(torch.zeros(1), requires_grad=False)
    objective = GeneratorObjective(
        terms={
            "one": torch.stack([weight[0], weight[1]]),
            "other": torch.stack([weight[0], -weight[1]]),
            "off": weight,
        },
        weights={"one": 2.0, "other": 1.0, "off": 0.0},
        scale_weights=[1.0, 3.0],
        context=frozen,
        targets=[],
        preds=[],
    )
    found = gradient_norms_and_cosines(objective, [[weight], []])
    assert found["gradient_norm_one"][0].item() == pytest.approx(2 * 10**0.5)
    assert found["gradient_norm_one"][1].isnan()
    assert found["gradient_norm_other"][0].item() == pytest.approx(10**0.5)
    # (2, 6) and (1, -3)
    assert found["gradient_cosine_one_other"].item() == pytest.approx(-16 / 20)
    assert not any("off" in name for name in found)


def test_refuses_numbers_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="every_n_batches is 0"):
        TrainingHealth(every_n_batches=0)
    with pytest.raises(ValueError, match="patience is 0"):
        TrainingHealth(patience=0)
