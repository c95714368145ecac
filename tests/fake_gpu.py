"""A GPU that is not there: tensors that have its device, shapes and types, and no values."""

from typing import Any

from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from vidpred.flow import FlowEstimator


class Still(FlowEstimator):
    """Nothing moves; it reads no values, of which a fake tensor has none."""

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        return self.estimate(first.float(), second.float())

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        return first.new_zeros(len(first), 2, *first.shape[2:])

    def describe(self) -> dict[str, Any]:
        return {"name": "Still"}


def to_fake_gpu(module: nn.Module, mode: FakeTensorMode) -> None:
    """Move parameters and buffers, in place, as `Module.to` does; what else it holds stays."""

    def moved(value: Tensor) -> Tensor:
        fake = mode.from_tensor(value.detach())
        with mode:
            return fake.to("cuda")

    for part in module.modules():
        for name, weight in part._parameters.items():
            if weight is not None:
                part._parameters[name] = nn.Parameter(moved(weight), weight.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = moved(buffer)
