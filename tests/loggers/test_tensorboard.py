"""TensorBoard holds what the other loggers hold, read back by TensorBoard itself."""

import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from vidpred.errors import VidpredError
from vidpred.loggers import RunTensorBoardLogger, ShownClip, log_clips
from vidpred.loggers.keys import kept
from vidpred.video import write_video


def read(folder: Path) -> "object":
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0, "tensors": 0})
    events.Reload()
    return events


def test_scalars_pictures_and_captions_are_there(tmp_path: Path) -> None:
    logger = RunTensorBoardLogger(tmp_path)
    logger.log_metrics({"val/psnr": 20.5, "val/psnr_t+07": 10.0}, 100)
    picture = torch.randint(0, 256, (3, 20, 30), dtype=torch.uint8)
    frames = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(tmp_path / "a.png")
    write_video(tmp_path / "a.mp4", frames)
    clip = ShownClip(picture, frames, tmp_path / "a.png", tmp_path / "a.mp4", "clip a, 20.5 dB")
    log_clips([logger], "val", [clip], fps=4, step=100)
    logger.finalize("success")
    events = read(tmp_path / "tensorboard")
    tags = events.Tags()  # type: ignore[attr-defined]
    assert tags["scalars"] == ["val/psnr"]
    (scalar,) = events.Scalars("val/psnr")  # type: ignore[attr-defined]
    assert (scalar.step, scalar.value) == (100, 20.5)
    assert set(tags["images"]) == {"val/strip_0", "val/video_0"}
    (strip,) = events.Images("val/strip_0")  # type: ignore[attr-defined]
    assert strip.encoded_image_string.startswith(b"\x89PNG")
    (video,) = events.Images("val/video_0")  # type: ignore[attr-defined]
    assert video.encoded_image_string.startswith(b"GIF89a")
    (text,) = events.Tensors("val/strip_0_caption/text_summary")  # type: ignore[attr-defined]
    assert b"clip a, 20.5 dB" in text.tensor_proto.string_val[0]


def test_model_and_copy_last_share_a_chart(tmp_path: Path) -> None:
    logger = RunTensorBoardLogger(tmp_path)
    logger.log_metrics({"val/psnr": 1.0}, 1)
    logger.finalize("success")
    content = b"".join(p.read_bytes() for p in (tmp_path / "tensorboard").glob("events*"))
    assert b"val/psnr_copy_last" in content


def test_all_is_logged_when_all_is_asked_for() -> None:
    names = ["val/psnr", "val/psnr_t+01", "val/psnr_t+02", "train/lp_loss_scale_4"]
    metrics = dict.fromkeys(names, 1.0)
    assert list(kept(metrics, "summary")) == names[:2]
    assert list(kept(metrics, "all")) == names


def test_what_is_logged_by_default_is_about_thirty_charts() -> None:
    """Names of an adversarial training with four scales that predicts eight frames."""
    names = [
        f"val/{metric}{area}{copy}{frame}"
        for metric in ("psnr", "ssim", "sharpness")
        for area in ("", "_moving")
        for copy in ("", "_copy_last")
        for frame in ("", *(f"_t+{k:02d}" for k in range(1, 9)))
    ]
    names += ["val/selection", "val/clips", "train/accepted_crops"]
    names += [f"train/{name}" for name in ("loss_g", "loss_d", "adversarial_loss")]
    names += [f"train/lp_loss_scale_{2**k}" for k in range(4)]
    names += [f"train/health/margin_scale_{2**k}" for k in range(4)]
    names += [f"train/health/{name}" for name in ("motion_ratio", "diversity", "edge_strength")]
    names += ["train/health/gain_over_copy"]
    names += ["train/health/gradient_cosine_lp_loss_adversarial_loss"]
    names += [f"val/health/{n}" for n in ("error_ratio", "brightness_drift", "color_drift")]
    assert len(names) > 120
    assert len(kept(dict.fromkeys(names, 0.0), "summary")) <= 30


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(VidpredError, match=r"not installed; .* 'vidpred\[tensorboard\]'"):
        RunTensorBoardLogger(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("a file where the folder should be")
    with pytest.raises(VidpredError, match="choose another --run_dir, or set --tensorboard"):
        RunTensorBoardLogger(tmp_path)
