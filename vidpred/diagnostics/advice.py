"""Advice that fits a training: of several remedies, those whose options its task has."""

import inspect
import re
from collections.abc import Sequence
from typing import Any

from vidpred.models import ScalePredictor

_KEY = re.compile(r"\b(model|data)\.(\w+(?:\.\w+)*)")


def fitting(advice: Sequence[str], task: Any, data: Any = None) -> str:
    """Join the remedies whose keys `vidpred fit` takes for a task.

    Args:
        advice: Remedies, each naming at most the keys that it changes, such as "lower
            model.adversarial_weight".
        task: What is trained.
        data: Its data module; None when it is not known, and then any key may be there.

    Example:
        >>> from vidpred.models import MultiScaleGenerator
        >>> from vidpred.tasks import ReconstructionTask
        >>> task = ReconstructionTask(MultiScaleGenerator.from_preset("small"))
        >>> fitting(["lower model.adversarial_weight", "lower model.optimizer.init_args.lr"], task)
        'lower model.optimizer.init_args.lr'
    """
    roots = {"model": task, "data": data}
    return ", or ".join(
        remedy
        for remedy in advice
        if all(_takes(roots[root], path.split(".")) for root, path in _KEY.findall(remedy))
    )


def predictor_name(task: Any) -> str:
    """Name what is trained as messages do: a network with scales or a discriminator generates."""
    by_scale = isinstance(getattr(task, "predictor", None), ScalePredictor)
    return "generator" if by_scale or hasattr(task, "discriminator") else "predictor"


def _takes(configured: Any, names: Sequence[str]) -> bool:
    """Say whether a key leads to an argument of a constructor, as far as objects show it."""
    for name in names:
        if configured is None:
            return True  # what is built later, such as an optimizer, is not looked into
        if name == "init_args":
            continue
        if name not in inspect.signature(type(configured)).parameters:
            return False
        configured = getattr(configured, name, None)
    return True
