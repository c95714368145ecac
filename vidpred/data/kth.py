"""KTH actions: six actions of 25 people, from the AVI files and the official sequence file."""

from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from vidpred.data.base import ClipDataModule
from vidpred.data.catalog import Listing, Split
from vidpred.data.kth_sequences import PEOPLE, PersonSplit, list_people
from vidpred.errors import DataError


@dataclass(eq=False, repr=False)
class KTHDataModule(ClipDataModule):
    """The actions of Schuldt, Laptev and Caputo (ICPR 2004): clips from the official sequences.

    A video shows a person several times; each of these sequences is a video of its own here, so
    that no clip spans a cut or an empty scene. People are in one split only.

    Args:
        root: Folder with `00sequences.txt` and `<action>/person??_<action>_d?_uncomp.avi`.
        people: official, the split of the sequence file; prediction, people 1 to 16 and 17 to 25,
            as most work on video prediction does.

    The other options are those of `ClipDataModule`; `color: gray` suits, the videos are gray.
    """

    root: str | Path = "data/kth"
    _: KW_ONLY
    people: PersonSplit = "official"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._root = Path(self.root).expanduser()

    def index_root(self) -> Path:
        """Give the folder of the data set."""
        return self._root

    def list_split(self, split: Split) -> Listing:
        """Say which sequences of a split's people are on the disk.

        Raises:
            DataError: When the root, the sequence file or all videos are not there.
        """
        if not self._root.is_dir():
            raise DataError(f"{self._root}: there is no such folder; expected KTH's videos")
        return list_people(self._root, PEOPLE[self.people][split])
