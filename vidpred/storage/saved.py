"""A trained predictor, from whatever file holds it: a checkpoint, weights alone, or ours."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor

from vidpred.errors import CheckpointError
from vidpred.files import expand_home, split_name
from vidpred.kernels.channels_last import to_channels_last
from vidpred.models.named_baselines import BASELINES, baseline
from vidpred.models.predictor import Predictor
from vidpred.models.scale_predictor import ScalePredictor
from vidpred.resources import no_such_checkpoint, packaged_weights
from vidpred.seen_videos import SeenVideos, remember
from vidpred.storage.checkpoint import CHECKPOINT_KEY, WEIGHTS_ENDING, read_checkpoint
from vidpred.storage.description import build_trained, describe_frames
from vidpred.storage.hub import WEIGHTS_NAME, fetch, is_address, split_address
from vidpred.storage.safetensors import read_weights, write_weights

_TASK_PREFIXES = ("predictor.", "generator.")
"""Of the predictor's weights in a task's state; see `PredictionTask.predictor_key`."""

_FOREIGN = {".onnx": "onnxruntime", ".pt2": "torch.export.load"}


@dataclass(frozen=True)
class SavedPredictor:
    """What a file holds of a predictor.

    Attributes:
        path: The file.
        description: Class and arguments; see `describe_predictor`.
        weights: By name.
        batches_seen: Training batches; None when unknown.
        averaged: Whether the weights are an average over the training (of Lightning's
            `WeightAveraging`, whose checkpoints hold the average where weights are looked for).
        training: Where they come from, as `vidpred.tasks` says it: task, data, seed, commit,
            versions.
        seen_videos: Those of the training and its validation; None when unknown.
        scores: By protocol; see `vidpred.export.scores`.
        notes: What else a user should know, in Markdown.
        frames: What the writer took frames to be; None in a checkpoint. See `describe_frames`.
    """

    path: Path
    description: dict[str, Any]
    weights: dict[str, Tensor]
    batches_seen: int | None = None
    averaged: bool = False
    training: dict[str, Any] | None = None
    seen_videos: SeenVideos | None = None
    scores: list[dict[str, Any]] = field(default_factory=list)
    notes: str = ""
    frames: dict[str, Any] | None = None

    def build(self, *, modules: Sequence[ModuleType] = ()) -> Predictor:
        """Build it, in evaluation mode on the CPU.

        Args:
            modules: Where its class may be, next to `vidpred.models`.

        Raises:
            CheckpointError: When its class is unknown, or is not what was written.
        """
        try:
            predictor = build_trained(self.description, self.weights, modules=modules)
            here = describe_frames(predictor)
            # What a file does not state was not known when it was written.
            if any(here.get(name) != value for name, value in (self.frames or {}).items()):
                raise CheckpointError(
                    f"its frames are {self.frames}, those of this version's "
                    f"{type(predictor).__name__} {here}; use the version that wrote it"
                )
        except CheckpointError as error:
            raise CheckpointError(f"{self.path}: {error}") from error
        return predictor


def load_predictor(path: str | Path, *, modules: Sequence[ModuleType] = ()) -> Predictor:
    """Load a predictor, in evaluation mode on the CPU; nothing in a file can run code.

    Args:
        path: A checkpoint of `vidpred fit`, a safetensors file of `vidpred export`, the name of a
            bundled pretrained model, or that of a baseline (`vidpred.models.BASELINES`).
        modules: Where the class of its network may be, next to `vidpred.models`.

    Raises:
        CheckpointError: When the file is missing, damaged or not ours.

    Example:
        >>> import torch
        >>> load_predictor("small")(torch.rand(1, 4, 3, 48, 64), horizon=2).shape
        torch.Size([1, 2, 3, 48, 64])
    """
    if str(path) in BASELINES and not Path(path).exists():
        return baseline(str(path))
    saved = read_saved(find_saved(path, others=BASELINES))
    predictor = saved.build(modules=modules)
    remember(predictor, saved.seen_videos)
    # Convolutions of whole frames are faster with the channels innermost, on the CPU by a seventh.
    to_channels_last(predictor)
    return predictor


def trained_predictor(path: str) -> Predictor:
    """Load a predictor to train it further, under any task.

    In a configuration: `predictor: {class_path: vidpred.storage.trained_predictor, init_args:
    {path: runs/mine/checkpoints/best.ckpt}}`.

    Args:
        path: As for `load_predictor`.

    Raises:
        CheckpointError: When the file is missing, damaged or not ours.
    """
    return load_predictor(path).train()


def trained_generator(path: str) -> ScalePredictor:
    """Load a generator to train it further, under any losses or patch size.

    In a configuration it takes the place of a preset: `generator: {class_path:
    vidpred.storage.trained_generator, init_args: {path: runs/l2/checkpoints/best.ckpt}}`. Resuming
    a run (`--ckpt-path`) is another thing: it resumes optimizers and samples as well.

    Args:
        path: As for `load_predictor`.

    Raises:
        CheckpointError: When the file is missing, damaged or not ours, or its predictor is none
            that is trained.
    """
    predictor = load_predictor(path)
    if not isinstance(predictor, ScalePredictor):
        raise CheckpointError(
            f"{path}: holds a {type(predictor).__name__}; expected a predictor of several scales, "
            "such as MultiScaleGenerator"
        )
    return predictor.train()


def read_saved(path: str | Path) -> SavedPredictor:
    """Read what a file holds of a predictor.

    Args:
        path: As for `load_predictor`.

    Raises:
        CheckpointError: When the file is missing, damaged or not ours.
    """
    path = find_saved(path)
    if path.suffix.lower() in _FOREIGN and path.is_file():
        raise CheckpointError(
            f"{path}: was exported for other programs, such as {_FOREIGN[path.suffix.lower()]}; "
            "expected the checkpoint or the safetensors file that it was exported from"
        )
    if path.suffix.lower() == WEIGHTS_ENDING:
        return _from_weights(path)
    return _from_checkpoint(path)


def write_saved(path: Path, saved: SavedPredictor) -> None:
    """Write a safetensors file that `read_saved` reads, whole or not at all.

    Args:
        path: Ends in `.safetensors`, in a folder that exists.
        saved: What to write.

    Raises:
        OSError: When the file cannot be written.
    """
    write_weights(path, saved.weights, header_of(saved))


def header_of(saved: SavedPredictor) -> dict[str, Any]:
    """Give all but the weights as plain values (JSON)."""
    return {
        "predictor": saved.description,
        "frames": saved.frames,
        "batches_seen": saved.batches_seen,
        "averaged": saved.averaged,
        "training": saved.training,
        **({} if saved.seen_videos is None else {"seen_videos": saved.seen_videos.text}),
        "scores": saved.scores,
        "notes": saved.notes,
    }


def find_saved(path: str | Path, *, others: Iterable[str] = ()) -> Path:
    """Give the file that a path, a name or an address of the Hub means.

    A file of this name that is here comes before bundled weights.

    Args:
        path: A path, also that of a folder with `model.safetensors`, or the name of a bundled
            pretrained model.
        others: Names that the caller takes as well, for the error.

    Raises:
        CheckpointError: When there is none.
    """
    if is_address(path):
        return fetch(str(path))
    ours = packaged_weights()
    file = expand_home(path)
    if (weights := file / WEIGHTS_NAME).is_file():  # a folder of `vidpred export --hub-folder`
        return weights
    if file.is_file() or (file.exists() and str(path) not in ours):
        return file
    if str(path) in ours:
        return ours[str(path)]
    raise no_such_checkpoint(path, others=others)


def named_checkpoint(argument: str) -> tuple[str, str]:
    """Split `NAME=CHECKPOINT`; the default name is the run's, the repository's or the file's.

    Args:
        argument: What `find_saved` takes, with a name and `=` in front or without.

    Returns:
        The name, and what `find_saved` takes.

    Raises:
        CheckpointError: For an address that is none.

    Example:
        >>> named_checkpoint("mine=runs/a/checkpoints/best.ckpt")
        ('mine', 'runs/a/checkpoints/best.ckpt')
        >>> named_checkpoint("runs/a/checkpoints/best.ckpt")[0], named_checkpoint("small")[0]
        ('a', 'small')
        >>> named_checkpoint("hf://owner/name@v1.0")[0]
        'name'
    """
    name, checkpoint = split_name(argument)
    if name is not None:
        return name, checkpoint
    if is_address(argument):
        return split_address(argument)[0].rpartition("/")[2], argument
    path = expand_home(argument).absolute()
    if path.parent.name == "checkpoints":
        return path.parent.parent.name or path.stem, argument
    return path.name if path.is_dir() else path.stem, argument


def _from_weights(path: Path) -> SavedPredictor:
    weights, header = read_weights(path)
    try:
        return SavedPredictor(
            path=path,
            description=dict(header["predictor"]),
            weights=weights,
            batches_seen=None if header["batches_seen"] is None else int(header["batches_seen"]),
            averaged=bool(header["averaged"]),
            training=None if header["training"] is None else dict(header["training"]),
            seen_videos=SeenVideos.from_text(header.get("seen_videos")),
            scores=[dict(score) for score in header["scores"]],
            notes=str(header["notes"]),
            frames=dict(header["frames"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(
            f"{path}: its description is not as `vidpred export` writes it "
            f"({type(error).__name__}: {error}); export it again"
        ) from error


def _from_checkpoint(path: Path) -> SavedPredictor:
    checkpoint = read_checkpoint(path)
    said = checkpoint[CHECKPOINT_KEY]
    try:
        return SavedPredictor(
            path=path,
            description=dict(said["predictor"]),
            weights={
                str(name).removeprefix(prefix): value
                for name, value in checkpoint["state_dict"].items()
                for prefix in _TASK_PREFIXES
                if str(name).startswith(prefix)
            },
            batches_seen=int(said["batches_seen"]),
            averaged="averaging_state" in checkpoint,
            training=None if said.get("training") is None else dict(said["training"]),
            seen_videos=SeenVideos.from_text(said.get("seen_videos")),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: its description is not as `vidpred fit` writes it "
            f"({type(error).__name__}: {error}); use an earlier one from the same folder"
        ) from error
