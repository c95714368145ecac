"""How each method looks, the same in all tables and plots."""

from typing import Literal, TypedDict

from vidpred.evaluation.compare.comparison import Comparison

NUM_ACCENTS = 8
"""Accent colors in report.css: distinct for color-blind readers, and symbols differ as well."""

NUM_GREYS = 4
"""Grays in report.css, for baselines."""

_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "pentagon", "star", "hexagon", "cross")
_GREY_SYMBOLS = ("circle-open", "square-open", "diamond-open", "triangle-up-open")
_DASHES: tuple[Literal["dash", "dot", "dashdot", "longdash"], ...] = (
    "dash",
    "dot",
    "dashdot",
    "longdash",
)


class Appearance(TypedDict):
    """Look of one method.

    Attributes:
        kind: "model", "baseline" or "files".
        color: Class of report.css, such as "accent-0".
        symbol: Plotly's name of the marker.
        dash: Plotly's name of the line style.
    """

    kind: str
    color: str
    symbol: str
    dash: str


def appearances(comparison: Comparison) -> dict[str, Appearance]:
    """Give each method a look: models an accent, baselines a dashed gray.

    Returns:
        By method, in the order of the ranking.
    """
    looks: dict[str, Appearance] = {}
    models = baselines = 0
    for name, entrant in comparison["entrants"].items():
        kind = entrant["method"]["kind"]
        if kind == "baseline":
            grey = baselines % NUM_GREYS
            looks[name] = {
                "kind": kind,
                "color": f"grey-{grey}",
                "symbol": _GREY_SYMBOLS[grey],
                "dash": _DASHES[grey],
            }
            baselines += 1
        else:
            looks[name] = {
                "kind": kind,
                "color": f"accent-{models % NUM_ACCENTS}",
                "symbol": _SYMBOLS[models % NUM_ACCENTS],
                # Repeated colors differ by their lines.
                "dash": "solid" if models < NUM_ACCENTS else "longdashdot",
            }
            models += 1
    return looks
