"""The action-conditioned example: trained, scored and used from a folder outside the checkout."""

import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vidpred.cli.main import main
from vidpred.ops import to_unit
from vidpred.video import read_clip
from vidpred.video.conditions import conditions_path, read_conditions

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, in a folder of its own that holds a small world too."""
    for file in EXAMPLES.glob("action_conditioned*"):
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("action_conditioned")
    module = importlib.reload(module)
    module.write_world(Path("world/train"), videos=16)
    module.write_world(Path("world/test"), videos=3, seed=1)
    return module


def test_actions_are_those_that_moved_the_square(example: Any) -> None:
    path = Path("world/test/test_000.avi")
    frames = to_unit(read_clip(path, 0, 20))[:, 0]
    corners = np.array([np.argwhere(frame.numpy() > 0.5)[0] for frame in frames])
    assert np.array_equal(np.diff(corners, axis=0), read_conditions(path)["actions"][1:])


def test_a_kernel_moves_the_frame_by_the_action(example: Any) -> None:
    model = example.ActionPredictor()
    torch.nn.init.zeros_(model.kernel[-1].weight)
    with torch.no_grad():  # all weight on two rows up and one column to the left
        model.kernel[-1].bias.fill_(-50).view(7, 7)[3 - 2, 3 - 1] = 50
    frame = torch.rand(2, 1, 3, 32, 32)
    actions = {"actions": torch.zeros(2, 2, 2)}
    pred = model(frame, 1, condition=actions)
    assert pred.shape == (2, 1, 3, 32, 32)
    torch.testing.assert_close(pred[..., 2:, 1:], frame[..., :-2, :-1])
    with pytest.raises(ValueError, match="actions"):
        model(frame, 1)


@pytest.mark.slow
def test_it_is_trained_scored_and_used(example: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fit = ["fit", "-c", "action_conditioned.yaml", "--run-dir", "run", "--wandb.enabled=false"]
    fit += ["--data.num_workers=0", "--trainer.max_epochs=2", "--trainer.accelerator=cpu"]
    fit += ["--trainer.enable_progress_bar=false", "--trainer.num_sanity_val_steps=0"]
    assert main(fit) == 0
    checkpoint, mine = "run/checkpoints/best.ckpt", ["--module", "action_conditioned"]
    protocol = ["--protocol", "action_conditioned_protocol.yaml", "--root", "world/test"]
    assert main(["test", f"ours={checkpoint}", *mine, *protocol, "--output", "results"]) == 0
    assert "videos of these names" not in capsys.readouterr().out
    psnr = {
        name: json.loads(Path(f"results/{name}.json").read_text())["summary"][
            "psnr.standard.whole"
        ]["mean"]
        for name in ("ours", "copy_last")
    }
    assert psnr["ours"] > psnr["copy_last"] + 1  # who knows the actions knows more

    video = "world/test/test_000.avi"
    use = ["predict", video, "--model", checkpoint, *mine, "--at", "7", "--horizon", "4"]
    assert main([*use, "--output", "known.npy"]) == 0
    example.write_plan(Path("plan.npy"))
    assert np.load("plan.npy")[7:9].tolist() == [[0, 0], [3, 3]]  # --at 7 is the last known frame
    assert main([*use, "--output", "planned.npy", "--condition", "actions=plan.npy"]) == 0
    known, planned = np.load("known.npy"), np.load("planned.npy")
    assert known.shape == planned.shape == (4, 32, 32, 3)
    assert not np.array_equal(known, planned)

    capsys.readouterr()
    # After the end of the video, the actions of its frames do not suffice.
    late = ["predict", video, "--model", checkpoint, *mine, "--horizon", "4"]
    assert main([*late, "--output", "late.npy"]) == 2
    assert "condition 'actions' has 20 rows, and frame 23 was asked for" in capsys.readouterr().err
    conditions_path(video).unlink()
    assert main([*use, "--output", "none.npy"]) == 2
    assert "give --condition actions=FILE.npy" in capsys.readouterr().err
    assert main([*use, "--output", "other.npy", "--condition", "speed=plan.npy"]) == 2
    assert "is conditioned on actions; leave it out" in capsys.readouterr().err
