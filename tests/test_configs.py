"""Every YAML of `configs/` is run."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import yaml

import vidpred
from vidpred.benchmark import available_benchmarks, load_benchmark
from vidpred.benchmark.trainings import fit_command, trainings
from vidpred.cli.benchmark_refusals import check_configuration
from vidpred.cli.main import _parser, main
from vidpred.evaluation import available_protocols, read_result
from vidpred.models import FlowRefiner
from vidpred.resources import packaged_configurations
from vidpred.storage.checkpoint import read_checkpoint

ROOT = packaged_configurations()
ROWS = ("single_scale_l2", "l2", "l1", "gdl_l1", "adv", "adv_gdl")
"""Training rows of Mathieu et al. 2016."""

FULL_WIDTH = {
    "single_scale_l2": "model/paper_single_scale.yaml",
    "l2": "model/paper.yaml",
    "l1": "model/paper.yaml",
    "gdl_l1": "model/paper.yaml",
    "adv": "model/paper_adversarial.yaml",
    "adv_gdl": "model/paper_adversarial.yaml",
}

SECOND_STAGES = {
    "adv_gdl_finetuned": "adv_gdl",
    "small_for_videos_finetuned": "small_for_videos",
    "small_unrolled": "small_for_videos",
}
"""Experiments that go on with the generator of another, by name."""

WHOLE_FRAMES = {
    "svg_lp": ["--model.predictor.image_size=16", "--model.horizon=2"],
    "svg_fp": ["--model.predictor.image_size=16", "--model.horizon=2"],
    "autoencoder": ["--model.predictor.image_size=16", "--model.horizon=2"],
    "mixture": [],
    "dcgan": ["--model.generator.image_size=16", "--model.discriminator.image_size=16"],
    "pixelcnn": ["--model.predictor.point_draws=1"],
    "pixelrnn": ["--model.predictor.point_draws=1"],
}
"""Generative experiments on small whole frames, and the options that make them small here."""


REFINERS = ("flow_refiner", "flow_refiner_finetuned", "flow_refiner_adversarial")
"""Experiments of the two stages of a flow refiner with a network, and of one that sharpens it."""

NETWORKS = (
    *("convlstm", "phydnet", "predrnn", "simvp", "simvp_v2", "tau"),
    *("dmvfn", "dvf", "dyan", "edm"),
)
"""Experiments of networks of other papers; each trains its `cpu` preset."""


def fit_one_batch(tmp_path: Path, toy_root: Path, *arguments: str) -> int:
    toy = ("--data.num_groups=3", "--data.clips_per_group=1", "--data.num_frames=8")
    size = ("--data.height=48", "--data.width=64")
    return main(
        [
            "fit",
            *arguments,
            f"--data.root={toy_root}",
            *((*toy, *size) if "experiment/quickstart.yaml" in arguments else ()),
            "--data.batch_size=4",
            "--data.num_workers=0",
            f"--run_dir={tmp_path / 'run'}",
            "--wandb.enabled=false",
            "--trainer.max_epochs=1",
            "--trainer.limit_train_batches=1",
            "--trainer.limit_val_batches=1",
            "--trainer.num_sanity_val_steps=0",
            "--trainer.enable_progress_bar=false",
            "--trainer.accelerator=cpu",
        ]
    )


def require_results(run: Path) -> None:
    assert (run / "config.yaml").is_file()
    names = {path.name for path in (run / "checkpoints").iterdir()}
    assert names == {"best.ckpt", "last.ckpt", "batch_00000001.ckpt"}
    header = (run / "metrics.csv").read_text().splitlines()[0]
    assert "val/psnr_moving_copy_last_t+01" in header
    assert list((run / "pictures").glob("val_*.png"))


def test_there_is_an_experiment_for_every_row() -> None:
    names = {path.stem for path in (ROOT / "experiment").glob("*.yaml")}
    others = {"quickstart", "small_for_videos", *REFINERS}
    assert names == {*ROWS, *SECOND_STAGES, *NETWORKS, *WHOLE_FRAMES, *others}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ROWS, "quickstart", "small_for_videos"])
def test_experiments_train(name: str, tmp_path: Path, toy_root: Path) -> None:
    # The toy world's frames are smaller than the patches of some.
    files = ("-c", f"experiment/{name}.yaml", "--data.patch_size=32")
    assert fit_one_batch(tmp_path, toy_root, *files) == 0
    require_results(tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_train(name: str, tmp_path: Path, toy_root: Path) -> None:
    # The toy world's clips are of 8 frames.
    small = ("--data.patch_size=16", "--data.eval_horizon=4")
    assert fit_one_batch(tmp_path, toy_root, "-c", f"experiment/{name}.yaml", *small) == 0
    require_results(tmp_path / "run")


@pytest.mark.slow
def test_the_flow_refiner_trains(tmp_path: Path, long_toy_root: Path) -> None:
    small = ("--data.patch_size=32", "--model.predictor.widths=[4,8]", "--data.eval_horizon=4")
    arguments = ("-c", "experiment/flow_refiner.yaml", *small, "--model.lr_scheduler=null")
    assert fit_one_batch(tmp_path, long_toy_root, *arguments) == 0
    require_results(tmp_path / "run")
    first = tmp_path / "run/checkpoints/last.ckpt"
    trained = vidpred.load(first).network
    assert isinstance(trained, FlowRefiner)
    arguments = ("-c", "experiment/flow_refiner_finetuned.yaml", "--data.eval_horizon=4")
    arguments += (f"--model.predictor.init_args.path={first}", "--model.lr_scheduler=null")
    arguments += ("--data.augmentation.init_args.pan=0",)  # the toy's frames are too small for it
    assert fit_one_batch(tmp_path / "second", long_toy_root, *arguments) == 0
    tuned = vidpred.load(tmp_path / "second/run/checkpoints/last.ckpt").network.state_dict()
    moved = {name for name, was in trained.state_dict().items() if not was.equal(tuned[name])}
    kept = {name for name in tuned if name.startswith(("clip.", "clip_logits."))}
    assert moved == set(tuned) - kept


@pytest.mark.slow
def test_the_bundled_refiner_trains_against_a_discriminator(
    tmp_path: Path, long_toy_root: Path
) -> None:
    small = ("--data.patch_size=32", "--model.discriminator.patch_size=32")
    arguments = ("-c", "experiment/flow_refiner_adversarial.yaml", *small, "--data.eval_horizon=4")
    assert fit_one_batch(tmp_path, long_toy_root, *arguments) == 0
    require_results(tmp_path / "run")
    bundled = vidpred.load("flow_refiner").network.state_dict()
    tuned = vidpred.load(tmp_path / "run/checkpoints/last.ckpt").network.state_dict()
    shared = {name for name in bundled if not name.startswith("modes.")}
    assert shared < set(tuned)
    assert not any(bundled[name].equal(tuned[name]) for name in shared)


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE_FRAMES)
def test_experiments_on_whole_frames_train(name: str, tmp_path: Path, long_toy_root: Path) -> None:
    small = ("--data.resize=[16,16]", "--data.eval_horizon=2", *WHOLE_FRAMES[name])
    files = ("-c", f"experiment/{name}.yaml")
    assert fit_one_batch(tmp_path, long_toy_root, *files, *small) == 0
    require_results(tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("name", SECOND_STAGES)
def test_fine_tuning_goes_on_with_the_generator_of_another_run(
    name: str, tmp_path: Path, toy_root: Path
) -> None:
    # The toy world's frames are smaller than the patches of some.
    small = "--data.patch_size=32"
    files = ("-c", f"experiment/{SECOND_STAGES[name]}.yaml", small)
    assert fit_one_batch(tmp_path / "first", toy_root, *files) == 0
    first = tmp_path / "first/run/checkpoints/last.ckpt"
    part = "generator" if name == "adv_gdl_finetuned" else "predictor"
    files = ("-c", f"experiment/{name}.yaml", f"--model.{part}.path={first}", small)
    # Without a step, the weights are still those of the first stage.
    if name == "adv_gdl_finetuned":
        rates = [f"--model.{part}_optimizer.lr=0" for part in ("generator", "discriminator")]
        rates.append("--model.discriminator.patch_size=32")
    else:
        # The toy world's clips are of 8 frames.
        rates = ["--model.lr_scheduler.init_args.max_lr=0", "--data.eval_horizon=4"]
    assert fit_one_batch(tmp_path, toy_root, *files, *rates) == 0
    require_results(tmp_path / "run")
    old, new = (
        vidpred.load(path).state_dict() for path in (first, tmp_path / "run/checkpoints/last.ckpt")
    )
    assert all(torch.equal(old[name], new[name]) for name in old)


@pytest.mark.slow
def test_a_weight_average_joins_the_callbacks(tmp_path: Path, toy_root: Path) -> None:
    files = ("-c", "experiment/adv_gdl.yaml", "-c", "trainer/weight_average.yaml")
    assert fit_one_batch(tmp_path, toy_root, *files) == 0
    require_results(tmp_path / "run")
    assert "averaging_state" in read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")


@pytest.mark.slow
def test_recovery_joins_the_callbacks(tmp_path: Path, toy_root: Path) -> None:
    files = ("-c", "experiment/l2.yaml", "-c", "trainer/recovery.yaml")
    assert fit_one_batch(tmp_path, toy_root, *files) == 0
    assert (tmp_path / "run" / "checkpoints" / "start.ckpt").is_file()  # to go back to, if need be
    assert "DivergenceRecovery" in (tmp_path / "run" / "config.yaml").read_text()


def test_adam_takes_the_place_of_sgd(tmp_path: Path, toy_root: Path) -> None:
    files = ("-c", "experiment/adv_gdl.yaml", "-c", "model/adam_adversarial.yaml")
    assert fit_one_batch(tmp_path, toy_root, *files) == 0
    configuration = (tmp_path / "run" / "config.yaml").read_text()
    assert configuration.count("class_path: torch.optim.Adam") == 1


@pytest.mark.slow
def test_adam_serves_rows_without_a_discriminator_too(tmp_path: Path, toy_root: Path) -> None:
    files = ("-c", "experiment/gdl_l1.yaml", "-c", "model/adam.yaml")
    assert fit_one_batch(tmp_path, toy_root, *files) == 0
    configuration = (tmp_path / "run" / "config.yaml").read_text()
    assert configuration.count("class_path: torch.optim.Adam") == 1


def test_the_sweep_is_that_of_the_benchmark(tmp_path: Path) -> None:
    made = tmp_path / "sweep.yaml"
    options = ("--output=runs/ablation", f"--sweep={made}")
    assert main(["benchmark", "mathieu2016", *options]) == 0
    packaged = ROOT / "sweep" / "ablation.yaml"
    assert packaged.read_text() == made.read_text()
    sweep = yaml.safe_load(packaged.read_text())
    values = sweep["parameters"]["trainings"]["values"]
    assert values == [f"{row}-seed{seed}" for seed in (1, 2, 3) for row in ROWS]
    # What an agent makes of it: ${program}, then each parameter of one cell as --name=value.
    assert sweep["command"][0] == "${program}"
    assert sweep["command"][-1] == "${args}"
    parsed = _parser().parse_args([*sweep["command"][1:-1], "--trainings=adv-seed3"])
    assert (parsed.trainings, parsed.train_only) == (["adv-seed3"], True)


@pytest.mark.slow
@pytest.mark.parametrize("name", available_benchmarks())
def test_rows_of_benchmarks_are_configurations_that_fit_takes(name: str) -> None:
    """Every key of every row: a parse each, without the data and without a training."""
    benchmark = load_benchmark(name)
    rows = {training.row.name: training for training in trainings(benchmark)}
    for training in rows.values():
        check_configuration(fit_command(benchmark, training, Path("runs/none")))


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_experiments_train_at_full_width(name: str, tmp_path: Path, toy_root: Path) -> None:
    files = ("-c", f"experiment/{name}.yaml", "-c", FULL_WIDTH[name])
    assert fit_one_batch(tmp_path, toy_root, *files) == 0
    require_results(tmp_path / "run")


# The 8 -> 8 networks are a pair that no training row uses.
PAIR_8TO8 = (
    "--model.generator=model/generator/paper_8to8.yaml",
    "--model.discriminator=model/discriminator/paper_8to8.yaml",
)
DATA = {
    "ucf101": ("experiment/l2.yaml",),
    "moving_shapes": ("experiment/l2.yaml",),
    "video_folder": ("experiment/l2.yaml",),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DATA)
def test_data_files_train(name: str, tmp_path: Path, toy_root: Path) -> None:
    shapes = {"num_groups": 3, "clips_per_group": 1, "num_frames": 8, "height": 48, "width": 64}
    options = [f"--data.{key}={value}" for key, value in shapes.items()]
    data = f"--data=data/{name}.yaml"
    extra = options if name == "moving_shapes" else []
    status = fit_one_batch(tmp_path, toy_root, "-c", "experiment/l2.yaml", data, *extra)
    assert status == 0
    require_results(tmp_path / "run")


@pytest.mark.parametrize("name", ["kth", "moving_mnist", "eight_directions"])
def test_data_files_of_other_sets_build(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What they give is tested in tests/data, on files that the tests make."""
    arguments = ["fit", "-c", "experiment/l2.yaml", f"--data=data/{name}.yaml"]
    assert main([*arguments, "--print_config"]) == 0
    assert "class_path: vidpred.data." in capsys.readouterr().out


