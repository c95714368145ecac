"""Whether an exported file does what the predictor does."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vidpred.errors import ExportError
from vidpred.export.graph import channels_of, inputs_of
from vidpred.models import FlowRefiner, Predictor

TOLERANCE = 1e-4
"""Largest difference of a pixel, full scale being 1: a fortieth of a gray level."""

SIZES = ((1, 48, 64), (3, 45, 31), (2, 23, 86))
"""Batch, H and W; none is the one that graphs are recorded with."""


def sizes_of(predictor: Predictor) -> Sequence[tuple[int, int, int]]:
    """Give the sizes that are compared: `SIZES`, or the only one that a predictor takes."""
    side = predictor.image_size
    return SIZES if side is None else [(batch, side, side) for batch, *_ in SIZES[:2]]


def require_parity(
    predictor: Predictor,
    exported: Callable[..., Tensor],
    horizon: int,
    *,
    program: bool = False,
) -> dict[str, float]:
    """Compare an exported program with the predictor on frames of noise.

    Args:
        predictor: In evaluation mode on the CPU.
        exported: The program, read back from its file.
        horizon: Frames that it predicts.
        program: Whether it takes what the graph takes (`inputs_of`), not the frames alone.

    Returns:
        The largest difference by size, such as {"1 x 48 x 64": 6e-08}; none for a predictor that is
        conditioned, whose weights are compared instead.

    Raises:
        ExportError: With the numbers, when one is above `TOLERANCE` or none at all.
    """
    if predictor.conditions:  # what they are like, only their data know
        _require_same_weights(predictor, exported)
        return {}
    generator = torch.Generator().manual_seed(0)
    frames, channels = predictor.context_frames, channels_of(predictor)
    flows = program and isinstance(predictor, FlowRefiner)
    found: dict[str, float] = {}
    with torch.inference_mode():
        for batch, *sides in sizes_of(predictor):
            # Flows are estimated on frames that are padded: only whole multiples show them all.
            size = [side + -side % predictor.size_multiple if flows else side for side in sides]
            height, width = size
            context = torch.rand(batch, frames, channels, height, width, generator=generator)
            expected = predictor(context, horizon)
            inputs = inputs_of(predictor, context).values() if program else (context,)
            try:
                got = exported(*inputs)
            except RuntimeError as error:
                raise ExportError(
                    f"the exported program fails on frames of {height} x {width} "
                    f"({next(iter(str(error).splitlines()), '')}); nothing was written. --format "
                    "safetensors keeps the network as it is"
                ) from error
            alike = got.shape == expected.shape
            difference = (got - expected).abs().max().item() if alike else float("nan")
            found[f"{batch} x {height} x {width}"] = difference
    if not all(difference <= TOLERANCE for difference in found.values()):
        numbers = ", ".join(f"{size}: {difference:.1e}" for size, difference in found.items())
        raise ExportError(
            f"the exported program differs from the predictor by more than {TOLERANCE:g} "
            f"(batch x H x W: largest difference; {numbers}); nothing was written. "
            "--format safetensors keeps the network as it is"
        )
    return found


def _require_same_weights(predictor: Predictor, exported: Callable[..., Tensor]) -> None:
    again = getattr(exported, "predictor", None)
    assert isinstance(again, Predictor)  # conditioned networks are not recorded as graphs
    weights = again.state_dict()
    if again.config() != predictor.config() or any(
        not torch.equal(value, weights[name]) for name, value in predictor.state_dict().items()
    ):
        raise ExportError("the file does not hold the predictor's weights; nothing was written")
