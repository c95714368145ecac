"""Prose uses the field's terms and American spelling: docstrings, comments, messages, pages."""

import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DIALECT = re.compile(
    r"\b(tells?|told|beside|nobody|anew|(?:go|goes|going|went) on|stands?|stood|comes? along"
    r"|for ever|colours?|grey(?!-)|neighbour\w*|optimis\w+|normalis\w+|minimis\w+|centres?"
    r"|penalis\w+|quantis\w+|licences?"
    r"|verdicts? (?:on|is|are)|leans? on|gone on from|made up to harm|somebody's hand)\b",
    flags=re.IGNORECASE,
)
"""Words of the prose of 0.1 for which the field has others, and British spelling."""

NO_PROSE = {'"told"'}
"""A key of checkpoints."""

PROSE = [
    *(ROOT / "vidpred").glob("**/*.md"),
    *(ROOT / "docs").glob("**/*.md"),
    *(ROOT / "configs").glob("**/*.yaml"),
    *(ROOT / "datasets").glob("**/*.md"),
    *(ROOT / "datasets").glob("**/*.yaml"),
    *(
        ROOT / name
        for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "pyproject.toml")
    ),
]
CODE = [
    file
    for folder in ("vidpred", "examples", "tools")
    for file in sorted((ROOT / folder).glob("**/*.py"))
]


def prose_of(file: Path) -> Iterator[tuple[int, str]]:
    """Give comments and strings by their line; names are no prose."""
    with file.open("rb") as source:
        for token in tokenize.tokenize(source.readline):
            kind = tokenize.tok_name[token.type]
            if kind in ("COMMENT", "STRING", "FSTRING_MIDDLE") and token.string not in NO_PROSE:
                # What braces hold in an f-string is code.
                yield token.start[0], re.sub(r"\{[^{}]*\}", "{}", token.string)


@pytest.mark.parametrize("folder", ["vidpred", "examples", "tools"])
def test_docstrings_comments_and_messages_use_the_terms_of_the_field(folder: str) -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}: {word[0]}"
        for file in CODE
        if file.relative_to(ROOT).parts[0] == folder
        for line, text in prose_of(file)
        for word in DIALECT.finditer(text)
    ]
    assert found == []


def test_pages_and_configurations_use_the_terms_of_the_field() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{number}: {word[0]}"
        for file in PROSE
        if "_build" not in file.parts and file.is_file()
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        for word in DIALECT.finditer(line)
    ]
    assert found == []
