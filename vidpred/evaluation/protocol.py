"""A protocol: everything that decides a score, as data."""

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentParser
from jsonargparse.typing import PositiveInt

from vidpred.errors import ProtocolError
from vidpred.evaluation.measures import Area, Measure
from vidpred.evaluation.samples import Samples
from vidpred.evaluation.selection import VideoSelection
from vidpred.flow import MotionMask
from vidpred.ops.checks import require_positive
from vidpred.resources import PROTOCOLS

NOT_DECIDING = ("name", "description")
"""Fields that change no number, and so not the digest."""


@dataclass(frozen=True)
class ClipCut:
    """Which frames of a video make a clip.

    Attributes:
        starts: Indices of the first frames; a video gives one clip for each.
        frame_step: Distance between two frames of a clip.
        context_frames: Frames that a predictor may see.
        horizon: Frames that it predicts.
        rollout: "recursive" predicts all frames from the context, feeding predictions back as
            floating point numbers; "one_step" predicts each frame from the true frames before it.
    """

    starts: list[int]
    frame_step: PositiveInt = 1
    context_frames: PositiveInt = 4
    horizon: PositiveInt = 2
    rollout: Literal["recursive", "one_step"] = "recursive"

    def __post_init__(self) -> None:
        for name in ("frame_step", "context_frames", "horizon"):
            require_positive(name, getattr(self, name))
        if not self.starts or len(set(self.starts)) < len(self.starts) or min(self.starts) < 0:
            raise ValueError(
                f"clips.starts is {self.starts}; expected indices of frames, each at least 0, once"
            )

    @property
    def length(self) -> int:
        """Frames of a clip."""
        return int(self.context_frames) + int(self.horizon)


@dataclass(frozen=True)
class FrameFormat:
    """To what frames are brought before anything sees them.

    Attributes:
        height: Rows; None leaves the size of the video.
        width: Columns; None leaves the size of the video.
        fit: How frames of another size are brought to it: "resize" (antialiased bilinear, aspect
            not kept) or "center_crop" (no resampling; frames may not be smaller).
        color: "rgb", or "gray" (Rec. 601 luminance).
    """

    height: PositiveInt | None = None
    width: PositiveInt | None = None
    fit: Literal["resize", "center_crop"] = "resize"
    color: Literal["rgb", "gray"] = "rgb"

    def __post_init__(self) -> None:
        if (self.height is None) != (self.width is None):
            raise ValueError(
                f"frames.height is {self.height}, frames.width {self.width}; expected both or none"
            )


@dataclass(frozen=True)
class Skip:
    """Clips that are left out of the averages, decided for each method and frame.

    Source: Mathieu et al. 2016, released code, skips what is masked to (nearly) nothing. Measures
    of the same area are averaged over the clips that are left.

    Attributes:
        measure: What decides.
        at_least: A clip is skipped at frames where the measure is not below this.
    """

    measure: Measure
    at_least: float


@dataclass(frozen=True)
class Protocol:
    """Everything that decides a score.

    Averages are over clips, of each clip's value (of dB: the mean of the dB), for each frame; means
    over frames come last.

    Attributes:
        name: Short name.
        description: What is measured, in a sentence.
        videos: Which videos.
        clips: Which frames of them.
        frames: At what size and in which colors.
        mask: Which pixels move; None when whole frames alone are measured.
        measures: What is measured; the first one ranks.
        skip: What is left out; None for nothing.
        samples: How many futures are drawn of each clip; None takes the point prediction.
    """

    name: str
    description: str
    videos: VideoSelection
    clips: ClipCut
    frames: FrameFormat
    mask: MotionMask | None
    measures: list[Measure]
    skip: Skip | None = None
    samples: Samples | None = None

    def __post_init__(self) -> None:
        keys = [measure.key for measure in self.measures]
        if not keys or len(set(keys)) < len(keys):
            raise ValueError(f"measures are {keys}; expected at least one, each once")
        if self.mask is None and any(m.area == "moving" for m in self.measures):
            raise ValueError("a measure asks for the moving area; expected a mask")
        if self.mask is not None and self.clips.context_frames < 2:
            raise ValueError(
                f"clips.context_frames is {self.clips.context_frames} with a mask; expected at "
                "least 2, which show a motion"
            )
        if self.skip is not None and self.skip.measure not in self.measures:
            raise ValueError(f"skip asks for {self.skip.measure.key}, which is not among measures")
        by = None if self.samples is None else self.samples.by
        if by is not None and by not in self.measures:
            raise ValueError(f"samples.by is {by.key}, which is not among measures; add it there")

    def measured(self, area: Area) -> list[Measure]:
        """Give the measures of an area."""
        return [measure for measure in self.measures if measure.area == area]


