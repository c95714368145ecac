"""UCF101 from the web into the layout that `UCF101DataModule` reads."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from filelock import FileLock, Timeout

from vidpred.data.fetch.archive_readers import ZIP_MAGICS, Reader, ZipReader
from vidpred.data.fetch.download import download
from vidpred.data.fetch.rar_programs import HOW_TO_READ_RAR, RAR_MAGICS, rar_readers
from vidpred.data.fetch.remote import Remote, check_file
from vidpred.data.fetch.unpacking import Place, unpack
from vidpred.data.ucf101_layout import LIST_DIR, VIDEO_DIR
from vidpred.errors import DataError
from vidpred.files import expand_home

_MAGICS = (*RAR_MAGICS, *ZIP_MAGICS)

DEFAULT_VIDEOS = Remote(
    # Of THUMOS 2014, all videos in one folder.
    "https://storage.googleapis.com/thumos14_files/UCF101_videos.zip",
    # Both as recorded by TensorFlow Datasets, url_checksums/ucf101.txt.
    size=6_960_400_115,
    sha256="dabf56f573cd19c79e096563529fec8126a2a34e18e10c72eb621dd687532b0d",
    magics=_MAGICS,
)
"""A ZIP whose hash is known, read by Python alone."""

OFFICIAL_VIDEOS = Remote(
    "https://www.crcv.ucf.edu/data/UCF101/UCF101.rar",
    # Bytes: what the site announces. No hash of it is published.
    size=6_932_971_618,
    magics=_MAGICS,
)
"""The authors' own archive, a RAR, which needs an installed program."""

OFFICIAL_LISTS = Remote(
    "https://www.crcv.ucf.edu/data/UCF101/UCF101TrainTestSplits-RecognitionTask.zip",
    # Both as recorded by TensorFlow Datasets, url_checksums/ucf101.txt.
    size=113_943,
    sha256="5c0d1a53b8ed364a2ac830a73f405e51bece7d98ce1254fd19ed4a36b224bd27",
    magics=_MAGICS,
)
MAX_UNPACKED_BYTES = 20_000_000_000
"""Nearly three times what UCF101 takes."""

_VIDEO = re.compile(r"v_([A-Za-z0-9]+)_g\d+_c\d+\.avi", re.IGNORECASE)
_LIST = re.compile(r"(?:classInd|(?:train|test)list0[123])\.txt", re.IGNORECASE)
_DOWNLOADS = ".downloads"

Progress = Callable[[str, int, int | None], None]
"""Called with what is done, the bytes that are done, and all of them when that is known."""


@dataclass(frozen=True)
class Prepared:
    """What is in the folder.

    Attributes:
        root: The folder.
        videos: Files unpacked now; None when the videos were there.
        lists: Lists unpacked now; None when they were there.
    """

    root: Path
    videos: int | None
    lists: int | None


def custom_source(address: str, *, sha256: str | None = None) -> Remote | Path:
    """Take another copy of an archive: a mirror, or a file on the disk.

    Args:
        address: Of http or https, or a path.
        sha256: Its hash, when it is known.

    Raises:
        ValueError: When the hash is not 64 hexadecimal digits, or the address is not valid.
    """
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256.strip()):
        raise ValueError(f"the SHA-256 is {sha256!r}; expected 64 hexadecimal digits")
    try:
        scheme = urlsplit(address).scheme
    except ValueError as error:
        raise ValueError(
            f"{address}: no valid address ({error}); expected one such as "
            "https://example.org/UCF101.rar, or a path"
        ) from error
    if scheme in ("http", "https"):
        return Remote(address, sha256=sha256, magics=_MAGICS)
    path = expand_home(address)
    if sha256 is not None:
        if not path.is_file():
            raise DataError(f"{path}: there is no such archive")
        check_file(Remote(address, sha256=sha256), path, advice="Name another copy of it")
    return path


def prepare_ucf101(
    root: str | Path,
    *,
    videos: Remote | Path = DEFAULT_VIDEOS,
    lists: Remote | Path = OFFICIAL_LISTS,
    max_unpacked_bytes: int = MAX_UNPACKED_BYTES,
    keep_archives: bool = False,
    retries: int = 8,
    timeout: float = 60.0,
    progress: Progress | None = None,
    notice: Callable[[str], None] | None = None,
) -> Prepared:
    """Fetch and unpack what is missing of UCF101.

    The folders `UCF-101` and `ucfTrainTestlist` appear when they are complete; one that is there is
    left as it is. After an interruption, of any kind, the same call resumes where it was. Inside
    their archives, videos and lists are found by their names, in whatever folders they are.

    Args:
        root: Folder of the data set; made when it is not there.
        videos: Archive of the videos, RAR or ZIP.
        lists: Archive of the lists, RAR or ZIP.
        max_unpacked_bytes: What an archive may hold when unpacked.
        keep_archives: Leave what was fetched in `.downloads`; else it is deleted when unpacked.
        retries: Attempts in a row that bring nothing new before a download gives up.
        timeout: Seconds of silence after which a connection counts as broken.
        progress: Called as bytes arrive and are unpacked.
        notice: Called with sentences for the user.

    Returns:
        What was done.

    Raises:
        ValueError: For an argument out of range.
        DataError: When something cannot be had, read or written, saying what to do.
    """
    if max_unpacked_bytes < 1:
        raise ValueError(f"max_unpacked_bytes is {max_unpacked_bytes}; expected at least 1")
    root = expand_home(root)
    steps = _Steps(root, max_unpacked_bytes, keep_archives, retries, timeout, progress, notice)
    wants_videos = not _is_filled(root / VIDEO_DIR)
    if wants_videos and _looks_like_rar(videos) and not rar_readers():
        # Before hours of downloading, not after.
        raise DataError(
            f"the videos are in a RAR archive, and nothing here reads it: {HOW_TO_READ_RAR}"
        )
    with _alone_in(root):
        # The lists first: they are small, and show at once whether the site can be had.
        num_lists = steps.bring("lists", lists, root / LIST_DIR, _place_list)
        num_videos = steps.bring("videos", videos, root / VIDEO_DIR, _VideoPlaces())
    return Prepared(root, num_videos, num_lists)


