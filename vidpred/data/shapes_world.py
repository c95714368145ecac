"""A small world of textured shapes that move over textured ground, with the true flow.

Shapes are rigid up to scale and move without friction, so four frames fix the fifth; they overlap,
with a fixed order of depth, so something is hidden and uncovered all the time.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidpred.data.shapes_texture import Texture, draw_texture
from vidpred.ops.checks import require_positive

Motion = Literal["Bounce", "Drift", "Spin", "Zoom"]
MOTIONS: tuple[Motion, ...] = get_args(Motion)

MIN_SIZE = 16
"""Fewest rows and columns of a frame; shapes would vanish in a smaller one."""

_NUM_SHAPES = (3, 5)
_RADIUS = (0.14, 0.24)  # of the frame's shorter side
_SPEED = (1.2, 3.2)  # pixels a frame
_TURN = (0.08, 0.16)  # radians a frame, Spin
_ZOOM_DEPTH, _ZOOM_PERIOD = 0.35, (22, 34)  # of the radius; frames, Zoom
_REACH = 1.4  # of the radius: the corners of a triangle
_PAN = (0.4, 0.9)  # pixels a frame of the ground, Drift

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Path:
    """Where a shape is at each of T times: center in pixels, angle in radians, scale."""

    x: Array
    y: Array
    angle: Array
    scale: Array

    def to_shape(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Take pixel coordinates (T, H, W) to the shape's own, in which its size is fixed."""
        cos, sin, scale = _column(np.cos(self.angle)), _column(np.sin(self.angle)), self.scale
        dx, dy = x - _column(self.x), y - _column(self.y)
        return (cos * dx + sin * dy) / _column(scale), (cos * dy - sin * dx) / _column(scale)

    def to_frame(self, times: Index, u: Array, v: Array) -> tuple[Array, Array]:
        """Invert `to_shape` for points of any shape, each at its own time."""
        cos, sin, scale = np.cos(self.angle)[times], np.sin(self.angle)[times], self.scale[times]
        return scale * (cos * u - sin * v) + self.x[times], scale * (sin * u + cos * v) + self.y[
            times
        ]


def render_moving_shapes(
    motion: Motion,
    *,
    num_frames: int = 40,
    height: int = 96,
    width: int = 128,
    seed: int = 0,
    group: int = 1,
    clip: int = 1,
) -> tuple[Tensor, Tensor]:
    """Draw one clip and its true flow; equal arguments give equal clips.

    Bounce: shapes cross the frame and turn round at its border. Drift: they cross it and come in
    again from the other side, over ground that pans. Spin: they bounce slowly and turn. Zoom: they
    bounce slowly and grow and shrink by a third.

    Args:
        motion: What moves how.
        num_frames: T.
        height: Rows, at least 16.
        width: Columns, at least 16.
        seed: Of the world.
        group: Clips of one group share ground, shapes and colors, as UCF101's share a scene.
        clip: Clips of a group differ in where shapes start and how they move.

    Returns:
        Frames, uint8 RGB, shape (T, 3, H, W); and flow, float32, shape (T - 1, 2, H, W): how many
        pixels the content of each pixel of frame t moves until frame t + 1, dx (to the right) then
        dy (down). It describes what is visible at t, even where it is hidden at t + 1.

    Raises:
        ValueError: For an unknown motion, no frame, or a frame below 16 x 16.

    Example:
        >>> frames, flow = render_moving_shapes("Bounce", num_frames=5, height=48, width=64)
        >>> frames.shape, flow.shape
        (torch.Size([5, 3, 48, 64]), torch.Size([4, 2, 48, 64]))
    """
    if motion not in MOTIONS:
        raise ValueError(f"motion is {motion!r}; expected one of {', '.join(MOTIONS)}")
    require_positive("num_frames", num_frames)
    if min(height, width) < MIN_SIZE:
        raise ValueError(f"frames of {height} x {width}; expected at least {MIN_SIZE} x {MIN_SIZE}")
    look = np.random.default_rng((seed, MOTIONS.index(motion), group))
    move = np.random.default_rng((seed, MOTIONS.index(motion), group, clip, 1))

    times = np.arange(num_frames, dtype=np.float64)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    x = np.broadcast_to(columns, (num_frames, height, width))
    y = np.broadcast_to(rows, (num_frames, height, width))

    ground = draw_texture(look, contrast=0.45)
    pan_x, pan_y = _pan(motion, move)
    frames = ground.sample(x - _column(pan_x * times), y - _column(pan_y * times))
    flow = np.zeros((num_frames, height, width, 2))
    flow[..., 0], flow[..., 1] = pan_x, pan_y
    for _ in range(int(look.integers(*_NUM_SHAPES, endpoint=True))):
        radius = look.uniform(*_RADIUS) * min(height, width)
        outline = _outline(look, radius)
        texture = draw_texture(look, contrast=1.0)
        _draw_shape(
            frames,
            flow,
            _path(motion, move, times, radius, height, width),
            outline,
            radius,
            texture,
        )
    flow = np.moveaxis(flow[:-1], -1, 1)
    pixels = np.rint(np.clip(frames, 0, 1) * 255).astype(np.uint8)
    return (
        torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(flow.astype(np.float32)),
    )


