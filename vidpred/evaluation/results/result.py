"""What an evaluation leaves: a file for each method, with everything that decides its numbers."""

from typing import Any, NotRequired, TypedDict

FORMAT = "vidpred result 1"
"""First entry of every result file; a change of the layout changes the number."""

PICTURES_FOLDER = "best_and_worst"
"""Folder of the videos of single clips, next to the result files."""

TRUTH = "truth"
"""Name of the true frames among those of methods."""


class SampleScores(TypedDict):
    """Scores of several futures of one clip.

    Attributes:
        count: Futures that were scored: K, or 1 of a method that has one.
        values: By reduction ("mean", "best_of_k", "worst_of_k") and measure, the score of each
            predicted frame, as in `ClipRow.values`.
    """

    count: int
    values: dict[str, dict[str, list[float | None]]]


class ClipRow(TypedDict):
    """Scores of one clip.

    Attributes:
        clip: Name, unique within the clip list.
        video: The video that it was cut from; intervals resample these.
        start: Index of its first frame; None when unknown.
        fingerprint: Of the files that were read, by size and time; other files are scored again.
        motion: By predicted frame, root mean square difference between the two true frames before
            it, in percent of full scale; None where they are not known.
        moving: By predicted frame, share of the pixels that the mask marks, in [0, 1]; None without
            a mask.
        values: By measure (`Measure.key`), the score of each predicted frame; None where nothing
            moves or no mask was there, or for a likelihood that the method does not have.
        near_duplicates: Frames of the clip that nearly repeat the one before, the first known frame
            being 0; None when the known frames are not there. Absent in results of version 0.1.
        samples: All reductions of several futures, of which `values` is one; only with `samples` in
            the protocol.
    """

    clip: str
    video: str
    start: int | None
    fingerprint: str
    motion: list[float | None]
    moving: list[float | None]
    values: dict[str, list[float | None]]
    near_duplicates: NotRequired[list[int] | None]
    samples: NotRequired[SampleScores]


class ClipCounts(TypedDict):
    """How much of the clip list was measured.

    Attributes:
        videos_expected: Videos that the protocol's list has; None when the protocol does not say.
        videos_listed: Videos in the list that was found.
        videos_scored: Videos with at least one scored clip.
        clips_listed: Clips in the list that was found.
        clips_scored: Clips with scores.
        list_digest: Of the names of all listed clips (SHA-256, hexadecimal).
        scored_digest: Of the names of the scored clips.
        missing: Listed videos that are not on the disk.
        failed: By clip, why it could not be scored.
        videos_seen: Scored videos whose names are those of videos that the method was trained or
            validated on; absent when none is known to be.
    """

    videos_expected: int | None
    videos_listed: int
    videos_scored: int
    clips_listed: int
    clips_scored: int
    list_digest: str
    scored_digest: str
    missing: list[str]
    failed: dict[str, str]
    videos_seen: NotRequired[int]


class Summary(TypedDict):
    """One measure, averaged as the protocol says, its skip included.

    Attributes:
        mean: Mean over frames of `per_frame`; None when one of them is None.
        per_frame: Mean over the clips that counted (of dB: the mean of the dB).
        clips: How many counted, by frame.
    """

    mean: float | None
    per_frame: list[float | None]
    clips: list[int]


class Method(TypedDict):
    """What was measured.

    Attributes:
        name: Short name, used in tables.
        kind: "model", "baseline" or "files" (predictions that another program wrote).
        details: Plain values: class and arguments, checkpoint with digest, training.
    """

    name: str
    kind: str
    details: dict[str, Any]


class Result(TypedDict):
    """A result file.

    Attributes:
        format: `FORMAT`.
        method: What was measured.
        protocol: The whole protocol as plain values.
        protocol_digest: SHA-256 of all of it that decides numbers.
        clips: How much of the clip list was measured.
        mask: Where the masks came from: {"source": "computed", "given" or "none", "description":
            ...}.
        provenance: Versions, seed, device, commit, date.
        extras: What was measured besides the protocol's, with the networks' digests: "lpips" (its
            values are among the rows' as "lpips.<backbone>.whole") and "fvd" (its value here, with
            clips, clip_frames and include_context).
        summary: By measure key.
        rows: By clip, sorted by name.
        samples: By reduction and measure key, the averages of all three reductions; only with
            `samples` in the protocol.
    """

    format: str
    method: Method
    protocol: dict[str, Any]
    protocol_digest: str
    clips: ClipCounts
    mask: dict[str, Any]
    provenance: dict[str, Any]
    extras: dict[str, Any]
    summary: dict[str, Summary]
    rows: list[ClipRow]
    samples: NotRequired[dict[str, dict[str, Summary]]]
