"""An unfinished result whose lines were damaged: what is whole before them counts."""

import json
from pathlib import Path

import pytest
from test_scoring_pass import CUT, Darker, measured, protocol, run

from vidpred.errors import ResultError

PARTIAL = "darker_0.9.partial.jsonl"


@pytest.mark.parametrize(
    "line",
    [
        b"5\n",
        b"[1]\n",
        b"\xe9\xff\n",
        b"[" * 200_000 + b"\n",
        b"{}\n",
        "features",
        "values",
        "short",
        "text",
        "nan",
    ],
)
def test_a_damaged_line_ends_what_is_taken_up(
    line: bytes | str, toy_root: Path, tmp_path: Path
) -> None:
    (expected,) = run(toy_root, tmp_path / "whole", Darker())
    with pytest.raises(KeyboardInterrupt):
        run(toy_root, tmp_path / "parts", Darker(stop_after=3))
    partial = tmp_path / "parts" / PARTIAL
    lines = partial.read_bytes().splitlines(keepends=True)
    assert len(lines) > 2
    if isinstance(line, str):
        row = json.loads(lines[2])
        key = next(iter(row["values"]))
        if line in row:
            del row[line]
        else:
            values = {"short": [1.0], "text": ["a", "b"], "nan": [float("nan")] * 2}[line]
            row["values"][key] = values
        line = json.dumps(row).encode() + b"\n"
    lines[2] = line
    partial.write_bytes(b"".join(lines))
    (resumed,) = run(toy_root, tmp_path / "parts", Darker())
    assert measured(resumed) == measured(expected)


def test_a_damaged_header_is_none(toy_root: Path, tmp_path: Path) -> None:
    (expected,) = run(toy_root, tmp_path / "whole", Darker())
    with pytest.raises(KeyboardInterrupt):
        run(toy_root, tmp_path / "parts", Darker(stop_after=2))
    partial = tmp_path / "parts" / PARTIAL
    partial.write_bytes(b"[1]\n" + partial.read_bytes().split(b"\n", 1)[1])
    (resumed,) = run(toy_root, tmp_path / "parts", Darker())
    assert measured(resumed) == measured(expected)


def test_the_rows_of_another_protocol_are_kept(toy_root: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(toy_root, tmp_path, Darker(stop_after=2))
    before = (tmp_path / PARTIAL).read_bytes()
    other = protocol(clips={**CUT, "horizon": 1})
    with pytest.raises(ResultError, match=r"protocol_digest is .* there, .* here"):
        run(toy_root, tmp_path, Darker(), named=other)
    assert (tmp_path / PARTIAL).read_bytes() == before
