"""Videos of a training are recognized by a test."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from worlds import loader, moving_squares, trainer

from vidpred.cli.main import main
from vidpred.cli.next_command import test_command as command_of
from vidpred.data import UCF101DataModule, VideoFolderDataModule
from vidpred.errors import CheckpointError
from vidpred.models import GeneratorScale, MultiScaleGenerator
from vidpred.seen_videos import SeenVideos, remember, remembered
from vidpred.storage import SavedPredictor, trained_generator
from vidpred.storage.checkpoint import read_checkpoint
from vidpred.storage.description import describe_frames, describe_predictor
from vidpred.storage.saved import read_saved, write_saved
from vidpred.tasks import ReconstructionTask


def test_names_are_kept_as_digests() -> None:
    names = [f"Archery/v_Archery_g{k:02}_c01" for k in range(1, 26)]
    seen = SeenVideos.of(names)
    assert all(name in seen for name in names)
    assert "Archery/v_Archery_g26_c01" not in seen
    assert SeenVideos.of(reversed(names)).text == seen.text
    assert len(seen.text) < 7 * len(names)
    assert "x" not in SeenVideos.of([])
    # As a folder of videos names the same one.
    assert f"UCF-101/{names[0]}.avi" in seen
    assert "Bowling/v_Archery_g01_c01" not in seen
    both = SeenVideos.of(["a.mp4"]) | SeenVideos.of(["b.mp4"])
    assert "a.mp4" in both
    assert "b.mp4" in both


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_of_a_network_was_trained_on_the_same(copied: Any) -> None:
    network = MultiScaleGenerator([GeneratorScale((4,), (3, 3))])
    remember(network, SeenVideos.of(["Elsewhere/a.mp4"]))
    other = copied(network)
    remember(other, SeenVideos.of(["Elsewhere/b.mp4"]))
    assert "Elsewhere/a.mp4" in (remembered(other) or ())
    assert "Elsewhere/b.mp4" not in (remembered(network) or ())


def test_what_a_network_was_trained_on_before_is_kept(toy_root: Path, tmp_path: Path) -> None:
    before = tmp_path / "before.safetensors"
    network = MultiScaleGenerator([GeneratorScale((4,), (3, 3))])
    saved = SavedPredictor(
        path=before,
        description=describe_predictor(network),
        weights=network.state_dict(),
        seen_videos=SeenVideos.of(["Elsewhere/a.mp4"]),
        frames=describe_frames(network),
    )
    write_saved(before, saved)
    task = ReconstructionTask(trained_generator(str(before)))
    data = UCF101DataModule(toy_root, batch_size=4, samples_per_epoch=4, num_workers=0)
    engine = trainer()
    engine.fit(task, datamodule=data)
    engine.save_checkpoint(tmp_path / "after.ckpt")
    seen = read_saved(tmp_path / "after.ckpt").seen_videos
    assert seen is not None
    assert "Elsewhere/a.mp4" in seen
    assert data.listings["train"].videos[0].video_id in seen
    # A network that begins from it is trained on other data.
    fresh = ReconstructionTask(MultiScaleGenerator([GeneratorScale((4,), (3, 3))]))
    other = trainer(max_epochs=2)
    other.fit(fresh, loader(moving_squares(8), 4), ckpt_path=tmp_path / "after.ckpt")
    other.save_checkpoint(tmp_path / "last.ckpt")
    again = read_saved(tmp_path / "last.ckpt").seen_videos
    assert again is not None
    assert again.text == seen.text


def test_a_test_on_videos_of_the_training_says_so(
    toy_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit = (
        *("fit", "-c", "experiment/l2.yaml", f"--data.root={toy_root}", "--data.split=2"),
        *("--data.batch_size=4", "--data.samples_per_epoch=4", "--data.num_workers=0"),
        *("--data.max_val_videos=1", "--wandb.enabled=false", "--trainer.max_epochs=1"),
        *("--trainer.enable_progress_bar=false", "--trainer.accelerator=cpu"),
        f"--run_dir={tmp_path / 'run'}",
    )
    assert main([*fit]) == 0
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    data = UCF101DataModule(toy_root, split=2)
    data.setup("fit")
    seen = SeenVideos(read_checkpoint(path)["vidpred"]["seen_videos"])
    lists = data.listings.items()
    names = {split: [video.video_id for video in listing.videos] for split, listing in lists}
    assert all(name in seen for name in [*names["train"], *names["val"]])
    assert not any(name in seen for name in names["test"])

    output = tmp_path / "results"
    test = ("test", str(path), f"--root={toy_root}", "--protocol=quick", f"--output={output}")
    assert main([*test, "--workers=0"]) == 0
    counts = json.loads((output / "run.json").read_text())["clips"]
    # The test videos of split 1, all of them in the other lists of split 2.
    assert counts["videos_seen"] == counts["videos_scored"] > 0
    out = capsys.readouterr().out
    assert "run was trained or validated on videos of these names" in out
    assert "Unless these are other videos of the same names" in out
    assert "videos_seen" not in json.loads((output / "linear.json").read_text())["clips"]

    exported = tmp_path / "run.safetensors"
    assert main(["export", str(path), "--output", str(exported)]) == 0
    again = read_saved(exported).seen_videos
    assert again is not None
    assert again.text == seen.text


def test_the_command_after_a_training_takes_unseen_videos(toy_root: Path, tmp_path: Path) -> None:
    def command(data: UCF101DataModule | VideoFolderDataModule, module: str | None = None) -> str:
        return command_of(data, "best.ckpt", tmp_path, module=module)

    quick = f"vidpred test best.ckpt --root {toy_root} --protocol quick"
    assert command(UCF101DataModule(toy_root)) == quick
    assert command(UCF101DataModule(toy_root), "mine") == f"{quick} --module mine"
    own = f"vidpred validate -c {tmp_path}/config.yaml --ckpt-path best.ckpt --split test"
    for options in ({"split": 2}, {"color": "gray"}, {"resize": (48, 64)}, {"list_dir": tmp_path}):
        assert command(UCF101DataModule(toy_root, **options)) == own
    folder = "vidpred test best.ckpt --root 'my videos' --protocol folder"
    assert command(VideoFolderDataModule("my videos")) == folder
    assert command(VideoFolderDataModule("my videos", test_fraction=0.2)) == own
    lists: dict[str, Any] = {f"{split}_list": f"{split}.txt" for split in ("train", "val", "test")}
    assert command(VideoFolderDataModule("my videos", **lists)) == own


def test_a_made_up_list_is_refused(tmp_path: Path) -> None:
    import torch

    from vidpred.models import LinearExtrapolation
    from vidpred.storage.description import describe_predictor

    path = tmp_path / "x.ckpt"
    said = {"predictor": describe_predictor(LinearExtrapolation()), "batches_seen": 1}
    content = {"state_dict": {}, "pytorch-lightning_version": "2.6.0"}
    torch.save({**content, "vidpred": {**said, "seen_videos": "not base 85: \x00"}}, path)
    with pytest.raises(CheckpointError, match=r"x.ckpt: its description is not as"):
        read_saved(path)
