"""Results say which frames of a clip nearly repeat the one before."""

from pathlib import Path

import numpy as np
import torch

from vidpred.evaluation import evaluate, load_protocol
from vidpred.evaluation.protocol import build_protocol
from vidpred.evaluation.scoring.methods import baselines
from vidpred.evaluation.sources.clip_folder import ClipFolder
from vidpred.evaluation.sources.folder_clips import FolderClips


def test_rows_hold_the_frames_that_repeat(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    base = np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)
    # A cadence of three moments in four frames: frames 2 and 5 repeat.
    for name, moments in {"film": (0, 1, 1, 2, 3, 3), "video": range(6)}.items():
        np.save(folder / f"{name}.npy", np.stack([np.roll(base, t, axis=1) for t in moments]))
    cut = {"starts": [0], "context_frames": 4, "horizon": 2}
    named = build_protocol({**load_protocol("quick").values, "clips": cut})
    cpu = torch.device("cpu")
    source = FolderClips(named.protocol, ClipFolder(folder))
    (result,) = evaluate(named, source, baselines(cpu, 4)[:1], tmp_path / "out", device=cpu)
    held = {row["clip"]: row.get("near_duplicates") for row in result["rows"]}
    assert held == {"film": [2, 5], "video": []}
    targets = tmp_path / "targets"
    targets.mkdir()
    np.save(targets / "film.npy", np.stack([base, base]))
    source = FolderClips(named.protocol, ClipFolder(targets))
    (clip,) = next(source.units()).load().values()
    assert not isinstance(clip, Exception)
    assert clip.near_duplicates() is None
