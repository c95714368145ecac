"""Whether loss terms are finite, asked without making a device wait for the answer."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer

from vidpred.errors import TrainingDivergedError


@dataclass(frozen=True, kw_only=True)
class _Question:
    names: list[str]
    batch: int
    answers: Tensor
    arrived: torch.cuda.Event | None


class FiniteCheck:
    """Stops a run whose loss terms are not finite, naming term, scale and batch.

    A late answer travels to pinned memory while the GPU works on; it is read when the next batch
    has been handed over, so that the GPU never idles for it and the run stops one batch late.

    Args:
        late: Whether answers may be late, where the optimizer can skip its step.

    Attributes:
        found_inf: Scalar on the terms' device: 1.0 from the first late term on that is not finite,
            else 0.0. By it fused optimizers skip their step and keep the weights as they were. None
            before the first late question.
    """

    def __init__(self, *, late: bool = False) -> None:
        self._late = late
        self.found_inf: Tensor | None = None
        self._questions: list[_Question] = []

    def require(
        self, terms: Mapping[str, Tensor], batch: int, optimizer: Optimizer, trainer: pl.Trainer
    ) -> None:
        """Stop before a step that would put NaN into the weights, or let it be skipped.

        Args:
            terms: As for `ask`.
            batch: Number of the training batch.
            optimizer: Whose step follows.
            trainer: Of the task.

        Raises:
            TrainingDivergedError: When a term is not finite, and the answer may not be late.
        """
        # Only a fused optimizer can be asked on the device to leave the weights alone; of several
        # processes, only that of this one. At 16-mixed the scaler of the gradients does it.
        late = self._late and bool(optimizer.defaults.get("fused")) and trainer.world_size == 1
        self.ask(terms, batch, late=late)
        if late and trainer.precision != "16-mixed":
            setattr(optimizer, "found_inf", self.found_inf)  # noqa: B010  unknown to types

    def ask(self, terms: Mapping[str, Tensor], batch: int, *, late: bool) -> None:
        """Ask about loss terms.

        Args:
            terms: By name, scalars or shape (S,), coarsest first.
            batch: Number of the training batch.
            late: Whether the answer may wait for `read`.

        Raises:
            TrainingDivergedError: When one is not finite, and the answer may not wait.
        """
        names = [
            f"{name} at scale 1/{2 ** (len(term) - 1 - k)}" if term.ndim else name
            for name, term in terms.items()
            for k in range(term.numel())
        ]
        flat = [term.detach().reshape(-1) for term in terms.values()]
        answers = torch.isfinite(torch.cat(flat))
        arrived = None
        if late:
            wrong = (~answers).any().float()
            self.found_inf = wrong if self.found_inf is None else self.found_inf.maximum(wrong)
            if answers.is_cuda:
                pinned = torch.empty(answers.shape, dtype=answers.dtype, pin_memory=True)
                answers = pinned.copy_(answers, non_blocking=True)
                arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
                arrived.record()
        self._questions.append(
            _Question(names=names, batch=batch, answers=answers, arrived=arrived)
        )
        if not late:
            self.read()

    def read(self, *, before: int | None = None) -> None:
        """Wait for answers.

        Args:
            before: Those to earlier batches than this one; None is all.

        Raises:
            TrainingDivergedError: When a term was not finite.
        """
        while self._questions and (before is None or self._questions[0].batch < before):
            question = self._questions.pop(0)
            if question.arrived is not None:
                question.arrived.synchronize()
            finite = question.answers.tolist()
            if not all(finite):
                bad = [name for name, ok in zip(question.names, finite, strict=True) if not ok]
                raise TrainingDivergedError(bad, question.batch)
