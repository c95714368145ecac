"""Help answers at once, says what a command does, and shows defaults as they are typed."""

import subprocess
import sys
import time
from contextlib import suppress

import pytest

from vidpred.cli.main import main


@pytest.mark.parametrize("command", [[], ["fit"], ["test"], ["quickstart"], ["data", "toy"]])
def test_help_answers_at_once(command: list[str]) -> None:
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "vidpred", *command, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    # Two seconds on a busy machine; importing torch alone takes longer.
    assert time.perf_counter() - start < 2
    assert done.stdout.startswith("usage: vidpred")
    assert not done.stderr


@pytest.mark.parametrize("command", ["fit", "validate", "test", "score", "benchmark", "ablate"])
def test_help_is_prose_and_shows_defaults_as_they_are_typed(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    with suppress(SystemExit):
        main([command, "--help"])
    out = capsys.readouterr().out
    about = out.split("\n\n")[1].rstrip()
    assert about[0].isupper()
    assert about.endswith(".")
    assert "(default: (" not in out
    assert "(default: [" not in out
    if command == "score":
        assert "(default: 0.0 1.0)" in out
    if command == "benchmark":
        assert "in place of the file's: name of a protocol" in out


def test_every_key_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--help-all"]) == 0
    assert "--trainer.max_epochs" in capsys.readouterr().out
