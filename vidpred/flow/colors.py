"""Motion as Mathieu et al. 2016 mark it: by the colors of a picture of the flow."""

import torch
from torch import Tensor

COLOR_THRESHOLD = 0.2
"""Of full scale; Mathieu et al. 2016, released code."""


def flow_motion_mask(flow: Tensor, threshold: float = COLOR_THRESHOLD) -> Tensor:
    """Mark the pixels whose color in a picture of the flow is far from white.

    Source: Mathieu et al. 2016, released code: a pixel moves when any of R, G and B is below 0.2 of
    full scale. The picture is torchvision's, on the wheel of Baker et al. 2007; the authors' own
    pictures are not public. On this wheel one channel falls from white in proportion to the speed,
    whatever the direction, and each picture is scaled to its fastest pixel. So the rule says: a
    pixel moves when it is faster than 1 - threshold = 80 % of the fastest pixel of its frame. A
    frame that is still but for noise has a mask too.

    Each frame has a picture of its own: its mask does not depend on its neighbors.

    Args:
        flow: Pixels, dx then dy, shape (..., 2, H, W).
        threshold: In [0, 1]; the higher, the more pixels move.

    Returns:
        Boolean, shape (..., 1, H, W), true where moving; empty for a frame without any flow.

    Raises:
        ValueError: For another shape, a flow that is not finite, or a threshold outside [0, 1].
    """
    if flow.ndim < 3 or flow.shape[-3] != 2 or flow.numel() == 0:
        raise ValueError(f"flow has shape {tuple(flow.shape)}; expected (..., 2, H, W)")
    if not torch.isfinite(flow).all():
        raise ValueError("flow has values that are NaN or infinite; expected pixels")
    require_color_threshold(threshold)
    from torchvision.utils import flow_to_image  # a second, which the baselines need not wait for

    frames = flow.float().reshape(-1, *flow.shape[-3:])
    # One by one: torchvision scales all pictures of a batch to its fastest pixel.
    pictures = torch.stack([flow_to_image(frame) for frame in frames])
    dark = pictures.float() < threshold * 255
    return dark.any(dim=1, keepdim=True).reshape(*flow.shape[:-3], 1, *flow.shape[-2:])


def require_color_threshold(threshold: float) -> None:
    """Refuse a threshold that is no part of full scale."""
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}; expected a number in [0, 1], of full scale")
