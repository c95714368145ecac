"""Linear classifiers on frozen features: what they find, how sure it is, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vidpred.data.catalog import Video
from vidpred.errors import PredictionError
from vidpred.evaluation.linear_probe import (
    ProbeClips,
    discriminator_features,
    linear_probe,
    pixel_features,
    read_probe_clips,
    require_classes,
)
from vidpred.models import DCGANDiscriminator, MultiScaleDiscriminator
from vidpred.ops import unit_to_signed
from vidpred.ops.pyramid import pyramid


def clips(groups: int, seed: int, classes: int = 3) -> tuple[ProbeClips, np.ndarray]:
    """Two clips a class and group, and features of which the first ones say the class."""
    labels = [f"class{k}" for k in range(classes) for _ in range(2 * groups)]
    names = [f"class{k}/g{g}" for k in range(classes) for g in range(groups) for _ in range(2)]
    random = np.random.default_rng(seed)
    features = random.normal(size=(len(labels), 6))
    features[:, :classes] = 10 * np.eye(classes)[[int(label[-1]) for label in labels]]
    frames = torch.zeros(len(labels), 5, 3, 8, 8, dtype=torch.uint8)
    return ProbeClips(frames, tuple(labels), tuple(names)), features


def test_features_that_say_the_class_are_right_and_noise_is_at_chance() -> None:
    (train, known), (test, asked) = clips(4, seed=0), clips(20, seed=1)
    features = {"trained": (known, asked), "noise": (known[:, 3:], asked[:, 3:])}
    trained, noise = linear_probe(features, train, test)
    assert (trained.top1, trained.features, trained.interval) == (1.0, 6, (1.0, 1.0))
    assert noise.interval is not None
    assert noise.interval[0] < 1 / 3 < noise.interval[1]
    over = trained.over["noise"]
    assert over is not None
    assert over[0] > 0.4
    assert over == pytest.approx((1 - noise.interval[1], 1 - noise.interval[0]), abs=0.02)


def test_the_interval_is_over_groups_not_clips() -> None:
    """A hundred copies of each clip are no news: the interval stays as wide."""
    (train, known), (test, asked) = clips(4, seed=0), clips(6, seed=1)
    copies = ProbeClips(test.frames.repeat(10, 1, 1, 1, 1), test.labels * 10, test.groups * 10)
    features = {"noise": (known[:, 3:], asked[:, 3:])}
    (few,) = linear_probe(features, train, test)
    (many,) = linear_probe({"noise": (known[:, 3:], np.tile(asked[:, 3:], (10, 1)))}, train, copies)
    assert few.interval == pytest.approx(many.interval)


def test_one_group_has_no_interval() -> None:
    train, known = clips(3, seed=0)
    test = ProbeClips(train.frames[:3], train.labels[:3], ("a",) * 3)
    (found,) = linear_probe({"trained": (known, known[:3])}, train, test)
    assert found.interval is None


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (["a", "b"], ["a", "b", "c"], "2 training clips for 3 classes"),
        (["a", "b", "b"], ["c"], "1 classes of the test clips have no training clip .c."),
        (["a", "a"], ["a"], "1 class; expected clips of at least two"),
    ],
)
def test_clips_that_do_not_fit_are_refused(train: list[str], test: list[str], message: str) -> None:
    with pytest.raises(PredictionError, match=message):
        require_classes(train, test)


def test_videos_without_a_class_are_refused(tmp_path: Path) -> None:
    video = Video(path=tmp_path / "clip.avi", video_id="clip")
    with pytest.raises(PredictionError, match="clip: has no class"):
        read_probe_clips([video], length=5, size=(8, 8), gray=False)
    with pytest.raises(PredictionError, match="no clip to probe with"):
        read_probe_clips([], length=5, size=(8, 8), gray=False)


@pytest.fixture
def frames() -> Tensor:
    return torch.randint(0, 256, (5, 5, 3, 32, 32), dtype=torch.uint8)


@pytest.mark.parametrize("kind", ["multiscale", "dcgan"])
def test_features_depend_on_their_clip_alone_and_on_the_order_of_frames(
    kind: str, frames: Tensor
) -> None:
    discriminator = (
        MultiScaleDiscriminator.from_preset("small")
        if kind == "multiscale"
        else DCGANDiscriminator.from_preset("cpu", image_size=32)
    ).eval()
    found = discriminator_features(discriminator, frames, batch_size=2)
    assert found.shape[0] == 5
    np.testing.assert_allclose(
        discriminator_features(discriminator, frames[3:4]), found[3:4], rtol=1e-4, atol=1e-6
    )
    turned = discriminator_features(discriminator, frames.flip(1))
    assert np.abs(turned - found).max() > 1e-3


def test_pooled_features_are_what_the_logits_come_from(frames: Tensor) -> None:
    """Of the coarsest scale: its one convolution leaves 2 x 2, which a grid of 4 x 4 repeats."""
    discriminator = MultiScaleDiscriminator.from_preset("small").eval()
    clip = unit_to_signed(frames.float() / 255)
    past, candidates = clip[:, :4], pyramid(clip[:, 4:], 4)
    found = discriminator.features(past, candidates)
    assert found.shape == (5, 16 * (32 + (32 + 32 + 64) * 2 + (32 + 32 + 64 + 128)))
    network = discriminator.networks[0]
    assert isinstance(network, torch.nn.Sequential)
    maps = network[:2](torch.cat([pyramid(past, 4)[0], candidates[0]], dim=1).flatten(1, 2))
    assert maps.shape[-2:] == (2, 2)
    expected = maps.repeat_interleave(2, 2).repeat_interleave(2, 3).flatten(1)
    torch.testing.assert_close(found[:, : 16 * 32], expected)


def test_pixels_are_features_too(frames: Tensor) -> None:
    found = pixel_features(frames)
    assert found.shape == (5, 5 * 3 * 32 * 32)
    assert found.max() <= 1


def test_features_that_are_not_finite_are_refused(frames: Tensor) -> None:
    discriminator = MultiScaleDiscriminator.from_preset("small").eval()
    weights = next(discriminator.parameters())
    weights.data.fill_(float("nan"))
    with pytest.raises(PredictionError, match="are not finite"):
        discriminator_features(discriminator, frames)
