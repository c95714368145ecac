"""A prediction as a notebook shows it."""

import base64
import io
import tempfile
from pathlib import Path

from PIL import Image
from torch import Tensor

from vidpred.files import replacing
from vidpred.video import write_video
from vidpred.viz import future_strip, future_video

_WIDEST = 1600  # pixels of a strip in a page
_FPS = 5  # slower than life: a few frames are over before the eye has found the place


class ShownPrediction:
    """Known and predicted frames; a notebook shows them when it is the last line of a cell.

    Args:
        context: Known frames, shape (T, C, H, W) in [0, 1].
        pred: Predicted frames, shape (horizon, C, H, W) in [0, 1].

    Attributes:
        context: The same.
        pred: The same.
    """

    def __init__(self, context: Tensor, pred: Tensor) -> None:
        self.context = context
        self.pred = pred

    def save(self, path: str | Path) -> None:
        """Write the strip (`.png`) or the video (`.mp4`, `.avi`), whole or not at all.

        Raises:
            ValueError: For a name of another ending.
            OSError: When the file cannot be written.
        """
        path = Path(path)
        ending = path.suffix.lower()
        if ending not in (".png", ".mp4", ".avi"):
            raise ValueError(
                f"{path.name!r}; expected a name in .png for the strip, or in .mp4 or .avi for the "
                "video"
            )
        if ending != ".png":
            write_video(path, future_video(self.context, self.pred), fps=_FPS)
            return
        with replacing(path) as temporary:
            temporary.write_bytes(self._repr_png_())

    def _repr_png_(self) -> bytes:
        strip = future_strip(self.context, self.pred)
        picture = Image.fromarray(strip.permute(1, 2, 0).numpy())
        stream = io.BytesIO()
        picture.save(stream, "PNG")
        return stream.getvalue()

    def _repr_html_(self) -> str:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "future.mp4"
            self.save(path)
            video = _data_uri("video/mp4", path.read_bytes())
        strip = _data_uri("image/png", self._repr_png_())
        return (
            f'<img src="{strip}" style="max-width: min(100%, {_WIDEST}px)" '
            f'alt="{len(self.context)} known frames and {len(self.pred)} predicted ones">'
            f'<br><video src="{video}" autoplay loop muted controls></video>'
        )


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
