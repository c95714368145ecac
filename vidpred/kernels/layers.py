"""How the layers of a network are computed, without a change to the network itself.

Networks are built of `torch.nn.Conv2d` and `torch.nn.ReLU`. `accelerate` gives the layers that it
knows another `forward`, on the instance; `restore` takes it away. Names of weights, classes of
modules, hooks, copies and pickles are as before.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeGuard

import torch
from torch import Tensor, nn

from vidpred.kernels.convolution import WAYS, Way, convolved_by, way_for, way_of
from vidpred.kernels.filtering import TAPS
from vidpred.kernels.switch import enabled


class _FastConvolution:
    """Takes the place of the `forward` of a `torch.nn.Conv2d`."""

    def __init__(self, layer: nn.Conv2d, *, native: bool) -> None:
        self.layer = layer
        self.native = native
        self.used: Way | None = None

    def forward(self, input: Tensor, *, relu: bool = False) -> Tensor:
        """Convolve, and apply a ReLU where one follows."""
        layer = self.layer
        padding = int(layer.padding[0])
        weight = layer.weight  # once: where it is parametrized, as by spectral norm, it is computed
        way = way_of(input, weight, padding, self.native)
        if not torch.compiler.is_compiling():
            self.used = way
        return convolved_by(way, input, weight, layer.bias, padding, relu)

    @property
    def way(self) -> Way:
        """How it computed last; before that, how it will compute where frames are large enough."""
        return self.used or way_for(self.layer.weight, self.native)


class _FastSequential:
    """Takes the place of the `forward` of a `torch.nn.Sequential`: each ReLU with its convolution.

    A layer with a hook is computed alone, so that the hook sees what it would see otherwise.
    """

    def __init__(self, layers: nn.Sequential) -> None:
        self.layers = layers

    def forward(self, input: Tensor) -> Tensor:
        """Apply all layers."""
        layers = list(self.layers)
        for index, layer in enumerate(layers):
            before, after = layers[index - 1 : index], layers[index + 1 : index + 2]
            if before and _are_one(before[0], layer):
                continue
            input = layer(input, relu=True) if after and _are_one(layer, after[0]) else layer(input)
        return input


def _are_one(layer: nn.Module, after: nn.Module) -> bool:
    return (
        type(after) is nn.ReLU
        and isinstance(_fast(layer), _FastConvolution)
        and not any(
            hooks
            for each in (layer, after)
            for hooks in (
                each._forward_hooks,
                each._forward_pre_hooks,
                each._backward_hooks,
                each._backward_pre_hooks,
            )
        )
    )


def accelerate(network: nn.Module, *, native: bool = True) -> None:
    """Compute the convolutions of a network by `vidpred.kernels.conv2d`, in place.

    Those of stride 1 with a square kernel of 3, 5 or 7; a ReLU right after one in a
    `torch.nn.Sequential` is computed with it. A subclass with a `forward` of its own keeps it. Does
    nothing where VIDPRED_KERNELS is 0.

    Args:
        network: Any module.
        native: See `conv2d`.
    """
    restore(network)
    if not enabled(default=True):
        return
    for layer in network.modules():
        if "forward" in layer.__dict__:
            continue  # somebody else's
        if _is_known(layer):
            layer.__dict__["forward"] = _FastConvolution(layer, native=native).forward
        elif isinstance(layer, nn.Sequential) and (type(layer).forward is nn.Sequential.forward):
            layer.__dict__["forward"] = _FastSequential(layer).forward


@contextmanager
def accelerated(network: nn.Module) -> Iterator[None]:
    """Compute a network fast within a `with` block, and afterwards as before."""
    before = {layer: layer.__dict__.get("forward") for layer in network.modules()}
    accelerate(network)
    try:
        yield
    finally:
        restore(network)
        for layer, forward in before.items():
            if forward is not None:
                layer.__dict__["forward"] = forward


def restore(network: nn.Module) -> None:
    """Compute the network by plain PyTorch again, in place."""
    for layer in network.modules():
        if _fast(layer) is not None:
            del layer.__dict__["forward"]


def describe(network: nn.Module) -> str:
    """Say by which kernels a network was computed last, for the record of a measurement.

    It is what came of `accelerate`, not what was asked for: without a C compiler, on a GPU, in half
    precision or with few channels other kernels are used. Layers that have computed nothing count
    where none has.

    Returns:
        "torch", "winograd" (transforms as matrix products) or "winograd-native" (in C): the fastest
        that any layer used.
    """
    fast = [f for layer in network.modules() if isinstance(f := _fast(layer), _FastConvolution)]
    ways = [each.used for each in fast if each.used] or [each.way for each in fast]
    return max(ways, key=WAYS.index, default="torch")


def _fast(layer: nn.Module) -> _FastConvolution | _FastSequential | None:
    """Give what computes a layer instead of its class, if that is ours."""
    # A bound method: exporters and tracers look into the code of a `forward`.
    computes = getattr(layer.__dict__.get("forward"), "__self__", None)
    return computes if isinstance(computes, _FastConvolution | _FastSequential) else None


def _is_known(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    if not isinstance(layer, nn.Conv2d):
        return False
    # A subclass that convolves in its own way, such as by a part of its weights, keeps it.
    own = type(layer)
    if own.forward is not nn.Conv2d.forward or own._conv_forward is not nn.Conv2d._conv_forward:
        return False
    kernel, padding = layer.kernel_size, layer.padding
    return (
        kernel[0] == kernel[1]
        and kernel[0] in TAPS
        and not isinstance(padding, str)
        and padding[0] == padding[1]
        and layer.stride == layer.dilation == (1, 1)
        and layer.groups == 1
        and layer.padding_mode == "zeros"
    )
