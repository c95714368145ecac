"""Values that constructors refuse are the user's mistakes; a bug of the program is none."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from vidpred.cli.main import main
from vidpred.cli.refused_values import refusals
from vidpred.errors import BenchmarkError, SettingError, VidpredError

NETWORK = """
    from torch import nn
    from vidpred.models import Predictor

    class Network(Predictor):
        def __init__(self, width: int = 4):
            super().__init__(context_frames=4)
            {line}
            self.layer = nn.Conv2d(3, 3, 1)

        def step(self, context, *, condition=None):
            return self.layer(context[:, -1])

        def config(self):
            return {{}}
"""


def refuse_by_statement() -> None:
    raise ValueError("width is 0; expected at least 1")


def refuse_with_a_cause() -> None:
    try:
        int("one")
    except ValueError as error:
        raise ValueError("width is 0; expected at least 1") from error


@pytest.mark.parametrize("refuse", [refuse_by_statement, refuse_with_a_cause])
def test_what_a_statement_raises_is_a_refusal(refuse: Callable[[], None]) -> None:
    with (
        pytest.raises(BenchmarkError, match=r"^width is 0; expected at least 1$"),
        refusals(BenchmarkError),
    ):
        refuse()


def zipped() -> None:
    list(zip([1], [1, 2], strict=True))


def unpacked() -> None:
    _first, _second = [1]


def raised_again() -> None:
    try:
        int("one")
    except ValueError:
        raise


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        (zipped, r"^zip\(\) argument 2"),
        (unpacked, r"^not enough values"),
        (lambda: int("one"), r"^invalid literal"),
        (raised_again, r"^invalid literal"),
    ],
)
def test_what_an_operation_raises_is_a_bug(operation: Callable[[], None], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught, refusals():
        operation()
    assert not isinstance(caught.value, VidpredError)


def test_a_refusal_that_says_so_stays_what_it_is() -> None:
    with (
        pytest.raises(SettingError, match="they do not go together"),
        refusals(BenchmarkError),
    ):
        raise SettingError("they do not go together")


def fit_with(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> int:
    """Run `vidpred fit` with a network of the user that holds a line."""
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(NETWORK.format(line=line)))
    configuration = {
        "data": {"class_path": "vidpred.data.MovingShapesDataModule"},
        "model": {
            "class_path": "vidpred.tasks.ReconstructionTask",
            "init_args": {"predictor": {"class_path": f"{name}.Network"}},
        },
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(configuration))
    monkeypatch.chdir(tmp_path)
    return main(["fit", "-c", "mine.yaml", f"--data.root={tmp_path / 'toy'}"])


@pytest.mark.parametrize("cause", ["None", "KeyError(width)"])
def test_a_network_that_refuses_its_settings_gives_one_sentence(
    cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = f'raise ValueError(f"width is {{width}}; expected a multiple of 3") from {cause}'
    name = "refusing_network" + "_with_a_cause" * (cause != "None")
    assert fit_with(line, tmp_path, monkeypatch, name) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: width is 4; expected a multiple of 3"
    )


def test_an_accelerator_without_its_package_gives_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    fit = ("fit", "-c", "experiment/quickstart.yaml", f"--data.root={tmp_path / 'toy'}")
    assert main([*fit, "--wandb.enabled=false", "--trainer.accelerator=tpu"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: Requirement 'torch_xla")


def test_a_bug_in_a_network_shows_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="argument 2 is longer") as caught:
        fit_with("list(zip([1], [1, 2], strict=True))", tmp_path, monkeypatch, "buggy_network")
    assert not isinstance(caught.value, VidpredError)
    assert "buggy_network.py" in str(caught.traceback[-1].path)
