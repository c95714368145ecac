"""One pass over the clips, in which every method is scored."""

import errno
import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from vidpred.errors import ResultError, VidpredError
from vidpred.evaluation.clips import ClipSource, EvaluationClip, Loaded, clips_left, read_ahead
from vidpred.evaluation.protocol import NamedProtocol, Protocol
from vidpred.evaluation.results.result import Result
from vidpred.evaluation.scoring.extras import Extras
from vidpred.evaluation.scoring.gallery import Gallery
from vidpred.evaluation.scoring.result_writer import ResultWriter
from vidpred.evaluation.scoring.rows import score_clips
from vidpred.evaluation.scoring.scored_method import ScoredMethod, require_stochastic
from vidpred.provenance import provenance

LOCK = ".vidpred.lock"
"""File by which two processes keep out of each other's results."""

DECIDING_PACKAGES = (
    *("torch", "torchvision", "torchmetrics", "kornia", "av", "numpy"),
    "opencv-python-headless",
)
"""Whose versions are recorded with every result."""


def evaluate(
    protocol: NamedProtocol,
    source: ClipSource,
    methods: Sequence[ScoredMethod],
    folder: Path,
    *,
    device: torch.device,
    workers: int = 2,
    overwrite: bool = False,
    extras: Extras | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Result]:
    """Score methods on every clip, reading each clip once.

    What is scored is on the disk at once: an interrupted evaluation resumes where it stopped, and
    methods that are done are not scored again. A clip that cannot be read or predicted is noted in
    the result and does not stop the others.

    Args:
        protocol: How to score.
        source: The clips.
        methods: What to score; their names differ.
        folder: Where `<method>.json` and the pictures of the best and worst clips go.
        device: Where metrics are computed.
        workers: Threads that read clips ahead.
        overwrite: Replace results of other measurements.
        extras: What to measure in addition to the protocol, on the same device.
        progress: Called with the number of clips done and of all that are on the disk.

    Returns:
        The results, in the order of the methods.

    Raises:
        PredictionError: When a method cannot be scored by this protocol, or several futures are to
            be drawn and no predictor draws any.
        ResultError: When a result of another measurement is there.
    """
    require_stochastic(methods, protocol.protocol)
    for method in methods:
        method.require(protocol.protocol)
    origin = measured_by(device)
    extras = extras or Extras()
    writers = [
        ResultWriter(
            *(folder, method.description, protocol, source),
            origin,
            extras,
            fingerprint=partial(_fingerprint, source, method),
            kernels=method.kernels,
            seen_videos=method.seen_videos,
        )
        for method in methods
    ]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCK, timeout=0):
            return _evaluate(
                *(protocol.protocol, source, methods, writers, folder, extras, device),
                workers=workers,
                overwrite=overwrite,
                progress=progress,
            )
    except Timeout as error:
        raise ResultError(
            f"{folder}: another process writes its results there now; wait for it, or choose "
            "another --output"
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ResultError(
            f"{folder}: results cannot be written there ({error.strerror or error}); choose "
            "another --output"
        ) from error


def _evaluate(
    protocol: Protocol,
    source: ClipSource,
    methods: Sequence[ScoredMethod],
    writers: Sequence[ResultWriter],
    folder: Path,
    extras: Extras,
    device: torch.device,
    *,
    workers: int,
    overwrite: bool,
    progress: Callable[[int, int], None] | None,
) -> list[Result]:
    for writer in writers:
        if overwrite:
            writer.clear()
        writer.check()
    units = list(source.units())
    there = {name for unit in units for name in unit.names}
    opened: list[ResultWriter] = []
    try:
        for writer in writers:
            writer.open(there)
            opened.append(writer)
        gallery = Gallery(folder, protocol, writers)
        left = clips_left(units, set.intersection(*(writer.done for writer in writers)))
        done = len(there) - sum(len(unit.names) for unit in left)
        for loaded in read_ahead(left, workers=workers):
            _score(loaded, protocol, methods, writers, gallery, extras, device)
            done += len(loaded)
            if progress is not None:
                progress(done, len(there))
    finally:
        for writer in opened:
            writer.close()
    return [writer.finish() for writer in writers]


def _fingerprint(source: ClipSource, method: ScoredMethod, clip: str) -> str:
    known = f"{source.fingerprint(clip)} {method.fingerprint(clip)}"
    return hashlib.sha256(known.encode()).hexdigest()


def _score(
    loaded: Loaded,
    protocol: Protocol,
    methods: Sequence[ScoredMethod],
    writers: Sequence[ResultWriter],
    gallery: Gallery,
    extras: Extras,
    device: torch.device,
) -> None:
    """Score the clips of one unit by every method that has not scored them yet."""
    clips = [clip for clip in loaded.values() if isinstance(clip, EvaluationClip)]
    for name, error in loaded.items():
        if isinstance(error, VidpredError):
            for writer in writers:
                if name not in writer.done:
                    writer.fail(name, str(error))
    preds: dict[str, dict[str, Tensor]] = {clip.name: {} for clip in clips}
    fans: dict[str, dict[str, Tensor]] = {clip.name: {} for clip in clips}
    for method, writer in zip(methods, writers, strict=True):
        fresh = [clip for clip in clips if clip.name not in writer.done]
        if not fresh:
            continue
        try:
            scored = score_clips(fresh, method, protocol, extras, device, writer.fingerprint)
        except (VidpredError, ValueError) as error:  # metrics refuse frames by ValueError
            for clip in fresh:
                writer.fail(clip.name, _naming(clip, error))
            continue
        name = writer.method["name"]
        for b, (clip, row, seen) in enumerate(
            zip(fresh, scored.rows, scored.features, strict=True)
        ):
            writer.append(row, seen)
            gallery.judge(name, row)
            preds[clip.name][name] = scored.shown[b]
            if len(scored.fan) > 1:
                fans[clip.name][name] = scored.fan[:, b]
    for clip in clips:
        gallery.show(clip, preds[clip.name], fans[clip.name])


def _naming(clip: EvaluationClip, error: Exception) -> str:
    message = str(error)
    return message if clip.name in message else f"{clip.name}: {message}"


def measured_by(device: torch.device) -> dict[str, Any]:
    """Say what a measurement was made with."""
    versions: dict[str, str | None] = {}
    for package in DECIDING_PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        **provenance(),
        "device": device.type,
        "device_name": name,
        "threads": torch.get_num_threads(),
        "versions": versions,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
