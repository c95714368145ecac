"""Print scores as a Markdown table: `python tools/results_table.py NAME=test_metrics.json ...`.

The first and the second predicted frame, moving area and whole frame; copy-last once, from the
first file, after a check that all files measured the same clips alike.
"""

import argparse
import json
from pathlib import Path
from typing import Any

METRICS = {"psnr": 2, "ssim": 3, "sharpness": 2}
"""Metrics in the order of the paper's table, with their digits."""

AREAS = ("moving", "whole")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "results", nargs="+", metavar="NAME=FILE", help="test_metrics.json of a run"
    )
    named = [argument.split("=", 1) for argument in parser.parse_args().results]
    results = {name: json.loads(Path(path).read_text()) for name, path in named}
    first = next(iter(results.values()))
    for name, result in results.items():
        for key in ("clips", "context_frames", "horizon", "conventions"):
            if result[key] != first[key]:
                raise SystemExit(f"{name} was not measured alike: {key} is {result[key]}")
    frames = range(min(2, first["horizon"]))
    columns = [f"{area}, frame {k + 1}" for area in AREAS for k in frames]
    print(f"| PSNR / SSIM / sharpness | {' | '.join(columns)} | seed, batches, commit |")
    print("|---|" + "---|" * (len(columns) + 1))
    rows = {"copy last": (first["scores"]["copy_last"], "")}
    for name, result in results.items():
        origin = result["provenance"]
        commit = (origin["commit"] or "none")[:10]
        rows[name] = (
            result["scores"]["model"],
            f"{origin['seed']}, {origin['batches_seen']}, `{commit}`",
        )
    for name, (scores, origin) in rows.items():
        cells = [_cell(scores[area], k) for area in AREAS for k in frames]
        print(f"| {name} | {' | '.join(cells)} | {origin} |")


def _cell(scores: dict[str, Any], frame: int) -> str:
    values = ((scores[metric]["per_frame"][frame], digits) for metric, digits in METRICS.items())
    return " / ".join("-" if value is None else f"{value:.{digits}f}" for value, digits in values)


if __name__ == "__main__":
    main()
