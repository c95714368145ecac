"""Pictures and videos of predictions, from tensors."""

from vidpred.viz.comparison import comparison_strip, comparison_video
from vidpred.viz.side_by_side import side_by_side
from vidpred.viz.strip import strip

__all__ = ["comparison_strip", "comparison_video", "side_by_side", "strip"]
