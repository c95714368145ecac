"""A model card: what a file of weights is, where it comes from, what it scores, where it ends."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vidpred.evaluation.compare.common_clips import describe_measure
from vidpred.evaluation.compare.markdown import markdown_table
from vidpred.evaluation.compare.sampled import samples_in_words
from vidpred.evaluation.compare.wording import (
    area_name,
    clips_by_frame,
    metric_name,
    number,
    variant_name,
)
from vidpred.evaluation.measures import Measure, higher_is_better
from vidpred.export.scores import THIS, drawn_futures
from vidpred.storage import SavedPredictor

_NOTHING_KNOWN = "not known"
_FEW = 3
"""Measures that are named; of more, only the number is given."""


def model_card(
    saved: SavedPredictor,
    *,
    name: str,
    sha256: str,
    smallest_side: int | None = None,
    inputs: str | None = None,
) -> str:
    """Write the card of an exported file; it says nothing that the file itself does not hold.

    Args:
        saved: What was exported.
        name: Of the file.
        sha256: Of the file.
        smallest_side: Least height and width of frames that the file takes; None takes any.
        inputs: Convention of the flows that the file takes next to frames; None takes none.

    Returns:
        Markdown, ending in a newline.
    """
    frames = saved.frames or {}
    parameters = sum(weight.numel() for weight in saved.weights.values())
    parts = [
        f"# {Path(name).stem}",
        f"{card_begins(name)} {saved.description['class']} of vidpred, {parameters:,} weights. "
        f"From {frames.get('context_frames')} past frames it predicts {_ahead(frames)}. Frames are "
        f"{_colors(frames)} in [0, 1], {frames.get('layout')}, {_sizes(frames, smallest_side)}. "
        f"SHA-256 of the file: `{sha256}`.",
        *(
            [
                "It holds the network alone: the flows between the known frames are an input, "
                "`flows`, (B, T - 1, 2, H, W), to be estimated outside, as by OpenCV's DIS. "
                f"{inputs}. H and W that are no multiples of the network's differ near the border."
            ]
            if inputs
            else []
        ),
        *([saved.notes.strip()] if saved.notes.strip() else []),
        "## Training",
        markdown_table(("", ""), list(_training(saved))),
        *(["## Scores"] if saved.scores else []),
        *(_score(score, drawn_futures(saved, score)) for score in saved.scores),
        "## Limits",
        "\n".join(f"- {limit}" for limit in _limits(saved)),
    ]
    return "\n\n".join(parts) + "\n"


def card_begins(name: str) -> str:
    """Give what names the file in its card."""
    return f"`{name}`:"


def _colors(frames: Mapping[str, Any]) -> str:
    channels = frames.get("channels", 3)
    return {1: "gray", 3: "RGB"}.get(channels, f"of {channels} channels")


def _sizes(frames: Mapping[str, Any], smallest_side: int | None) -> str:
    if side := frames.get("image_size"):
        return f"of {side} x {side} pixels"
    if smallest_side is None:
        return "of any size"
    return f"of any size from {smallest_side} x {smallest_side} pixels on"


def _training(saved: SavedPredictor) -> Iterator[tuple[str, str]]:
    said = saved.training or {}
    versions = [f"{name} {said[name]}" for name in ("vidpred", "torch") if said.get(name)]
    videos = "; ".join(str(said.get("videos") or "").splitlines())
    data = str(said.get("data") or _NOTHING_KNOWN)
    yield "data", f"{data}: {videos}" if videos else data
    yield "task", str(said.get("task") or _NOTHING_KNOWN)
    yield "batches", _NOTHING_KNOWN if saved.batches_seen is None else f"{saved.batches_seen:,}"
    yield "weights", "average over the training" if saved.averaged else "of the last of these"
    yield "seed", _NOTHING_KNOWN if said.get("seed") is None else str(said["seed"])
    yield "commit", f"`{said['commit']}`" if said.get("commit") else _NOTHING_KNOWN
    yield "versions", ", ".join(versions) or _NOTHING_KNOWN


def _score(score: Mapping[str, Any], samples: Mapping[str, Any] | None) -> str:
    protocol, clips, measured = score["protocol"], score["clips"], score["measured"]
    horizon = protocol["clips"]["horizon"]
    of = clips["videos_expected"] or clips["videos_listed"]
    names = list(score["baselines"])
    rows = []
    for key in score["summary"]:
        about = describe_measure(key)
        notes = [about["unit"], "" if about["higher_is_better"] else "lower is better"]
        rows.append(
            (
                ", ".join(filter(None, (metric_name(key), *notes))),
                f"{area_name(about['area'])}, {variant_name(about['variant'])}",
                *_cells(_columns(score, key), names, key),
            )
        )
    commit = measured.get("commit")
    by = f"vidpred {measured.get('vidpred')}" + (f" at `{commit}`" if commit else "")
    return "\n\n".join(
        (
            f"### `{protocol['name']}`",
            f"{protocol['description'].strip()} {clips['videos_scored']} of {of} videos, "
            f"{clips['clips_scored']} clips, mean over {horizon} predicted frames; protocol "
            f"`{score['protocol_digest'][:10]}`; measured with {by}, "
            f"{str(measured.get('date', ''))[:10]}.",
            *([f"{samples_in_words(samples)} Baselines predict one."] if samples else []),
            *([_skipped(score)] if protocol["skip"] else []),
            markdown_table(("measure", "of", "this", *names), rows),
            *(["**Bold** is the best of a line."] if names else []),
        )
    )


def _columns(score: Mapping[str, Any], key: str) -> dict[str, float | None]:
    """Give the means of the predictor and of the baselines that are over the same clips.

    A protocol's skip is decided for each method alone, so that a measure of its area is averaged
    over other clips in each result; such means are in one line only where they were averaged
    again over the clips that all have in common.
    """
    if "common" in score:
        common = score["common"]
        return {name: own[key]["mean"] for name, own in common.items() if key in own}
    columns = {THIS: score["summary"][key]["mean"]}
    skip = score["protocol"]["skip"]
    if skip is None or describe_measure(key)["area"] != Measure(**skip["measure"]).area:
        columns |= {name: own[key]["mean"] for name, own in score["baselines"].items()}
    return columns


def _cells(columns: Mapping[str, float | None], names: Sequence[str], key: str) -> list[str]:
    """Write the columns, the best in bold."""
    known = [value for value in columns.values() if value is not None]
    best = ""
    if len(known) > 1:
        best = number(max(known) if higher_is_better(key) else min(known), key)
    cells = [number(columns.get(name), key) for name in (THIS, *names)]
    return [f"**{cell}**" if cell == best else cell for cell in cells]


def _skipped(score: Mapping[str, Any]) -> str:
    skip = score["protocol"]["skip"]
    decides = Measure(**skip["measure"])
    metric = metric_name(decides.key)
    said = (
        f"As in the code that is followed, clips with {metric} {skip['at_least']:g} or more are "
        f"left out in the {area_name(decides.area)}"
    )
    if "common" not in score:
        return (
            f"{said}, for each method alone: its lines there hold no other method, whose means are "
            "over other clips. (Export again with --results to compare on common clips.)"
        )
    counts = clips_by_frame(score["common"][THIS][decides.key]["clips"])
    return f"{said}, frame by frame, wherever that is so for one column: {counts} in every column."


def _limits(saved: SavedPredictor) -> Iterator[str]:
    frames = saved.frames or {}
    if not saved.scores:
        yield "No scores: nothing is known of its quality. `vidpred test` measures it."
    for score in saved.scores:
        name, clips = score["protocol"]["name"], score["clips"]
        columns = {key: _columns(score, key) for key in score["summary"]}
        compared = {key: own for key, own in columns.items() if own.get("copy_last") is not None}
        if compared:
            behind = [
                f"{metric_name(key)} ({_where(key)})"
                for key, own in compared.items()
                if not _is_better(own[THIS], own["copy_last"], key)
            ]
            if behind:
                few = len(behind) <= _FEW
                what = ", ".join(behind) if few else f"{len(behind)} of {len(compared)} measures"
                yield f"`{name}`: no better than copying the last frame in {what}."
        expected = clips["videos_expected"]
        if expected is not None and clips["videos_scored"] < expected:
            yield (
                f"`{name}`: {clips['videos_scored']} of {expected} videos were there; not a "
                "benchmark number."
            )
    if saved.scores:
        furthest = max(score["protocol"]["clips"]["horizon"] for score in saved.scores)
        fed_back = "" if frames.get("direct") else "; predictions that are fed back drift and blur"
        yield f"Not measured beyond {furthest} frames ahead{fed_back}."
    if frames.get("stochastic"):
        drawn = [f"`{s['protocol']['name']}`" for s in saved.scores if drawn_futures(saved, s)]
        apart = f", except in {', '.join(drawn)}" if drawn else ""
        yield (
            f"Scores are of its point prediction{apart}. Where several futures are likely, that is "
            "not one of them; `sample` draws single futures."
        )
    else:
        yield "It gives one future and no certainty; where several are likely, it shows their mean."


def _where(key: str) -> str:
    """Name a measure's area, and its convention where that is not the standard one."""
    about = describe_measure(key)
    area, variant = area_name(about["area"]), about["variant"]
    return area if variant == "standard" else f"{area}, {variant_name(variant)}"


def _is_better(ours: float | None, theirs: float | None, key: str) -> bool:
    if ours is None or theirs is None:
        return False
    return ours > theirs if higher_is_better(key) else ours < theirs


def _ahead(frames: Mapping[str, Any]) -> str:
    if frames.get("direct"):
        return "any number of future ones, each directly from those"
    return f"the next {frames.get('output_frames')}, and more by taking its predictions for frames"
