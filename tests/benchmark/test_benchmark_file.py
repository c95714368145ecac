"""Benchmarks in YAML: read strictly, and refused before anything is trained."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from vidpred.benchmark import available_benchmarks, load_benchmark
from vidpred.benchmark.benchmark_file import build_benchmark, row_names
from vidpred.benchmark.trainings import fit_command, trainings
from vidpred.errors import BenchmarkError
from vidpred.models import BASELINES


def content(**changed: Any) -> dict[str, Any]:
    return {
        "name": "mine",
        "description": "Two rows.",
        "protocols": ["quick"],
        "budget": {"batches": 4},
        "seeds": [1, 2],
        "experiments": ["l2", {"experiment": "adv", "draws": 2}],
        **changed,
    }


def refusal(tmp_path: Path, **changed: Any) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content(**changed)))
    with pytest.raises(BenchmarkError) as refused:
        load_benchmark(path)
    assert str(path) in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("name", available_benchmarks())
def test_every_row_and_protocol_of_the_packaged_ones_exists(name: str) -> None:
    benchmark = load_benchmark(name)  # refuses what does not
    assert benchmark.name == name
    # The duplicate-aware baseline is in every table.
    assert {*BASELINES} <= {*row_names(benchmark)}


def test_what_is_left_out_has_defaults_and_names_are_those_of_the_experiments() -> None:
    benchmark = build_benchmark(content())
    assert [row.name for row in benchmark.experiments] == ["l2", "adv"]
    assert benchmark.budget.batch_size == 8
    assert benchmark.baselines == list(BASELINES)
    assert benchmark.data.root is None
    assert benchmark.seeds_of(benchmark.experiments[0]) == [1, 2]


def test_a_row_replaces_budget_and_seeds() -> None:
    row = {"experiment": "l1", "name": "slow", "seeds": [7], "budget": {"minutes": 2}}
    benchmark = build_benchmark(content(experiments=["l2", row]))
    slow = benchmark.experiments[1]
    assert (slow.name, benchmark.seeds_of(slow)) == ("slow", [7])
    assert benchmark.budget_of(slow).words() == "2 minutes, batches of 8 clips"
    assert benchmark.budget_of(benchmark.experiments[0]).words() == "4 batches of 8 clips"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"bugdet": {}}, "unknown key bugdet (did you mean budget?)"),
        ({"budget": {"batchs": 4}}, "unknown key budget.batchs (did you mean batches?)"),
        (
            {"experiments": [{"experiment": "l2", "option": {}}]},
            "unknown key experiments.0.option (did you mean options?)",
        ),
        ({"budget": 5}, "budget holds 5; expected keys batches, minutes, batch_size"),
        ({"budget": {"batches": 4, "minutes": 2}}, "expected one of the two"),
        ({"budget": {}}, "expected one of the two"),
        ({"budget": {"batches": 4, "validations": 3}}, "cannot be shared evenly"),
        ({"budget": {"batches": 0}}, "batches"),
        ({"budget": {"minutes": -1}}, "minutes"),
        ({"seeds": []}, "seeds are []; expected at least one, each once"),
        ({"seeds": [1, 1]}, "each once"),
        ({"seeds": [-1]}, "seeds"),
        ({"protocols": ["quik"]}, "there is no protocol 'quik' (did you mean quick?)"),
        ({"protocols": []}, "protocols is empty"),
        ({"protocols": ["quick", {"protocol": "quick", "root": "b"}]}, "protocols are named quick"),
        ({"baselines": ["copy_lst"]}, "no baseline 'copy_lst' (did you mean copy_last?)"),
        ({"models": ["smal"]}, "smal: no such checkpoint"),
        ({"experiments": ["adv_gld"]}, "did you mean adv_gdl?"),
        ({"experiments": ["l2"], "data": {"file": "data/none.yaml"}}, "data/none.yaml"),
        ({"experiments": [{"experiment": "l2", "files": ["model/adm.yaml"]}]}, "mean adam?"),
        ({"experiments": ["l2", "l2"]}, "two rows are named l2"),
        ({"experiments": [], "baselines": []}, "there are no rows"),
        (
            {"claims": [{"better": "adw", "worse": "l2", "metric": "psnr", "claim": ""}]},
            "there is no row 'adw' (did you mean adv?)",
        ),
        (
            {"claims": [{"better": "adv", "worse": "l2", "metric": "psn", "claim": ""}]},
            "there is no metric 'psn' (did you mean psnr?)",
        ),
    ],
)
def test_mistakes_are_named_with_what_is_meant(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    assert said in refusal(tmp_path, **changed)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"did you mean smoke\?"):
        load_benchmark("smoke2")
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: [")
    with pytest.raises(BenchmarkError, match="cannot be read as YAML"):
        load_benchmark(broken)
    broken.write_text("- l2\n")
    with pytest.raises(BenchmarkError, match="holds no benchmark"):
        load_benchmark(broken)
    with pytest.raises(BenchmarkError, match=r"there is no such file; expected .* smoke"):
        load_benchmark(tmp_path / "none.yaml")


def test_rendered_data_go_into_the_folder_of_results(tmp_path: Path) -> None:
    benchmark = load_benchmark("smoke").in_folder(tmp_path)
    assert benchmark.data.root == str(tmp_path / "data")
    command = fit_command(benchmark, trainings(benchmark)[0], tmp_path)
    assert f"--data.root={tmp_path / 'data'}" in command
