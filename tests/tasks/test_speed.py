"""Every option of `Speed` changes what it says, and no result beyond rounding."""

import copy
import math
from functools import cache, partial
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from torch.utils.flop_counter import FlopCounterMode
from worlds import adversarial_task, fit, loader, moving_squares, small_networks, trainer

from vidpred.errors import SettingError, TrainingDivergedError
from vidpred.kernels import has_native_kernels
from vidpred.losses import AdversarialLoss, MultiScaleLoss
from vidpred.models import MultiScaleDiscriminator, MultiScaleGenerator
from vidpred.tasks import AdversarialTask, NextFrameTask, ReconstructionTask, Speed
from vidpred.tasks.speed import default_precision, fused, lay_out_alike, require_precision

PLAIN = {
    "channels_last": False,
    "compile": "off",
    "winograd": False,
    "native_kernels": False,
    "fused_optimizers": False,
    "keep_freed_memory": False,
    "late_finite_check": False,
}
TOLERANCE = 1e-4
"""Of the weights' change in a batch; measured 1e-6 (1e-5 with the gradient difference loss, whose
gradient is a sign). Where rounding puts a ReLU or a maximum on its other side, which it does for
one seed in six (in three for channels last and Winograd together), it is up to 2e-3: therefore the
median of three seeds, and a bound for each."""

ONE_SIDE = 3e-2


def changes(
    speed: Speed | None, *, adversarial: bool = True, seeds: int = 3, **options: Any
) -> list[Tensor]:
    """How all weights move in one batch, from each seed."""
    sgd = partial(SGD, lr=0.1)
    loss = MultiScaleLoss(gradient_difference_weight=1)
    moved = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        generator = MultiScaleGenerator.from_preset("small")
        task: NextFrameTask
        if adversarial:
            task = AdversarialTask(
                generator,
                MultiScaleDiscriminator.from_preset("small"),
                loss=loss,
                generator_optimizer=sgd,
                discriminator_optimizer=sgd,
                mismatched_pairs=True,
                discriminator_steps=2,
                speed=speed,
            )
        else:
            task = ReconstructionTask(generator, loss=loss, optimizer=sgd, speed=speed)
        before = flat(task)
        fit(task, batch_size=6, **options)
        moved.append(flat(task) - before)
    return moved


@cache
def plain_changes(adversarial: bool) -> list[Tensor]:
    return changes(Speed(**PLAIN), adversarial=adversarial)


def flat(task: NextFrameTask) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in task.parameters()])


def require_equal(found: list[Tensor], expected: list[Tensor]) -> None:
    apart = [float((f - e).norm() / e.norm()) for f, e in zip(found, expected, strict=True)]
    assert median(apart) < TOLERANCE
    assert max(apart) < ONE_SIDE


@pytest.mark.parametrize(
    "option",
    [
        {"channels_last": True},
        {"winograd": True},
        {"winograd": True, "native_kernels": True},
        {"fused_optimizers": True},
        {"fused_optimizers": True, "late_finite_check": True},
        None,
    ],
    ids=str,
)
def test_training_is_the_same(option: dict[str, Any] | None) -> None:
    speed = None if option is None else Speed(**{**PLAIN, **option})
    require_equal(changes(speed), plain_changes(adversarial=True))


def test_reconstruction_is_the_same_under_the_defaults() -> None:
    require_equal(changes(None, adversarial=False), plain_changes(adversarial=False))


def test_defaults_are_the_fastest_safe_choice_of_the_device() -> None:
    cpu, cuda = Speed().on(torch.device("cpu")), Speed().on(torch.device("cuda"))
    assert cpu == (True, "off", True, True, True, True, False)
    assert cuda == (True, "off", False, False, True, False, True)
    # Of a device that nobody tried, nothing is assumed.
    assert Speed().on(torch.device("mps")) == (False, "off", *[False] * 5)
    assert Speed(**PLAIN).on(torch.device("cuda")) == (False, "off", *[False] * 5)


