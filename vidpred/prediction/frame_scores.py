"""How close predictions come to the truth, compared with copying the last known frame."""

from collections import defaultdict
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from vidpred.metrics import METRICS, metric_info, psnr, sharpness, ssim
from vidpred.metrics.ssim import WINDOW
from vidpred.ops import frame_difference_mask
from vidpred.ops.motion import MOTION_THRESHOLD
from vidpred.prediction.pipeline import Values

PREDICTION = "prediction"
COPY_LAST = "copy last"


def _ssim_by_color(pred: Tensor, target: Tensor, *, data_range: float) -> Tensor:
    # The same mean: `ssim` takes each color alone, and so needs a third of the memory (1.8 GB with
    # 4K frames).
    colors = (
        ssim(pred[:, :, k : k + 1], target[:, :, k : k + 1], data_range=data_range)
        for k in range(pred.shape[2])
    )
    return torch.stack(list(colors)).mean(dim=0)


_MEASURES: Mapping[str, tuple[Callable[..., Tensor], int]] = {
    # By name of the metric, its function and the smallest side of a frame.
    "psnr": (psnr, 2),
    "ssim": (_ssim_by_color, WINDOW),
    "sharpness": (sharpness, 2),
}

_MOVING = "psnr.moving"

_SHOWN = {name: METRICS[name].label_with_unit for name in _MEASURES} | {
    _MOVING: f"{METRICS['psnr'].label}, moving area, {METRICS['psnr'].unit}"
}
"""By measure, how its rows are called."""

LEAST_MOVING = 1e-3
"""Share of the pixels from which on the moving area is measured: scores of a few pixels, as after a
repeated frame, would outweigh all others in a mean."""

MOST_COLUMNS = 10
"""Frames ahead that have a column each in the table; of more, some do."""

CONVENTION = (
    "standard PSNR, SSIM and sharpness of whole frames in [0, 1] (data range 1), and PSNR of the "
    f"pixels that changed by more than {MOTION_THRESHOLD:.0%} between the two true frames before "
    "(moving area); before encoding; higher is better; no benchmark protocol"
)


@torch.inference_mode()
def measure(
    pred: Tensor, target: Tensor, last: Tensor, before: tuple[Tensor, Tensor] | None = None
) -> Values:
    """Measure one predicted frame.

    Args:
        pred: Shape (3, H, W), float in [0, 1].
        target: The true frame, likewise.
        last: The last known frame, likewise.
        before: The two true frames before the target, in time, whose difference says what moves,
            as in the packaged protocols; None where fewer are known.

    Returns:
        By measure and method; without the measures that do not apply: SSIM of frames below its
        window, the moving area where less than LEAST_MOVING moves.
    """
    values: Values = {}
    for name, (function, smallest) in _MEASURES.items():
        if min(target.shape[-2:]) < smallest:
            continue
        for method, frame in ((PREDICTION, pred), (COPY_LAST, last)):
            value = function(frame[None, None], target[None, None], data_range=1.0)
            values[name, method] = float(value)
    if before is None or not values:
        return values
    mask = frame_difference_mask(torch.stack([*before, target])[None], 1)
    if mask.float().mean() >= LEAST_MOVING:
        for method, frame in ((PREDICTION, pred), (COPY_LAST, last)):
            pair = (frame[None, None], target[None, None])
            value = psnr(*pair, data_range=1.0, variant="masked_mean", mask=mask)
            values[_MOVING, method] = float(value)
    return values


class Scores:
    """Means over positions, by the number of frames ahead."""

    def __init__(self) -> None:
        self._sums: dict[int, Values] = defaultdict(lambda: defaultdict(float))
        self._counts: dict[int, dict[tuple[str, str], int]] = defaultdict(lambda: defaultdict(int))

    def add(self, step: int, values: Values) -> None:
        """Note the values of a frame that lies `step` frames ahead."""
        for key, value in values.items():
            self._counts[step][key] += 1
            self._sums[step][key] += value

    def merge(self, others: "Scores") -> None:
        """Note all that another one noted."""
        for step, sums in others._sums.items():
            for key, value in sums.items():
                self._counts[step][key] += others._counts[step][key]
                self._sums[step][key] += value

    @property
    def positions(self) -> int:
        """Number of predictions that were measured."""
        return max((n for counts in self._counts.values() for n in counts.values()), default=0)

    def lines(self) -> list[str]:
        """Give a table: a row a measure and method, a column a frame ahead, at last their mean.

        A cell is empty where a measure does not apply; the mean is of the others. Where there are
        more than MOST_COLUMNS frames, each column is twice as far ahead as the one before, and the
        mean is still that of all.
        """
        steps = sorted(self._counts)
        columns = steps if len(steps) <= MOST_COLUMNS else _doubling(steps)
        first = max(len(_label(name, method)) for name in _SHOWN for method in _METHODS)
        head = " ".join(f"{f't+{step}':>7}" for step in columns)
        lines = [f"{'':{first}} {head} {'mean':>7}"]
        for name in _SHOWN:
            for method in _METHODS:
                means = {
                    step: self._sums[step][name, method] / self._counts[step][name, method]
                    for step in steps
                    if (name, method) in self._sums[step]
                }
                if means:
                    digits = metric_info(name.partition(".")[0]).digits
                    cells = [
                        f"{means[step]:7.{digits}f}" if step in means else " " * 7
                        for step in columns
                    ]
                    mean = sum(means.values()) / len(means)
                    cells.append(f"{mean:7.{digits}f}")
                    lines.append(f"{_label(name, method):{first}} {' '.join(cells)}")
        return lines


_METHODS = (PREDICTION, COPY_LAST)


def _doubling(steps: list[int]) -> list[int]:
    """Give the powers of 2 among steps, and the last step."""
    return [step for step in steps if step.bit_count() == 1 or step == steps[-1]]


def _label(name: str, method: str) -> str:
    return f"{_SHOWN[name]}, {method}"
