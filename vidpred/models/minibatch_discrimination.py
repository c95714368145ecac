"""Minibatch discrimination: a discriminator sees how alike the clips of a batch are."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import cast

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as differentiable
from jsonargparse.typing import PositiveInt
from torch import Tensor, nn

from vidpred.ops.checks import require_positive

KERNEL_SIZE = 5
"""Values of a kernel; Salimans et al. 2016, their code for CIFAR-10."""

_alone: ContextVar[bool] = ContextVar("minibatch_discrimination_alone", default=False)


class MinibatchDiscrimination(nn.Module):
    """Appends to each clip's features how alike the batch is in several respects.

    `f_k(i) = sum over j != i of exp(-|M_k(i) - M_k(j)|)`, with M_k a learned linear map to
    `kernel_size` values and the distance a sum of absolute differences. A generator that gives the
    same for all clips has exactly f_k = B - 1; one whose clips differ much is near 0. The batch is
    what one call sees: true and predicted frames come in calls of their own. In training in several
    processes it is the batch of all of them.

    Source: Salimans et al. 2016 (arXiv 1606.03498), section 3.2. As in their code, and other than
    the paper's formula, a clip is not compared with itself. Deviation: fresh weights are normal
    with a variance of one over the number of features, where their code scales them by data.

    Args:
        features: F, values of a clip's features.
        kernels: K, respects in which clips are compared.
        kernel_size: Values of which each consists.

    Raises:
        ValueError: When a count is below 1.

    Example:
        >>> import torch
        >>> layer = MinibatchDiscrimination(8, kernels=3)
        >>> layer(torch.ones(5, 8))[:, 8:]
        tensor([[4., 4., 4.],
                [4., 4., 4.],
                [4., 4., 4.],
                [4., 4., 4.],
                [4., 4., 4.]], grad_fn=<SliceBackward0>)
    """

    def __init__(
        self, features: int, *, kernels: PositiveInt = 100, kernel_size: PositiveInt = KERNEL_SIZE
    ) -> None:
        super().__init__()
        require_positive("features", features)
        require_positive("kernels", kernels)
        require_positive("kernel_size", kernel_size)
        self.kernels, self.kernel_size = int(kernels), int(kernel_size)
        self.weight = nn.Parameter(torch.empty(features, self.kernels * self.kernel_size))
        nn.init.normal_(self.weight, 0.0, features**-0.5)

    def forward(self, features: Tensor) -> Tensor:
        """Append K closenesses to features (B, F): (B, F + K)."""
        mapped = features @ self.weight
        ours = _by_kernel(mapped, self.kernels)
        others = _by_kernel(_of_all_processes(mapped), self.kernels) if self.training else ours
        # (K, B, N) distances, without the B * N * K * kernel_size differences.
        distances = torch.cdist(ours, others, p=1.0)
        closeness = torch.exp(-distances).sum(dim=2).T - 1  # the clip itself
        return torch.cat([features, closeness.to(features)], dim=1)


@contextmanager
def on_this_batch_alone() -> Iterator[None]:
    """Compare within the calling process, for callbacks that look at one process alone."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def _by_kernel(mapped: Tensor, kernels: int) -> Tensor:
    return torch.unflatten(mapped.float(), 1, (kernels, -1)).transpose(0, 1)


def _of_all_processes(mapped: Tensor) -> Tensor:
    several = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
    if not several or _alone.get():
        return mapped
    gathered = differentiable.all_gather(mapped)  # type: ignore[no-untyped-call]  # torch
    return torch.cat(cast(list[Tensor], list(gathered)))
