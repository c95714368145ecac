"""Weights alone, in safetensors, with what is needed to use and assess them in the header."""

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vidpred.errors import DAMAGED, CheckpointError, is_system_error
from vidpred.files import is_irregular, replacing
from vidpred.plain import refuse_constant
from vidpred.storage.checkpoint import first_line

FORMAT = "vidpred predictor 1"
"""First entry of every header; a change of the layout changes the number."""

METADATA_KEY = "vidpred"
"""Entry of the file's metadata: JSON. Other programs write theirs under names of their own."""

_DIGEST_KEY = "weights_sha256"

_LARGEST_HEADER = 4 << 20
"""Bytes; a thousand weights need a twentieth. The library itself would take a hundred million."""


def write_weights(path: Path, weights: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write weights, whole or not at all; the same content gives the same bytes.

    Args:
        path: The file, in a folder that exists; what was there is replaced.
        weights: By name.
        header: Plain values (JSON) that are stored with them.

    Raises:
        OSError: When the file cannot be written.
    """
    plain = {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}
    said = {"format": FORMAT, **header, _DIGEST_KEY: _digest(plain)}
    text = json.dumps(said, allow_nan=False)
    with replacing(path) as temporary:
        # One entry: the library writes several in an order that changes from run to run. And not
        # its own writing of files, which leaves them closed to other users.
        temporary.write_bytes(save(plain, metadata={METADATA_KEY: text}))


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read weights and their header; nothing in the file can run code.

    Args:
        path: A file that `vidpred export` wrote.

    Returns:
        The weights by name, and the header.

    Raises:
        CheckpointError: When the file is missing, damaged, malicious, or not ours.
    """
    if is_irregular(path):  # opening a pipe would wait for its other end
        raise CheckpointError(f"{path}: is a pipe or a device; expected a file of `vidpred export`")
    try:
        _require_header(path)
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(METADATA_KEY)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
        header = None if text is None else json.loads(text, parse_constant=refuse_constant)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file; expected one of `vidpred export`") from None
    except (OSError, SafetensorError, *DAMAGED) as error:
        if isinstance(error, OSError) and is_system_error(error):
            raise CheckpointError(
                f"{path}: cannot be read ({error.strerror}); expected a file that you may read"
            ) from error
        raise CheckpointError(
            f"{path}: damaged or no safetensors file ({first_line(error)}); export it again"
        ) from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        found = header.get("format") if isinstance(header, dict) else None
        raise CheckpointError(
            f"{path}: {f'format {found!r}' if found else 'holds no description of a predictor'}; "
            f"expected {FORMAT!r}, as `vidpred export` writes it"
        )
    # Files of earlier versions have no digest.
    if (digest := header.pop(_DIGEST_KEY, None)) is not None and digest != _digest(weights):
        raise CheckpointError(
            f"{path}: damaged, its weights are not what was written; export it again"
        )
    return weights, header


def _digest(weights: Mapping[str, Tensor]) -> str:
    """Give the SHA-256 of the weights' bytes, in the order of their names."""
    digest = hashlib.sha256()
    for _, weight in sorted(weights.items()):
        digest.update(weight.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _require_header(path: Path) -> None:
    """Look at the header's length before anything is done with it."""
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] != b"{":
        if start[:2] == b"PK" or start[:1] == b"\x80":
            raise ValueError("it is a pickle, which could run code when loaded")
        raise ValueError("it does not begin with a header")
    (length,) = struct.unpack("<Q", start[:8])
    if length > _LARGEST_HEADER:
        raise ValueError(
            f"its header claims {length:,} bytes; expected at most {_LARGEST_HEADER:,}"
        )