@dataclass(frozen=True)
class NamedProtocol:
    """A protocol together with the plain values that it was made of.

    Attributes:
        protocol: The protocol.
        values: All of it as plain values, defaults filled in, as results embed it.
        digest: SHA-256 of the values that decide numbers.
    """

    protocol: Protocol
    values: dict[str, Any]
    digest: str


def available_protocols() -> list[str]:
    """Give the names of the protocols in the package."""
    return PROTOCOLS.names()


def load_protocol(name: str | Path) -> NamedProtocol:
    """Load a protocol.

    Args:
        name: One of `available_protocols`, or the path of a YAML file.

    Raises:
        ProtocolError: When there is none, or its content is not a protocol.

    Example:
        >>> protocol = load_protocol("clean-ucf101").protocol
        >>> protocol.clips.context_frames, protocol.clips.horizon
        (4, 8)
    """
    path = PROTOCOLS.path(name)
    try:
        return build_protocol(_read(path))
    except (ValueError, TypeError) as error:
        raise ProtocolError(f"{path}: {error}") from error


def _read(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Read a protocol's keys, and those that it has not from the protocol that `base` names."""
    content = PROTOCOLS.read(path)
    base = content.pop("base", None)
    if base is None:
        return content
    below = PROTOCOLS.path(str(base))
    if below in (path, *above):
        raise ProtocolError(f"{path}: base {base!r} leads back to itself; name another protocol")
    whole = _on_top(content, _read(below, (path, *above)))
    # What it says of itself is not what the other says.
    whole["name"] = content.get("name", path.stem)
    whole["description"] = content.get("description", f"A protocol that builds on {base}.")
    return whole


def _on_top(content: dict[str, Any], below: dict[str, Any]) -> dict[str, Any]:
    """Replace what is given again, key by key; an object of another class is replaced whole."""
    merged = dict(below)
    for key, value in content.items():
        old = below.get(key)
        merged[key] = value
        if isinstance(value, dict) and isinstance(old, dict):
            kind = old.get("class_path")
            if value.get("class_path", kind) == kind:
                merged[key] = _on_top(value, old)
    return merged


def build_protocol(content: Mapping[str, Any]) -> NamedProtocol:
    """Build a protocol from plain values, such as those in a result.

    Raises:
        ValueError: For unknown or missing keys and wrong values.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Protocol)
    try:
        parsed = parser.parse_object(deepcopy(dict(content)))  # it changes lists in place
        values = json.loads(parser.dump(parsed, format="json", skip_unset=False))
        # A protocol of one future reads as before there were several, and has the same digest.
        if values["samples"] is None:
            del values["samples"]
        protocol = Protocol(**vars(parser.instantiate(parsed)))
    except Exception as error:  # jsonargparse raises argparse's errors and its own
        raise ValueError(str(error)) from error
    return NamedProtocol(protocol, values, digest_of(values))


def digest_of(values: Mapping[str, Any]) -> str:
    """Give the SHA-256 of what decides numbers in a protocol's plain values."""
    deciding = {key: value for key, value in values.items() if key not in NOT_DECIDING}
    text = json.dumps(deciding, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
