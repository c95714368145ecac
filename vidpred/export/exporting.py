"""From a trained predictor to a file that other programs use, with its model card."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from torch import Tensor

from vidpred.errors import ExportError
from vidpred.evaluation.results.result import Result
from vidpred.export.card import card_begins, model_card
from vidpred.export.flow_graph import CONVENTION, FLOWS
from vidpred.export.graph import DYNAMIC, INPUT, OUTPUT, channels_of, record, smallest_side
from vidpred.export.onnx_file import OnnxProgram, require_onnx, write_onnx
from vidpred.export.parity import require_parity
from vidpred.export.scores import merged, scores_of
from vidpred.export.torch_file import TorchProgram, write_program
from vidpred.files import file_sha256, remove_abandoned, replacing, write_text
from vidpred.models import FlowRefiner, Predictor
from vidpred.ops.checks import require_positive
from vidpred.storage import SavedPredictor, read_saved
from vidpred.storage.description import describe_frames
from vidpred.storage.saved import header_of, write_saved

Format = Literal["safetensors", "onnx", "torch-export"]

ENDINGS: dict[Format, str] = {
    "safetensors": ".safetensors",
    "onnx": ".onnx",
    "torch-export": ".pt2",
}


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        file: The exported file.
        card: Its model card.
        parity: Largest difference of what was read back from the predictor, by batch and frame
            size.
        smallest_side: Least height and width of frames that the file takes; None takes any.
    """

    file: Path
    card: Path
    parity: dict[str, float]
    smallest_side: int | None = None


def export(
    checkpoint: str | Path,
    output: str | Path,
    *,
    format: Format | None = None,
    horizon: int | None = None,
    results: Mapping[str, Result] | None = None,
    notes: str | None = None,
    modules: Sequence[ModuleType] = (),
    overwrite: bool = False,
) -> Export:
    """Write a predictor for other programs, and its card; whole or not at all.

    Args:
        checkpoint: As `vidpred.load` takes it.
        output: The file.
        format: Of the file; by its ending when None.
        horizon: Frames that a graph predicts; one step of the network when None. Safetensors hold
            the network, which predicts any number.
        results: Of `vidpred test`, by path; those of this very checkpoint, and of the baselines on
            the same clips, go into file and card.
        notes: What else a user should know, in Markdown; None keeps what the file carried.
        modules: Where the class of its network may be, next to `vidpred.models`.
        overwrite: Replace file and card.

    Raises:
        CheckpointError: When the checkpoint cannot be loaded.
        ExportError: When a file is there already, packages are missing, the network cannot be
            recorded, or the exported program differs from it.
    """
    output = Path(output)
    format = format_of(output, format)
    card = card_path(output)
    _require_place((output, card), overwrite=overwrite)
    if format == "onnx":
        require_onnx()
    if format == "safetensors" and horizon is not None:
        raise ExportError(
            f"--horizon {horizon} with safetensors; these hold the network, which predicts any "
            "number of frames: leave it out"
        )
    saved = read_saved(checkpoint)
    predictor = saved.build(modules=modules)
    saved = replace(
        saved,
        frames=describe_frames(predictor),
        scores=merged(saved.scores, scores_of(saved, results or {})),
        notes=saved.notes if notes is None else notes,
    )
    if horizon is not None:
        require_positive("horizon", horizon)
    steps = predictor.output_frames if horizon is None else horizon
    try:
        remove_abandoned(output)
        with replacing(output) as file, replacing(card) as described:
            exported = _write(file, format, predictor, saved, steps, modules)
            parity = require_parity(predictor, exported, steps, program=format != "safetensors")
            side = None if format == "safetensors" else smallest_side(predictor)
            flows = format != "safetensors" and isinstance(predictor, FlowRefiner)
            text = model_card(
                saved,
                name=output.name,
                sha256=file_sha256(file),
                smallest_side=side,
                inputs=CONVENTION if flows else None,
            )
            write_text(described, text)
    except OSError as error:
        raise ExportError(
            f"{output}: cannot be written ({error.strerror or error}); choose another place"
        ) from error
    return Export(output, card, parity, side)


