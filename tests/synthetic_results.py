"""Results like those of an evaluation, with small real videos, without the hours that one takes."""

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor
from torch.nn import functional as F

from vidpred.data.shapes_world import MOTIONS, render_moving_shapes
from vidpred.evaluation.compare.comparison import compare
from vidpred.evaluation.fingerprints import digest_of_names
from vidpred.evaluation.measures import Measure
from vidpred.evaluation.protocol import Skip, digest_of
from vidpred.evaluation.results.averages import summarize
from vidpred.evaluation.results.result import FORMAT, PICTURES_FOLDER, TRUTH, Result
from vidpred.files import write_json
from vidpred.video import write_video

PROTOCOLS = Path(__file__).parents[1] / "configs" / "protocol"
KINDS = {
    "copy_last": "baseline",
    "linear": "baseline",
    "optical_flow": "baseline",
    "adv_gdl": "model",
    "l2": "model",
}
_LEVEL = {"copy_last": 0.0, "linear": -0.6, "optical_flow": 1.6, "adv_gdl": 1.5, "l2": 0.5}
_DECAY = {"copy_last": 1.0, "linear": 1.5, "optical_flow": 1.1, "adv_gdl": 0.8, "l2": 0.75}
_CRISP = {"copy_last": 0.2, "linear": -0.3, "optical_flow": 0.5, "adv_gdl": 0.3, "l2": -0.8}


def synthetic_results(
    protocol_name: str = "clean-ucf101", *, num_videos: int = 40, seed: int = 0
) -> list[Result]:
    """Draw scores of five methods: videos differ in motion, and motion makes all methods worse."""
    protocol = yaml.safe_load((PROTOCOLS / f"{protocol_name}.yaml").read_text())
    rng = np.random.default_rng(seed)
    horizon = protocol["clips"]["horizon"]
    clips: list[tuple[str, str, int]] = []
    motions: dict[str, float] = {}
    for v in range(num_videos):
        video = (
            f"v_{('Archery', 'Biking', 'HandStandPushups', 'YoYo')[v % 4]}_g{v // 4 + 1:02d}_c01"
        )
        motion = float(np.exp(rng.normal(0.7, 0.8)))
        for start in protocol["clips"]["starts"][: 1 + v % 3]:
            clips.append((f"{video}_{start:04d}", video, start))
            motions[clips[-1][0]] = motion * float(np.exp(rng.normal(0, 0.2)))
    hard = {clip: float(rng.normal(0, 1.0)) for clip in motions}
    return [
        _result(name, protocol, clips, motions, hard, horizon, np.random.default_rng((seed, k)))
        for k, name in enumerate(KINDS)
    ]


def _result(
    name: str,
    protocol: dict[str, Any],
    clips: list[tuple[str, str, int]],
    motions: dict[str, float],
    hard: dict[str, float],
    horizon: int,
    rng: np.random.Generator,
) -> Result:
    rows: list[Any] = []
    for clip, video, start in clips:
        motion = motions[clip]
        values: dict[str, list[float | None]] = {}
        base = 27 - 3.2 * math.log(motion) + hard[clip]
        own = _LEVEL[name] * math.tanh(motion / 2) + float(rng.normal(0, 0.5))
        for measure in protocol["measures"]:
            key = f"{measure['metric']}.{measure['variant']}.{measure['area']}"
            values[key] = [
                _score(measure, base + own - 1.3 * _DECAY[name] * t, _CRISP[name], motion)
                for t in range(horizon)
            ]
        frames = [motion * (1 + 0.1 * math.sin(t)) for t in range(horizon)]
        rows.append(
            {
                "clip": clip,
                "video": video,
                "start": start,
                "fingerprint": "",
                "motion": list(frames),
                "moving": [min(1.0, m / 12) for m in frames],
                "values": values,
            }
        )
    rows.sort(key=lambda row: row["clip"])
    return make_result(name, protocol, rows, kind=KINDS[name])


def _score(measure: dict[str, str], psnr: float, crisp: float, motion: float) -> float | None:
    bonus = 0.0 if measure["area"] == "moving" else 7.0
    if measure["variant"] == "mathieu_code" and measure["area"] == "moving":
        bonus = 9 + 14 / (1 + motion)  # still clips reach the skip at 50 dB
    if measure["metric"] == "psnr":
        return psnr + bonus
    if measure["metric"] == "sharpness":
        return 12 + 0.35 * (psnr - 20) + crisp + bonus / 2
    return 1 - 1 / (1 + math.exp((psnr + bonus - 18) / 5))


