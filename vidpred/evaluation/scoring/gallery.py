"""Videos of the best and the worst clips of each method, kept while clips stream by."""

import logging
import shutil
from bisect import insort
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor

from vidpred.errors import VideoError
from vidpred.evaluation.clips import EvaluationClip
from vidpred.evaluation.protocol import Protocol
from vidpred.evaluation.results.averages import mean
from vidpred.evaluation.results.clip_videos import FUTURES_FOLDER, OLDER_SUFFIX, SUFFIX
from vidpred.evaluation.results.result import PICTURES_FOLDER, TRUTH, ClipRow
from vidpred.evaluation.results.skipping import counted, rule_of
from vidpred.evaluation.scoring.result_writer import ResultWriter
from vidpred.ops import unit_to_uint8
from vidpred.video import write_video

logger = logging.getLogger(__name__)

REFERENCE = "copy_last"
"""The baseline by whose score a clip is judged good or bad: some clips are easy for everybody."""

FPS = 25

_Gains = list[tuple[float, str]]


class Gallery:
    """Keeps truth (context and targets) and predictions of a few clips as videos.

    They are `best_and_worst/<clip>/truth.avi` and `best_and_worst/<clip>/<method>.avi`, lossless:
    about a megabyte for eight frames of 240 x 320. Where a method draws several futures, the first
    few of them are `best_and_worst/<clip>/futures/<method>.avi`, one after the other.

    For each method but the baselines (for these, when there is nothing else) the clips with the
    highest and the lowest gain over copying the last frame are kept; without that baseline, those
    with the highest and the lowest score. Frames at which one of the two is skipped do not count.
    What falls out of these places is deleted, so the folder does not grow with the number of clips.
    The clips of methods that another command has scored into the folder stay.

    Args:
        results: Folder of the results; the pictures' is made when there is something to keep.
        protocol: Its first measure of frames, averaged over them, decides.
        writers: Of all methods; what they hold already is taken into account.
        keep: Clips at either end, for each method.
    """

    def __init__(
        self, results: Path, protocol: Protocol, writers: Sequence[ResultWriter], *, keep: int = 3
    ) -> None:
        self.folder = results / PICTURES_FOLDER
        self.keep = keep
        # A likelihood says nothing of the frames that are shown, and baselines have none.
        self._key = next(
            (m.key for m in protocol.measures if not m.of_likelihood), protocol.measures[0].key
        )
        self._skip = protocol.skip
        names = [writer.method["name"] for writer in writers]
        self._names = {*names, TRUTH}
        models = [w.method["name"] for w in writers if w.method["kind"] != "baseline"]
        ranked = models or [name for name in names if name != REFERENCE] or names
        self._ends: dict[str, tuple[_Gains, _Gains]] = {name: ([], []) for name in ranked}
        compared = REFERENCE in names and ranked != [REFERENCE]
        self._warned = False
        self._reference: dict[str, list[float | None]] | None = {} if compared else None
        for writer in sorted(writers, key=lambda w: w.method["name"] != REFERENCE):
            for row in writer.rows():
                self.judge(writer.method["name"], row)

    def judge(self, method: str, row: ClipRow) -> None:
        """Take a clip's score into account; the reference comes before the others."""
        scores = counted(row, self._key, rule_of(self._skip))
        if method == REFERENCE and self._reference is not None:
            self._reference[row["clip"]] = scores
        if method not in self._ends:
            return
        if self._reference is not None:
            copied = self._reference.get(row["clip"], [None] * len(scores))
            pairs = zip(scores, copied, strict=True)
            scores = [s - c if s is not None and c is not None else None for s, c in pairs]
        value = mean([score for score in scores if score is not None])
        if value is None:
            return
        worst, best = self._ends[method]
        insort(worst, (value, row["clip"]))
        insort(best, (value, row["clip"]))
        del worst[self.keep :], best[: -self.keep]

    def show(
        self,
        clip: EvaluationClip,
        preds: Mapping[str, Tensor],
        fans: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> None:
        """Write a clip's videos when it is among the best or the worst, and drop what it displaces.

        Args:
            clip: A clip that was judged.
            preds: By method, predictions of shape (horizon, C, H, W) in [0, 1].
            fans: By method that draws several, futures as uint8, shape (k, horizon, C, H, W).
        """
        kept = self._kept()
        if clip.name not in kept or not preds:
            return
        try:
            self._write(clip, preds, fans)
        except (OSError, VideoError) as error:
            if not self._warned:  # numbers matter more than pictures
                self._warned = True
                logger.warning("pictures of clips cannot be written: %s", error)
        for suffix in (SUFFIX, OLDER_SUFFIX):
            for ours in self.folder.glob(f"*/{TRUTH}{suffix}"):
                if ours.parent.name not in kept:
                    self._drop(ours.parent)

    def _write(
        self, clip: EvaluationClip, preds: Mapping[str, Tensor], fans: Mapping[str, Tensor]
    ) -> None:
        place = self.folder / clip.name
        place.mkdir(parents=True, exist_ok=True)
        truth = [clip.target] if clip.context is None else [clip.context, clip.target]
        for name, parts in {TRUTH: truth, **{k: [v] for k, v in preds.items()}}.items():
            frames = torch.cat([unit_to_uint8(part.cpu()) for part in parts])
            write_video(place / f"{name}{SUFFIX}", frames, fps=FPS, codec="ffv1")
            (place / f"{name}{OLDER_SUFFIX}").unlink(missing_ok=True)
        for name, fan in fans.items():
            video = place / FUTURES_FOLDER / f"{name}{SUFFIX}"
            video.parent.mkdir(exist_ok=True)
            write_video(video, fan.flatten(0, 1), fps=FPS, codec="ffv1")

    def _drop(self, place: Path) -> None:
        """Delete a clip; where other commands show it too, this one's videos alone."""
        shown = {video.stem for video in place.iterdir() if video.suffix in (SUFFIX, OLDER_SUFFIX)}
        if any((self.folder.parent / f"{name}.json").exists() for name in shown - self._names):
            for name in self._ends:
                (place / f"{name}{SUFFIX}").unlink(missing_ok=True)
                (place / FUTURES_FOLDER / f"{name}{SUFFIX}").unlink(missing_ok=True)
        else:
            shutil.rmtree(place, ignore_errors=True)

    def _kept(self) -> set[str]:
        return {clip for ends in self._ends.values() for gains in ends for _, clip in gains}
