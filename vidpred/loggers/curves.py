"""`metrics.csv` of a run as charts and as a tidy table."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vidpred.files import replacing

METRICS_FILE = "metrics.csv"
TIDY_FILE = "metrics_tidy.csv"
PICTURE_FILE = "curves.png"
PAGE_FILE = "curves.html"

TIDY_COLUMNS = ("step", "epoch", "stage", "metric", "area", "predictor", "frame", "scale", "value")

_METRICS = {"psnr": "PSNR, dB", "ssim": "SSIM", "sharpness": "Sharpness, dB"}
_AREAS = {"": "whole frame", "_moving": "moving area"}
_TERM = re.compile(r"train/(?P<term>[^/]+?)(_scale_\d+)?")
_NOT_MINIMIZED = ("accepted_crops", "real_score", "fake_score", "bits_per_dim")

_NAME = re.compile(
    r"(?P<stage>[^/]+)/(?P<metric>.+?)(?P<area>_moving)?(?P<copy>_copy_last)?"
    r"(?:_t\+(?P<frame>\d+))?(?:_scale_(?P<scale>\d+))?"
)


@dataclass
class Chart:
    """Curves that share axes.

    Attributes:
        title: What it shows, with the unit.
        curves: By label, points (step, value) in the order of the file.
    """

    title: str
    curves: dict[str, list[tuple[float, float]]] = field(default_factory=dict)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read `metrics.csv`; no rows when it is not there."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def charts(rows: list[dict[str, str]]) -> list[Chart]:
    """Group what was logged into charts: losses, their terms, each metric of model and copy-last.

    Args:
        rows: Of `metrics.csv`; those of the sanity check are left out, and of single frames all but
            the first one's PSNR.
    """
    names = list(dict.fromkeys(name for row in rows for name in row if row[name]))
    losses: dict[str, list[str]] = {}
    terms: dict[str, list[str]] = {}
    rates: dict[str, list[str]] = {}
    for name in names:
        logged = _TERM.fullmatch(name)
        if logged is None or logged["term"] in _NOT_MINIMIZED:
            continue
        kinds = {"loss": losses, "learning_rate": rates}
        kind = next((kind for kind in kinds if logged["term"].startswith(kind)), None)
        group = terms if kind is None else kinds[kind]
        group.setdefault(logged["term"], []).append(name)
    found = [
        Chart("Training losses", _curves(rows, losses)),
        Chart("Loss terms (before weights, summed over scales)", _curves(rows, terms)),
    ]
    scores = [("psnr", "_t+01", "PSNR t+1, dB")]  # what selects best.ckpt comes first
    scores += [
        (name, "", f"{label}: mean over predicted frames") for name, label in _METRICS.items()
    ]
    for metric, frame, title in scores:
        for suffix, area in _AREAS.items():
            key = f"val/{metric}{suffix}"
            labels = {"model": [f"{key}{frame}"], "copy last": [f"{key}_copy_last{frame}"]}
            known = {label: group for label, group in labels.items() if group[0] in names}
            if known:
                found.append(Chart(f"{title} ({area}, validation)", _curves(rows, known)))
    found.append(Chart("Learning rate", _curves(rows, rates)))
    return [chart for chart in found if any(chart.curves.values())]


def _curves(
    rows: list[dict[str, str]], names: Mapping[str, Sequence[str]]
) -> dict[str, list[tuple[float, float]]]:
    return {
        label: [
            (float(row["step"]), sum(float(row[name]) for name in group))
            for row in rows
            if row["step"] and all(row.get(name) for name in group)
        ]
        for label, group in names.items()
    }


def tidy(rows: list[dict[str, str]]) -> Iterator[dict[str, str]]:
    """Give one row for each value, with its name taken apart (`TIDY_COLUMNS`).

    Example:
        >>> row = {"step": "50", "epoch": "1", "val/psnr_moving_copy_last_t+02": "21.5"}
        >>> [tuple(each.values()) for each in tidy([row])]
        [('50', '1', 'val', 'psnr', 'moving', 'copy_last', '2', '', '21.5')]
    """
    for row in rows:
        for name, value in row.items():
            found = _NAME.fullmatch(name)
            if not value or found is None:
                continue
            scored = found["metric"] in _METRICS
            yield {
                "step": row.get("step", ""),
                "epoch": row.get("epoch", ""),
                "stage": found["stage"],
                "metric": found["metric"],
                "area": ("moving" if found["area"] else "whole") if scored else "",
                "predictor": ("copy_last" if found["copy"] else "model") if scored else "",
                "frame": str(int(found["frame"])) if found["frame"] else "",
                "scale": found["scale"] or "",
                "value": value,
            }


def write_tidy(rows: list[dict[str, str]], path: Path) -> None:
    """Write the tidy table, whole or not at all.

    Raises:
        OSError: When the file cannot be written.
    """
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=TIDY_COLUMNS)
        writer.writeheader()
        writer.writerows(tidy(rows))


def draw_picture(found: list[Chart], path: Path) -> None:
    """Draw charts side by side as a PNG, whole or not at all.

    Args:
        found: At least one.
        path: Where to.

    Raises:
        OSError: When the file cannot be written.
    """
    from matplotlib.figure import Figure as Drawing

    columns = min(3, len(found))
    rows = -(-len(found) // columns)
    drawing = Drawing(figsize=(5.2 * columns, 3.4 * rows), dpi=110, layout="constrained")
    panels = drawing.subplots(rows, columns, squeeze=False).flat
    for panel, chart in zip(panels, found, strict=False):
        for label, points in chart.curves.items():
            steps, values = zip(*points, strict=True) if points else ((), ())
            style = "--" if label == "copy last" else "-"
            panel.plot(steps, values, style, label=label, marker="." if len(points) < 30 else "")
        panel.set_title(chart.title, fontsize=9)
        panel.set_xlabel("training batches")
        panel.set_xlim(left=0)
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    for panel in list(drawing.axes)[len(found) :]:
        panel.set_visible(False)
    with replacing(path) as partial:
        drawing.savefig(partial, format="png")
