"""Pictures of the report show the frames that were scored, not what a codec made of them."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from synthetic_results import synthetic_results, write_results
from torch import Tensor

from vidpred.evaluation.clips import EvaluationClip
from vidpred.evaluation.compare.comparison import compare
from vidpred.evaluation.report import clip_pictures as pictures
from vidpred.evaluation.results.clip_videos import clip_video
from vidpred.evaluation.results.gathering import read_results
from vidpred.evaluation.results.result import PICTURES_FOLDER
from vidpred.evaluation.scoring.gallery import Gallery
from vidpred.metrics import psnr
from vidpred.ops import to_unit, unit_to_uint8
from vidpred.video import probe, read_clip, write_video
from vidpred.viz import comparison_strip

NAMES = ("adv_gdl", "optical_flow", "l2", "copy_last", "linear")
"""Of the synthetic results; the order of the rows is that of the ranking."""

STATED = 40.0
"""dB, peak 255, of a strip that is JPEG; `clip_pictures` states it."""


def detailed(frames: int, height: int, width: int, seed: int) -> Tensor:
    """Frames with colors that change within four pixels and with fine grain, as cameras have it."""
    generator = torch.Generator().manual_seed(seed)
    smooth = torch.rand(frames, 3, height // 4, width // 4, generator=generator)
    large = torch.nn.functional.interpolate(smooth, (height, width), mode="bicubic").clamp(0, 1)
    grain = 0.04 * (torch.rand(frames, 1, height, width, generator=generator) - 0.5)
    return unit_to_uint8((large + grain).clamp(0, 1))


def decoded(uri: str) -> Tensor:
    content = base64.b64decode(uri.partition(",")[2])
    array = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    return torch.from_numpy(array.copy()).permute(2, 0, 1)


def home_with(folder: Path, height: int, width: int) -> tuple[Path, Tensor]:
    results = synthetic_results("mathieu2016-ucf101", num_videos=4)
    home = write_results(folder, results, height=height, width=width, num_shown=1)
    (clip,) = (home / PICTURES_FOLDER).iterdir()
    truth = detailed(6, height, width, seed=1)
    write_video(clip / "truth.avi", truth, codec="ffv1")
    for seed, name in enumerate(NAMES, 2):
        write_video(clip / f"{name}.avi", detailed(2, height, width, seed), codec="ffv1")
    return home, truth


def strip_of(home: Path) -> tuple[str, Tensor]:
    (clip,) = (home / PICTURES_FOLDER).iterdir()
    made = pictures.clip_pictures(compare(read_results([home]), resamples=10), clip.name)
    assert (made["height"], made["width"]) == decoded(made["strip"]).shape[1:]
    return made["strip"], decoded(made["strip"])


def expected_strip(truth: Tensor, height: int, width: int) -> Tensor:
    """Draw the scored frames themselves: two known ones, the truth, and what each predicted."""
    preds = {name: to_unit(detailed(2, height, width, seed)) for seed, name in enumerate(NAMES, 2)}
    return comparison_strip(to_unit(truth[2:4]), to_unit(truth[4:]), preds)


def decibels(one: Tensor, other: Tensor) -> float:
    return float(psnr(to_unit(one[None, None]), to_unit(other[None, None]), data_range=1.0))


def test_a_small_strip_loses_nothing(tmp_path: Path) -> None:
    home, truth = home_with(tmp_path, 24, 32)
    uri, strip = strip_of(home)
    assert uri.startswith("data:image/png;base64,")
    assert torch.equal(strip, expected_strip(truth, 24, 32))


def test_a_large_strip_keeps_each_pixels_color(tmp_path: Path) -> None:
    home, truth = home_with(tmp_path, 240, 320)
    uri, strip = strip_of(home)
    assert uri.startswith("data:image/jpeg;base64,")
    assert decibels(strip, expected_strip(truth, 240, 320)) > STATED
    image = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert all(layer[1:3] == (1, 1) for layer in image.layer)  # type: ignore[attr-defined]  # 4:4:4


class Writer:
    """Stands for the results of a method, of which nothing is there yet."""

    def __init__(self, name: str) -> None:
        self.method = {"name": name, "kind": "model", "details": {}}

    def rows(self) -> list[dict[str, object]]:
        return []


def test_clips_are_kept_to_the_bit_and_those_of_an_older_version_are_replaced(
    tmp_path: Path,
) -> None:
    from vidpred.evaluation.protocol import load_protocol

    protocol = load_protocol("quick").protocol
    gallery = Gallery(tmp_path, protocol, [Writer("mine")])  # type: ignore[list-item]
    frames = to_unit(detailed(6, 48, 64, seed=9))
    clip = EvaluationClip(
        name="a", video="a", start=0, context=frames[:4], target=frames[4:], mask=None
    )
    home = tmp_path / PICTURES_FOLDER / "a"
    home.mkdir(parents=True)
    write_video(home / "mine.mp4", torch.zeros(2, 3, 48, 64, dtype=torch.uint8))
    assert clip_video(tmp_path, "a", "mine") == home / "mine.mp4"
    pred = to_unit(detailed(2, 48, 64, seed=10))
    key = protocol.measures[0].key
    row = {
        "clip": "a",
        "values": {m.key: [1.0] * protocol.clips.horizon for m in protocol.measures},
    }
    assert key in row["values"]
    gallery.judge("mine", row)  # type: ignore[arg-type]
    gallery.show(clip, {"mine": pred})
    found = clip_video(tmp_path, "a", "mine")
    assert found == home / "mine.avi"
    assert not (home / "mine.mp4").exists()
    assert torch.equal(read_clip(found, 0, 2), unit_to_uint8(pred))
    truth = clip_video(tmp_path, "a", "truth")
    assert truth is not None
    assert torch.equal(read_clip(truth, 0, probe(truth).num_frames), unit_to_uint8(frames))
    assert clip_video(tmp_path, "a", "other") is None


@pytest.mark.parametrize("quality", [78])
def test_what_was_there_before_would_not_pass(quality: int) -> None:
    """The bound tells apart: JPEG at 78 with halved chroma stays below it."""
    frame = detailed(1, 240, 320, seed=1)[0]
    stream = io.BytesIO()
    Image.fromarray(frame.permute(1, 2, 0).numpy()).save(stream, "JPEG", quality=quality)
    again = torch.from_numpy(np.asarray(Image.open(stream)).copy()).permute(2, 0, 1)
    assert decibels(again, frame) < STATED
