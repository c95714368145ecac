"""Pictures of the best and the worst clips, of methods that several commands score."""

from collections.abc import Collection, Sequence
from pathlib import Path

import torch
from torch import Tensor

from vidpred.evaluation import evaluate
from vidpred.evaluation.clips import EvaluationClip
from vidpred.evaluation.protocol import ClipCut, build_protocol, load_protocol
from vidpred.evaluation.scoring.scored_method import ScoredMethod
from vidpred.evaluation.sources.video_clips import VideoClips

CPU = torch.device("cpu")


class Chosen(ScoredMethod):
    """Copies the last frame, better at some clips and black at others."""

    def __init__(
        self, name: str, better: Collection[str] = (), black: Collection[str] = ()
    ) -> None:
        kind = "baseline" if name == "copy_last" else "model"
        self.description = {"name": name, "kind": kind, "details": {}}
        self.better, self.black = better, black

    def predict(self, clips: Sequence[EvaluationClip], cut: ClipCut) -> Tensor:
        preds = []
        for clip in clips:
            assert clip.context is not None
            copied = clip.context[-1:].expand_as(clip.target)
            better = (copied + clip.target) / 2 if clip.name in self.better else copied
            preds.append(better * (clip.name not in self.black))
        return torch.stack(preds)


def test_a_later_command_keeps_the_pictures_of_others(toy_root: Path, tmp_path: Path) -> None:
    cut = {"starts": [0, 2], "context_frames": 4, "horizon": 2}
    named = build_protocol({**load_protocol("quick").values, "clips": cut})

    def score(*methods: ScoredMethod) -> list[str]:
        source = VideoClips(named.protocol, toy_root)
        copied, *_ = evaluate(named, source, [Chosen("copy_last"), *methods], tmp_path, device=CPU)
        return [row["clip"] for row in copied["rows"]]

    def shown(name: str) -> set[str]:
        videos = (tmp_path / "best_and_worst").glob(f"*/{name}.avi")
        return {video.parent.name for video in videos}

    clips = score()
    assert len(clips) == 8
    first = Chosen("first", better=clips[:3], black=clips[3:6])
    score(first)
    assert shown("first") == set(clips[:6])
    score(Chosen("second", better=clips[2:5], black=clips[5:]))
    assert shown("second") == set(clips[2:])
    assert shown("first") == set(clips[:6])

    # Those of a result that is gone go, once another method has other places.
    (tmp_path / "first.json").unlink()
    score(Chosen("third", better=clips[3:6], black=[clips[2], *clips[6:]]))
    assert shown("third") == set(clips[2:])
    assert shown("first") == set(clips[2:6])
