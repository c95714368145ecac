"""Every `vidpred` command line of README and documentation is one that the program takes."""

import re
import shlex
from pathlib import Path

import pytest

from vidpred.cli.main import _parser, main
from vidpred.resources import packaged_configurations

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OPERATORS = {"|", "||", "&&", ";"}


def command_lines(page: Path) -> list[list[str]]:
    """Arguments of each `vidpred` command of a page's shell blocks, without the program's name."""
    text = page.read_text(encoding="utf-8")
    found: list[list[str]] = []
    for block in re.findall(r"^```bash\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
            lexer.whitespace_split = True
            words: list[str] = []
            for word in [*lexer, ";"]:
                if word not in OPERATORS:
                    words.append(word)
                    continue
                if "vidpred" in words:
                    found.append(words[words.index("vidpred") + 1 :])
                words = []
    return [words for words in found if words]


COMMANDS = [
    pytest.param(words, id=f"{page.name}: {' '.join(words)}")
    for page in PAGES
    for words in command_lines(page)
]
TRAINER = ("fit", "validate")


@pytest.mark.parametrize("words", [c for c in COMMANDS if c.values[0][0] not in TRAINER])
def test_the_command_line_is_taken(words: list[str]) -> None:
    if words == ["--version"]:
        with pytest.raises(SystemExit, match="0"):
            _parser().parse_args(words)
        return
    assert callable(_parser().parse_args(words).run)


@pytest.mark.slow
@pytest.mark.parametrize("words", [c for c in COMMANDS if c.values[0][0] in TRAINER])
def test_the_training_command_is_taken(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    files = [words[k + 1] for k, word in enumerate(words) if word == "-c"]
    assert files
    if not all((packaged_configurations() / file).is_file() for file in files):
        pytest.skip("the page's own configurations are run by test_tutorials.py")
    if any(word.startswith("my_") for word in words):
        pytest.skip("the reader's own modules are run by test_tutorials.py")
    assert main([*words, "--print-config"]) == 0, capsys.readouterr().err


def test_no_page_recommends_a_deprecated_command() -> None:
    """Its own help calls it so; a page may quote the command of an old commit as text."""
    assert "deprecated" in _parser().format_help()
    assert [c.id for c in COMMANDS if c.values[0][0] == "ablate"] == []


def test_commands_can_be_copied() -> None:
    """A block with prompts is copied with them, and no test here would read it."""
    for page in PAGES:
        assert "```console" not in page.read_text(encoding="utf-8"), page.name


def test_every_protocol_of_the_package_is_explained() -> None:
    names = {path.stem for path in (packaged_configurations() / "protocol").glob("*.yaml")}
    table = (ROOT / "docs/protocols.md").read_text(encoding="utf-8").partition("## ")[0]
    rows = "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("|"))
    assert set(re.findall(r"`([\w-]+)`", rows)) == names


def test_every_page_of_the_readme_s_commands_was_found() -> None:
    subcommands = {words[0] for words in command_lines(ROOT / "README.md")}
    assert {"quickstart", "predict", "fit", "test", "compare", "score", "data"} <= subcommands


def written(words: list[str]) -> str | None:
    """What a command writes and keeps when it exists, by name."""
    options = _parser().parse_args(words)
    if words[0] == "data":
        return str(options.root) if words[1] == "toy" else None
    if words[0] not in ("predict", "compare", "export") or options.overwrite:
        return None
    if words[0] == "predict" and options.output is None:
        return "future.mp4"
    return str(options.output) if options.output is not None else None


def test_all_pages_can_be_followed_in_one_folder() -> None:
    """No command is refused because another one has written the same file before."""
    by_name: dict[str, set[str]] = {}
    for words in (words for page in PAGES for words in command_lines(page)):
        if words[0] not in (*TRAINER, "--version") and (name := written(words)) is not None:
            by_name.setdefault(name, set()).add(" ".join(words))
    assert {name: lines for name, lines in by_name.items() if len(lines) > 1} == {}
    read = re.findall(r'"(mine\.\w+)"', (ROOT / "docs/predict.md").read_text(encoding="utf-8"))
    assert {"mine.onnx", "mine.pt2"} <= set(read) <= set(by_name)
