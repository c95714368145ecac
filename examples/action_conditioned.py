"""An action-conditioned predictor: a square that is moved by actions, which come with the videos.

Source of the network: the convolutional dynamic neural advection of Finn et al. 2016 (arXiv
1605.07157) in its smallest form: an action becomes a kernel, and the kernel moves the last frame.
The data are real AVI files; next to each lies a file of arrays, `VIDEO.conditions.npz`, whose
`actions` travel by that name to the batch and to the network; `world/plan.npy` holds actions of
one's own for the last command. In the folder that holds this file:

    python action_conditioned.py world
    vidpred fit -c action_conditioned.yaml --run-dir runs/actions
    vidpred test runs/actions/checkpoints/best.ckpt --module action_conditioned \
        --protocol action_conditioned_protocol.yaml --root world/test
    vidpred predict world/test/test_000.avi --model runs/actions/checkpoints/best.ckpt \
        --module action_conditioned --at 7 --horizon 8 --compare --output known.mp4
    vidpred predict world/test/test_000.avi --model runs/actions/checkpoints/best.ckpt \
        --module action_conditioned --at 7 --horizon 8 \
        --condition actions=world/plan.npy --output planned.mp4
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jsonargparse.typing import PositiveInt
from torch import Tensor, nn

from vidpred.models import Condition, Predictor
from vidpred.video import write_video
from vidpred.video.conditions import write_conditions

SIDE, SQUARE, REACH = 32, 8, 3
"""Rows and columns of a frame, of the square, and pixels that an action moves it at most."""


class ActionPredictor(Predictor):
    """Moves the last frame by a kernel that the action of the next frame chooses.

    Args:
        hidden: Width of the network that makes kernels of actions.
        channels: Of a frame.
    """

    conditions = ("actions",)

    def __init__(self, hidden: PositiveInt = 64, *, channels: PositiveInt = 3) -> None:
        super().__init__(context_frames=1, channels=channels)
        size = 2 * REACH + 1
        self.kernel = nn.Sequential(
            nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, size * size),
        )  # fmt: skip
        self.hidden = int(hidden)

    def step(self, context: Tensor, *, condition: Condition | None = None) -> Tensor:
        """Predict the next frame, shape (B, 1, C, H, W).

        Args:
            context: The last frame, shape (B, 1, C, H, W) in [0, 1].
            condition: `actions`, shape (B, 2, 2): row t led to frame t, so the second one counts.
        """
        if condition is None:
            raise ValueError("no actions were given; expected condition={'actions': (B, T, 2)}")
        frame, size = context[:, -1], 2 * REACH + 1
        logits = self.kernel(condition["actions"][:, -1] / REACH)
        kernels = logits.softmax(dim=1).view(-1, 1, size, size)
        kernels = kernels.repeat_interleave(frame.shape[1], dim=0)
        padded = F.pad(frame, (REACH,) * 4, mode="replicate")
        moved = F.conv2d(padded.flatten(0, 1)[None], kernels, groups=len(kernels))
        return moved.view_as(frame)[:, None].clamp(0, 1)

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {"hidden": self.hidden, "channels": self.channels}


def draw(places: np.ndarray[Any, Any]) -> Tensor:
    """Draw a square at places (T, 2), row and column of its corner: uint8, (T, 3, SIDE, SIDE)."""
    frames = torch.full((len(places), 3, SIDE, SIDE), 40, dtype=torch.uint8)
    for frame, (top, left) in zip(frames, places.tolist(), strict=True):
        frame[:, top : top + SQUARE, left : left + SQUARE] = 220
    return frames


def write_world(folder: Path, *, videos: int, frames: int = 20, seed: int = 0) -> None:
    """Write videos of a square that random actions move, each with its actions next to it.

    Their names begin with that of the folder: a video is known by its name, and those of the test
    are not those of the training.

    Args:
        folder: Where to; made when it is not there.
        videos: How many.
        frames: Of a video.
        seed: Of places and actions.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(videos):
        places = np.empty((frames, 2), np.int64)
        places[0] = rng.integers(0, SIDE - SQUARE + 1, 2)
        for t in range(1, frames):
            wanted = places[t - 1] + rng.integers(-REACH, REACH + 1, 2)
            places[t] = wanted.clip(0, SIDE - SQUARE)
        # What led to each frame, the first of which nothing led to: rows, then columns.
        actions = np.diff(places, axis=0, prepend=places[:1]).astype(np.float32)
        path = folder / f"{folder.name}_{number:03d}.avi"
        write_video(path, draw(places))
        write_conditions(path, {"actions": actions})


def write_plan(path: Path, *, frames: int = 20, known: int = 8) -> None:
    """Write actions to predict from: down and to the right, after the known frames.

    Args:
        path: Of the array, shape (frames, 2).
        frames: Of the video.
        known: Frames at its beginning that are given.
    """
    actions = np.zeros((frames, 2), np.float32)
    actions[known:] = REACH
    np.save(path, actions)


if __name__ == "__main__":
    root = Path(sys.argv[1])
    write_world(root / "train", videos=100, seed=0)
    write_world(root / "test", videos=10, seed=1)
    write_plan(root / "plan.npy")
