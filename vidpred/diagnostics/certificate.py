"""Proof, before the first step, that the gradients go where they must."""

import time
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.optim import Optimizer

from vidpred.batch import ClipBatch
from vidpred.diagnostics.certificate_checks import (
    Phase,
    certify_phase,
    optimizer_problems,
    phases,
)
from vidpred.diagnostics.gradient_paths import Path
from vidpred.diagnostics.probing import (
    ObjectiveTraining,
    has_frames,
    some_clips,
    undisturbed,
)
from vidpred.errors import GradientError
from vidpred.ops.threads import one_thread

CLIPS = 2  # as few as a mismatched pair needs


class GradientCertificate(Callback):
    """Refuse a training in which a loss term does not move what it must, under any task.

    On two clips of the first batch of a fit, before any step, with the very functions that the
    phases train with:

    - every term with a weight reaches, at every scale, the generator's network of that scale and,
      through the enlarged guess, the coarser ones (of a generator that is not ours: the network of
      its own scale; when its `networks` are not one a scale, any of its weights, and it says so);
    - every term without scales (of a predictor of one scale, or a divergence) reaches some of the
      weights; weights that no term reaches are named;
    - the loss gives each term the configured weight, and holds nothing else;
    - the discriminator's loss reaches every network of the discriminator and none of the generator;
    - each optimizer holds the weights of its network, all of them and none of the other.

    A gradient that is zero because a layer is dead or the discriminator saturated is distinguished
    from one that is zero by construction with random weights in place of the real ones: the first
    is reported, the second refused. An adversarial term that joins later
    (`reconstruction_batches`) is certified as it will be. At the first step of each optimizer it is
    seen that gradients have arrived.

    Attributes:
        paths: What was found, by phase ("predictor" or "generator", "discriminator"), then by term
            and scale (0 where there are none); empty before.
        seconds: How long it took.
    """

    def __init__(self) -> None:
        self.paths: dict[str, dict[tuple[str, int], Path]] = {}
        self.seconds = 0.0
        self._asked = False
        self._stepped: set[int] = set()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin again: a second fit may have other losses."""
        self._asked = False
        self._stepped = set()

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Certify on the first batch.

        Raises:
            GradientError: When a gradient does not go where it must.
        """
        if self._asked:
            return
        self._asked = True
        if not isinstance(pl_module, ObjectiveTraining) or not has_frames(batch):
            rank_zero_warn(
                f"gradients of {type(pl_module).__name__} cannot be certified; expected a "
                "vidpred.tasks.PredictionTask that trains on a vidpred.batch.ClipBatch"
            )
            return
        began = time.perf_counter()
        todo = phases(pl_module)
        problems = optimizer_problems(trainer.optimizers, todo)
        if not problems:
            problems = self._certify(trainer, pl_module, todo, some_clips(batch, CLIPS))
        self.seconds = time.perf_counter() - began
        for remark in [line for phase in todo for line in phase.remarks()]:
            rank_zero_info(remark)
        if problems:
            raise GradientError(problems)
        rank_zero_info(self._summary())

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        """See at the first step of each optimizer that every network has gradients.

        Raises:
            GradientError: When one has none.
        """
        if id(optimizer) in self._stepped or not isinstance(pl_module, ObjectiveTraining):
            return
        self._stepped.add(id(optimizer))
        held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        problems = [
            f"no gradient arrives in {phase.where([k])} at the first step: training_step takes "
            "another way than the objective, which has one"
            for phase in phases(pl_module)
            for k, part in enumerate(phase.parts)
            if part and all(id(weight) in held and weight.grad is None for weight in part)
        ]
        if problems:
            raise GradientError(problems)

    def _certify(
        self,
        trainer: Trainer,
        task: ObjectiveTraining,
        todo: list[Phase],
        clips: ClipBatch,
    ) -> list[str]:
        problems = []
        batches_seen = task.batches_seen
        task.batches_seen = max(batches_seen, getattr(task, "reconstruction_batches", 0))
        try:
            # Two clips need no more, and the loader's workers begin at the same time.
            with undisturbed(trainer), one_thread():
                for phase in todo:
                    found = certify_phase(phase, clips, others=[p for p in todo if p is not phase])
                    self.paths[phase.name] = found.paths
                    problems += found.problems
                    for still in found.still:
                        rank_zero_warn(still)
        finally:
            task.batches_seen = batches_seen
        return problems

    def _summary(self) -> str:
        moved = "; ".join(
            f"{', '.join(terms)} move{'s' * (len(terms) == 1)} the {phase}"
            for phase, paths in self.paths.items()
            for terms in [list(dict.fromkeys(name for name, _ in paths))]
        )
        by_scale = any(scale for paths in self.paths.values() for _, scale in paths)
        where = "at every scale " if by_scale else ""
        return f"gradients are certified ({self.seconds:.2f} s): {where}{moved}"
