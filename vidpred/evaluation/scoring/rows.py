"""The scores of clips by one method, as rows of a result."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vidpred.evaluation.clips import EvaluationClip
from vidpred.evaluation.measures import higher_is_better, measure_all, measure_likelihood
from vidpred.evaluation.protocol import Protocol
from vidpred.evaluation.results.result import ClipRow
from vidpred.evaluation.scoring.extras import Extras, Features
from vidpred.evaluation.scoring.futures import Scores, score_futures
from vidpred.evaluation.scoring.scored_method import ScoredMethod


class ScoredClips(NamedTuple):
    """What a method scored on B clips.

    Attributes:
        rows: Of the result.
        features: Of the video network.
        shown: The future that represents each clip in pictures, shape (B, horizon, C, H, W) in
            [0, 1].
        fan: Its first few futures, uint8, shape (k, B, horizon, C, H, W); k is 1 where it has one.
    """

    rows: list[ClipRow]
    features: Sequence[Features | None]
    shown: Tensor
    fan: Tensor


def score_clips(
    clips: Sequence[EvaluationClip],
    method: ScoredMethod,
    protocol: Protocol,
    extras: Extras,
    device: torch.device,
    fingerprint: Callable[[str], str],
) -> ScoredClips:
    """Predict and score clips of one frame size.

    Args:
        clips: B of them.
        method: What predicts.
        protocol: How to score.
        extras: What to measure besides the protocol; the features are of the first future.
        device: Where metrics are computed.
        fingerprint: Of a clip's files.

    Returns:
        Rows, and what pictures need.

    Raises:
        VidpredError: When a clip cannot be predicted.
        ValueError: When a metric refuses the frames.
    """
    target = torch.stack([clip.target for clip in clips]).to(device)
    masks = [clip.mask for clip in clips if clip.mask is not None]
    mask = torch.stack(masks).to(device) if len(masks) == len(clips) else None

    @torch.inference_mode()
    def measure(future: Tensor) -> Scores:
        pred = future.to(device)
        return measure_all(protocol.measures, pred, target, mask) | extras.measure(pred, target)

    found = score_futures(
        method.futures(clips, protocol),
        measure,
        samples=protocol.samples,
        ranking=protocol.measures[0].key,
        higher_is_better=higher_is_better,
    )
    if any(m.of_likelihood for m in protocol.measures):
        likelihood = measure_likelihood(
            protocol.measures, method.log_prob(clips, protocol.clips), target
        )
    else:
        likelihood = {}
    # In the protocol's order, what is measured besides it last.
    keys = dict.fromkeys([*(m.key for m in protocol.measures), *found.values])
    scores = {key: likelihood[key] if key in likelihood else found.values[key] for key in keys}
    rows: list[ClipRow] = [
        {
            "clip": clip.name,
            "video": clip.video,
            "start": clip.start,
            "fingerprint": fingerprint(clip.name),
            "motion": clip.motion(),
            "moving": clip.moving(),
            "values": _plain(scores, b),
            "near_duplicates": clip.near_duplicates(),
        }
        for b, clip in enumerate(clips)
    ]
    if found.reduced is not None:
        for b, row in enumerate(rows):
            row["samples"] = {
                "count": found.count,
                "values": {name: _plain(reduced, b) for name, reduced in found.reduced.items()},
            }
    return ScoredClips(rows, extras.features(clips, found.first), found.shown, found.fan)


def _plain(scores: Scores, b: int) -> dict[str, list[float | None]]:
    """Give the scores of clip number b as plain values, None for NaN."""
    return {
        key: [None if math.isnan(v) else v for v in score[b].tolist()]
        for key, score in scores.items()
    }
