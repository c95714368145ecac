"""The report shows the first futures of each clip as they were drawn, next to the truth."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from noisy_predictor import Noisy
from PIL import Image
from torch import Tensor

from vidpred.evaluation import Result, evaluate, load_protocol
from vidpred.evaluation.compare.comparison import Comparison, compare
from vidpred.evaluation.protocol import NamedProtocol, build_protocol
from vidpred.evaluation.report.clip_pictures import clip_pictures
from vidpred.evaluation.report.page import render
from vidpred.evaluation.results.clip_videos import futures_video
from vidpred.evaluation.scoring.futures import FAN
from vidpred.evaluation.scoring.methods import PredictorMethod, baselines
from vidpred.evaluation.sources.clip_folder import ClipFolder
from vidpred.evaluation.sources.folder_clips import FolderClips
from vidpred.ops import to_unit
from vidpred.video import probe, read_clip
from vidpred.viz import comparison_strip

CPU = torch.device("cpu")


def protocol(count: int) -> NamedProtocol:
    content = {
        **load_protocol("quick").values,
        "clips": {"starts": [0], "context_frames": 2, "horizon": 3},
        "mask": None,
        "measures": [{"metric": "psnr"}],
    }
    return build_protocol({**content, "samples": {"count": count, "reduce": "best_of_k"}})


def scored(folder: Path, count: int) -> tuple[Comparison, dict[str, Tensor]]:
    """Score one predictor of several futures and one of one; give its clips as well."""
    home = folder / "clips"
    home.mkdir()
    rng = np.random.default_rng(0)
    clips = {f"clip_{k}": rng.integers(0, 256, (5, 16, 20, 3), dtype=np.uint8) for k in range(3)}
    for name, frames in clips.items():
        np.save(home / f"{name}.npy", frames)
    named = protocol(count)
    method = PredictorMethod(Noisy(), {"name": "noisy", "kind": "model", "details": {}}, CPU)
    results: list[Result] = evaluate(
        named,
        FolderClips(named.protocol, ClipFolder(home)),
        [*baselines(CPU, 2)[:1], method],
        folder / "results",
        device=CPU,
    )
    files = {str(folder / "results" / f"{r['method']['name']}.json"): r for r in results}
    found = {name: torch.from_numpy(frames).movedim(-1, 1) for name, frames in clips.items()}
    return compare(files, resamples=10), found


@pytest.mark.parametrize("count", [3, FAN + 2])
def test_the_first_futures_are_kept_and_shown(count: int, tmp_path: Path) -> None:
    comparison, clips = scored(tmp_path, count)
    samples = protocol(count).protocol.samples
    assert samples is not None
    clip = comparison["extremes"][0]["clip"]
    frames = clips[clip.partition("+")[0]]
    drawn = [
        Noisy().sample(to_unit(frames[None, :2]), 3, generator=samples.generator(clip, k))[0, 0]
        for k in range(min(count, FAN))
    ]
    video = futures_video(tmp_path / "results", clip, "noisy")
    assert video is not None
    kept = to_unit(read_clip(video, 0, probe(video).num_frames))
    # Levels of 8 bits: half a level away at most.
    torch.testing.assert_close(kept, torch.cat(drawn), rtol=0, atol=0.51 / 255)

    (fan,) = clip_pictures(comparison, clip)["fans"]  # the baseline has one future
    assert fan["method"] == "noisy"
    content = base64.b64decode(fan["picture"].partition(",")[2])
    picture = torch.from_numpy(np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).copy())
    rows = {f"future {k}": part for k, part in enumerate(kept.split(3), 1)}
    expected = comparison_strip(None, to_unit(frames[2:]), rows)
    assert torch.equal(picture.movedim(-1, 0), expected)
    assert (fan["height"], fan["width"]) == expected.shape[1:]
    page = render(comparison)
    assert fan["picture"] in page
    assert f"{min(count, FAN)} futures of noisy" in page


def test_one_future_leaves_no_fan(tmp_path: Path) -> None:
    comparison, _ = scored(tmp_path, 1)
    assert all(not clip_pictures(comparison, e["clip"])["fans"] for e in comparison["extremes"])
    assert 'class="fans"' not in render(comparison)
