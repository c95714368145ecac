"""Make the pictures of the README and of docs/how-good-is-it.md that show real videos.

    python tools/make_pictures.py --output docs/images \
        --video "JumpingJack=data/ucf101/UCF-101/JumpingJack/v_JumpingJack_g01_c07.avi"
    python tools/make_pictures.py --output docs/images \
        --results runs/test/mathieu2016-subset --root data/ucf101

The first video is that of the README. What is shown of each is the square in the middle of its
frames. With --results, which holds `flow_refiner.json` and `optical_flow.json`, the clips on which
the first loses and gains most to the second, in moving pixels, mean over frames.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.transforms.functional import center_crop, to_pil_image

import vidpred
from vidpred.models import FlowRefiner
from vidpred.ops import to_unit
from vidpred.video import read_clip

CONTEXT, HORIZON = 4, 8
GAP, LABEL = 4, 24
MILLISECONDS = 250
"""That a predicted frame of an animation is shown."""

Titled = Mapping[str, Tensor]
"""Frames (3, H, W) in [0, 1] by what is written above them."""


def futures_of(context: Tensor) -> dict[str, Tensor]:
    """Predict by every way that is shown, (HORIZON, 3, H, W) each."""
    refiner = vidpred.load("flow_refiner").network
    assert isinstance(refiner, FlowRefiner)
    found = {}
    for name, sharp in (("flow_refiner", True), ("mean", False)):
        refiner.sharp = sharp
        found[name] = refiner(context[None], HORIZON)[0]
    for name in ("small", "optical_flow"):
        found[name] = vidpred.load(name)(context[None], HORIZON)[0]
    return found


def grid(rows: Mapping[str, Titled], side: int) -> Image.Image:
    """Lay frames out, a row a name, under the titles of the first row."""
    font = ImageFont.load_default(14)
    left = 12 + max(round(font.getlength(name)) for name in rows)
    columns = max(len(row) for row in rows.values())
    picture = Image.new(
        "RGB", (left + columns * (side + GAP), LABEL + len(rows) * (side + GAP)), "white"
    )
    draw = ImageDraw.Draw(picture)
    for k, title in enumerate(next(iter(rows.values()))):
        draw.text((left + k * (side + GAP) + side / 2, LABEL / 2), title, "black", font, "mm")
    for r, (name, row) in enumerate(rows.items()):
        top = LABEL + r * (side + GAP)
        draw.text((left / 2, top + side / 2), name, "black", font, "mm")
        for k, frame in enumerate(row.values()):
            shown = F.interpolate(frame[None], size=(side, side), mode="area")[0]
            picture.paste(to_pil_image(shown.clamp(0, 1)), (left + k * (side + GAP), top))
    return picture


def readme_picture(last: Tensor, target: Tensor, preds: Titled) -> Image.Image:
    """Truth and two models, 1, 4 and 8 frames ahead."""
    rows = {"truth": target, **{name: preds[name] for name in ("flow_refiner", "small")}}
    steps: Sequence[int] = (1, 4, 8)
    ahead = {k: f"{k} frame{'s' if k > 1 else ''} ahead" for k in steps}
    return grid(
        {
            name: {"last known": last, **{ahead[k]: frames[k - 1] for k in steps}}
            for name, frames in rows.items()
        },
        side=240,
    )


def row_of_videos(last: Tensor, target: Tensor, preds: Titled) -> Titled:
    """Truth and prediction 1, 4 and 8 frames ahead, and what else there is after 8."""
    shown = {"last known": last}
    for k in (1, 4, 8):
        shown |= {f"truth t+{k}": target[k - 1], f"prediction t+{k}": preds["flow_refiner"][k - 1]}
    return shown | {"mean t+8": preds["mean"][-1], "optical flow t+8": preds["optical_flow"][-1]}


def extremes(results: Path, root: Path) -> dict[str, Path]:
    """Find the two worst clips and then the two best ones, by what is written next to them."""
    ours, flow = (
        {
            row["clip"]: row["values"]["psnr.masked_mean.moving"]
            for row in json.loads((results / f"{name}.json").read_text())["rows"]
            if row["start"] == 0
        }
        for name in ("flow_refiner", "optical_flow")
    )
    gains = {
        clip: float(np.mean(values) - np.mean(flow[clip]))
        for clip, values in ours.items()
        if None not in (*values, *flow[clip])
    }
    ranked = sorted(gains, key=lambda clip: gains[clip])
    found = {}
    for clip in [*ranked[:2], *ranked[-2:]]:
        name = clip.split("+")[0]
        kind = name.split("_")[1]
        found[f"{kind} {gains[clip]:+.1f} dB"] = root / "UCF-101" / kind / f"{name}.avi"
    return found


def best_and_worst(videos: Mapping[str, Path]) -> list[Image.Image]:
    """Show the first frames of videos, a picture a predicted frame."""
    shown: list[dict[str, Titled]] = [{} for _ in range(HORIZON)]
    for name, file in videos.items():
        clip = to_unit(read_clip(file, 0, CONTEXT + HORIZON))
        with torch.inference_mode():
            preds = futures_of(clip[:CONTEXT])
        side = min(clip.shape[-2:])
        for k, rows in enumerate(shown):
            frames = {
                f"truth t+{k + 1}": clip[CONTEXT + k],
                "prediction": preds["flow_refiner"][k],
                "mean": preds["mean"][k],
                "optical flow": preds["optical_flow"][k],
            }
            rows[name] = {title: center_crop(frame, [side]) for title, frame in frames.items()}
    return [grid(rows, side=150) for rows in shown]


def main() -> None:
    """Read, predict and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--at", type=int, default=23, help="index of the last known frame")
    parser.add_argument("--results", type=Path, help="folder of result files")
    parser.add_argument("--root", type=Path, help="UCF101, or a part of it, of --results")
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    if not (arguments.video or arguments.results):
        parser.error("nothing to show; expected --video, --results or both")
    if arguments.results:
        if arguments.root is None:
            parser.error("--results needs --root, the folder of UCF101")
        first, *others = best_and_worst(extremes(arguments.results, arguments.root))
        first.save(
            arguments.output / "best_and_worst.webp",
            save_all=True,
            append_images=others,
            duration=MILLISECONDS,
            loop=0,
            quality=85,
        )
    rows: dict[str, Titled] = {}
    for number, given in enumerate(arguments.video):
        name, _, file = given.partition("=")
        clip = to_unit(read_clip(Path(file), arguments.at - CONTEXT + 1, CONTEXT + HORIZON))
        with torch.inference_mode():
            preds = futures_of(clip[:CONTEXT])
        side = min(clip.shape[-2:])
        last, target = (center_crop(each, [side]) for each in (clip[CONTEXT - 1], clip[CONTEXT:]))
        preds = {key: center_crop(frames, [side]) for key, frames in preds.items()}
        rows[name] = row_of_videos(last, target, preds)
        if not number:
            readme_picture(last, target, preds).save(
                arguments.output / "flow_refiner.jpg", quality=92
            )
    if rows:
        grid(rows, side=150).save(arguments.output / "five_videos.jpg", quality=92)


if __name__ == "__main__":
    main()