@pytest.mark.parametrize("part", ["generator", "discriminator"])
def test_model_files_build(part: str, capsys: pytest.CaptureFixture[str]) -> None:
    for path in sorted((ROOT / "model" / part).glob("*.yaml")):
        arguments: Sequence[str] = ["fit", "-c", "experiment/adv.yaml", f"--model.{part}={path}"]
        assert main([*arguments, "--print_config"]) == 0
        assert f"name: {path.stem}" in capsys.readouterr().out


@pytest.mark.slow
def test_the_8_to_8_networks_train(tmp_path: Path, real_data: Path) -> None:
    frames = ("--data.context_frames=8", "--data.horizon=8", "--data.eval_horizon=8")
    experiment = ("-c", "experiment/adv_gdl.yaml")
    root = real_data / "ucf101"
    small = ("--data.max_val_videos=2",)
    assert fit_one_batch(tmp_path, root, *experiment, *PAIR_8TO8, *frames, *small) == 0
    require_results(tmp_path / "run")


OF_OTHER_SETS = {"kth", "moving-mnist", "moving-mnist-canonical"}
"""Protocols whose clips no toy set holds: tests/data builds and reads them."""


LONG = {"clean-subset"}
"""Protocols that are scored by the slow tests: all of the toy set's clips at full size."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in LONG else ())
        for name in sorted(set(available_protocols()) - OF_OTHER_SETS)
    ],
)
def test_protocols_score(name: str, tmp_path: Path, long_toy_root: Path) -> None:
    arguments = (f"--root={long_toy_root}", f"--output={tmp_path}", "--device=cpu")
    assert main(["test", f"--protocol={name}", *arguments]) == 0
    summary = read_result(tmp_path / "optical_flow.json")["summary"]
    assert all(score["per_frame"][0] is not None for score in summary.values())


def test_no_file_is_forgotten() -> None:
    covered = {f"experiment/{name}.yaml" for name in (*ROWS, "quickstart", "small_for_videos")}
    covered |= set(FULL_WIDTH.values()) | {f"data/{name}.yaml" for name in DATA}
    covered |= {"model/adam.yaml", "model/adam_adversarial.yaml", "sweep/ablation.yaml"}
    covered |= {"trainer/weight_average.yaml", "trainer/recovery.yaml"}
    covered |= {f"experiment/{name}.yaml" for name in SECOND_STAGES}
    covered |= {f"experiment/{name}.yaml" for name in REFINERS}
    covered |= {f"experiment/{name}.yaml" for name in WHOLE_FRAMES}
    covered |= {f"experiment/{name}.yaml" for name in NETWORKS}
    covered |= {"trainer/default.yaml", "trainer/scoring.yaml"}  # read before every other file
    covered |= {f"protocol/{name}.yaml" for name in available_protocols()}
    covered |= {"data/kth.yaml", "data/moving_mnist.yaml", "data/eight_directions.yaml"}
    covered |= {f"benchmark/{name}.yaml" for name in available_benchmarks()}
    for part in ("generator", "discriminator"):
        covered |= {f"model/{part}/{path.name}" for path in (ROOT / "model" / part).glob("*.yaml")}
    assert {path.relative_to(ROOT).as_posix() for path in ROOT.glob("**/*.yaml")} == covered
