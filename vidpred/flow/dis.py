"""Dense inverse search, the optical flow that needs neither weights nor a GPU."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from vidpred.errors import VidpredError
from vidpred.flow.estimator import FlowEstimator, pad_to_size
from vidpred.ops.frame_format import to_gray
from vidpred.ops.range import unit_to_uint8

DISPreset = Literal["ultrafast", "fast", "medium", "fine_fast", "fine"]

MIN_SIDE = {"ultrafast": 96, "fast": 96, "medium": 48, "fine_fast": 48, "fine": 48}
"""Fewest rows and columns, in pixels, that OpenCV gets to see, by preset.

Below 91 (`ultrafast`, `fast`) and 46 (`medium`) pixels OpenCV 5.0 silently chooses other scales and
patches from the width alone, refuses frames below 12, and crashes the process on low, wide frames
such as 15 x 64. Smaller frames are padded to this by repeating their last row and column.
"""

AT_ONCE = 1280 * 720
"""Pixels of a frame up to which pairs are searched at the same time, in torch's threads.

OpenCV's own threads gain little on small frames; on large ones each search takes much memory.
"""


@dataclass(frozen=True)
class _FullSize:
    """OpenCV's `medium`, searched to the full size instead of half of it.

    Attributes:
        stride: Pixels between patches of 8 x 8; 3 in `medium`.
        descents: Steps of gradient descent of a patch; 25 in `medium`.
        refinements: Steps of the variational refinement; 5 in `medium`.
    """

    stride: int = 3
    descents: int = 25
    refinements: int = 5

    def set(self, search: Any) -> None:
        search.setFinestScale(0)
        search.setPatchStride(self.stride)
        search.setGradientDescentIterations(self.descents)
        search.setVariationalRefinementIterations(self.refinements)


_FULL_SIZE = {"fine_fast": _FullSize(stride=4, descents=8, refinements=2), "fine": _FullSize()}


class DISFlow(FlowEstimator):
    """Optical flow of OpenCV's DIS on 8-bit Rec. 601 luminance.

    Source: Kroeger, Timofte, Dai, Van Gool, "Fast optical flow using dense inverse search", ECCV
    2016. The parameters are OpenCV's presets, and two that search to the full size instead of half
    of it: `fine`, with the other parameters of `medium`, and `fine_fast`, with fewer patches and
    steps, which takes 0.55 of the time; `flow_refiner` predicts as well with either, within 0.03 dB
    of PSNR in moving pixels on 90 clips of validation videos. About 6 ms a pair of 240 x 320 frames
    on one core (`medium`).
    OpenCV works on the CPU; the result goes back to the frames' device. Frames of any size.

    Args:
        preset: From coarse and fast to fine and slow.

    Raises:
        ValueError: For an unknown preset.
        VidpredError: When OpenCV is not installed.
    """

    def __init__(self, preset: DISPreset = "medium") -> None:
        if preset not in MIN_SIDE:
            raise ValueError(
                f"preset is {preset!r}; expected one of {', '.join(get_args(DISPreset))}"
            )
        self.preset: DISPreset = preset
        _opencv()  # missing it is said before any work is done

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        """Estimate the flow; see `FlowEstimator.__call__`."""
        height, width = first.shape[-2:]
        pairs = list(zip(self._pixels(first), self._pixels(second), strict=True))
        threads = min(torch.get_num_threads(), len(pairs)) if height * width <= AT_ONCE else 1
        if threads > 1:
            with ThreadPoolExecutor(threads) as pool:  # OpenCV releases the lock of Python
                found = list(pool.map(lambda pair: self._calc(*pair), pairs))
        else:
            found = [self._calc(*pair) for pair in pairs]
        flows = torch.stack([torch.from_numpy(flow) for flow in found])
        return flows[:, :height, :width].permute(0, 3, 1, 2).contiguous().to(first.device)

    def describe(self) -> dict[str, Any]:
        """Say in plain values what decides the flow."""
        version = str(_opencv().__version__)
        return {"name": type(self).__name__, "preset": self.preset, "opencv": version}

    def _pixels(self, frames: Tensor) -> Any:
        """Frames as OpenCV takes them: uint8, shape (N, H, W), large enough."""
        side = MIN_SIDE[self.preset]
        return (
            unit_to_uint8(pad_to_size(to_gray(frames), side, side))[:, 0].cpu().contiguous().numpy()
        )

    def _calc(self, first: Any, second: Any) -> Any:
        cv2 = _opencv()
        full_size = _FULL_SIZE.get(self.preset)
        name = self.preset if full_size is None else "medium"
        # A new one each time (10 microseconds): OpenCV's object keeps buffers, so threads must not
        # share it. Its threads are left as they are: their number changes no result.
        search = cv2.DISOpticalFlow_create(getattr(cv2, f"DISOPTICAL_FLOW_PRESET_{name.upper()}"))
        if full_size is not None:
            full_size.set(search)
        return search.calc(first, second, None)


def described_estimator(description: dict[str, Any]) -> FlowEstimator:
    """Build the estimator that was described, with the OpenCV that is installed.

    Args:
        description: What `FlowEstimator.describe` gave.

    Raises:
        ValueError: When it was not DIS: others need weights, and a description names no file.
        VidpredError: When OpenCV is not installed.
    """
    if description["name"] != DISFlow.__name__:
        raise ValueError(
            f"the flow was estimated by {description['name']}, which a configuration cannot "
            "build; expected DISFlow: give the estimator to the predictor in Python"
        )
    return DISFlow(description["preset"])


def _opencv() -> ModuleType:
    """Import OpenCV where it is needed; it takes a tenth of a second."""
    try:
        import cv2
    except ImportError as error:
        raise VidpredError(
            "optical flow by DIS needs OpenCV, which cannot be imported "
            f"({error}): pip install opencv-python-headless"
        ) from error
    return cv2
