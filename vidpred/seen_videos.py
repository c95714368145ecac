"""Which videos a predictor was trained or validated on, so that a test on them is noticed."""

import base64
import hashlib
import os
from collections.abc import Iterable
from pathlib import PurePosixPath

_BYTES = 5
"""Of each digest: two different names have the same once in a million million."""


class SeenVideos:
    """Names of videos as digests, small enough for every checkpoint.

    Args:
        text: What `text` of another one gave.

    Raises:
        ValueError: For a text that is none.

    Example:
        >>> seen = SeenVideos.of(["Archery/v_Archery_g08_c01"])
        >>> "Archery/v_Archery_g08_c01" in SeenVideos(seen.text), "my.mp4" in seen
        (True, False)
    """

    def __init__(self, text: str) -> None:
        content = base64.b85decode(text)
        self._digests = {content[k : k + _BYTES] for k in range(0, len(content), _BYTES)}

    @classmethod
    def of(cls, names: Iterable[str]) -> "SeenVideos":
        """Take names as a data set gives them, see `vidpred.data.Video`."""
        seen = cls("")
        seen._digests = {_digest(name) for name in names}
        return seen

    @classmethod
    def from_text(cls, text: str | None) -> "SeenVideos | None":
        """Read what a file keeps; None when it keeps nothing."""
        return None if text is None else cls(text)

    @property
    def text(self) -> str:
        """The digests as text (base 85), the same for the same names."""
        return base64.b85encode(b"".join(sorted(self._digests))).decode("ascii")

    def __contains__(self, name: str) -> bool:
        return _digest(name) in self._digests

    def __or__(self, other: "SeenVideos") -> "SeenVideos":
        both = SeenVideos("")
        both._digests = self._digests | other._digests
        return both


_KEPT_AS = "_seen_videos"
"""Attribute of networks, so that their copies and pickles have it too."""


def remember(network: object, seen: SeenVideos | None) -> None:
    """Note on which videos a network has been trained before, in addition to what is known."""
    if seen is not None:
        before = remembered(network)
        setattr(network, _KEPT_AS, seen if before is None else before | seen)


def remembered(network: object) -> SeenVideos | None:
    """Give the videos on which a network has been trained before, as far as they are known."""
    seen: SeenVideos | None = getattr(network, _KEPT_AS, None)
    return seen


def _digest(name: str) -> bytes:
    # The last folder and the name without its ending: data modules begin at different folders.
    path = PurePosixPath(name)
    short = f"{path.parent.name}/{path.stem}"
    return hashlib.blake2b(os.fsencode(short), digest_size=_BYTES).digest()
