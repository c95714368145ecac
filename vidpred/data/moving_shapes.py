"""A small data set of moving shapes, rendered into real AVI files in UCF101's layout."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, asdict, dataclass
from pathlib import Path

import yaml
from jsonargparse.typing import (
    NonNegativeInt,
    PositiveInt,
)

from vidpred.data.shapes_world import MOTIONS, Motion, render_moving_shapes
from vidpred.data.ucf101 import UCF101DataModule
from vidpred.data.ucf101_layout import LIST_DIR, VIDEO_DIR
from vidpred.errors import DataError
from vidpred.files import expand_home, replace_folder, temporary_name
from vidpred.ops.checks import require_positive
from vidpred.video import write_video

CARD = "card.yaml"
MIN_GROUPS = 3
"""One group for test, one for validation, one to train on."""

_FORMAT = "vidpred moving shapes 1"


@dataclass(frozen=True)
class ShapesCard:
    """All that decides what the files hold; written into the data set's card.yaml.

    Attributes:
        num_groups: Scenes of each class.
        clips_per_group: Clips of each scene.
        num_frames: Frames of a clip.
        height: Rows of a frame.
        width: Columns of a frame.
        seed: Of the world.
    """

    num_groups: int = 8
    clips_per_group: int = 2
    num_frames: int = 40
    height: int = 96
    width: int = 128
    seed: int = 0

    @property
    def num_videos(self) -> int:
        """Files of the whole data set."""
        return len(MOTIONS) * self.num_groups * self.clips_per_group

    def clips(self) -> Iterator[tuple[Motion, int, int]]:
        """Yield class, group and clip number, in the lists' order."""
        for motion in MOTIONS:
            for group in range(1, self.num_groups + 1):
                for clip in range(1, self.clips_per_group + 1):
                    yield motion, group, clip


