"""A folder that can be uploaded to the Hugging Face Hub as it is."""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from vidpred.errors import ExportError
from vidpred.evaluation.compare.common_clips import describe_measure
from vidpred.evaluation.compare.sampled import REDUCTION_NAMES
from vidpred.evaluation.compare.wording import area_name, metric_name, variant_name
from vidpred.evaluation.measures import LIKELIHOOD_METRICS
from vidpred.evaluation.results.result import Result
from vidpred.export.exporting import export, require_text_name
from vidpred.export.scores import drawn_futures
from vidpred.files import replace_folder, write_text, written_place
from vidpred.plain import some
from vidpred.storage.hub import WEIGHTS_NAME
from vidpred.storage.saved import SavedPredictor, header_of, read_saved

CONFIG_NAME = "config.json"
CARD_NAME = "README.md"
WRITTEN = (WEIGHTS_NAME, CONFIG_NAME, CARD_NAME)
"""All that is in such a folder."""


@dataclass(frozen=True)
class HubFolder:
    """What was written.

    Attributes:
        folder: The folder.
        parity: Largest difference of the file's predictor from the original, by frame size.
    """

    folder: Path
    parity: dict[str, float]


def export_hub_folder(
    checkpoint: str | Path,
    folder: Path,
    *,
    results: Mapping[str, Result] | None = None,
    notes: str | None = None,
    modules: Sequence[ModuleType] = (),
    overwrite: bool = False,
) -> HubFolder:
    """Write `model.safetensors`, `config.json` and a card, whole or not at all.

    `hf upload OWNER/NAME FOLDER` puts it on the Hub, from where `vidpred.load("hf://OWNER/NAME")`
    loads it.

    Args:
        checkpoint: As `vidpred.load` takes it.
        folder: To make; its parent exists.
        results: As for `vidpred.export.export`.
        notes: As for `vidpred.export.export`.
        modules: As for `vidpred.export.export`.
        overwrite: Replace the folder, if it holds such files alone.

    Raises:
        CheckpointError: When the checkpoint cannot be loaded.
        ExportError: When the folder is there already, or holds other files as well, cannot be
            written, or its name is not UTF-8.
    """
    require_text_name(folder)
    _require_free(folder, overwrite=overwrite)
    place = written_place(folder)
    parent = place.absolute().parent
    if not parent.is_dir():
        raise ExportError(f"{parent}: there is no such folder; make it, or choose another place")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=parent) as temporary:
            home = Path(temporary) / folder.name
            home.mkdir()
            weights = home / WEIGHTS_NAME
            written = export(checkpoint, weights, results=results, notes=notes, modules=modules)
            saved = read_saved(weights)
            config = json.dumps(_config(saved), indent=2, sort_keys=True) + "\n"
            write_text(home / CONFIG_NAME, config)
            card = written.card.read_text(encoding="utf-8")
            written.card.unlink()
            head = yaml.safe_dump(card_head(saved, folder.name), sort_keys=False)
            write_text(home / CARD_NAME, f"---\n{head}---\n\n{card}")
            replace_folder(home, place)
    except (OSError, ExportError) as error:
        # What `export` cannot write has a path inside of the hidden folder.
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError):
            raise
        raise ExportError(
            f"{folder}: cannot be written ({cause.strerror or cause}); choose another place"
        ) from error
    return HubFolder(folder, dict(written.parity))


def _require_free(folder: Path, *, overwrite: bool) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ExportError(f"{folder}: is a file; expected the name of a folder")
    if not overwrite:
        raise ExportError(
            f"{folder}: is there already; choose another name, or give --overwrite to replace it"
        )
    if others := {entry.name for entry in folder.iterdir()} - set(WRITTEN):
        raise ExportError(
            f"{folder}: holds more than {', '.join(WRITTEN)} ({some(sorted(others))}), so it is "
            "not replaced; choose another folder"
        )


def card_head(saved: SavedPredictor, name: str) -> dict[str, Any]:
    """Give the YAML head of a card, with scores as the Hub reads them (`model-index`).

    Args:
        saved: What was exported.
        name: Of the model.
    """
    head: dict[str, Any] = {
        "library_name": "vidpred",
        "tags": ["video-prediction", "next-frame-prediction", "vidpred"],
    }
    results = [_index_entry(score, drawn_futures(saved, score)) for score in saved.scores]
    if results:
        head["model-index"] = [{"name": name, "results": results}]
    return head


def _config(saved: SavedPredictor) -> dict[str, Any]:
    """Give what the weights' header holds, but for scores and notes, which the card has."""
    left_out = ("scores", "notes")
    plain = {key: value for key, value in header_of(saved).items() if key not in left_out}
    return {"library": "vidpred", **plain}


def _index_entry(score: Mapping[str, Any], samples: Mapping[str, Any] | None) -> dict[str, Any]:
    protocol, clips = score["protocol"], score["clips"]
    of = clips["videos_expected"] or clips["videos_listed"]
    return {
        "task": {"type": "video-prediction", "name": "Next-frame video prediction"},
        "dataset": {
            "type": protocol["name"],
            "name": f"{protocol['name']} ({clips['videos_scored']} of {of} videos)",
            "split": "test",
        },
        "metrics": list(_metrics(score, samples)),
    }


def _metrics(
    score: Mapping[str, Any], samples: Mapping[str, Any] | None
) -> Iterator[dict[str, Any]]:
    for key, summary in score["summary"].items():
        if summary["mean"] is None:
            continue
        about = describe_measure(key)
        unit = f", {about['unit']}" if about["unit"] else ""
        where = f"{area_name(about['area'])}, {variant_name(about['variant'])}"
        if samples and about["metric"] not in LIKELIHOOD_METRICS:
            where += f", {REDUCTION_NAMES[samples['reduce']]} of {samples['count']} futures"
        yield {
            "type": key,
            "name": f"{metric_name(key)}{unit} ({where})",
            "value": round(float(summary["mean"]), 4),
        }
