"""Where predictions go: files and folders that are whole or not there."""

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
from numpy.lib import format as npy
from PIL import Image

from vidpred.files import (
    remove_abandoned,
    replace_folder,
    replacing,
    temporary_name,
    written_place,
)
from vidpred.prediction.naming import future_name
from vidpred.video.clip import Pixels
from vidpred.video.playing import Look
from vidpred.video.streaming import VideoSink, streaming


class Output(ABC):
    """Takes pictures, position by position, and appears under its name when it is left in peace.

    Used as a context: an exception in the body leaves nothing behind, and what was there before as
    it was.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = ExitStack()

    @property
    def paths(self) -> list[Path]:
        """What appears: files, or a folder."""
        return [self.path]

    def __enter__(self) -> Self:
        remove_abandoned(self.path)
        self._stack.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    @abstractmethod
    def begin_position(self, name: str) -> None:
        """Say that the pictures which follow belong to the next position."""

    @abstractmethod
    def write(self, pixels: Pixels, look: Look) -> None:
        """Take one picture, RGB, uint8, shape (H, W, 3)."""


class VideoOutput(Output):
    """A video, the pictures of all positions one after another."""

    _sink: VideoSink | None = None

    def begin_position(self, name: str) -> None:
        """See `Output.begin_position`."""

    def write(self, pixels: Pixels, look: Look) -> None:
        """See `Output.write`."""
        if self._sink is None:
            self._sink = self._stack.enter_context(streaming(self.path, look))
        self._sink.write(pixels)


class FramesOutput(Output):
    """A folder of PNG frames; with several positions, a folder in it for each.

    Args:
        path: The folder.
        several: Whether there are several positions.
        futures: How many pictures in turn belong to as many futures; each of several futures gets a
            folder of its own.
    """

    def __init__(self, path: Path, *, several: bool, futures: int = 1) -> None:
        super().__init__(path)
        self._several = several
        self._futures = futures
        self._home = self._folder = path  # until it is entered
        self._count = 0

    def __enter__(self) -> Self:
        prefix = f"{temporary_name(self.path, keep_suffix=False).name}."
        parent = written_place(self.path).parent
        remove_abandoned(self.path, keep_suffix=False)
        self._home = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        self._folder = self._home / "frames"  # mkdtemp's own is closed to other users
        self._folder.mkdir()
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        try:
            if error is None:
                # The caller has made sure that what is there holds frames alone.
                replace_folder(self._home / "frames", written_place(self.path))
        finally:
            shutil.rmtree(self._home, ignore_errors=True)

    def begin_position(self, name: str) -> None:
        """See `Output.begin_position`."""
        self._count = 0
        if self._several:
            self._folder = self._home / "frames" / name
            self._folder.mkdir()
        if self._futures > 1:
            for index in range(self._futures):
                (self._folder / future_name(index)).mkdir()

    def write(self, pixels: Pixels, look: Look) -> None:
        """See `Output.write`."""
        step, index = divmod(self._count, self._futures)
        self._count += 1
        folder = self._folder if self._futures == 1 else self._folder / future_name(index)
        # Level 1: three times as fast as the default, files a tenth larger.
        Image.fromarray(pixels).save(folder / f"{step + 1:04}.png", compress_level=1)


class ArrayOutput(Output):
    """A .npy array of uint8, (T, H, W, 3), or (positions, T, H, W, 3).

    Args:
        path: The file.
        several: Whether there are several positions.
        frames: T, pictures of one position.
    """

    def __init__(self, path: Path, *, several: bool, frames: int) -> None:
        super().__init__(path)
        self._several = several
        self._frames = frames
        self._count = 0
        self._size: tuple[int, int] = (0, 0)
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        super().__enter__()
        self._file = self._stack.enter_context(
            self._stack.enter_context(replacing(self.path)).open("wb")
        )
        self._stack.callback(self._write_header)
        return self

    def begin_position(self, name: str) -> None:
        """See `Output.begin_position`."""

    def write(self, pixels: Pixels, look: Look) -> None:
        """See `Output.write`."""
        assert self._file is not None  # it is written inside the context
        if not self._count:
            self._size = pixels.shape[0], pixels.shape[1]
            self._write_header()
        self._count += 1
        self._file.write(np.ascontiguousarray(pixels).tobytes())

    def _write_header(self) -> None:
        """Say how many there are; a header leaves room for the first dimension to grow."""
        assert self._file is not None
        leading = (self._count // self._frames, self._frames) if self._several else (self._count,)
        self._file.seek(0)
        npy.write_array_header_1_0(
            self._file,
            {"descr": "|u1", "fortran_order": False, "shape": (*leading, *self._size, 3)},
        )


class FutureOutputs(Output):
    """A file for each of several futures, whose pictures come in turn.

    Args:
        outputs: One a future.
        replaced: Files of further futures, of an earlier prediction; removed when these appear.
    """

    def __init__(self, outputs: Sequence[Output], *, replaced: Sequence[Path] = ()) -> None:
        super().__init__(outputs[0].path)
        self._outputs = outputs
        self._replaced = replaced
        self._count = 0

    @property
    def paths(self) -> list[Path]:
        """See `Output.paths`."""
        return [path for output in self._outputs for path in output.paths]

    def __enter__(self) -> Self:
        super().__enter__()
        for output in self._outputs:
            self._stack.enter_context(output)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        if error is None:
            for path in self._replaced:
                path.unlink(missing_ok=True)

    def begin_position(self, name: str) -> None:
        """See `Output.begin_position`."""
        for output in self._outputs:
            output.begin_position(name)

    def write(self, pixels: Pixels, look: Look) -> None:
        """See `Output.write`."""
        self._outputs[self._count % len(self._outputs)].write(pixels, look)
        self._count += 1
