"""Which videos a predictor was trained or validated on, so that a test on them is noticed."""

import base64
import hashlib
import os
from collections.abc import Iterable

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

    @property
    def text(self) -> str:
        """The digests as text (base 85), the same for the same names."""
        return base64.b85encode(b"".join(sorted(self._digests))).decode("ascii")

    def __contains__(self, name: str) -> bool:
        return _digest(name) in self._digests


def _digest(name: str) -> bytes:
    return hashlib.blake2b(os.fsencode(name), digest_size=_BYTES).digest()
