"""Minibatch discrimination (Salimans et al. 2016)."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from worlds import adversarial_task, moving_squares, small_networks

from vidpred.models import DCGANDiscriminator, MinibatchDiscrimination, MultiScaleDiscriminator


def layer(features: int = 6, **options: Any) -> MinibatchDiscrimination:
    torch.manual_seed(0)
    return MinibatchDiscrimination(features, **{"kernels": 3, "kernel_size": 2, **options})


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_a_constant_generator_gives_exactly_one_less_than_the_batch(batch: int) -> None:
    found = layer()(torch.randn(1, 6).expand(batch, 6))
    assert found.shape == (batch, 6 + 3)
    assert torch.equal(found[:, 6:], torch.full((batch, 3), batch - 1.0))


def test_clips_that_differ_much_give_nothing() -> None:
    torch.manual_seed(1)
    assert layer()(100 * torch.randn(7, 6))[:, 6:].max() < 1e-3


def test_fresh_kernels_keep_the_variance_of_features() -> None:
    mapped = torch.randn(200, 400) @ layer(400, kernels=100).weight
    assert mapped.std().item() == pytest.approx(1, rel=0.05)


def test_it_is_the_sum_over_the_others() -> None:
    """By the formula, one pair after the other, without the clip itself."""
    unit = layer()
    features = torch.randn(4, 6, dtype=torch.float32)
    mapped = (features @ unit.weight).detach().view(4, 3, 2)
    expected = torch.zeros(4, 3)
    for i, j, kernel in product(range(4), range(4), range(3)):
        if i != j:
            expected[i, kernel] += torch.exp(-(mapped[i, kernel] - mapped[j, kernel]).abs().sum())
    found = unit(features)
    assert torch.equal(found[:, :6], features)
    torch.testing.assert_close(found[:, 6:], expected)


def test_gradient_makes_the_clips_of_a_batch_differ() -> None:
    unit = layer().double()
    features = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    # The layer computes its distances in float32.
    assert torch.autograd.gradcheck(unit, features, eps=1e-3, atol=1e-2, rtol=1e-2)
    gradient = torch.autograd.grad(unit(features)[:, 6:].sum(), features)[0]
    apart = features - 0.01 * gradient
    assert unit(apart)[:, 6:].sum() < unit(features)[:, 6:].sum()


def discriminators() -> list[MultiScaleDiscriminator | DCGANDiscriminator]:
    _, multiscale = small_networks(minibatch_kernels=4)
    return [multiscale, DCGANDiscriminator(width=4, image_size=32, minibatch_kernels=4)]


@pytest.mark.parametrize("kind", range(2))
def test_any_discriminator_sees_the_batch(kind: int) -> None:
    judge = discriminators()[kind]
    assert judge.batch_dependent
    assert type(judge)(**_built_again(judge)).config() == judge.config()
    judge.eval()  # no batch norm: what is left of the batch is the layer's
    torch.manual_seed(0)
    context, other = torch.randn(2, 4, 4, 3, 32, 32)
    sizes = [32 // 2 ** (judge.num_scales - 1 - k) for k in range(judge.num_scales)]

    def scores(first: Tensor) -> list[Tensor]:
        past = torch.cat([first[:2], other[2:]])
        found: list[Tensor] = judge(past, [torch.zeros(4, 1, 3, size, size) for size in sizes])
        return [score[-1] for score in found]

    for one, two in zip(scores(context), scores(other), strict=True):
        assert not torch.equal(one, two)


def _built_again(judge: nn.Module) -> dict[str, Any]:
    given: dict[str, Any] = judge.config()  # type: ignore[operator]
    if isinstance(judge, MultiScaleDiscriminator):
        given = {**given, "scales": judge.scales}
    return given


def test_real_and_fake_halves_are_judged_separately() -> None:
    _, discriminator = small_networks(minibatch_kernels=4)
    task = adversarial_task()
    task.discriminator = discriminator
    batches: list[int] = []
    for module in discriminator.modules():
        if isinstance(module, MinibatchDiscrimination):
            module.register_forward_pre_hook(lambda _, given: batches.append(len(given[0])))
    task.discriminator_objective(torch.stack([clip["frames"] for clip in moving_squares(3)]))
    assert batches == [3] * (2 * 4)  # true and predicted, at four scales


def test_refusals_and_old_checkpoints() -> None:
    with pytest.raises(ValueError, match="kernels is 0"):
        MinibatchDiscrimination(4, kernels=0)
    with pytest.raises(ValueError, match="minibatch_kernels is 4 and head 'fully_convolutional'"):
        small_networks(minibatch_kernels=4, head="fully_convolutional")
    _, old = small_networks()
    assert "minibatch_kernels" not in old.config()
    assert not old.batch_dependent


class Largest(TorchDispatchMode):
    """Remembers the most values that a result of an operation has."""

    def __init__(self) -> None:
        super().__init__()
        self.values = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.values = max(self.values, result.numel())
        return result


def test_memory_does_not_hold_the_differences_of_all_pairs() -> None:
    """A mistake of public code: B x B x K x kernel_size differences, where B x B x K are needed."""
    batch, kernels, size = 32, 5, 16
    unit = layer(6, kernels=kernels, kernel_size=size)
    features = torch.randn(batch, 6, requires_grad=True)
    with Largest() as largest:
        unit(features).sum().backward()
    assert largest.values == batch * batch * kernels