@dataclass(frozen=True)
class _Steps:
    """The two halves of a preparation, and what they have in common."""

    root: Path
    max_unpacked_bytes: int
    keep_archives: bool
    retries: int
    timeout: float
    progress: Progress | None
    notice: Callable[[str], None] | None

    def bring(self, what: str, source: Remote | Path, target: Path, place: Place) -> int | None:
        """Fetch and unpack one archive; None when it was done before."""
        if _is_filled(target):
            if self.notice is not None:
                self.notice(f"{target} is there and left as it is")
            return None
        archive = self._fetch(what, source) if isinstance(source, Remote) else source
        readers = _readers(archive)
        if target.exists():
            target.rmdir()  # empty
        unpacked = unpack(
            archive,
            target,
            readers=readers,
            place=place,
            max_bytes=self.max_unpacked_bytes,
            progress=self.progress and partial(self.progress, f"unpacking {what}"),
        )
        if isinstance(source, Remote) and not self.keep_archives:
            archive.unlink()
            with suppress(OSError):  # the other archive is in it
                archive.parent.rmdir()
        return unpacked.files

    def _fetch(self, what: str, source: Remote) -> Path:
        folder = self.root / _DOWNLOADS
        folder.mkdir(exist_ok=True)
        return download(
            source,
            folder / _file_name(source.address, what),
            retries=self.retries,
            timeout=self.timeout,
            room=2.0,  # the archive, and as much again for its contents: videos hardly compress
            progress=self.progress and partial(self.progress, f"fetching {what}"),
            notice=self.notice,
        )


@contextmanager
def _alone_in(root: Path) -> Iterator[None]:
    try:
        root.mkdir(parents=True, exist_ok=True)
        # The lock goes with its process, however that ends.
        with FileLock(root / ".prepare.lock", timeout=0):
            yield
    except Timeout as error:
        raise DataError(f"{root}: another `vidpred data prepare` is at work there") from error
    except OSError as error:
        raise DataError(
            f"{error.filename or root}: cannot be used ({error.strerror or error}); choose a "
            "folder that you may write to"
        ) from error


def _readers(archive: Path) -> list[Reader]:
    try:
        with archive.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise DataError(f"{archive}: cannot be read ({error.strerror})") from error
    if start.startswith(ZIP_MAGICS):
        return [ZipReader()]
    if not start.startswith(RAR_MAGICS):
        raise DataError(
            f"{archive}: begins with {start!r}; expected a RAR or ZIP archive of UCF101"
        )
    readers = rar_readers()
    if not readers:
        raise DataError(
            f"{archive}: is a RAR archive, and nothing here reads it: {HOW_TO_READ_RAR}"
        )
    return readers


def _looks_like_rar(source: Remote | Path) -> bool:
    name = urlsplit(source.address).path if isinstance(source, Remote) else source.name
    return name.lower().endswith(".rar")


def _file_name(address: str, otherwise: str) -> str:
    name = PurePosixPath(unquote(urlsplit(address).path)).name
    return name if re.fullmatch(r"\w[\w.-]{0,99}", name) else otherwise


def _is_filled(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _place_list(path: PurePosixPath) -> Path | None:
    return Path(path.name) if _LIST.fullmatch(path.name) else None


class _VideoPlaces:
    """Puts each video into the folder of its class.

    That is the folder it is in, when that has the class's name (UCF101 itself keeps
    v_HandStandPushups_* in HandstandPushups), else one by the name of the file: some copies have
    all videos in one folder. The first spelling of a class serves for all of it.
    """

    def __init__(self) -> None:
        self._spellings: dict[str, str] = {}

    def __call__(self, path: PurePosixPath) -> Path | None:
        found = _VIDEO.fullmatch(path.name)
        if found is None:
            return None
        label = found[1]
        folder = path.parent.name if path.parent.name.lower() == label.lower() else label
        return Path(self._spellings.setdefault(label.lower(), folder), path.name)
