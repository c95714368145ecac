"""Benchmarks in YAML files: read strictly, and refused before anything is trained."""

import dataclasses
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from vidpred.benchmark.specification import Benchmark, Experiment
from vidpred.errors import BenchmarkError, VidpredError, did_you_mean
from vidpred.evaluation.protocol import available_protocols, load_protocol
from vidpred.metrics.registry import METRICS
from vidpred.models import BASELINES
from vidpred.resources import BENCHMARKS, YAML_ENDINGS, packaged_configurations
from vidpred.storage.saved import find_saved, named_checkpoint

SHORT_FORMS = {"experiments": "experiment", "protocols": "protocol"}
"""Lists whose entries may be a text alone: the value of this key."""


def available_benchmarks() -> list[str]:
    """Give the names of the benchmarks in the package."""
    return BENCHMARKS.names()


def load_benchmark(name: str | Path) -> Benchmark:
    """Load a benchmark, and check what can be checked before a training.

    Args:
        name: One of `available_benchmarks`, or the path of a YAML file.

    Raises:
        BenchmarkError: When there is none, or its content is not right.

    Example:
        >>> load_benchmark("smoke").name
        'smoke'
    """
    path = BENCHMARKS.path(name)
    content = BENCHMARKS.read(path)
    try:
        return build_benchmark(content)
    except (ValueError, VidpredError) as error:
        raise BenchmarkError(f"{path}: {error}") from error


def build_benchmark(content: Mapping[str, Any]) -> Benchmark:
    """Build a benchmark from plain values.

    Raises:
        ValueError: For unknown or missing keys and wrong values.
        VidpredError: For rows and protocols that do not exist.
    """
    content = _in_long_form(content)
    _require_known_keys(content, Benchmark, "")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Benchmark)
    try:
        parsed = parser.parse_object(deepcopy(content))
        benchmark = Benchmark(**vars(parser.instantiate(parsed)))
    except Exception as error:  # jsonargparse raises argparse's errors and its own
        raise ValueError(str(error)) from error
    benchmark = dataclasses.replace(
        benchmark, experiments=[_named(row) for row in benchmark.experiments]
    )
    check_benchmark(benchmark)
    return benchmark


def check_benchmark(benchmark: Benchmark) -> None:
    """Refuse rows, seeds and protocols that do not exist or are named twice.

    Raises:
        VidpredError: Saying which, and what there is.
    """
    names: list[str] = []
    for scored in benchmark.protocols:
        if Path(scored.protocol).suffix.lower() not in YAML_ENDINGS:
            _require_one_of("protocol", scored.protocol, available_protocols())
        names.append(load_protocol(scored.protocol).protocol.name)
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise BenchmarkError(
            f"two protocols are named {doubled[0]}, and each has a table and results of its own; "
            "give a copy of its file another name:, also to score by it on another root"
        )
    if not benchmark.protocols:
        raise BenchmarkError("protocols is empty; expected at least one")
    for name in benchmark.baselines:
        _require_one_of("baseline", name, BASELINES)
    for model in benchmark.models:
        find_saved(named_checkpoint(model)[1])
    for row in benchmark.experiments:
        for file in (experiment_file(row), *row.files):
            _require_configuration(file)
    if benchmark.data.file is not None:
        _require_configuration(benchmark.data.file)
    for seeds in (benchmark.seeds, *(row.seeds for row in benchmark.experiments if row.seeds)):
        if not seeds or len(set(seeds)) < len(seeds):
            raise BenchmarkError(f"seeds are {seeds}; expected at least one, each once")
    rows = list(row_names(benchmark))
    if doubled := sorted({name for name in rows if rows.count(name) > 1}):
        raise BenchmarkError(
            f"two rows are named {doubled[0]}; give one of them another name (an experiment: name: "
            f"..., a model: NAME={doubled[0]})"
        )
    if not rows:
        raise BenchmarkError("there are no rows; expected experiments, models or baselines")
    for claim in benchmark.claims:
        _require_one_of("metric", claim.metric, METRICS)
        for name in (claim.better, claim.worse):
            _require_one_of("row", name, rows)


def row_names(benchmark: Benchmark) -> Iterator[str]:
    """Yield the names of all rows: baselines, models, experiments."""
    yield from benchmark.baselines
    for model in benchmark.models:
        yield named_checkpoint(model)[0]
    for row in benchmark.experiments:
        yield row.name


def experiment_file(row: Experiment) -> str:
    """Give the configuration of an experiment, as `vidpred fit -c` takes it."""
    if Path(row.experiment).suffix.lower() in YAML_ENDINGS:
        return row.experiment
    return f"experiment/{row.experiment}.yaml"


def _named(row: Experiment) -> Experiment:
    return dataclasses.replace(row, name=row.name or Path(row.experiment).stem)


def _require_configuration(file: str) -> None:
    root = packaged_configurations()
    if Path(file).is_file() or (root / file.removeprefix("configs/")).is_file():
        return
    folder, _, name = file.rpartition("/")
    there = sorted(path.stem for path in (root / (folder or "experiment")).glob("*.yaml"))
    raise BenchmarkError(
        f"no configuration {file}, neither here nor in the package"
        f"{did_you_mean(Path(name).stem, there)}; expected the path of a YAML file"
        + (f" or one of {', '.join(there)}" if there else "")
    )


def _require_one_of(what: str, name: str, known: Iterable[str]) -> None:
    known = list(known)
    if name not in known:
        raise BenchmarkError(
            f"there is no {what} {name!r}{did_you_mean(name, known)}; expected one of "
            f"{', '.join(known)}"
        )


def _in_long_form(content: Mapping[str, Any]) -> dict[str, Any]:
    whole = deepcopy(dict(content))
    for key, inner in SHORT_FORMS.items():
        if isinstance(whole.get(key), list):
            whole[key] = [{inner: e} if isinstance(e, str) else e for e in whole[key]]
    return whole


def _require_known_keys(content: Mapping[str, Any], kind: type, where: str) -> None:
    """Refuse keys that a dataclass does not have, at any depth, naming the nearest one."""
    known = typing.get_type_hints(kind)
    for key, value in content.items():
        path = f"{where}{key}"
        if key not in known:
            raise ValueError(
                f"unknown key {path}{did_you_mean(str(key), known)}; expected {', '.join(known)}"
            )
        inner = _dataclass_in(known[key])
        if inner is None:
            continue
        for index, entry in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(entry, Mapping):
                at = f"{path}.{index}." if isinstance(value, list) else f"{path}."
                _require_known_keys(entry, inner, at)
            elif entry is not None:
                raise ValueError(
                    f"{path} holds {entry!r}; expected keys "
                    f"{', '.join(typing.get_type_hints(inner))}"
                )


def _dataclass_in(hint: Any) -> type | None:
    """Find the dataclass in a type such as `list[Row]` or `Budget | None`."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return hint
    if typing.get_origin(hint) in (list, types.UnionType, typing.Union):
        return next(filter(None, map(_dataclass_in, typing.get_args(hint))), None)
    return None