def _draw_shape(
    frames: Array, flow: Array, path: _Path, outline: Array | None, radius: float, texture: Texture
) -> None:
    """Lay a shape over `frames` (T, H, W, 3) and its motion over `flow` (T, H, W, 2), in place."""
    num_frames, height, width = frames.shape[:3]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    u, v = path.to_shape(columns[None], rows[None])
    # Only where the shape can reach, which saves most of the work.
    near = np.nonzero(np.hypot(u, v) < _REACH * radius + 2 / _column(path.scale))
    t, y, x = near
    u, v = u[near], v[near]
    distance = _distance(outline, radius, u, v) * path.scale[t]
    # A pixel is covered by as much as the outline's distance says: edges move by parts of a pixel.
    cover = np.clip(0.5 - distance, 0, 1)[:, None]
    # A dark rim of a pixel and a half parts shapes of like colors.
    rim = np.clip(distance + 2, 0, 1)[:, None] * 0.75
    frames[near] += cover * (texture.sample(u, v) * (1 - rim) - frames[near])
    next_x, next_y = path.to_frame(np.minimum(t + 1, num_frames - 1), u, v)
    covered = cover[:, 0] > 0.5
    flow[t[covered], y[covered], x[covered]] = np.stack([next_x - x, next_y - y], axis=1)[covered]


def _pan(motion: Motion, rng: np.random.Generator) -> tuple[float, float]:
    if motion != "Drift":
        return 0.0, 0.0
    speed, heading = rng.uniform(*_PAN), rng.uniform(0, 2 * np.pi)
    return float(speed * np.cos(heading)), float(speed * np.sin(heading))


def _path(
    motion: Motion, rng: np.random.Generator, times: Array, radius: float, height: int, width: int
) -> _Path:
    speed = rng.uniform(*_SPEED) * (1.0 if motion in ("Bounce", "Drift") else 0.4)
    # Not along an axis: a shape that runs along a border would look still.
    heading = rng.integers(4) * np.pi / 2 + rng.uniform(0.2, np.pi / 2 - 0.2)
    x = rng.uniform(0, width) + speed * np.cos(heading) * times
    y = rng.uniform(0, height) + speed * np.sin(heading) * times
    if motion == "Drift":
        margin = 1.5 * radius  # the jump to the other side happens out of sight
        x = _wrap(x, width, margin)
        y = _wrap(y, height, margin)
    else:
        x, y = _reflect(x, 0.6 * radius, width), _reflect(y, 0.6 * radius, height)
    angle = np.full_like(times, rng.uniform(0, 2 * np.pi))
    scale = np.ones_like(times)
    if motion == "Spin":
        angle += rng.choice((-1.0, 1.0)) * rng.uniform(*_TURN) * times
    if motion == "Zoom":
        phase = 2 * np.pi * (times / rng.uniform(*_ZOOM_PERIOD) + rng.uniform())
        scale += _ZOOM_DEPTH * np.sin(phase)
    return _Path(x, y, angle, scale)


def _wrap(position: Array, size: int, margin: float) -> Array:
    return (position + margin) % (size + 2 * margin) - margin


def _reflect(position: Array, margin: float, size: int) -> Array:
    """Fold a straight path at `margin` from both borders."""
    room = size - 1 - 2 * margin
    return margin + room - np.abs((position - margin) % (2 * room) - room)


def _outline(rng: np.random.Generator, radius: float) -> Array | None:
    """Corners of a polygon, shape (N, 2), in its own coordinates; `None` for a disc."""
    corners, inner = [(0, 1.0), (3, 1.0), (4, 1.0), (6, 1.0), (5, 0.5)][rng.integers(5)]
    if corners == 0:
        return None
    count = corners if inner == 1.0 else 2 * corners
    reach = np.where(np.arange(count) % 2 == 0, 1.0, inner) * radius
    turn = 2 * np.pi * np.arange(count) / count
    # Shapes of few corners are enlarged to about the disc's area.
    reach = reach * {3: _REACH, 4: 1.25, 6: 1.1, 5: 1.35}[corners]
    return np.stack([reach * np.cos(turn), reach * np.sin(turn)], axis=1)


def _distance(outline: Array | None, radius: float, u: Array, v: Array) -> Array:
    """Signed distance to the outline, negative inside, in the unit of `u` and `v`."""
    if outline is None:
        return np.hypot(u, v) - radius
    nearest = np.full(u.shape, np.inf)
    inside = np.zeros(u.shape, dtype=bool)
    for (ax, ay), (bx, by) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        ex, ey = bx - ax, by - ay
        along = np.clip(((u - ax) * ex + (v - ay) * ey) / (ex * ex + ey * ey), 0, 1)
        np.minimum(nearest, (u - ax - along * ex) ** 2 + (v - ay - along * ey) ** 2, out=nearest)
        if ay != by:  # a ray to the right crosses this edge
            crosses = (v < ay) != (v < by)
            inside ^= crosses & (u < ax + (v - ay) * ex / (by - ay))
    distance: Array = np.where(inside, -1.0, 1.0) * np.sqrt(nearest)
    return distance


def _column(values: Array) -> Array:
    """Shape (T,) to (T, 1, 1)."""
    return values[:, None, None]