def write_moving_shapes(
    root: str | Path,
    *,
    num_groups: int = 8,
    clips_per_group: int = 2,
    num_frames: int = 40,
    height: int = 96,
    width: int = 128,
    seed: int = 0,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Render the data set, or find that it is there already.

    The files are MPEG-4 AVI in UCF101's layout with official-style lists for the splits 1 to 3, so
    whatever reads UCF101 reads them. They are written to a folder next to `root` that takes its
    name when all is done: an interrupted rendering leaves nothing that looks finished. Equal
    arguments give equal frames.

    Args:
        root: Folder to make.
        num_groups: Scenes of each of the four classes, at least 3.
        clips_per_group: Clips of each scene.
        num_frames: Frames of a clip.
        height: Rows, at least 16.
        width: Columns, at least 16.
        seed: Of the world.
        overwrite: Replace a set of moving shapes that was written with other arguments. A folder
            that holds anything else is never touched.
        progress: Called with the number of finished clips and of all.

    Returns:
        `root`.

    Raises:
        ValueError: For an argument out of range.
        DataError: When `root` holds something else or cannot be written.
    """
    card = ShapesCard(num_groups, clips_per_group, num_frames, height, width, seed)
    for name in ("clips_per_group", "num_frames"):
        require_positive(name, getattr(card, name))
    if num_groups < MIN_GROUPS or seed < 0:
        raise ValueError(
            f"num_groups is {num_groups}, seed {seed}; expected at least {MIN_GROUPS} groups "
            "(train, validation and test hold different ones) and a seed of at least 0"
        )
    root = expand_home(root)
    try:
        if _is_there(root, card, overwrite=overwrite):
            return root
        partial = temporary_name(root.resolve(), keep_suffix=False)
        try:
            shutil.rmtree(partial, ignore_errors=True)
            _write(partial, card, progress)
            # Another process may have been faster.
            if not _is_there(root, card, overwrite=overwrite):
                replace_folder(partial, root.resolve())
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise DataError(f"{root}: the moving shapes cannot be written there: {error}") from error
    return root


def _is_there(root: Path, card: ShapesCard, *, overwrite: bool) -> bool:
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    found = _read_card(root)
    if found is None:
        raise DataError(
            f"{root}: there is something else at this place; choose a new or empty folder. "
            "Only a set of moving shapes is ever replaced"
        )
    if found == asdict(card):
        return True
    if not overwrite:
        raise DataError(
            f"{root}: holds moving shapes of {found}, and {asdict(card)} was asked for; "
            f"choose another folder, or replace them with `vidpred data toy {root} --overwrite`, "
            "and the options of the new ones"
        )
    return False


def _read_card(root: Path) -> dict[str, int] | None:
    try:
        content = yaml.safe_load((root / CARD).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        return None
    parameters = content.get("parameters")
    return parameters if isinstance(parameters, dict) else None


def _write(root: Path, card: ShapesCard, progress: Callable[[int, int], None] | None) -> None:
    for motion in MOTIONS:
        (root / VIDEO_DIR / motion).mkdir(parents=True)
    for done, (motion, group, clip) in enumerate(card.clips(), start=1):
        frames, _ = render_moving_shapes(
            motion,
            num_frames=card.num_frames,
            height=card.height,
            width=card.width,
            seed=card.seed,
            group=group,
            clip=clip,
        )
        write_video(root / VIDEO_DIR / _name(motion, group, clip), frames, fps=25)
        if progress is not None:
            progress(done, card.num_videos)
    _write_lists(root / LIST_DIR, card)
    (root / CARD).write_text(
        yaml.safe_dump({"format": _FORMAT, "parameters": asdict(card)}, sort_keys=False),
        encoding="utf-8",
    )


def _write_lists(folder: Path, card: ShapesCard) -> None:
    """Write lists as UCF101's: split 1 tests the first groups, split 2 the next."""
    folder.mkdir()
    labels = {motion: number for number, motion in enumerate(MOTIONS, start=1)}
    _write_rows(folder / "classInd.txt", [f"{number} {name}" for name, number in labels.items()])
    # UCF101 tests on 7 of its 25 groups.
    num_test = max(1, round(card.num_groups * 7 / 25))
    for split in (1, 2, 3):
        first = (split - 1) * num_test
        test = {(first + index) % card.num_groups + 1 for index in range(num_test)}
        rows = [(_name(*clip), labels[clip[0]], clip[1] in test) for clip in card.clips()]
        train = [f"{name} {label}" for name, label, is_test in rows if not is_test]
        _write_rows(folder / f"trainlist0{split}.txt", train)
        _write_rows(
            folder / f"testlist0{split}.txt", [name for name, _, is_test in rows if is_test]
        )


def _write_rows(path: Path, rows: list[str]) -> None:
    path.write_bytes("".join(f"{row}\r\n" for row in rows).encode())


def _name(motion: Motion, group: int, clip: int) -> str:
    return f"{motion}/v_{motion}_g{group:02d}_c{clip:02d}.avi"


@dataclass(eq=False, repr=False)
class MovingShapesDataModule(UCF101DataModule):
    """Moving shapes for tests and the quickstart, read by the very code that reads UCF101.

    `prepare_data` renders the files when they are not there, about 64 small clips in some seconds.

    Args:
        root: Folder of the data set, made when it is not there.
        num_groups: Scenes of each class, at least 3.
        clips_per_group: Clips of each scene.
        num_frames: Frames of a clip.
        height: Rows of a frame.
        width: Columns of a frame.
        world_seed: Of what is rendered.

    The other options are those of `UCF101DataModule`.
    """

    root: str | Path = "data/moving_shapes"
    _: KW_ONLY
    num_groups: PositiveInt = 8
    clips_per_group: PositiveInt = 2
    num_frames: PositiveInt = 40
    height: PositiveInt = 96
    width: PositiveInt = 128
    world_seed: NonNegativeInt = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        parameters = (
            *(self.num_groups, self.clips_per_group, self.num_frames),
            *(self.height, self.width, self.world_seed),
        )
        # Plain integers: those of the command line are of a class that YAML does not know.
        self.card = ShapesCard(*map(int, parameters))

    def prepare_data(self) -> None:
        """Render the files when they are not there.

        Raises:
            DataError: When the root holds something else, or shapes of other parameters.
        """
        card = self.card
        write_moving_shapes(
            self.root,
            num_groups=card.num_groups,
            clips_per_group=card.clips_per_group,
            num_frames=card.num_frames,
            height=card.height,
            width=card.width,
            seed=card.seed,
        )
        super().prepare_data()
