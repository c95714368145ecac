"""What a predictor is, in plain values, and the predictor built from them."""

import inspect
import json
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from vidpred import models
from vidpred.errors import DAMAGED, CheckpointError, NetworkError
from vidpred.models.predictor import Predictor
from vidpred.models.scale_predictor import ScalePredictor

_SHOWN = 3
"""Weights that a message names."""


def describe_predictor(predictor: Predictor) -> dict[str, Any]:
    """Say what a predictor is in plain values: the name of its class and its arguments."""
    return {"class": type(predictor).__name__, "arguments": predictor.config()}


def describe_frames(predictor: Predictor) -> dict[str, Any]:
    """Say in plain values what frames a predictor takes and gives, and their range inside.

    `direct` is there, and true, for one that predicts every frame from the known ones alone;
    `stochastic` for one whose `sample` gives different futures; `channels` where frames are not
    RGB, and `image_size` where H and W can only be this.
    """
    direct = type(predictor).rollout_frames is not Predictor.rollout_frames
    return {
        **({"direct": True} if direct else {}),
        **({"stochastic": True} if predictor.stochastic else {}),
        **({"channels": predictor.channels} if predictor.channels not in (None, 3) else {}),
        **({"image_size": size} if (size := predictor.image_size) else {}),
        "layout": "(B, T, C, H, W)",
        "range": [0, 1],
        "network_range": [-1, 1] if isinstance(predictor, ScalePredictor) else [0, 1],
        "context_frames": predictor.context_frames,
        "output_frames": predictor.output_frames,
        "size_multiple": predictor.size_multiple,
    }


def build_predictor(
    description: Mapping[str, Any], *, modules: Sequence[ModuleType] = ()
) -> Predictor:
    """Build the predictor that `describe_predictor` described, with fresh weights.

    Args:
        description: Class and arguments.
        modules: Where its class may be, next to `vidpred.models`: a file may not choose what to
            import.

    Raises:
        CheckpointError: When its class is in none of them.
    """
    name, arguments = str(description.get("class")), description.get("arguments")
    cls = _class_named(name, modules)
    try:
        if not isinstance(arguments, dict):
            raise TypeError(f"arguments are a {type(arguments).__name__}, no mapping")
        return cls.from_config(arguments)
    except DAMAGED as error:
        raise CheckpointError(
            f"{name} cannot be built from what its config() gave "
            f"({type(error).__name__}: {error}); its config() has to give what its "
            "from_config() takes, the constructor's arguments: write both, and train again. If "
            "it is a network of your own that shares this name, name its module (--module NAME)"
        ) from error


def build_trained(
    description: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    *,
    modules: Sequence[ModuleType] = (),
) -> Predictor:
    """Build the predictor that was described, with its weights, in evaluation mode on the CPU.

    One of ours is first built without memory, so that a file cannot ask for a network that is
    larger than the weights it holds.

    Args:
        description: Class and arguments.
        weights: By name, all that its state consists of.
        modules: Where its class may be, next to `vidpred.models`.

    Raises:
        CheckpointError: When its class is in none of them, or the weights are not those of the
            network that was described.
    """
    name = str(description.get("class"))
    if _class_named(name, modules) is _ours(name):
        with torch.device("meta"):
            _require_fit(build_predictor(description), weights)
    predictor = build_predictor(description, modules=modules)
    _require_fit(predictor, weights)
    predictor.load_state_dict(dict(weights))
    return predictor.eval()


def require_rebuildable(predictor: Predictor) -> None:
    """Refuse a network of a user's own that its checkpoints would rebuild as another one.

    Raises:
        NetworkError: When `config` gives what is not plain, or not all that `from_config` needs.
    """
    cls = type(predictor)
    if _ours(cls.__name__) is cls:
        return  # `tests/models` see to it
    arguments = predictor.config()
    expected = (
        f"expected {cls.__name__}.config() to give every argument of the constructor, in plain "
        "values (JSON), and from_config to build the same network from them: checkpoints keep "
        "nothing else"
    )
    try:
        json.dumps(arguments)
        with torch.random.fork_rng(devices=[]):
            again = cls.from_config(arguments)
    except NetworkError:
        raise  # which says more
    except DAMAGED as error:
        raise NetworkError(
            f"{cls.__name__} cannot be built again from what its config() gives "
            f"({type(error).__name__}: {error}); {expected}"
        ) from error
    if wrong := differing_weights(again.state_dict(), predictor.state_dict()):
        raise NetworkError(f"{cls.__name__} built from its config() differs: {wrong}; {expected}")
    for name in inspect.signature(cls.__init__).parameters:
        here, there = (vars(each).get(name) for each in (predictor, again))
        if isinstance(here, bool | int | float | str) and here != there:
            raise NetworkError(
                f"{cls.__name__} built from its config() has {name} {there!r}, not {here!r}; "
                f"{expected}"
            )


def _class_named(name: str, modules: Sequence[ModuleType]) -> type[Predictor]:
    """Find a class in the modules that the user named, then among ours: names may be shared."""
    given: Sequence[object] = modules
    for module in [given] if isinstance(given, str) else given:
        if isinstance(module, str):
            raise TypeError(
                f"modules holds {module!r}; expected the module itself: import {module}, then "
                f"modules=[{module}]"
            )
    for cls in (*(getattr(module, name, None) for module in modules), _ours(name)):
        if isinstance(cls, type) and issubclass(cls, Predictor):
            return cls
    raise CheckpointError(
        f"the checkpoint holds a {name}, which is none of this version's predictors. "
        "Name the module that has it (`--module NAME`, in Python "
        "`vidpred.load(path, modules=[...])`); on the run's own data, its configuration names it "
        "too: `vidpred validate -c RUN/config.yaml --ckpt-path FILE`"
    )


def _ours(name: str) -> type[Predictor] | None:
    cls = getattr(models, name, None) if name in models.__all__ else None
    return cls if isinstance(cls, type) and issubclass(cls, Predictor) else None


def _require_fit(predictor: Predictor, weights: Mapping[str, Tensor]) -> None:
    if wrong := differing_weights(weights, predictor.state_dict()):
        raise CheckpointError(
            f"its weights are not those of the {type(predictor).__name__} that it describes: "
            f"{wrong}; expected a file as it was written"
        )


def differing_weights(weights: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """Say which weights are missing, too many, or of another shape or kind of numbers.

    Args:
        weights: By name, of a file.
        expected: By name, of the network that is to take them.

    Returns:
        The first few, with what was expected; empty when all fit.
    """
    wrong = [
        f"{name} is {_form(weights.get(name))}, expected {_form(expected.get(name))}"
        for name in dict.fromkeys([*expected, *weights])
        if _form(weights.get(name)) != _form(expected.get(name))
    ]
    more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return "; ".join(wrong[:_SHOWN]) + more


def _form(weight: object) -> str:
    """Name a shape and kind of numbers; half precision and double fit into single."""
    if not isinstance(weight, Tensor):
        return "missing" if weight is None else f"a {type(weight).__name__}"
    kind = "floating point" if weight.is_floating_point() else str(weight.dtype)
    sparse = "" if weight.layout == torch.strided else "sparse "
    return f"{sparse}{kind} {tuple(weight.shape)}"