@pytest.mark.parametrize(
    ("accelerator", "capability", "expected"),
    [
        ("auto", None, "32-true"),
        ("cpu", (9, 0), "32-true"),
        ("auto", (7, 5), "32-true"),
        ("auto", (8, 0), "bf16-mixed"),
        ("gpu", (9, 0), "bf16-mixed"),
    ],
)
def test_half_precision_is_the_default_where_a_gpu_computes_in_it(
    accelerator: str,
    capability: tuple[int, int] | None,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # No test machine has all of these.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: capability is not None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert default_precision(accelerator) == expected


@pytest.mark.parametrize("precision", ["64-true", "64", 64, "16-true", "bf16-true"])
def test_weights_of_other_precision_are_refused(precision: str | int) -> None:
    with pytest.raises(SettingError, match="expected 32-true, bf16-mixed or 16-mixed"):
        require_precision(precision)
    for fine in (None, 32, "32-true", "bf16-mixed", "16-mixed", "16", "bf16"):
        require_precision(fine)


def test_a_task_refuses_them_from_any_trainer() -> None:
    clips = loader(moving_squares(2), 2)
    with pytest.raises(SettingError, match="precision is 64-true, which converts the weights"):
        trainer(precision="64-true").fit(adversarial_task(), clips)
    with pytest.raises(SettingError, match="precision is bf16-true, which converts the weights"):
        trainer(precision="bf16-true").predict(adversarial_task(), clips)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="CUDA graphs do not run on cpu"):
        fit(adversarial_task(speed=Speed(compile="reduce-overhead")))
    with pytest.raises(ValueError, match="compile is 'fast'; expected one of off, default"):
        Speed(compile="fast")  # type: ignore[arg-type]


@pytest.mark.parametrize("wanted", [True, False])
def test_channels_last_lays_out_both_networks(wanted: bool) -> None:
    task = adversarial_task(speed=Speed(channels_last=wanted))
    names = list(task.state_dict())
    fit(task)
    wide = [p for p in task.parameters() if p.ndim == 4 and min(p.shape) > 1]
    assert len(wide) == 31
    for weight in wide:
        assert weight.is_contiguous(memory_format=torch.channels_last) == wanted
    assert list(task.state_dict()) == names


def test_winograd_takes_fewer_products_and_native_kernels_fewer_still() -> None:
    if not has_native_kernels(5):
        pytest.skip("no C compiler here")
    counted = []
    for winograd, native in ((False, False), (True, False), (True, True)):
        speed = Speed(winograd=winograd, native_kernels=native)
        task = ReconstructionTask(small_networks()[0], speed=speed)
        fit(task)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            task.generator.forward_scales(torch.rand(2, 4, 3, 32, 32))
        counted.append(counter.get_total_flops())
    assert counted[1] < 0.8 * counted[0]
    # Transforms in C are no products, and more layers gain.
    assert counted[2] < 0.8 * counted[1]


@pytest.mark.parametrize("wanted", [True, False])
def test_fused_optimizers_are_built(wanted: bool) -> None:
    speed = Speed(fused_optimizers=wanted)
    engine = fit(adversarial_task(speed=speed, generator_optimizer=partial(Adam, lr=1e-3)))
    assert [bool(o.param_groups[0]["fused"]) for o in engine.optimizers] == [wanted] * 2
    assert engine.optimizers[0].param_groups[0]["lr"] == 1e-3


def test_optimizers_are_fused_where_they_can_be_and_nothing_else_was_asked_for() -> None:
    weights = [torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(3))]
    groups = [{"params": weights[:1], "lr": 0.5}, {"params": weights[1:]}]
    adam = fused(AdamW(groups, lr=0.1, betas=(0.5, 0.9), weight_decay=0.25))
    assert isinstance(adam, AdamW)
    assert [group["lr"] for group in adam.param_groups] == [0.5, 0.1]
    for group in adam.param_groups:
        assert group["fused"]
        assert (group["betas"], group["weight_decay"]) == ((0.5, 0.9), 0.25)

    class Own(SGD):
        pass

    for other in (RMSprop(weights), Own(weights), SGD(weights, foreach=True)):
        assert fused(other) is other
    kept: Optimizer = SGD(weights, fused=False)
    assert fused(kept) is kept


