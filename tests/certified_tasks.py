"""Tasks with a certificate, and what it refuses."""

from typing import Any

import pytest
import torch
from worlds import fit, small_networks

from vidpred.callbacks import GradientCertificate
from vidpred.errors import GradientError
from vidpred.losses import (
    GeneratorObjective,
    MultiScaleLoss,
)
from vidpred.tasks import AdversarialTask

WITH_GDL = {"gradient_difference_weight": 1.0}


def certified(task: Any) -> GradientCertificate:
    certificate = GradientCertificate()
    fit(task, batch_size=4, callbacks=[certificate])
    return certificate


def refusal(task: Any) -> str:
    before = [parameter.clone() for parameter in task.parameters()]
    with pytest.raises(GradientError) as refused:
        certified(task)
    assert all(map(torch.equal, before, task.parameters())), "a step was made all the same"
    return str(refused.value)


def of(kind: type[AdversarialTask], **options: Any) -> AdversarialTask:
    return kind(*small_networks(), loss=MultiScaleLoss(**WITH_GDL), **options)


def replaced(objective: GeneratorObjective, **fields: Any) -> GeneratorObjective:
    return GeneratorObjective(
        **{
            **{
                k: getattr(objective, k)
                for k in ("terms", "weights", "scale_weights", "context", "targets", "preds")
            },
            **fields,
        }
    )
