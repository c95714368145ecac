"""The protocol, for people."""

from collections.abc import Mapping
from typing import Any

from vidpred.evaluation.compare.comparison import Comparison
from vidpred.evaluation.compare.sampled import samples_in_words
from vidpred.evaluation.compare.wording import area_name, clips_by_frame, metric_name, variant_name


def purpose(comparison: Comparison) -> str:
    """Say in a sentence what is measured: the protocol's own, or one made of its numbers."""
    protocol = comparison["protocol"]
    description = " ".join(str(protocol.get("description") or "").split())
    if description:
        return description
    clips = protocol.get("clips") or {}
    return (
        f"{clips.get('context_frames', '?')} frames in, {clips.get('horizon', '?')} predicted, "
        "compared with the true frames."
    )


def protocol_in_words(comparison: Comparison) -> list[tuple[str, str]]:
    """Name each part of the protocol and say what it asks.

    Returns:
        (term, description) pairs; parts that this version does not know are shown as they are.
    """
    protocol = comparison["protocol"]
    words = {
        "videos": ("Videos", _built),
        "clips": ("Clips", _clips),
        "frames": ("Frames", _frames),
        "mask": ("Moving area", _mask),
        "skip": ("Left out", lambda skip: _skip(comparison, skip)),
        "samples": ("Futures", samples_in_words),
    }
    pairs = [("Ranked by", _ranked_by(comparison))]
    for field, value in protocol.items():
        if field in ("name", "description", "measures"):
            continue
        term, say = words.get(field, (field.replace("_", " ").capitalize(), _plain))
        pairs.append((term, say(value)))
    sure = comparison["bootstrap"]
    pairs.append(
        (
            "Intervals",
            f"{100 * sure['confidence']:.0f} % percentile bootstrap: whole videos are drawn again "
            f"{sure['draws']:,.0f} times with all their clips, the same draws for all methods "
            f"(seed {sure['seed']:.0f}).",
        )
    )
    return pairs


def _ranked_by(comparison: Comparison) -> str:
    table = comparison["measures"][comparison["measure"]]
    return (
        f"{metric_name(comparison['measure'])}, {area_name(table['area'])}, "
        f"{variant_name(table['variant'])}: mean over clips for each frame (of dB: the mean of the "
        f"dB), then over frames, on what counts for every method: {clips_by_frame(table['clips'])}."
    )


def _clips(clips: Mapping[str, Any]) -> str:
    starts = ", ".join(map(str, clips.get("starts", [])))
    rest = {
        key: value
        for key, value in clips.items()
        if key not in ("starts", "frame_step", "context_frames", "horizon", "rollout")
    }
    step = clips.get("frame_step", 1)
    sentences = [
        f"{clips.get('context_frames')} frames in, {clips.get('horizon')} predicted, starting at "
        f"frame {starts} of a video{'' if step == 1 else f', every {step}th frame'}.",
        {
            "recursive": "Predictions are fed back.",
            "one_step": "Each frame is predicted from the true ones before it.",
        }.get(str(clips.get("rollout", "recursive")), ""),
        _plain(rest) if rest else "",
    ]
    return " ".join(filter(None, sentences))


def _frames(frames: Mapping[str, Any]) -> str:
    size = (
        f"{frames['height']} × {frames['width']} pixels"  # noqa: RUF001 (a multiplication sign)
        if frames.get("height")
        else "The size of the video"
    )
    fit = "" if not frames.get("height") else f" ({str(frames.get('fit')).replace('_', ' ')})"
    color = frames.get("color", "rgb")
    return f"{size}{fit}, {'RGB' if color == 'rgb' else color}."


def _mask(mask: Any) -> str:
    return "Not measured." if mask is None else f"{_built(mask)}, at the last known motion"


def _skip(comparison: Comparison, value: Any) -> str:
    skip = comparison["skip"]
    if skip is None:
        return "Nothing." if value is None else _plain(value)
    return (
        f"In the {area_name(skip['area'])}, clips at or above {skip['at_least']:g} in "
        f"{metric_name(skip['measure'])}, frame by frame. The paper's code decides that for each "
        "method, so methods are averaged over different clips (the scores as coded below); the "
        "ranking takes only clips that no method skips."
    )


def _built(value: Any) -> str:
    """Say what a `class_path` with its arguments is: "UCF101Videos (split 1, every 10)"."""
    if not isinstance(value, Mapping) or "class_path" not in value:
        return _plain(value)
    name = str(value["class_path"]).rpartition(".")[2]
    arguments = ", ".join(
        f"{key.replace('_', ' ')} {_built(item)}"
        for key, item in (value.get("init_args") or {}).items()
        if item is not None
    )
    return f"{name} ({arguments})" if arguments else name


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key.replace('_', ' ')} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return str(value)
