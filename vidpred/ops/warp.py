"""Backward warping: look up where each pixel came from."""

import torch
import torch.nn.functional as F
from torch import Tensor

from vidpred.ops.regions import Region


def warp(frames: Tensor, flow: Tensor) -> Tensor:
    """Sample frames away from their grid: `warped(p) = frames(p + flow(p))`, bilinearly.

    The flow lies on the grid of the result. With `flow = estimator(first, second)` it is `second`
    that is warped, and the result looks like `first`. Beyond the border the nearest pixel of the
    border is taken; where the flow is not finite, the result is NaN. A flow of 0 gives the frames
    themselves up to rounding: coordinates are right to some 1e-5 pixels.

    Args:
        frames: Shape (N, C, H, W), floating point, any range; also fields such as a flow.
        flow: Pixels, dx (to the right) then dy (down), shape (N, 2, H, W), on the same device.

    Returns:
        Shape (N, C, H, W), in the frames' type. Gradients flow to both arguments.

    Raises:
        TypeError: When the frames or the flow are not floating point.
        ValueError: For shapes that do not fit.

    Example:
        >>> import torch
        >>> frames = torch.arange(4.0).view(1, 1, 1, 4)
        >>> to_the_left = torch.tensor([-1.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 1, 4)
        >>> warp(frames, to_the_left)  # each pixel shows what was one to its left
        tensor([[[[0., 0., 1., 2.]]]])
    """
    if flow.shape[-2:] != frames.shape[-2:]:
        raise ValueError(
            f"frames have shape {tuple(frames.shape)}, flow {tuple(flow.shape)}; "
            "expected (N, C, H, W) and (N, 2, H, W)"
        )
    return warp_region(frames, flow, Region.of(frames)) + not_finite(flow).to(frames.dtype)


def not_finite(flow: Tensor) -> Tensor:
    """Give NaN where a flow (N, 2, H, W) is not finite, else 0, shape (N, 1, H, W).

    Sampling takes what is no number for a place beyond the border, and hides it.
    """
    return (flow.detach() * 0).sum(1, keepdim=True)


def warp_region(frames: Tensor, flow: Tensor, region: Region) -> Tensor:
    """Do as `warp` for a region of the result alone; samples come from all of the frames.

    A flow that is not finite is not seen in the result; see `not_finite`.

    Args:
        frames: Shape (N, C, H, W), floating point, any range.
        flow: Pixels, dx then dy, on the grid of the region, shape (N, 2, h, w).
        region: Of h rows and w columns.

    Returns:
        Shape (N, C, h, w): the region of what `warp` gives for the whole flow.

    Raises:
        TypeError: When the frames or the flow are not floating point.
        ValueError: For shapes that do not fit.
    """
    size = region.bottom - region.top, region.right - region.left
    if frames.ndim != 4 or flow.shape != (frames.shape[0], 2, *size):
        raise ValueError(
            f"frames have shape {tuple(frames.shape)}, flow {tuple(flow.shape)}; "
            f"expected (N, C, H, W) and (N, 2, H, W), here H = {size[0]} and W = {size[1]}"
        )
    if not (frames.is_floating_point() and flow.is_floating_point()):
        raise TypeError(f"frames are {frames.dtype}, flow {flow.dtype}; expected floating point")
    # Half precision cannot count the pixels of a row.
    wide = torch.promote_types(torch.promote_types(frames.dtype, flow.dtype), torch.float32)
    flow = flow.to(wide)
    height, width = frames.shape[-2:]
    rows, columns = (torch.arange(s.start, s.stop, device=flow.device) for s in region.slices)
    x = columns + flow[:, 0]
    y = rows[:, None] + flow[:, 1]
    # With `align_corners`, -1 and 1 are the centers of the first and last pixel.
    grid = torch.stack([x.div_(max(width - 1, 1)), y.div_(max(height - 1, 1))], dim=1)
    grid = grid.mul_(2).sub_(1).permute(0, 2, 3, 1)  # two planes are faster than pairs
    if torch.is_grad_enabled():
        grid = grid.nan_to_num()  # of NaN the gradient on a CPU reads memory that is not there
    warped = F.grid_sample(
        frames.to(wide), grid, mode="bilinear", padding_mode="border", align_corners=True
    )
    return warped.to(frames.dtype)