def make_result(
    name: str, protocol: dict[str, Any], rows: list[Any], *, kind: str = "model"
) -> Result:
    """Put rows into a result as an evaluation leaves it, its averages included."""
    videos = sorted({row["video"] for row in rows})
    digest = digest_of_names(row["clip"] for row in rows)
    skip = protocol["skip"]
    return {
        "format": FORMAT,
        "method": {"name": name, "kind": kind, "details": _details(name, kind)},
        "protocol": protocol,
        "protocol_digest": digest_of(protocol),
        "clips": {
            "videos_expected": protocol["videos"]["init_args"].get("expected"),
            "videos_listed": len(videos),
            "videos_scored": len(videos),
            "clips_listed": len(rows),
            "clips_scored": len(rows),
            "list_digest": digest,
            "scored_digest": digest,
            "missing": ["v_Archery_g99_c01"],
            "failed": {},
        },
        "mask": {"source": "computed", "description": {"name": "frame_difference"}},
        "provenance": {
            "seed": 1,
            "batches_seen": 12000 if kind == "model" else None,
            "vidpred": "0.1.0",
            "torch": "2.15.0",
            "commit": "371383e0aa" * 4,
            "device": "cpu",
            "date": "2026-11-21T02:00:00Z",
        },
        "extras": {},
        "summary": summarize(
            rows,
            keys=[Measure(**measure).key for measure in protocol["measures"]],
            skip=skip and Skip(Measure(**skip["measure"]), skip["at_least"]),
            horizon=protocol["clips"]["horizon"],
        ),
        "rows": rows,
    }


def _details(name: str, kind: str) -> dict[str, Any]:
    if kind != "model":
        return {"class": f"vidpred.models.{name}", "arguments": {}}
    return {
        "class": "vidpred.models.MultiScaleGenerator",
        "arguments": {"preset": "small", "context_frames": 4},
        "checkpoint": {"file": f"{name}.ckpt", "sha256": hashlib.sha256(name.encode()).hexdigest()},
    }


def write_results(
    folder: Path,
    results: list[Result],
    *,
    height: int = 120,
    width: int = 160,
    num_shown: int | None = None,
) -> Path:
    """Write results as files, with the videos of their best and worst clips beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for result in results:
        write_json(folder / f"{result['method']['name']}.json", result)
    cut = results[0]["protocol"]["clips"]
    extremes = compare({r["method"]["name"]: r for r in results}, resamples=10)["extremes"]
    for clip in list(dict.fromkeys(e["clip"] for e in extremes))[:num_shown]:
        seed = int(hashlib.sha256(clip.encode()).hexdigest()[:6], 16)
        frames, _ = render_moving_shapes(
            MOTIONS[seed % 4],
            num_frames=cut["context_frames"] + cut["horizon"],
            height=height,
            width=width,
            seed=seed,
        )
        home = folder / PICTURES_FOLDER / clip
        home.mkdir(parents=True, exist_ok=True)
        write_video(home / f"{TRUTH}.mp4", frames)
        for result in results:
            name = result["method"]["name"]
            pred = _prediction(name, frames, cut["context_frames"])
            write_video(home / f"{name}.mp4", pred)
    return folder


def _prediction(name: str, frames: Tensor, context: int) -> Tensor:
    past, future = frames[:context].float(), frames[context:].float()
    steps = torch.arange(1, len(future) + 1).view(-1, 1, 1, 1)
    if name == "copy_last":
        pred = past[-1:].expand_as(future)
    elif name == "linear":
        pred = past[-1] + steps * (past[-1] - past[-2])
    elif name == "optical_flow":
        pred = torch.cat((past[-1:], future[:-1]))
    else:
        pred = torch.stack(
            [F.avg_pool2d(f, 2 * t + 1, 1, t) for t, f in enumerate(future, start=1)]
        )
        pred = pred if name == "l2" else (pred + future) / 2
    return pred.round().clamp(0, 255).to(torch.uint8)
