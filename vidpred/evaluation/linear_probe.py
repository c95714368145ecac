"""What a network has learned about actions: a linear classifier on its frozen features.

Source: Radford et al. 2016 (DCGAN), section 5.1, who classify by the features of a discriminator.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import stats
from torch import Tensor

from vidpred.data.catalog import Video
from vidpred.errors import PredictionError, VidpredError
from vidpred.models.clip_discriminator import ClipDiscriminator
from vidpred.ops.frame_format import reformat_uint8
from vidpred.ops.pyramid import pyramid
from vidpred.ops.range import to_unit, unit_to_signed
from vidpred.video import read_clip

PENALTIES = (1.0, 100.0, 10_000.0)
"""Of which folds of whole groups of the training clips choose, on standardized features."""

FOLDS = 3
RESAMPLES = 10_000

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ProbeClips:
    """Clips with classes.

    Attributes:
        frames: uint8, shape (N, T, C, H, W).
        labels: Names of the classes, N.
        groups: Clips of one group show the same scene, N.
    """

    frames: Tensor
    labels: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True)
class ProbeResult:
    """How often a linear classifier is right.

    Attributes:
        name: Of the features.
        features: F, how many.
        top1: Share of the test clips whose class comes first.
        interval: 95 % of it, by drawing groups again; None with fewer than two groups.
        over: Names of the other features, and the interval of how much higher this share is.
    """

    name: str
    features: int
    top1: float
    interval: tuple[float, float] | None
    over: dict[str, tuple[float, float] | None]


def read_probe_clips(
    videos: Iterable[Video], *, length: int, size: tuple[int, int], gray: bool
) -> ProbeClips:
    """Read the first frames of videos, whole, at one size.

    Args:
        videos: With classes.
        length: T.
        size: H and W.
        gray: Whether C is 1.

    Raises:
        VidpredError: When a video has no class, or cannot be read.
    """
    frames, labels, groups = [], [], []
    for video in videos:
        if not video.label:
            raise PredictionError(
                f"{video.video_id}: has no class; expected videos in folders of their classes, as "
                "UCF101 has them"
            )
        clip = read_clip(video.path, video.require_frames(0, length), length)
        frames.append(reformat_uint8(clip, size=size, gray=gray))
        labels.append(video.label)
        groups.append(video.group or video.video_id)
    if not frames:
        raise PredictionError("no clip to probe with; expected videos of both lists on the disk")
    return ProbeClips(torch.stack(frames), tuple(labels), tuple(groups))


@torch.inference_mode()
def discriminator_features(
    discriminator: ClipDiscriminator,
    frames: Tensor,
    *,
    device: torch.device | None = None,
    batch_size: int = 32,
) -> Array:
    """Give what a discriminator makes of true clips.

    Args:
        discriminator: In evaluation mode.
        frames: uint8, shape (N, T, C, H, W), T its context and candidate frames.
        device: Where it computes.
        batch_size: Clips at a time.

    Returns:
        Shape (N, F).

    Raises:
        PredictionError: When it has no features, or they are not finite.
    """
    discriminator.to(device)
    found = []
    for part in torch.split(frames, batch_size):
        clip = unit_to_signed(to_unit(part.to(device)))
        past = clip[:, : discriminator.context_frames]
        candidates = pyramid(clip[:, discriminator.context_frames :], discriminator.num_scales)
        try:
            found.append(discriminator.features(past, candidates).float().cpu())
        except NotImplementedError as error:
            raise PredictionError(str(error)) from error
    features = torch.cat(found)
    if not torch.isfinite(features).all():
        raise PredictionError(
            f"features of the {type(discriminator).__name__} are not finite; expected a checkpoint "
            "whose training has not diverged"
        )
    return features.double().numpy()


def pixel_features(frames: Tensor) -> Array:
    """Give the pixels themselves, (N, T, C, H, W) to (N, T * C * H * W)."""
    return to_unit(frames).flatten(1).double().numpy()


def linear_probe(
    features: dict[str, tuple[Array, Array]],
    train: ProbeClips,
    test: ProbeClips,
    *,
    progress: Callable[[str], None] = lambda name: None,
) -> list[ProbeResult]:
    """Fit a linear classifier to features of the training clips, and count where it is right.

    A ridge classifier on standardized features; its penalty is chosen by folds of whole groups of
    the training clips.

    Args:
        features: By name, those of the training clips and of the test clips, (N, F) each.
        train: Training clips.
        test: Test clips.
        progress: Called with each name before it is fitted.

    Returns:
        A result for each, in their order.

    Raises:
        PredictionError: For fewer than two classes, fewer training clips than classes, or classes
            of test clips that no training clip has.
        VidpredError: When scikit-learn is not installed.
    """
    require_classes(train.labels, test.labels)
    right: dict[str, Array] = {}
    for name, (known, asked) in features.items():
        progress(name)
        fitted = _classifier(train.groups)
        options = {"groups": train.groups} if hasattr(fitted, "cv") else {}
        with warnings.catch_warnings():
            # A class in one group alone is missing from the training part of a fold.
            warnings.simplefilter("ignore")
            fitted.fit(known, train.labels, **options)
        right[name] = (fitted.predict(asked) == np.array(test.labels)).astype(np.float64)
    return [
        ProbeResult(
            name=name,
            features=known.shape[1],
            top1=float(right[name].mean()),
            interval=_interval(right[name], test.groups),
            over={
                other: _interval(right[name] - right[other], test.groups)
                for other in features
                if other != name
            },
        )
        for name, (known, _) in features.items()
    ]


def require_classes(train: Sequence[str], test: Sequence[str]) -> None:
    """Refuse clips that a classifier cannot be fitted to, or not be asked about.

    Raises:
        PredictionError: Saying which.
    """
    classes = sorted({*train, *test})
    if len(classes) < 2:
        raise PredictionError(f"{len(classes)} class; expected clips of at least two")
    if len(train) < len(classes):
        raise PredictionError(
            f"{len(train)} training clips for {len(classes)} classes; expected at least one a "
            "class: put more of the training list's videos on the disk"
        )
    missing = sorted(set(test) - set(train))
    if missing:
        named = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if missing[3:] else "")
        raise PredictionError(
            f"{len(missing)} classes of the test clips have no training clip ({named}); expected "
            "videos of both lists of every class, or neither"
        )


def _classifier(groups: Sequence[str]) -> Any:
    try:
        from sklearn.linear_model import RidgeClassifier
        from sklearn.model_selection import GridSearchCV, GroupKFold
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ModuleNotFoundError as error:
        raise VidpredError(
            f"vidpred probe needs the package {error.name}, which is not installed: "
            'pip install "vidpred[probe]"'
        ) from error
    model = make_pipeline(StandardScaler(), RidgeClassifier())
    folds = min(FOLDS, len(set(groups)))
    if folds < 2:
        return model
    penalties = {"ridgeclassifier__alpha": list(PENALTIES)}
    return GridSearchCV(model, penalties, cv=GroupKFold(n_splits=folds))


def _interval(values: Array, groups: Sequence[str]) -> tuple[float, float] | None:
    """Give 95 % of a mean over clips, by drawing whole groups again."""
    names, which = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return None
    sums, counts = np.bincount(which, weights=values), np.bincount(which).astype(np.float64)

    def mean(drawn: Array, counted: Array, axis: int) -> Array:
        share: Array = drawn.sum(axis=axis) / counted.sum(axis=axis)
        return share

    if np.ptp(sums / counts) == 0:
        return (float(sums[0] / counts[0]),) * 2
    found = stats.bootstrap(
        (sums, counts),
        mean,
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=RESAMPLES,
        rng=0,
        batch=1000,
    ).confidence_interval
    return (math.nan, math.nan) if math.isnan(found.low) else (float(found.low), float(found.high))
