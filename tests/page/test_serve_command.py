"""`vidpred serve` as a user starts and ends it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from vidpred.cli.main import main


def test_help_says_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for option in ("--model", "--port", "--open", "--max-upload", "--max-frames", "--max-disk"):
        assert option in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", ""], "expected"),
        (["--port", "70000"], "expected a port"),
        (["--max-frames", "0"], "at least 1"),
        (["--max-upload", "much"], "expected an amount"),
    ],
)
def test_options_without_sense_are_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", *arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_missing_checkpoints_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--model", f"mine={tmp_path / 'no.ckpt'}"]) == 2
    assert "no.ckpt: no such checkpoint; expected a file of" in capsys.readouterr().err


def test_a_model_is_named_as_vidpred_test_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / "run" / "checkpoints" / "best.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    for models, said in (
        ([f"{checkpoint}", f"run={checkpoint}"], "run is there twice; choose another name: NAME="),
        ([f"a b={checkpoint}"], "'a b' is no name; expected NAME="),
        ([f"{checkpoint}"], "best.ckpt: "),
    ):
        assert main(["serve", "--port=0", *(f"--model={model}" for model in models)]) == 2
        assert said in capsys.readouterr().err


def test_a_port_that_is_taken_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    from vidpred.page.address import listening

    with listening(0) as listener:
        port = listener.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
    assert f"--port {port}: cannot be listened on" in capsys.readouterr().err


def test_names_of_models_of_ours_are_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from vidpred.storage.saved import packaged_weights

    weights = packaged_weights()["small"]
    assert main(["serve", "--port", "0", "--model", f"small={weights}"]) == 2
    assert "small is a model of vidpred" in capsys.readouterr().err


def test_refusals_import_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from vidpred.cli.main import main\n"
        f"assert main(['serve', '--model', 'a={tmp_path}/no']) == 2\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_it_serves_until_it_is_ended_and_leaves_nothing(
    tmp_path: Path, ending: signal.Signals, status: int
) -> None:
    from vidpred.storage.saved import packaged_weights

    mine = f"--model=mine={packaged_weights()['small']}"
    process = subprocess.Popen(
        [sys.executable, "-m", "vidpred", "serve", "--port", "0", mine],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        assert "<title>vidpred" in requests.get(address, timeout=60).text
        models = requests.get(f"{address}api/about", timeout=60).json()["models"]
        assert [model["name"] for model in models][:3] == ["mine", "flow_refiner", "small"]
        tab = requests.post(f"{address}api/tabs", timeout=60).json()["tab"]
        # A connection that is open does not keep it.
        events = requests.get(f"{address}api/tabs/{tab}/events", stream=True, timeout=60)
        begun = time.monotonic()
        process.send_signal(ending)
        assert process.wait(60) == status
        assert time.monotonic() - begun < 30
        events.close()
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
        assert list(tmp_path.iterdir()) == []
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("switch", "expected"), [("1", "winograd-native"), ("0", "torch")])
def test_networks_are_computed_by_fast_kernels_unless_they_are_switched_off(
    switch: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import vidpred.page.server
    from vidpred import kernels

    used = []

    class Server:
        def __init__(self, _: object, choices: dict[str, Any], **options: object) -> None:
            used.append(kernels.describe(choices["small"].predictor))

        def run(self, **options: object) -> None:
            pass

    monkeypatch.setattr(vidpred.page.server, "page_server", Server)
    monkeypatch.setenv("VIDPRED_KERNELS", switch)
    assert main(["serve", "--port", "0", "--device", "cpu"]) == 0
    assert used == [expected]
