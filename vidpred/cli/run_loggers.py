"""Where a run's numbers are written: options of the command line, and the loggers they build."""

from dataclasses import dataclass, field
from pathlib import Path

from pytorch_lightning.loggers import Logger

from vidpred.loggers import ResilientWandbLogger, RunCSVLogger, RunTensorBoardLogger
from vidpred.loggers.keys import Detail


@dataclass
class WandbOptions:
    """How a run appears in Weights & Biases.

    Attributes:
        enabled: Whether to log there; offline unless logged in. CSV is written always.
        project: Project that the run belongs to.
        name: Name of the run; None is the run folder's.
        group: Group of runs that belong together.
        tags: Free labels.
        detail: "summary" is about 30 charts, "all" everything that is logged.
    """

    enabled: bool = True
    project: str = "vidpred"
    name: str | None = None
    group: str | None = None
    tags: list[str] = field(default_factory=list)
    detail: Detail = "summary"


@dataclass
class TensorBoardOptions:
    """Whether a run is shown in TensorBoard, which can be used together with W&B.

    Attributes:
        enabled: Write event files into `tensorboard/` of the run's folder.
        detail: "summary" is about 30 charts, "all" everything that is logged.
    """

    enabled: bool = False
    detail: Detail = "summary"


def loggers_of(
    run_dir: Path,
    *,
    wandb: WandbOptions,
    tensorboard: TensorBoardOptions,
    wandb_run_id: str | None,
    begins: bool,
) -> list[Logger]:
    """Build the loggers of a run; its `metrics.csv` is written always.

    Args:
        run_dir: Folder of the run.
        wandb: How it appears in Weights & Biases.
        tensorboard: Whether it is written for TensorBoard.
        wandb_run_id: Of the run in Weights & Biases that it resumes; None is a new one.
        begins: Whether the curves of an earlier try in this folder, which left no checkpoint, are
            replaced.
    """
    curves = RunCSVLogger(run_dir)
    if begins:
        curves.load_state_dict({"rows": 0})
    loggers: list[Logger] = [curves]
    if tensorboard.enabled:
        loggers.append(RunTensorBoardLogger(run_dir, detail=tensorboard.detail))
    if wandb.enabled:
        loggers.append(
            ResilientWandbLogger(
                run_dir,
                project=wandb.project,
                name=wandb.name or run_dir.name,
                group=wandb.group,
                tags=wandb.tags,
                detail=wandb.detail,
                run_id=wandb_run_id,
            )
        )
    return loggers
