"""The options of all data modules, and what they take from the task that learns from the clips."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from jsonargparse.typing import ClosedUnitInterval, NonNegativeInt, PositiveInt

from vidpred.data.augmentation import ClipAugmentation
from vidpred.data.patches import PATCH_MOTION_THRESHOLD
from vidpred.errors import DataError, SettingError
from vidpred.plain import counted
from vidpred.ranges import require_annotated_ranges

Color = Literal["rgb", "gray"]


@dataclass(frozen=True)
class ClipLengths:
    """Frames of training clips.

    Attributes:
        context_frames: Those that a predictor sees.
        horizon: Those that it is trained to predict.
    """

    context_frames: int
    horizon: int

    @property
    def training(self) -> int:
        """Frames of a training clip."""
        return self.context_frames + self.horizon


@dataclass(kw_only=True, eq=False, repr=False)
class ClipOptions:
    """Which clips are given; see `vidpred.data.ClipStreamDataModule` for each option."""

    default_lengths: ClassVar[ClipLengths] = ClipLengths(context_frames=4, horizon=1)
    """Where neither an option nor a task says how long clips are."""

    context_frames: PositiveInt | None = None
    horizon: PositiveInt | None = None
    eval_horizon: PositiveInt = 2
    patch_size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = 32
    resize: tuple[PositiveInt, PositiveInt] | None = None
    color: Color = "rgb"
    motion_threshold: ClosedUnitInterval = PATCH_MOTION_THRESHOLD
    patches_per_clip: PositiveInt = 4
    mixed_videos: PositiveInt = 32
    batch_size: PositiveInt = 8
    eval_batch_size: PositiveInt = 1
    samples_per_epoch: PositiveInt | None = None
    frame_step: PositiveInt = 1
    flip_probability: ClosedUnitInterval = 0.0
    augmentation: ClipAugmentation | None = None
    copy_ahead: bool = True
    num_workers: NonNegativeInt | None = None
    seed: NonNegativeInt | None = None

    def require_ranges(self) -> None:
        """Refuse values that no clip can have.

        Raises:
            ValueError: Naming the option, its value and what was expected.
        """
        require_annotated_ranges(self)
        size, frame = self.patch_shape, self.resize
        if size is not None and frame is not None and (size[0] > frame[0] or size[1] > frame[1]):
            raise SettingError(
                f"patch_size is {size[0]} x {size[1]}, and resize makes frames of {frame[0]} x "
                f"{frame[1]}; expected patches that fit, or patch_size null for whole frames"
            )

    @property
    def patch_shape(self) -> tuple[int, int] | None:
        """Height and width of training patches; None for whole frames."""
        if self.patch_size is None:
            return None
        if isinstance(self.patch_size, int):
            return int(self.patch_size), int(self.patch_size)
        return int(self.patch_size[0]), int(self.patch_size[1])

    @property
    def frame_shape(self) -> tuple[int, int] | None:
        """Height and width to which frames are resized; None keeps them."""
        return None if self.resize is None else (int(self.resize[0]), int(self.resize[1]))

    @property
    def channels(self) -> int:
        """C of the frames."""
        return 1 if self.color == "gray" else 3

    def lengths_for(self, task: object) -> ClipLengths:
        """Say how long training clips are.

        Args:
            task: What learns from them. A `vidpred.tasks.PredictionTask` says by its predictor how
                many frames are known, and by `training_horizon` how many follow; None, and a module
                that says neither, leave the options or their defaults.

        Raises:
            DataError: When an option contradicts the task.
        """
        predictor = getattr(task, "predictor", None)
        default = self.default_lengths
        found = {}
        for name, wanted, fallback, why in (
            (
                "context_frames",
                getattr(predictor, "context_frames", None),
                default.context_frames,
                f"{type(predictor).__name__} sees",
            ),
            (
                "horizon",
                getattr(task, "training_horizon", None),
                default.horizon,
                f"{type(task).__name__} trains on",
            ),
        ):
            given = getattr(self, name)
            if given is not None and wanted is not None and given != wanted:
                raise DataError(
                    f"data.{name} is {given}, and {why} {wanted}; expected the same: leave "
                    f"data.{name} out, which then follows"
                )
            found[name] = int(given or wanted or fallback)
        return ClipLengths(**found)

    def require_channels(self, task: object) -> None:
        """Refuse a color that the task's predictor does not take.

        Raises:
            DataError: Saying what to set.
        """
        predictor = getattr(task, "predictor", None)
        wanted = getattr(predictor, "channels", None)
        if wanted is not None and wanted != self.channels:
            fixed = "channels" not in getattr(predictor, "config", dict)()
            other = "" if fixed else f", or the network's channels to {self.channels}"
            raise DataError(
                f"data.color is {self.color}, frames of {counted(self.channels, 'channel')}, and "
                f"{type(predictor).__name__} takes {wanted}; expected the same: set data.color to "
                f"{'gray' if wanted == 1 else 'rgb'}{other}"
            )
