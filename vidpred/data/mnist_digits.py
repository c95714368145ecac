"""MNIST's digits from the IDX files that a user has, and which of them each split draws."""

import gzip
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vidpred.data.catalog import Split
from vidpred.errors import DataError

SIDE = 28
"""Rows and columns of a digit."""

DigitSet = Literal["t10k", "train"]
"""The 10,000 test digits of MNIST, and its 60,000 training digits."""

DigitSplit = Literal["t10k", "official"]
"""How digits are shared out, see `split_digits`."""

_MAGIC = 0x00000803
"""Of an IDX file of bytes with three dimensions (LeCun, Cortes and Burges)."""

_OTHER_SIDE = "expected gray digits of 28 x 28 as in MNIST"

Digits = npt.NDArray[np.uint8]


def find_digits(folder: str | Path, digits: DigitSet) -> Path | None:
    """Find the IDX file of a set, packed or not, in either spelling of its name; None without."""
    for name in (f"{digits}-images-idx3-ubyte", f"{digits}-images.idx3-ubyte"):
        for suffix in ("", ".gz"):
            path = Path(folder) / f"{name}{suffix}"
            if path.is_file():
                return path
    return None


def read_digits(path: str | Path) -> Digits:
    """Read an IDX file of images.

    Args:
        path: The file; one that ends in .gz is unpacked.

    Returns:
        uint8, shape (N, 28, 28), 0 is background.

    Raises:
        DataError: When it cannot be read, is no IDX file of images, is cut off, or holds images of
            another size.
    """
    path = Path(path)
    try:
        packed = path.read_bytes()
        content = gzip.decompress(packed) if path.suffix == ".gz" else packed
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); fetch the file again") from error
    header = np.frombuffer(content[: len(content) // 16 and 16], ">u4")
    if not len(header) or header[0] != _MAGIC:
        raise DataError(f"{path}: no IDX file of images; expected MNIST's t10k-images-idx3-ubyte")
    count, rows, columns = map(int, header[1:])
    if (rows, columns) != (SIDE, SIDE) or not count:
        raise DataError(f"{path}: {count} images of {rows} x {columns}; {_OTHER_SIDE}")
    if len(content) - 16 != count * rows * columns:
        raise DataError(
            f"{path}: {len(content) - 16} bytes of pixels, and {count} images of {rows} x "
            f"{columns} have {count * rows * columns}; fetch the file again"
        )
    return np.frombuffer(content, np.uint8, offset=16).reshape(count, rows, columns)


def split_digits(folder: str | Path, split: Split, sharing: DigitSplit = "t10k") -> Digits:
    """Give the digits that the sequences of a split are made of; no digit is in two splits.

    - `t10k`, vidpred's own split, needs MNIST's test file alone: of its digits, those whose number
      ends in 9 are for test (1,000), those ending in 8 for validation (1,000), and the other 8,000
      for training. MNIST's training digits are used for training as well where they are on the
      disk. Test and validation are the same digits either way.
    - `official` needs both files: test draws from all 10,000 test digits, validation from the last
      10,000 training digits, training from the first 50,000.

    Args:
        folder: Folder of the IDX files.
        split: Whose digits.
        sharing: One of the two rules.

    Returns:
        uint8, shape (N, 28, 28).

    Raises:
        DataError: When a file is missing or cannot be read.
    """
    folder = Path(folder).expanduser()
    if sharing == "official":
        if split == "test":
            return _read(folder, "t10k")
        train = _read(folder, "train")
        held_out = len(train) // 6
        return train[:-held_out] if split == "train" else train[-held_out:]
    own = _read(folder, "t10k")
    ends = {"train": range(8), "val": (8,), "test": (9,)}[split]
    chosen: Digits = own[np.isin(np.arange(len(own)) % 10, ends)]
    if split == "train" and find_digits(folder, "train") is not None:
        return np.concatenate([chosen, _read(folder, "train")])
    return chosen


def require_digits(digits: npt.NDArray[Any]) -> None:
    """Refuse what are no digits of MNIST's size.

    Raises:
        ValueError: When the shape is not (N, 28, 28) with N at least 1, or the type not uint8.
    """
    if digits.dtype != np.uint8 or digits.shape[1:] != (SIDE, SIDE) or not len(digits):
        raise ValueError(f"digits are {digits.dtype} of shape {digits.shape}; {_OTHER_SIDE}")


def _read(folder: Path, digits: DigitSet) -> Digits:
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; expected a folder of MNIST's files")
    path = find_digits(folder, digits)
    if path is None:
        raise DataError(
            f"{folder}: no {digits}-images-idx3-ubyte or {digits}-images-idx3-ubyte.gz in it; "
            "expected MNIST's IDX files (http://yann.lecun.com/exdb/mnist, or a mirror of it)"
        )
    return read_digits(path)
