"""The numbers of others on the page are those of the data file, and in no column with ours."""

from pathlib import Path
from typing import Any

import yaml

from vidpred.evaluation.compare.markdown import markdown_table

ROOT = Path(__file__).parents[2]
NUMBERS = ROOT / "datasets" / "published" / "numbers.yaml"


def as_page(content: dict[str, Any]) -> str:
    """Write the data file as the page has it."""
    parts: list[str] = []
    for table in content["tables"]:
        parts.append(f"**{table['title']}** ({table['source']}). {_line(table['not_comparable'])}")
        rows = [[name, *map(str, values)] for name, values in table["rows"].items()]
        parts.append(markdown_table(["", *table["columns"]], rows))
    parts.append("Not shown at all:")
    parts.append("\n".join(f"- {n['what']}: {_line(n['why'])}" for n in content["not_found"]))
    return "\n\n".join(parts)


def _line(text: str) -> str:
    return " ".join(text.split())


def test_the_page_shows_the_data_file() -> None:
    content = yaml.safe_load(NUMBERS.read_text(encoding="utf-8"))
    assert as_page(content) in (ROOT / "docs" / "benchmark.md").read_text(encoding="utf-8")


def test_every_table_has_a_source_and_says_why_it_does_not_compare() -> None:
    content = yaml.safe_load(NUMBERS.read_text(encoding="utf-8"))
    assert content["tables"]
    for table in content["tables"]:
        assert table["source"]
        assert table["not_comparable"]
        for name, values in table["rows"].items():
            assert len(values) == len(table["columns"]), name
    assert all(entry["why"] for entry in content["not_found"])
