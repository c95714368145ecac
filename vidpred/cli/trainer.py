"""`vidpred fit` and `validate`: Lightning's command line in a folder of the run."""

import logging
import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Literal, NoReturn, cast

import pytorch_lightning as pl
import yaml
from jsonargparse import Namespace
from lightning_fabric.utilities.exceptions import MisconfigurationException
from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_only, rank_zero_warn
from pytorch_lightning.callbacks import LambdaCallback, ModelCheckpoint
from pytorch_lightning.cli import (
    ArgsType,
    LightningArgumentParser,
    LightningCLI,
)
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.exceptions import SIGTERMException

from vidpred import data
from vidpred.benchmark.trainings import PART_OF_A_BENCHMARK
from vidpred.callbacks import NetworkSummary, TrainingBar
from vidpred.cli.common import look_for_modules_here, with_underscores
from vidpred.cli.configuration_parser import (
    explain,
    resolve_configurations,
    with_python_numbers,
)
from vidpred.cli.next_command import test_command
from vidpred.cli.refused_values import refusal_of_lightning, refusals
from vidpred.cli.run_loggers import TensorBoardOptions, WandbOptions, loggers_of
from vidpred.data import ClipStreamDataModule
from vidpred.errors import TrainingDivergedError, VidpredError
from vidpred.kernels import keep_freed_memory
from vidpred.loggers import ResilientWandbLogger
from vidpred.resources import packaged_configurations
from vidpred.runs.checkpoint_io import SafeCheckpointIO
from vidpred.runs.checkpoints import LAST
from vidpred.runs.configuration import RunConfiguration
from vidpred.runs.folder import NewFolder, hold, new_run_dir, require_writable, run_of
from vidpred.runs.resume_point import find_checkpoint, reader_of, say_changes, wandb_run_id
from vidpred.runs.run_trainer import RunTrainer, warn_of_lost_callbacks
from vidpred.tasks import PredictionTask
from vidpred.tasks.speed import Speed, default_precision, require_precision

INTERRUPTED = 130
"""Exit status after Ctrl-C, as a shell gives it: 128 + SIGINT."""

TERMINATED = 143
"""Exit status after SIGTERM: 128 + SIGTERM."""


class SentenceParser(LightningArgumentParser):
    """Gives the mistake alone, where jsonargparse prints every option that exists before it."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Refuse the command line.

        Raises:
            VidpredError: Always, but in the parser of a part, whose mistake joins the whole's.
        """
        if not self.exit_on_error:
            super().error(message, ex)
        hint = "every key and its type: vidpred COMMAND --help-all"
        raise VidpredError(f"{explain(message, self)}\n{hint}") from ex

    def dump(self, cfg: Namespace, **options: Any) -> str:
        """Write a configuration as YAML, for `--print-config` too."""
        text: str = super().dump(with_python_numbers(cfg), **options)
        return text


