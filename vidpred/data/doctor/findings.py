"""What the doctor says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from vidpred.data.index.records import Quarantined

Kind = Literal[
    "layout",
    "system",
    "frames",
    "lists",
    "groups",
    "missing",
    "unlisted",
    "case",
    "empty",
    "unreadable",
    "truncated",
    "damaged",
    "too_short",
    "odd_size",
    "duplicate",
    "header",
    "repeats",
    "pictures",
    "conditions",
    "released",
    "cache",
]

PhaseProgress = Callable[[str, int, int], None]
"""Called with what is being done, the number of files done, and of all."""


@dataclass(frozen=True)
class Finding:
    """One kind of thing that was found, and what to do about it.

    Attributes:
        kind: Its short name.
        fault: Whether it requires action; what does not is worth knowing.
        summary: One sentence.
        items: Each file, row or folder it is about, with what is particular to it.
        advice: What to do, "" when nothing is.
    """

    kind: Kind
    fault: bool
    summary: str
    items: tuple[str, ...]
    advice: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """All that the doctor found out about a folder.

    Attributes:
        root: The folder.
        layout: "UCF101"; "UCF101 layout" for another set with its folders and lists; "folder".
        counts: Numbers of things by name, such as videos and frames.
        findings: Faults first.
        quarantine: What training leaves out, by path below the root.
    """

    root: str
    layout: Literal["UCF101", "UCF101 layout", "folder"]
    counts: Mapping[str, int]
    findings: tuple[Finding, ...]
    quarantine: Mapping[str, Quarantined]

    @property
    def healthy(self) -> bool:
        """Whether nothing requires action."""
        return not any(finding.fault for finding in self.findings)

    def to_plain(self) -> dict[str, object]:
        """Give it as plain data, for JSON."""
        return {
            "root": self.root,
            "layout": self.layout,
            "healthy": self.healthy,
            "counts": dict(self.counts),
            "findings": [
                {
                    "kind": finding.kind,
                    "fault": finding.fault,
                    "summary": finding.summary,
                    "items": list(finding.items),
                    "advice": finding.advice,
                }
                for finding in self.findings
            ],
            "quarantine": {
                name: {"reason": entry.reason, "source": entry.source}
                for name, entry in self.quarantine.items()
            },
        }
