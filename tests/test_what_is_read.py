"""Each row of the table in `docs/what-is-read.md` is a test."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
TABLE = TESTS.parent / "docs" / "what-is-read.md"
ROWS = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
CONTENT = [row for row in ROWS if not row.startswith(("| what |", "| --- |"))]


def test_the_table_has_rows() -> None:
    assert len(CONTENT) > 30


@pytest.mark.parametrize("row", CONTENT)
def test_a_row_names_its_test(row: str) -> None:
    *_, named = row.strip("| ").split(" | ")
    found = re.fullmatch(r"`([\w/]+\.py)::(test_\w+)`", named)
    assert found is not None, named
    assert f"def {found[2]}(" in (TESTS / found[1]).read_text(encoding="utf-8")
