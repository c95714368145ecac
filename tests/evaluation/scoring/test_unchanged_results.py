"""Protocols without `samples` leave the results of version 0.1, but for provenance."""

import json
import os
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from vidpred.evaluation import evaluate, load_protocol, read_result
from vidpred.evaluation.protocol import build_protocol
from vidpred.evaluation.scoring.methods import baselines
from vidpred.evaluation.sources.clip_folder import ClipFolder
from vidpred.evaluation.sources.folder_clips import FolderClips

GOLDEN = Path(__file__).with_name("results_of_0_1")
"""Result files that commit 7ddd514 (version 0.1) wrote for the clips and the protocol below."""

DIGESTS = {
    "clean-subset": "e2e09059fcc5961f23a94686ce4d5398a257e9646ec382017be0aa460b66e554",
    "clean-ucf101": "07465d4f658c5c567a55deac55fbdf024905b60ecac17f44ac5e4f7c6c5951d5",
    "mathieu2016-subset": "f292d75eb5523eca111ea4348e7e3ff184c031bfd138579e310326cc4505d9fc",
    "mathieu2016-ucf101": "543c9f20455d591971b0e6f75ee315b8a472098acd5f459961fc858859aa00e9",
    "quick": "1c6ac70346245e77460709b0997d73a613cc7928cb10f3f7bd4c0aeb4d014a7d",
}
"""Digests of the packaged protocols in version 0.1."""

CUT = {"starts": [0], "context_frames": 4, "horizon": 2}


def frames_of(seed: int) -> npt.NDArray[np.uint8]:
    """Integers alone decide these frames, so that no decoder and no generator can change them."""
    t, y, x, c = np.meshgrid(*(np.arange(n) for n in (6, 24, 32, 3)), indexing="ij")
    moving = (x * 7 + t * 9 * (1 + seed) + y * 3 + c * 40) % 256
    still = (x * 5 + y * 11 + c * 17 + seed) % 256
    frames: npt.NDArray[np.uint8] = np.where(y < 12, moving, still).astype(np.uint8)
    return frames


def write_clips(folder: Path) -> ClipFolder:
    folder.mkdir()
    for seed in range(2):
        path = folder / f"clip_{seed}.npy"
        np.save(path, frames_of(seed))
        os.utime(path, ns=(0, 0))  # fingerprints hold times
    return ClipFolder(folder)


def score(folder: Path) -> dict[str, str]:
    named = build_protocol({**load_protocol("quick").values, "clips": CUT})
    source = FolderClips(named.protocol, write_clips(folder / "clips"))
    methods = baselines(torch.device("cpu"), 4)[:2]
    evaluate(named, source, methods, folder / "results", device=torch.device("cpu"))
    return {
        path.name: path.read_text(encoding="utf-8")
        for path in sorted((folder / "results").glob("*.json"))
    }


def test_results_are_those_of_version_0_1(tmp_path: Path) -> None:
    written = score(tmp_path)
    assert sorted(written) == ["copy_last.json", "linear.json"]
    number = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
    for name, text in written.items():
        content = json.loads(text)
        for row in content["rows"]:
            del row["near_duplicates"]  # the one field that is new
        old, new = (
            json.dumps({**result, "provenance": None})
            for result in (json.loads((GOLDEN / name).read_text(encoding="utf-8")), content)
        )
        # The order of keys included. Other processors round the last digits of sums differently.
        assert number.sub("#", new) == number.sub("#", old)
        np.testing.assert_allclose(
            [float(n) for n in number.findall(new)],
            [float(n) for n in number.findall(old)],
            rtol=1e-5,
        )
        assert read_result(GOLDEN / name)["method"]["name"] == Path(name).stem


@pytest.mark.parametrize("name", DIGESTS)
def test_digests_are_those_of_version_0_1(name: str) -> None:
    assert load_protocol(name).digest == DIGESTS[name]
