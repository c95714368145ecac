"""Which of the logged numbers become charts."""

import re
from collections.abc import Mapping
from typing import Literal, TypeVar

Detail = Literal["summary", "all"]
"""How much goes to TensorBoard and W&B: about 30 charts, or everything that is logged."""

_Value = TypeVar("_Value")

_DETAILS = re.compile(
    r".*_scale_\d+"  # terms and diagnostics of single scales
    r"|.*_t\+(?!01$)\d+"  # frames after the first predicted one
    r"|(val|test)/(ssim|sharpness)(_moving)?(_copy_last)?_t\+\d+"
    r"|train/health/(gradient_norm|gradient_cosine|real_accuracy|fake_accuracy|saturation|margin).*"
)


def kept(metrics: Mapping[str, _Value], detail: Detail) -> dict[str, _Value]:
    """Leave out what only a closer look needs, unless all is wanted.

    Args:
        metrics: By name.
        detail: How much is wanted.

    Example:
        >>> list(kept({"val/psnr": 1, "val/psnr_t+01": 2, "val/psnr_t+07": 3}, "summary"))
        ['val/psnr', 'val/psnr_t+01']
    """
    if detail == "all":
        return dict(metrics)
    return {name: value for name, value in metrics.items() if not _DETAILS.fullmatch(name)}
