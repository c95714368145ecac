"""Results of a few clips whose means can be checked by hand."""

from typing import Any

from synthetic_results import make_result

from vidpred.evaluation.compare.comparison import Comparison, compare
from vidpred.evaluation.results.result import Result

PSNR, SSIM, WHOLE = "psnr.standard.moving", "ssim.standard.moving", "psnr.standard.whole"
MEASURES = [
    {"metric": "psnr", "variant": "standard", "area": "moving"},
    {"metric": "ssim", "variant": "standard", "area": "moving"},
    {"metric": "psnr"},  # variant and area have the defaults of `Measure`
]


def protocol(*, skip_at: float | None = None, horizon: int = 2) -> dict[str, Any]:
    skip = None if skip_at is None else {"measure": MEASURES[0], "at_least": skip_at}
    return {
        "name": "small",
        "description": "",
        "videos": {"class_path": "vidpred.evaluation.FolderVideos", "init_args": {}},
        "clips": {"starts": [0], "context_frames": 4, "horizon": horizon},
        "measures": MEASURES,
        "skip": skip,
    }


def result(
    name: str,
    psnr: dict[str, list[float | None]],
    *,
    kind: str = "model",
    whole: dict[str, list[float | None]] | None = None,
    **options: Any,
) -> Result:
    """PSNR by clip; each clip is of the video in front of its underscore; SSIM is a 100th of it."""
    rows = [
        {
            "clip": clip,
            "video": clip.split("_")[0],
            "start": 0,
            "fingerprint": "",
            "motion": [1.0, 3.0],
            "moving": [0.1, 0.2],
            "values": {
                PSNR: list(values),
                SSIM: [None if v is None else v / 100 for v in values],
                WHOLE: list((whole or psnr)[clip]),
            },
        }
        for clip, values in psnr.items()
    ]
    return make_result(name, protocol(**options), rows, kind=kind)


def compared(*results: Result, **options: Any) -> Comparison:
    return compare({f"{r['method']['name']}.json": r for r in results}, resamples=200, **options)
