"""`vidpred data clips` into folders that hold something."""

from pathlib import Path

import pytest

from vidpred.cli.main import main


def test_clips_of_another_set_are_no_company(
    toy_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["data", "clips", str(tmp_path), "--protocol=quick", f"--root={toy_root}"]
    (tmp_path / "README.txt").touch()
    (tmp_path / "of_another_set").mkdir()
    assert main(command) == 2
    assert "holds 1 clip that protocol quick" in capsys.readouterr().err
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / "of_another_set").rmdir()
    assert main(command) == 0
    assert len(list(tmp_path.iterdir())) > 2
