"""From a comparison to a page."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from vidpred.evaluation.compare.comparison import Comparison
from vidpred.evaluation.compare.wording import (
    area_name,
    coverage,
    distances,
    footnotes,
    groups,
    metric_name,
    ruins,
    variant_name,
    verdict,
)
from vidpred.evaluation.report.appearance import appearances
from vidpred.evaluation.report.clip_cards import clip_cards
from vidpred.evaluation.report.origins import coverage_of, origins
from vidpred.evaluation.report.protocol_words import protocol_in_words, purpose
from vidpred.evaluation.report.rows_section import CostedRows, rows_plot, rows_section
from vidpred.evaluation.report.sampled_tables import about_samples, sampled_tables
from vidpred.evaluation.report.strata_table import strata_table
from vidpred.evaluation.report.tables import as_coded_tables, ranking_tables
from vidpred.files import replacing, write_text
from vidpred.metrics.registry import metric_info

_HERE = Path(__file__).parent
_DIGITS = 4  # of numbers in plots; more are not seen


def write_report(
    path: str | Path,
    comparison: Comparison,
    *,
    benchmark: CostedRows | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write the report, whole or not at all.

    Pictures are made of the videos that an evaluation left next to the result files (see
    `vidpred.evaluation.scoring.gallery`); clips without them are shown by their scores alone.

    Args:
        path: The `.html` file; its folder is made when it does not exist; a file there is replaced.
        comparison: What `compare` gave, of results named by the files they were read from.
        benchmark: Rows that these methods are the trainings of, with what they cost.
        progress: Called with clips done and in all while pictures are made.

    Raises:
        OSError: When the file cannot be written.
    """
    path = Path(path)
    page = render(comparison, benchmark=benchmark, progress=progress)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        write_text(temporary, page)


def render(
    comparison: Comparison,
    *,
    benchmark: CostedRows | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> str:
    """Give the report's HTML; see `write_report`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,  # names of methods, clips and files are a user's
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    looks = appearances(comparison)
    return environment.get_template("template.html").render(
        title=str(comparison["protocol"].get("name", "results")),
        purpose=purpose(comparison),
        digest=comparison["protocol_digest"],
        coverage=coverage(comparison),
        partial=any("not a benchmark number" in warning for warning in comparison["warnings"]),
        warnings=ruins(comparison) + comparison["warnings"],
        verdict=verdict(comparison),
        looks=looks,
        distances=distances(comparison),
        tables=ranking_tables(comparison),
        footnotes=footnotes(comparison, list(comparison["measures"])),
        samples=about_samples(comparison),
        sampled=sampled_tables(comparison),
        strata=strata_table(comparison),
        benchmark=None if benchmark is None else rows_section(comparison, benchmark),
        as_coded=as_coded_tables(comparison),
        skip=comparison["skip"],
        clips=clip_cards(comparison, progress=progress),
        shown_methods=list(dict.fromkeys(e["method"] for e in comparison["extremes"])),
        protocol=protocol_in_words(comparison),
        bootstrap=comparison["bootstrap"],
        covered=coverage_of(comparison),
        origins=origins(comparison),
        data=_embedded(_plot_data(comparison, benchmark)),
        css=Markup((_HERE / "report.css").read_text(encoding="utf-8")),
        script=Markup((_HERE / "report.js").read_text(encoding="utf-8")),
        plotly=Markup(get_plotlyjs().replace("</script", "<\\/script")),
    )


def _plot_data(comparison: Comparison, benchmark: CostedRows | None) -> dict[str, Any]:
    """Collect what the plots draw; its keys are what report.js reads."""
    looks = appearances(comparison)
    points = comparison["points"]
    return {
        "measure": comparison["measure"],
        "baseline": comparison["baseline"],
        "methods": [{"name": name, **look} for name, look in looks.items()],
        "groups": groups(comparison),
        "measures": {
            key: {
                "name": metric_name(key),
                "area": table["area"],
                "areaName": area_name(table["area"]),
                "variantName": variant_name(table["variant"]),
                "metric": table["metric"],
                "variant": table["variant"],
                "unit": table["unit"],
                "digits": metric_info(table["metric"]).digits,
                "higherIsBetter": table["higher_is_better"],
                "clips": table["clips"],
                "verdict": verdict(comparison, key),
                "scores": {name: table["scores"][name] for name in looks},
                "points": {
                    name: [_rounded(point["values"][key][name]) for point in points]
                    for name in looks
                },
            }
            for key, table in comparison["measures"].items()
        },
        "clips": [point["clip"] for point in points],
        "benchmark": None if benchmark is None else rows_plot(comparison, benchmark),
        "motion": [_rounded(point["motion"]) for point in points],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)


def _embedded(value: Any) -> Markup:
    """Write JSON that cannot end the script element it is in, whatever names hold."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return Markup(text)
