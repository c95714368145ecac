"""The results of an evaluation as plain data, and as a table."""

from typing import TypedDict

from rich.table import Table
from rich.text import Text

from vidpred.metrics.registry import metric_info, number
from vidpred.plain import counted
from vidpred.provenance import Provenance

PREDICTORS = {"model": "model", "copy_last": "copy last"}
AREAS = {"whole": "whole", "moving": "moving"}
METRICS = tuple(metric_info(name) for name in ("psnr", "ssim", "sharpness"))


class QualityScore(TypedDict):
    """One metric of one predictor in one area.

    Attributes:
        mean: Mean over frames of `per_frame`; None when a frame has none.
        per_frame: Mean over clips, by frame (dB: mean of the dB); None where no clip counted.
        clips: Clips that counted, by frame: those in which something moved.
    """

    mean: float | None
    per_frame: list[float | None]
    clips: list[int]


class QualityResults(TypedDict):
    """What `FrameQuality` measured, ready for JSON.

    Attributes:
        stage: "val" or "test".
        clips: Number of clips.
        context_frames: Frames that the predictor saw.
        horizon: Frames that it predicted.
        conventions: How was measured, by name.
        scores: `scores[predictor][area][metric]`: predictor in {model, copy_last}, area in {whole,
            moving}, metric in {psnr, ssim, sharpness}; no "moving" after a single context frame.
        provenance: Where the numbers come from.
    """

    stage: str
    clips: int
    context_frames: int
    horizon: int
    conventions: dict[str, str | float | None]
    scores: dict[str, dict[str, dict[str, QualityScore]]]
    provenance: Provenance


def quality_table(results: QualityResults) -> Table:
    """Lay out the scores of model and baseline for a terminal of 80 columns.

    Args:
        results: What `FrameQuality.results` holds, or its JSON file read back.

    Returns:
        A table: a row per area and predictor, a column per metric and frame (the first and the
        last), the better predictor in bold.
    """
    horizon = results["horizon"]
    frames = sorted({0, horizon - 1})
    clips = counted(results["clips"], "clip")
    table = Table(
        title=f"{results['stage']}: mean over {clips}, higher is better",
        title_style="",
        caption=", ".join(f"{info.label} in {info.unit}" for info in METRICS if info.unit),
    )
    table.add_column("area")
    table.add_column("predictor")
    for info in METRICS:
        for frame in frames:
            table.add_column(f"{info.label}\nt+{frame + 1}", justify="right")
    for area, area_name in AREAS.items():
        rows = {name: scores[area] for name, scores in results["scores"].items() if area in scores}
        for predictor, row in rows.items():
            cells = []
            for info in METRICS:
                for frame in frames:
                    value = row[info.name]["per_frame"][frame]
                    others = [r[info.name]["per_frame"][frame] for r in rows.values()]
                    best = value is not None and value == max(o for o in others if o is not None)
                    cells.append(Text(number(value, info.name), style="bold" if best else ""))
            table.add_row(area_name, PREDICTORS[predictor], *cells)
        if rows:
            table.add_section()
    return table
