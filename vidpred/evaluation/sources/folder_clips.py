"""The clips of a folder of true frames, for predictions that other programs wrote."""

import re
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from vidpred.errors import PredictionError
from vidpred.evaluation.clips import ClipSource, EvaluationClip, Loaded, Unit
from vidpred.evaluation.fingerprints import content_digest, fingerprint_of
from vidpred.evaluation.protocol import Protocol
from vidpred.evaluation.sources.clip_folder import ClipFolder, pair_clips
from vidpred.plain import counted

_START = re.compile(r"^(?P<video>.+)\+(?P<start>\d+)$")


class FolderClips(ClipSource):
    """Clips whose frames lie in folders; see `vidpred.evaluation.sources.clip_folder.ClipFolder`.

    A target holds the true future alone, or the true past before it. With the past, masks are
    computed and baselines can be scored. Names such as "v_YoYo_g01_c01+00008" (as
    `vidpred data clips` writes them) give video and start; any other name is a video of its own.

    Args:
        protocol: Says how many frames, of what size, and which pixels move.
        target: The true frames.
        masks: Which pixels move, when that is not to be computed.

    Attributes:
        has_context: Whether the targets hold the past as well; as the first clip does.

    Raises:
        PredictionError: When clips cannot be read, or masks and targets do not match.
    """

    def __init__(
        self, protocol: Protocol, target: ClipFolder, masks: ClipFolder | None = None
    ) -> None:
        self.protocol = protocol
        self.target = target
        self.masks = masks
        self.names = target.clips if masks is None else pair_clips(masks, target)
        self.missing = []
        self.videos_expected = protocol.videos.expected
        self.videos_listed = len({_video_of(name)[0] for name in self.names})
        cut = protocol.clips
        context, _ = target.read_target(self.names[0], cut.context_frames, cut.horizon)
        self.has_context = context is not None
        self.mask = self._describe_mask()

    def units(self) -> Iterator[Unit]:
        """Yield a unit for each clip."""
        for name in self.names:
            yield Unit((name,), partial(self._read, name))

    def fingerprint(self, clip: str) -> str:
        """Identify target and mask of a clip and their state."""
        folders = [self.target] if self.masks is None else [self.target, self.masks]
        return fingerprint_of(folder.entry(clip) for folder in folders)

    def _describe_mask(self) -> dict[str, object]:
        if self.masks is not None:
            entries = [self.masks.entry(name) for name in self.names]
            return {"source": "given", "description": {"sha256": content_digest(entries)}}
        if self.protocol.mask is None or not self.has_context:
            return {"source": "none", "description": None}
        return {"source": "computed", "description": self.protocol.mask.describe()}

    def _read(self, name: str) -> Loaded:
        cut = self.protocol.clips
        context, target = self.target.read_target(name, cut.context_frames, cut.horizon)
        if (context is not None) != self.has_context:
            held = "with" if context is not None else "without"
            raise PredictionError(
                f"clip {name!r}: the target is {held} the past frames, unlike clip "
                f"{self.names[0]!r}; expected all targets alike"
            )
        self._require_format(name, target)
        video, start = _video_of(name)
        mask = self._mask(name, context, target)
        return {name: EvaluationClip(name, video, start, context, target, mask)}

    def _require_format(self, name: str, target: Tensor) -> None:
        wanted = self.protocol.frames
        channels, *size = target.shape[1:]
        if wanted.height is not None and size != [wanted.height, wanted.width]:
            raise PredictionError(
                f"clip {name!r}: frames are {size[0]} x {size[1]} (rows x columns); protocol "
                f"{self.protocol.name} asks for {wanted.height} x {wanted.width}"
            )
        if channels != (3 if wanted.color == "rgb" else 1):
            raise PredictionError(
                f"clip {name!r}: frames have {counted(channels, 'channel')}; protocol "
                f"{self.protocol.name} asks for {wanted.color}"
            )

    def _mask(self, name: str, context: Tensor | None, target: Tensor) -> Tensor | None:
        horizon = len(target)
        if self.masks is not None:
            height, width = target.shape[-2:]
            return self.masks.read_mask(name, horizon, (height, width))
        if self.protocol.mask is None or context is None:
            return None
        return self.protocol.mask(torch.cat((context, target))[None], horizon)[0]


def _video_of(name: str) -> tuple[str, int | None]:
    found = _START.match(name)
    return (found["video"], int(found["start"])) if found else (name, None)
