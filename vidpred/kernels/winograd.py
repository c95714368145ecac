"""Convolution by Winograd's minimal filtering, and its gradients."""

from ctypes import CDLL
from functools import lru_cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidpred.kernels.filtering import TAPS
from vidpred.kernels.native import BLOCK, NativeTransforms, kernels
from vidpred.kernels.products import MatrixTransforms
from vidpred.kernels.tiling import Tiling, Transforms, Workspace


def winograd_conv2d(
    frames: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    padding: int,
    *,
    relu: bool = False,
    native: bool = True,
) -> Tensor:
    """Convolve as `torch.nn.functional.conv2d` does at stride 1, to about 1e-5 of the output.

    Source: Winograd 1980; Lavin and Gray 2016 (arXiv 1509.09308): tiles of F(4 x 4, k x k), whose
    transforms go by rows and then by columns. A 5 x 5 kernel takes 64 products where 400 were, a
    3 x 3 kernel 36 for 144, a 7 x 7 kernel, cut into four, 196 for 784.

    Args:
        frames: Shape (B, C, H, W), float32 or float64; fastest with the channels innermost.
        weight: Shape (D, C, k, k), k one of `TAPS`.
        bias: Shape (D,), or None.
        padding: Zeros around the frames.
        relu: Apply a ReLU to the output, which takes no time of its own here.
        native: Transform float32 on the CPU by kernels in C where they can be compiled
            (`vidpred.kernels.native`), instead of matrix products; both round differently.

    Returns:
        Shape (B, D, H + 2 * padding - k + 1, W + 2 * padding - k + 1), channels innermost.

    Raises:
        ValueError: When no filtering is known for the kernel's size, or the bias is of another one.
    """
    kernel = weight.shape[-1]
    if kernel not in TAPS:
        raise ValueError(f"the kernel has {kernel} rows; expected one of {tuple(TAPS)}")
    if bias is not None and len(bias) != len(weight):
        raise ValueError(f"the bias has {len(bias)} numbers; expected {len(weight)}")
    given = [frames, weight] if bias is None else [frames, weight, bias]
    library = kernels(kernel) if native and all(map(_in_memory, given)) else None
    missing = -frames.shape[1] % BLOCK
    if library and 0 < missing <= BLOCK // 4:  # part of a block takes longer than a whole one
        frames = F.pad(frames.permute(0, 2, 3, 1), (0, missing)).permute(0, 3, 1, 2)
        weight = F.pad(weight, (0, 0, 0, 0, 0, missing))
    options = _Options(padding, relu, library)
    if not torch.is_grad_enabled():
        return _convolve(frames, weight, bias, options, None)[0]
    convolved: Tensor = _Winograd.apply(frames, weight, bias, options)
    return convolved


class _Options(NamedTuple):
    padding: int
    relu: bool
    library: CDLL | None


def _in_memory(tensor: Tensor) -> bool:
    """Say whether a tensor is what the kernels read: anything else must not reach them.

    Subclasses, such as those of `torch.export`, may have no memory.
    """
    known = type(tensor) in (Tensor, nn.Parameter)
    return known and tensor.dtype == torch.float32 and tensor.device.type == "cpu"


def _convolve(
    frames: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    options: _Options,
    kept: list[Tensor] | None,
) -> tuple[Tensor, Tensor]:
    """Give the convolution and the transformed filters, (side * side, D, P * C).

    Bands go through all steps one after the other; their transformed inputs are added to `kept`.
    """
    tiling = _tiling(frames, weight, options)
    transforms = _transforms(tiling, frames, options)
    filters = transforms.filter_transform(weight)
    inputs = frames.permute(0, 2, 3, 1).contiguous()
    # No view, which what follows could not write into.
    convolved = torch.empty(
        (tiling.batch, len(weight), *tiling.output),
        dtype=frames.dtype,
        device=frames.device,
        memory_format=torch.channels_last,
    )
    output = convolved.permute(0, 2, 3, 1)
    workspace = Workspace(tiling, len(weight), output)
    for band in tiling.bands:
        transformed, products = transforms.input_transform(inputs, band), workspace.of(band)
        torch.bmm(transformed, filters.transpose(1, 2), out=products)
        transforms.output_transform(products, bias, band, output, relu=options.relu)
        if kept is not None:
            kept.append(transformed)
    return convolved, filters


class _Winograd(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, frames: Tensor, weight: Tensor, bias: Tensor | None, options: _Options
    ) -> Tensor:
        # Only the gradient of the filters needs transformed inputs, and not while they are frozen.
        kept: list[Tensor] | None = [] if ctx.needs_input_grad[1] else None
        convolved, filters = _convolve(frames, weight, bias, options, kept)
        activated = convolved if options.relu else None
        ctx.save_for_backward(frames, weight, filters, activated, *(kept or ()))
        ctx.options = options
        return convolved

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        frames, weight, filters, convolved, *kept = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():  # a gradient of the gradient is wanted: by what has one
            if convolved is not None:
                gradient = torch.ops.aten.threshold_backward(gradient, convolved, 0)
            return *_direct_backward(gradient, frames, weight, ctx.options.padding, wanted), None
        tiling = _tiling(frames, weight, ctx.options)
        transforms = _transforms(tiling, frames, ctx.options)
        upstream = gradient.permute(0, 2, 3, 1).contiguous()
        activated = None if convolved is None else convolved.permute(0, 2, 3, 1).contiguous()
        to_frames = to_weight = to_bias = None
        if wanted[0]:
            to_inputs = frames.new_zeros(tiling.batch, tiling.height, tiling.width, weight.shape[1])
            workspace = Workspace(tiling, filters.shape[-1], to_inputs)
            to_frames = to_inputs.permute(0, 3, 1, 2)
        if wanted[1]:
            to_filters = torch.empty_like(filters)
        for number, band in enumerate(tiling.bands):
            products = transforms.output_gradient(upstream, band, activated)
            if wanted[0]:
                to_transformed = workspace.of(band)
                torch.bmm(products, filters, out=to_transformed)
                transforms.input_gradient(to_transformed, band, to_inputs)
            if wanted[1]:
                # The first overwrites what happens to be there.
                to_filters.baddbmm_(products.transpose(1, 2), kept[number], beta=min(number, 1))
            if wanted[2]:
                of_band = products[tiling.side + 1].sum(0)  # at the point 1 a tile is its sum
                to_bias = of_band if to_bias is None else to_bias.add_(of_band)
        if wanted[1]:
            to_weight = transforms.filter_gradient(to_filters)
        return to_frames, to_weight, to_bias, None


_tiling_of = lru_cache(Tiling)  # what it computes is kept with it


def _tiling(frames: Tensor, weight: Tensor, options: _Options) -> Tiling:
    batch, _, height, width = frames.shape
    return _tiling_of(batch, height, width, weight.shape[-1], options.padding)


def _transforms(tiling: Tiling, frames: Tensor, options: _Options) -> Transforms:
    if options.library is not None:
        return NativeTransforms(tiling, options.library)
    return MatrixTransforms(tiling, frames.dtype)


def _direct_backward(
    gradient: Tensor,
    frames: Tensor,
    weight: Tensor,
    padding: int,
    wanted: tuple[bool, bool, bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    to_frames, to_weight, to_bias = torch.ops.aten.convolution_backward(
        *(gradient, frames, weight, [len(weight)] if wanted[2] else None),
        *([1, 1], [padding] * 2, [1, 1], False, [0, 0], 1, list(wanted)),
    )
    return to_frames, to_weight, to_bias
