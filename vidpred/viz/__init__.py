"""Pictures and videos of predictions, from tensors."""

from vidpred.viz.comparison_pictures import comparison_strip, comparison_video
from vidpred.viz.future import future_strip, future_video
from vidpred.viz.side_by_side import side_by_side, side_by_side_frame
from vidpred.viz.signed_difference import signed_difference
from vidpred.viz.strip import strip

__all__ = [
    "comparison_strip",
    "comparison_video",
    "future_strip",
    "future_video",
    "side_by_side",
    "side_by_side_frame",
    "signed_difference",
    "strip",
]
