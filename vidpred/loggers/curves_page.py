"""Charts of a run as one HTML page that needs no network: on a phone, in light and dark."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from vidpred.files import replacing, write_text

if TYPE_CHECKING:
    from vidpred.loggers.curves import Chart

# Charts are laid out by the page and not by plotly, whose subplots overlap where it is narrow.
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: curves</title>
<style>
:root {{ color-scheme: light dark; --paper: #f7f7f5; --card: #fff; --ink: #1c1e22; --line: #e3e4e6;
  --curve-0: #1668b0; --curve-1: #b8326e; --curve-2: #0b7f6b; --curve-3: #9a6500;
  --curve-4: #6647b8; --copied: #737a84; }}
@media (prefers-color-scheme: dark) {{ :root {{ --paper: #121417; --card: #1a1d21; --ink: #e9ebee;
  --line: #2d3138; --curve-0: #64aef0; --curve-1: #f284b4; --curve-2: #43c9ab; --curve-3: #e9b44c;
  --curve-4: #ad97f2; --copied: #989fa9; }} }}
body {{ margin: 0 auto; padding: 1rem; max-width: 76rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, "DejaVu Sans", sans-serif; }}
h1 {{ font-size: 1.6rem; overflow-wrap: anywhere; }}
h2 {{ font-size: 1rem; margin: 0.25rem 0.25rem 0; }}
main {{ display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr)); }}
section {{ background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 0.75rem; min-width: 0; }}
.plot {{ height: 18rem; }}
</style>
<script>{plotly}</script>
</head>
<body>
<header><h1>{title}</h1></header>
<main>
{sections}
</main>
<script>
const charts = {charts};
const look = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
function draw() {{
  const axis = {{ gridcolor: look("--line"), zeroline: false, automargin: true }};
  charts.forEach((curves, number) => {{
    const last = Math.max(...curves.flatMap(([, x]) => x));
    const traces = curves.map(([name, x, y], k) => {{
      const copied = name === "copy last";
      return {{ name, x, y, mode: x.length < 30 ? "lines+markers" : "lines", line: {{
        width: copied ? 1.75 : 2.5, dash: copied ? "dash" : k < 5 ? "solid" : "dot",
        color: look(copied ? "--copied" : `--curve-${{k % 5}}`) }} }};
    }});
    Plotly.react(`chart-${{number}}`, traces, {{
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: {{ color: look("--ink") }},
      margin: {{ l: 48, r: 12, t: 8, b: 40 }}, showlegend: true,
      legend: {{ orientation: "h", y: 1.02, yanchor: "bottom" }},
      xaxis: {{ ...axis, title: {{ text: "training batches" }}, rangemode: "tozero",
        dtick: last > 10 ? null : 1 }}, yaxis: axis,
    }}, {{ responsive: true, displaylogo: false,
      modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] }});
  }});
}}
draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
</script>
</body>
</html>
"""

_SECTION = """\
<section aria-labelledby="title-{number}">
<h2 id="title-{number}">{title}</h2>
<div id="chart-{number}" class="plot" role="group" aria-label="{title}: {ends}"></div>
</section>"""


def draw_page(found: Sequence["Chart"], path: Path, title: str) -> None:
    """Write charts as one HTML page that needs no network, whole or not at all.

    Args:
        found: At least one.
        path: Where to.
        title: Of the page.

    Raises:
        OSError: When the file cannot be written.
    """
    from plotly.offline import get_plotlyjs

    curves = [
        [
            [label, [step for step, _ in points], [value for _, value in points]]
            for label, points in chart.curves.items()
        ]
        for chart in found
    ]
    sections = "\n".join(
        _SECTION.format(number=number, title=escape(chart.title), ends=escape(_ends(chart)))
        for number, chart in enumerate(found)
    )
    page = _PAGE.format(
        title=escape(title),
        plotly=get_plotlyjs(),
        sections=sections,
        charts=json.dumps(curves).replace("<", "\\u003c"),
    )
    with replacing(path) as partial:
        write_text(partial, page)


def _ends(chart: "Chart") -> str:
    """Say how the curves end, for who cannot see them."""
    ends = [(label, points[-1]) for label, points in chart.curves.items() if points]
    return ", ".join(f"{label} {value:.4g} at batch {step:.0f}" for label, (step, value) in ends)