def test_clipping_under_mixed_precision_is_not_broken_by_fusing() -> None:
    task = ReconstructionTask(small_networks()[0])
    engine = fit(task, precision="bf16-mixed", gradient_clip_val=1.0)
    assert engine.global_step == 1
    assert not engine.optimizers[0].param_groups[0]["fused"]
    engine = fit(adversarial_task(generator_gradient_clip=1.0), precision="bf16-mixed")
    assert all(optimizer.param_groups[0]["fused"] for optimizer in engine.optimizers)


def test_a_state_of_another_layout_is_laid_out_as_its_weights(tmp_path: Path) -> None:
    path = tmp_path / "plain.ckpt"
    changes = []
    adam = partial(Adam, lr=1e-3)
    for speed in (Speed(**PLAIN), Speed()):
        task = ReconstructionTask(small_networks()[0], optimizer=adam, speed=Speed(**PLAIN))
        fit(task, batches=2).save_checkpoint(path)
        task = ReconstructionTask(small_networks()[0], optimizer=adam, speed=speed)
        engine = trainer(max_epochs=2)
        engine.fit(task, loader(moving_squares(16), 8), ckpt_path=path)
        assert task.batches_seen == 4
        for weight, state in engine.optimizers[0].state.items():
            assert state["exp_avg"].stride() == weight.stride()
        changes.append(torch.cat([p.detach().flatten() for p in task.parameters()]))
    start = torch.cat([p.detach().flatten() for p in small_networks()[0].parameters()])
    # Adam divides by the square root of what it has seen: rounding counts for more than in SGD.
    difference = (changes[0] - changes[1]).norm() / (changes[0] - start).norm()
    assert difference < 0.02


def test_layouts_that_agree_are_left_alone() -> None:
    weight = torch.nn.Parameter(torch.rand(4, 4, 3, 3).to(memory_format=torch.channels_last))
    optimizer = SGD([weight], lr=1, momentum=0.5)
    weight.grad = torch.rand(4, 4, 3, 3)
    optimizer.step()
    momentum = optimizer.state[weight]["momentum_buffer"]
    values = momentum.clone()
    lay_out_alike([optimizer])
    assert optimizer.state[weight]["momentum_buffer"].stride() == weight.stride()
    assert torch.equal(optimizer.state[weight]["momentum_buffer"], values)


def broken(**options: Any) -> AdversarialTask:
    """A task whose coarsest generator gives NaN."""
    task = adversarial_task(**options)
    with torch.no_grad():
        next(task.generator.networks[0].parameters())[0].fill_(math.nan)
    return task


@pytest.mark.parametrize("adversarial", [True, False])
@pytest.mark.parametrize("optimizer", [partial(SGD, lr=0.02, momentum=0.5), partial(Adam, lr=1e-3)])
def test_a_late_answer_stops_one_batch_later_and_keeps_the_weights(
    adversarial: bool, optimizer: Any
) -> None:
    speed = Speed(late_finite_check=True)
    task: NextFrameTask = broken(
        speed=speed, generator_optimizer=optimizer, discriminator_optimizer=optimizer
    )
    if not adversarial:
        task = ReconstructionTask(task.generator, optimizer=optimizer, speed=speed)
    before = copy.deepcopy(task.state_dict())
    with pytest.raises(TrainingDivergedError, match=r"batch 0: .* at scale 1/8"):
        fit(task, batches=5)
    assert task.batches_seen == 2
    for name, value in task.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, equal_nan=True)


def test_no_late_answer_is_lost(tmp_path: Path) -> None:
    with pytest.raises(TrainingDivergedError, match="batch 0"):  # an epoch of one batch
        fit(broken(speed=Speed(late_finite_check=True)))


