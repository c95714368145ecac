"""Pictures and videos of predictions, from tensors."""

from vidpred.viz.side_by_side import side_by_side
from vidpred.viz.strip import strip

__all__ = ["side_by_side", "strip"]
