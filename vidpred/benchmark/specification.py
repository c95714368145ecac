"""A benchmark as data: which rows, trained for how much, scored by which protocols."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jsonargparse.typing import NonNegativeInt, PositiveFloat, PositiveInt

from vidpred.evaluation.compare.pooled_rows import Claim
from vidpred.models import BASELINES


@dataclass(frozen=True)
class Budget:
    """What a training may spend; the same for all rows, so that they compare.

    Attributes:
        batches: Training batches (of a generator, where there is a discriminator); None where
            `minutes` says it.
        minutes: Time of training, validations left out; None where `batches` says it.
        batch_size: Clips of a batch.
        validations: Shared evenly over the batches; with `minutes` an epoch is as long as the
            experiment says.
    """

    batches: PositiveInt | None = None
    minutes: PositiveFloat | None = None
    batch_size: PositiveInt = 8
    validations: PositiveInt = 1

    def __post_init__(self) -> None:
        if (self.batches is None) == (self.minutes is None):
            raise ValueError(
                f"budget has batches {self.batches} and minutes {self.minutes}; expected one of "
                "the two"
            )
        if self.batches is not None and self.batches % self.validations:
            raise ValueError(
                f"{self.batches} batches cannot be shared evenly by {self.validations} "
                "validations; expected a multiple"
            )

    def words(self) -> str:
        """Say it, such as "10,000 batches of 8 clips"."""
        if self.batches is not None:
            return f"{self.batches:,} batches of {self.batch_size} clips"
        return f"{self.minutes:g} minutes, batches of {self.batch_size} clips"


@dataclass(frozen=True)
class TrainingData:
    """What all rows are trained on.

    Attributes:
        root: Folder of the data set, in which the text `${output}` is replaced by the folder of
            runs and results; None leaves it to the experiments.
        file: Configuration of `data`, such as data/moving_mnist.yaml, in place of the experiments'
            own.
        root_key: Key of `vidpred fit` that takes the folder.
    """

    root: str | None = None
    file: str | None = None
    root_key: str = "data.root"


@dataclass(frozen=True)
class Experiment:
    """A row that is trained: one training a seed.

    Attributes:
        experiment: Name in the package's `configs/experiment`, or the path of a YAML file.
        name: Of the row; that of the experiment by default.
        files: Configurations read after the experiment's.
        options: Keys of `vidpred fit` and their values, such as `model.predictor.hidden: 32`; the
            text `${batches}` in one is replaced by the batches of the budget.
        draws: Of `batch_size` clips in a batch: 2 where a discriminator learns from clips of its
            own.
        budget: Another one than the other rows'; the table names it.
        seeds: Other ones than the other rows'.
    """

    experiment: str
    name: str = ""
    files: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    draws: PositiveInt = 1
    budget: Budget | None = None
    seeds: list[NonNegativeInt] | None = None


@dataclass(frozen=True)
class ScoredBy:
    """A protocol, and where its videos are.

    Attributes:
        protocol: Name in the package, or the path of a YAML file.
        root: Folder of the data set; None is that of the trainings.
    """

    protocol: str
    root: str | None = None


@dataclass(frozen=True)
class CostSettings:
    """How speed and memory are measured: one clip at a time, of the first protocol.

    Attributes:
        seconds: Each row predicts that clip again for so long, and at least three times.
        longest: Seconds after which a row counts as too slow, loading and counting included.
    """

    seconds: PositiveFloat = 3.0
    longest: PositiveFloat = 300.0


@dataclass(frozen=True)
class Benchmark:
    """Rows, budgets, seeds and protocols of a table.

    Attributes:
        name: Short name.
        description: What is compared, in a sentence.
        protocols: By which all rows are scored.
        budget: Of each training.
        seeds: One training of each row for each.
        data: What is trained on.
        experiments: Rows that are trained.
        models: Rows that are scored as they are: bundled models by name, checkpoints by path,
            either with NAME= before it.
        baselines: Rows without parameters; by default all there are.
        options: Keys of `vidpred fit` for all rows, before those of each row.
        claims: To be held against the scores.
        cost: How speed and memory are measured; None leaves them out.
    """

    name: str
    description: str
    protocols: list[ScoredBy]
    budget: Budget
    seeds: list[NonNegativeInt]
    data: TrainingData = field(default_factory=TrainingData)
    experiments: list[Experiment] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    baselines: list[str] = field(default_factory=lambda: list(BASELINES))
    options: dict[str, Any] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    cost: CostSettings | None = field(default_factory=CostSettings)

    def in_folder(self, output: Path) -> "Benchmark":
        """Put the folder of runs and results where the root of the data asks for it."""
        if self.data.root is None:
            return self
        root = self.data.root.replace("${output}", str(output))
        return replace(self, data=replace(self.data, root=root))

    def budget_of(self, row: Experiment) -> Budget:
        """Give what a training of a row may spend."""
        return row.budget or self.budget

    def seeds_of(self, row: Experiment) -> list[int]:
        """Give the seeds of a row."""
        return [int(seed) for seed in (self.seeds if row.seeds is None else row.seeds)]