def test_an_optimizer_that_cannot_skip_its_step_is_not_answered_late() -> None:
    task = broken(speed=Speed(late_finite_check=True, fused_optimizers=False))
    with pytest.raises(TrainingDivergedError, match="batch 0"):
        fit(task, batches=5)
    assert task.batches_seen == 0


@pytest.mark.parametrize("adversarial", [True, False])
def test_half_precision_is_for_the_networks_alone(adversarial: bool) -> None:
    seen: dict[str, set[torch.dtype]] = {"preds": set(), "targets": set(), "logits": set()}

    class Spy(MultiScaleLoss):
        def terms(self, preds: Any, targets: Any) -> dict[str, Tensor]:
            seen["preds"] |= {pred.dtype for pred in preds}
            seen["targets"] |= {target.dtype for target in targets}
            found = super().terms(preds, targets)
            assert {term.dtype for term in found.values()} == {torch.float32}
            return found

    class Verdicts(AdversarialLoss):
        def real_loss(self, logits: Tensor) -> Tensor:
            found = super().real_loss(logits)
            seen["logits"].add(found.dtype)
            return found

    generator, discriminator = small_networks()
    task: NextFrameTask = ReconstructionTask(generator, loss=Spy())
    if adversarial:
        task = AdversarialTask(generator, discriminator, loss=Spy(), adversarial_loss=Verdicts())
    inside: set[torch.dtype] = set()
    for layer in generator.networks[-1]:
        layer.register_forward_hook(lambda _, __, out: inside.add(out.dtype))
    fit(task, precision="bf16-mixed")
    assert inside == {torch.bfloat16}
    assert seen["preds"] == seen["targets"] == {torch.float32}
    assert seen["logits"] == ({torch.float32} if adversarial else set())


def test_half_precision_learns_what_single_does() -> None:
    (half,), (single,) = (changes(None, seeds=1, precision=p) for p in ("bf16-mixed", "32-true"))
    assert (half - single).norm() < 0.1 * single.norm()


def test_a_guess_in_half_precision_keeps_its_digits() -> None:
    generator = MultiScaleGenerator.from_preset("small")
    context = torch.rand(1, 4, 3, 32, 32) * 2 - 1
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        preds = generator.forward_scales(context)
    assert {pred.dtype for pred in preds} == {torch.float32}
    assert {p.dtype for p in generator.bfloat16().forward_scales(context.bfloat16())} == {
        torch.bfloat16
    }


def test_values_are_logged_in_the_batches_that_log_and_in_no_other(tmp_path: Path) -> None:
    task = adversarial_task()
    named: list[int] = []
    log_dict = task.log_dict

    def noted(*arguments: Any, **options: Any) -> None:
        named.append(task.batches_seen)
        log_dict(*arguments, **options)

    task.log_dict = noted  # type: ignore[method-assign]
    logger = CSVLogger(tmp_path)
    fit(task, batches=7, log_every_n_steps=3, logger=logger)
    assert named == [3, 6]
    rows = (Path(logger.log_dir) / "metrics.csv").read_text().splitlines()
    assert [row.split(",")[rows[0].split(",").index("step")] for row in rows[1:]] == ["3", "6"]


@pytest.mark.slow
# A warning of PyTorch to itself while it looks at what the compiled discriminator is given.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_compiled_networks_train_alike() -> None:
    torch._dynamo.reset()
    counters = torch._dynamo.utils.counters
    counters.clear()
    expected = changes(Speed(**PLAIN))
    assert not counters["frames"]
    require_equal(changes(Speed(**{**PLAIN, "compile": "default"})), expected)
    assert counters["frames"]["ok"] >= 2
    assert not counters["graph_break"]


@pytest.mark.slow
def test_a_penalty_of_second_order_trains_beside_compiled_networks() -> None:
    fit(adversarial_task(r1_weight=1.0, speed=Speed(compile="default")))
