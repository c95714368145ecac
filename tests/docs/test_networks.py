"""The table of networks of other papers agrees with the networks."""

import re
from pathlib import Path

import pytest
import torch
import yaml

import vidpred.models
from vidpred.resources import packaged_configurations

PAGE = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| `(\w+)`, \[.*\) \| ([\d,]+) \| ([\d,]+) \|$", PAGE, re.MULTILINE)


def test_all_rows_are_found() -> None:
    found = {row[0] for row in ROWS}
    assert {"convlstm", "predrnn", "phydnet", "simvp", "simvp_v2", "tau"} <= found


@pytest.mark.parametrize(("experiment", "network", "faithful", "cpu"), ROWS)
def test_parameters_are_those_of_the_presets(
    experiment: str, network: str, faithful: str, cpu: str
) -> None:
    build = getattr(vidpred.models, network).from_preset
    with torch.device("meta"):  # sizes alone
        networks = build("faithful", channels=1), build("cpu")
    counted = [sum(p.numel() for p in built.parameters()) for built in networks]
    assert [f"{count:,}" for count in counted] == [faithful, cpu]
    path = packaged_configurations() / "experiment" / f"{experiment}.yaml"
    predictor = yaml.safe_load(path.read_text())["model"]["init_args"]["predictor"]
    assert predictor["class_path"] == f"vidpred.models.{network}.from_preset"
    assert predictor["init_args"]["name"] == "cpu"
