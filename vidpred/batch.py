"""The typed dictionaries that all parts agree on, and the legend of dimensions.

B clips, T frames, C channels, H rows, W columns, S scales. Frames are uint8 from the disk to the
device and float in [0, 1] at every public border; a clip is `context_frames + horizon` consecutive
frames of one video.
"""

from typing import NotRequired, TypedDict

from torch import Tensor

TRUE_FRAMES = "true_frames"
"""Name of the condition that is the true clip itself, which training and scoring give: with it a
row of a table is a bound, and no prediction."""


class ClipBatch(TypedDict):
    """Clips as a data module gives them.

    Attributes:
        frames: uint8, shape (B, T, C, H, W) with T = context_frames + horizon.
        video_id: B names, unique within the data set.
        start: int64, shape (B,): index of each clip's first frame in its file, counted from 0; a
            video of a list may begin later in its file.
        accepted: bool, shape (B,): whether a training patch moves enough, or is the last of the
            tries; all true in evaluation.
        condition: Where the data have it: by name, what is known of the frames besides pixels, such
            as `actions`, shape (B, T, ...), aligned with `frames`. Absent where they have none.
    """

    frames: Tensor
    video_id: list[str]
    start: Tensor
    accepted: Tensor
    condition: NotRequired[dict[str, Tensor]]


class Evaluation(TypedDict):
    """What a task's validation and test steps return, for callbacks to measure and to show.

    Attributes:
        context: True past frames, shape (B, T, C, H, W), float in [0, 1].
        target: True future frames, shape (B, horizon, C, H, W), float in [0, 1].
        pred: Predicted frames, same shape and range as `target`.
    """

    context: Tensor
    target: Tensor
    pred: Tensor