def card_path(output: Path) -> Path:
    """Give the place of a file's card: its name in .md, or with .md added where that is taken.

    `mine.onnx` next to `mine.safetensors`, whose card is `mine.md`, has the card `mine.onnx.md`.
    """
    card = output.with_suffix(".md")
    others = [output.with_suffix(ending) for ending in ENDINGS.values() if ending != output.suffix]
    try:
        text = card.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return card
    is_of_another = any(card_begins(other.name) in text for other in others)
    return output.with_name(f"{output.name}.md") if is_of_another else card


def format_of(output: Path, format: Format | None) -> Format:
    """Give the format that a file is to have.

    Raises:
        ExportError: When its ending says none, or another one than was asked for.
    """
    by_ending = {ending: name for name, ending in ENDINGS.items()}
    found = by_ending.get(output.suffix.lower())
    if found is None or format not in (None, found):
        expected = ENDINGS[format] if format else ", ".join(by_ending)
        raise ExportError(
            f"{output.name!r} ends in {output.suffix or 'nothing'}; expected {expected}, "
            "which says the format"
        )
    return found


class _Reread:
    """What a safetensors file holds, as a program."""

    def __init__(self, predictor: Predictor, horizon: int) -> None:
        self.predictor = predictor
        self.horizon = horizon

    def __call__(self, context: Tensor) -> Tensor:
        frames: Tensor = self.predictor(context, self.horizon)
        return frames


def _write(
    file: Path,
    format: Format,
    predictor: Predictor,
    saved: SavedPredictor,
    horizon: int,
    modules: Sequence[ModuleType],
) -> Callable[..., Tensor]:
    """Write the file; gives the program that it holds, read back."""
    if format == "safetensors":
        write_saved(file, saved)
        return _Reread(read_saved(file).build(modules=modules), horizon)
    program = record(predictor, horizon)
    graph = _describe_graph(predictor, horizon)
    header = {**header_of(saved), "graph": graph}
    if format == "onnx":
        write_onnx(file, program, header, inputs=list(graph["input"]))
        return OnnxProgram(file)
    write_program(file, program, header)
    return TorchProgram(file)


def _describe_graph(predictor: Predictor, horizon: int) -> dict[str, Any]:
    free = [DYNAMIC.get(dim, "") for dim in range(5)]
    past, side = predictor.context_frames, smallest_side(predictor)
    flows: dict[str, Any] = {}
    if isinstance(predictor, FlowRefiner):
        flows = {FLOWS: [free[0], past - 1, 2, *free[3:]]}
    return {
        "input": {INPUT: [free[0], past, channels_of(predictor), *free[3:]], **flows},
        **({"flows": CONVENTION} if flows else {}),
        "output": {OUTPUT: [free[0], horizon, channels_of(predictor), *free[3:]]},
        "range": [0, 1],
        "dtype": "float32",
        "horizon": horizon,
        "smallest_height_and_width": side,
    }


def require_text_name(path: Path) -> None:
    """Refuse a path that is not UTF-8, which none of the libraries that write and read here takes.

    Raises:
        ExportError: When it is not.
    """
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError as error:
        raise ExportError(f"{path}: this name is not UTF-8; choose a name of text") from error


def _require_place(paths: Sequence[Path], *, overwrite: bool) -> None:
    """Refuse before work is done."""
    require_text_name(paths[0])
    folder = paths[0].absolute().parent
    if not folder.is_dir():
        raise ExportError(f"{folder}: there is no such folder; make it, or choose another place")
    for path in paths:
        if path.is_dir():
            raise ExportError(f"{path}: this is a folder; expected the name of a file")
        if path.exists() and not overwrite:
            raise ExportError(
                f"{path}: this file is there already; choose another name, or give --overwrite"
            )