class VidpredCLI(LightningCLI):
    """Lightning's command line around the tasks and data modules of vidpred."""

    def __init__(self, args: ArgsType, enter: Callable[[AbstractContextManager[Any]], Any]) -> None:
        """Parse and run.

        Args:
            args: Command line after the program's name, such as `["fit", "-c", "l2.yaml"]`.
            enter: Enters what is left when the command is over, such as the run's lock.
        """
        self._enter = enter
        for name in data.__all__:  # now: `class_path` knows the short names of classes in memory
            getattr(data, name)
        folder = packaged_configurations() / "trainer"
        training = [str(folder / "default.yaml")]
        scoring = [*training, str(folder / "scoring.yaml")]
        whole_names = {"allow_abbrev": False}  # `--trainer.max_epoch` is a typing error
        super().__init__(
            PredictionTask,
            pl.LightningDataModule,
            trainer_class=RunTrainer,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            save_config_callback=RunConfiguration,
            save_config_kwargs={"save_to_log_dir": False},
            parser_class=SentenceParser,
            parser_kwargs={
                "prog": "vidpred",
                **whole_names,
                "fit": {"default_config_files": training, **whole_names},
                "validate": {"default_config_files": scoring, **whole_names},
                "test": {"default_config_files": scoring, **whole_names},
            },
            args=args,
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Name the commands, and the arguments of the trainer's methods that are not options."""
        return {
            "fit": {"model", "train_dataloaders", "val_dataloaders", "datamodule", "weights_only"},
            "validate": {"model", "dataloaders", "datamodule", "weights_only"},
            "test": {"model", "dataloaders", "datamodule", "weights_only"},
        }

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run's folder and how it appears in Weights & Biases."""
        parser.add_argument("--run_dir", type=str | None, help="Folder of the run.", default=None)
        parser.add_argument(
            "--resume",
            type=Literal["auto"] | None,
            help="auto: resume from the latest checkpoint of run_dir, or begin when there is none.",
            default=None,
        )
        parser.add_argument(
            "--accept_changes",
            type=bool,
            help="Resume although data, batch size or seed are not those of the run.",
            default=False,
        )
        parser.add_class_arguments(WandbOptions, "wandb")
        parser.add_class_arguments(TensorBoardOptions, "tensorboard")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, and read a checkpoint's description before anything is built."""
        # Not Lightning's own: it warns whenever the process has arguments as well.
        self.config = with_python_numbers(parser.parse_args(cast(list[str], args)))
        command = str(self.config.subcommand)
        options = self.config[command]
        files = [Path(str(file)) for file in options.config or []]
        given = options.run_dir or run_of(files)
        options.run_dir = str(given or new_run_dir(command, files))
        found = find_checkpoint(
            *(command, Path(options.run_dir)),
            ckpt_path=options.ckpt_path,
            resume=options.resume,
            run_is_named=given is not None,
        )
        self._checkpoint: dict[str, Any] = {}
        if found is not None:
            options.ckpt_path = str(found)
            self._checkpoint = reader_of(command)(found)
        elif command != "fit":
            raise VidpredError(
                "vidpred validate needs weights to score; expected --ckpt-path FILE, such as "
                "runs/NAME/checkpoints/best.ckpt"
            )

    def instantiate_classes(self) -> None:
        """Build data, model and trainer; what their constructors refuse is the user's to mend."""
        with refusals(VidpredError, MisconfigurationException):
            super().instantiate_classes()

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """Build the trainer with the run's folder, its loggers and safe checkpoint reading."""
        given = self._get(self.config_init, "trainer")
        require_precision(given["precision"])
        run_dir = Path(self._get(self.config, "run_dir"))
        self._new_folder = NewFolder(run_dir)
        self._enter(self._new_folder)
        require_writable(run_dir)
        if self.subcommand == "fit" and getattr(rank_zero_only, "rank", 0) == 0:
            self._enter(hold(run_dir))
        kwargs.setdefault("default_root_dir", str(run_dir))
        kwargs.setdefault("plugins", [SafeCheckpointIO()])
        if given["logger"] is None:
            kwargs.setdefault("logger", self._loggers(run_dir))
        if self.subcommand == "fit" and given["precision"] is None:
            kwargs.setdefault("precision", default_precision(str(given["accelerator"])))
        self._send_logs_to_stderr()
        return super().instantiate_trainer(**kwargs)

    def _run_subcommand(self, subcommand: str) -> None:
        """Run; a run that is refused before it trained leaves no folder behind."""
        try:
            super()._run_subcommand(subcommand)
        except TrainingDivergedError:
            raise
        except VidpredError:
            for logger in self.trainer.loggers:
                if isinstance(logger, ResilientWandbLogger):
                    logger.finish()
            self._new_folder.discard()
            raise

    def before_fit(self) -> None:
        """Refuse other data than the run had, before anything is written."""
        warn_of_lost_callbacks(self.trainer)
        if isinstance(self.datamodule, ClipStreamDataModule):
            self.datamodule.follow(self.model)
            self.datamodule.accept_changes = self._get(self.config, "accept_changes")
            self.datamodule.trainer = self.trainer
            state = self._checkpoint.get(type(self.datamodule).__qualname__)
            if state is not None:
                self.datamodule.require_same_stream(state)
        if self._checkpoint:
            say_changes(self._checkpoint, yaml.safe_load(self.parser.dump(self.config))["fit"])
        self._checkpoint = {}  # the trainer reads it again, at its own time
        self._keep_freed_memory()

    def _keep_freed_memory(self) -> None:
        """Set the allocator of this process, which the command owns and a task does not."""
        speed = getattr(self.model, "speed", None)
        device = self.trainer.strategy.root_device
        if isinstance(speed, Speed) and speed.on(device).keep_freed_memory:
            keep_freed_memory()

    def after_fit(self) -> None:
        """Say what came out, and how to test it."""
        best = self.trainer.checkpoint_callback
        if not isinstance(best, ModelCheckpoint) or best.monitor is None:
            return
        run_dir = Path(self.trainer.default_root_dir)
        if not best.best_model_path:
            if (last := run_dir / "checkpoints" / LAST).exists():
                rank_zero_info(f"no best.ckpt, as no validation ran; the latest weights: {last}")
                if self.trainer.limit_val_batches:
                    rank_zero_info("to validate every N batches: --trainer.val_check_interval N")
            return
        score = "" if best.best_model_score is None else f" ({best.best_model_score:.2f})"
        path = best.best_model_path
        rank_zero_info(f"best by {best.monitor}{score}: {path}")
        if PART_OF_A_BENCHMARK not in os.environ:
            following = test_command(self.datamodule, path, run_dir, module=self._module())
            rank_zero_info(f"next: {following}")

    def _module(self) -> str | None:
        """Name the module of a network that is not ours, which a checkpoint may not choose."""
        module = type(self.model.predictor).__module__
        return None if module.startswith("vidpred.") else module

    def _send_logs_to_stderr(self) -> None:
        """Leave the standard output to results; Lightning's own choice writes both there."""
        config = self._get(self.config_init, "trainer")
        given = config["callbacks"] or []
        if config["enable_progress_bar"] is not False:
            given = [*given, TrainingBar(console_kwargs={"stderr": True})]
        if config["enable_model_summary"] is not False:
            given = [*given, NetworkSummary()]
            config["enable_model_summary"] = False  # Lightning's own
        if self.subcommand == "fit":
            given = [LambdaCallback(on_fit_start=_say_folder), *given]
        config["callbacks"] = given

    def _loggers(self, run_dir: Path) -> list[Logger]:
        given = self._get(self.config, "ckpt_path")
        ckpt_path = None if given is None else Path(given)
        return loggers_of(
            run_dir,
            wandb=self._get(self.config_init, "wandb"),
            tensorboard=self._get(self.config_init, "tensorboard"),
            wandb_run_id=wandb_run_id(self._checkpoint, ckpt_path, run_dir),
            begins=self.subcommand == "fit" and ckpt_path is None,
        )


def run_cli(arguments: Sequence[str]) -> VidpredCLI | int:
    """Run one of Lightning's commands and give its parts, for what comes after.

    Args:
        arguments: Command line after the program's name, beginning with the command.

    Returns:
        The command line with its trainer, model and data; or the exit status when it stopped early.
    """
    _quieten_lightning()
    arguments = with_underscores(arguments)
    look_for_modules_here()  # `class_path` may name one
    try:
        with ExitStack() as held:
            # A function, because copies of the task copy all that hangs on it but these.
            return VidpredCLI(
                resolve_configurations(arguments),
                lambda context: held.enter_context(context),
            )
    except TrainingDivergedError as error:
        following = _arguments_to_recover(arguments, error)
        if following is None:
            raise
    except Exception as error:
        if (refusal := refusal_of_lightning(error)) is None:
            raise
        raise VidpredError(refusal) from error
    except SystemExit as stop:
        # Lightning answers Ctrl-C with exit(1) and SIGTERM without a number, after its callbacks
        # have saved.
        if isinstance(stop.__context__, KeyboardInterrupt):
            return INTERRUPTED
        if isinstance(stop, SIGTERMException):
            return TERMINATED
        return stop.code if isinstance(stop.code, int) else 0
    # Out of reach of the exception, which holds the networks of the try before.
    return run_cli(following)


def _say_folder(trainer: pl.Trainer, task: pl.LightningModule) -> None:
    """Say where the run is, once its data are found: a run that is refused leaves no folder."""
    rank_zero_info(f"this run's folder is {trainer.default_root_dir}")


_REPLACED = ("--ckpt_path", "--resume", "--run_dir")


def _arguments_to_recover(
    arguments: Sequence[str], error: TrainingDivergedError
) -> list[str] | None:
    """Give the command line of the next attempt of a training that diverged.

    Args:
        arguments: Command line of the attempt that diverged, beginning with the command.
        error: How it diverged; `vidpred.runs.recovery` has noted the checkpoint to resume from.

    Returns:
        The command line; None when nothing is to be tried.
    """
    path = error.resume_from
    if path is None:
        return None
    kept: list[str] = []
    skip = False
    for argument in arguments:
        if skip:
            skip = False
            continue
        name, equals, _ = argument.partition("=")
        if name in _REPLACED:
            skip = not equals
            continue
        kept.append(argument)
    rank_zero_warn(
        f"{error.problem} at batch {error.batch}: {error.terms}. Resuming from {path} at "
        "lower rates"
    )
    return [*kept, "--run_dir", str(path.parent.parent), "--ckpt_path", str(path)]


def _quieten_lightning() -> None:
    """Drop what users cannot act on: advertisements, and warnings of Lightning about itself."""
    warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")
    # Lightning knows loaders that remember where they were; here the data module does.
    warnings.filterwarnings("ignore", message="You're resuming from a checkpoint that ended before")
    # We refuse such a folder ourselves, unless its run resumes.
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
    # A warning only as long as no validation has run, which `after_fit` says.
    warnings.filterwarnings("ignore", message=r"`ModelCheckpoint\(monitor=.* could not find the")
    # The run's CSV file, W&B and TensorBoard get what is logged, however short an epoch is.
    warnings.filterwarnings("ignore", message="The number of training batches .* is smaller than")
    log = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    log.addFilter(_is_no_advertisement)


def _is_no_advertisement(record: logging.LogRecord) -> bool:
    return "💡" not in record.getMessage()


def run(arguments: Sequence[str]) -> int:
    """Run one of Lightning's commands; see `run_cli`.

    Returns:
        Exit status.
    """
    finished = run_cli(arguments)
    if isinstance(finished, int):
        return finished
    for logger in finished.trainer.loggers:
        if isinstance(logger, ResilientWandbLogger):
            logger.finish()
    return 0
