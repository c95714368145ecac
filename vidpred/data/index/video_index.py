"""What is known about the videos below a folder, kept between runs."""

import hashlib
import json
import os
import random
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from jsonargparse.typing import PositiveInt

from vidpred.data.index.records import (
    LAYOUT,
    IndexReport,
    Mark,
    Quarantined,
    Source,
    facts_from_text,
    facts_to_text,
)
from vidpred.data.index.scanning import (
    NOWHERE,
    UNKNOWN,
    FileState,
    Progress,
    fetch_beginning,
    name_below,
    scan,
    state_of,
)
from vidpred.data.index.store import IndexStore
from vidpred.errors import AccessError, VideoError
from vidpred.files import cache_folder, expand_home, require_folder
from vidpred.ops.checks import require_positive
from vidpred.video import VideoInfo, probe

CHUNK = 128
"""Files that are examined between two writes: what a kill loses, 0.1 s of work."""

_Row = tuple[str, FileState, VideoInfo | VideoError]


class VideoIndex:
    """Facts and quarantine of the videos below a folder, in one SQLite file for each folder.

    Nothing is written below the folder itself: the file lies in the user's cache (`cache_folder`).
    Any number of processes and threads may use and build the same index at once, and any of them
    may be killed. A copy that is pickled or forked opens the file for itself.

    Args:
        root: Folder of the videos; links in its own path are resolved, so that each folder has one
            index whatever name it is given.
        cache: Folder of the index instead of the user's.

    Raises:
        DataError: When the root is no folder, or the system does not give it.
    """

    def __init__(self, root: str | Path, *, cache: str | Path | None = None) -> None:
        self.root = require_folder(expand_home(root), "a folder of videos")
        self._resolved = self.root.resolve()
        readable = re.sub(r"[^A-Za-z0-9_-]+", "_", self._resolved.name)[:40] or "root"
        digest = hashlib.sha256(os.fsencode(self._resolved)).hexdigest()[:16]
        folder = cache_folder() if cache is None else expand_home(cache)
        self._store = IndexStore(folder and folder / "index" / f"{readable}-{digest}")

    @property
    def file(self) -> Path:
        """The SQLite file."""
        return self._store.file

    @property
    def in_memory(self) -> bool:
        """Whether the cache cannot be used, and nothing outlives this process."""
        return self._store.in_memory

    def refresh(
        self,
        paths: Iterable[str | Path] | None = None,
        *,
        workers: PositiveInt | None = None,
        progress: Progress | None = None,
    ) -> IndexReport:
        """Examine what is new or has changed, and forget what is gone.

        Only packets are read, nothing is decoded. Several processes that do this at once share the
        work: each begins somewhere else and skips what another has done.

        Args:
            paths: Look at these only; all videos below the root when `None`.
            workers: Threads that read, at most 8 by default.
            progress: Called with the number of examined files and of all that have to be.

        Raises:
            ValueError: For a path that is not below the root, or `workers` below 1.
        """
        if workers is not None:
            require_positive("workers", workers)
        if paths is None:
            self._store.check()
            found = (result := scan(self.root)).files
            unreadable, notes, frames = dict(result.unreadable), result.notes, result.frames
        else:
            states = {name: state_of(self.root / name) for name in map(self.name, paths)}
            found = {n: state for n, state in states.items() if state not in (NOWHERE, UNKNOWN)}
            unreadable, notes, frames = {}, {}, ()
        known = self.states(None if paths is None else states)
        stale = [name for name, state in found.items() if known.get(name) != state]
        # What an explicit request added (other endings, folders of frames) stays while it is there.
        gone = [
            name
            for name, state in known.items()
            if name not in found
            and (now := state_of(self.root / name)) != UNKNOWN
            and (paths is not None or now != state)
        ]
        self._forget(gone)
        unreadable |= self._examine({name: found[name] for name in stale}, workers, progress)
        bad = self._store.read("SELECT name FROM facts WHERE problem IS NOT NULL")
        return IndexReport(
            total=len(found),
            new=sum(name not in known for name in stale),
            changed=sum(name in known for name in stale),
            gone=len(gone),
            broken=sum(_name(key) in found for (key,) in bad),
            unreadable=unreadable,
            notes=notes,
            frames=frames,
        )

    def facts(self, path: str | Path) -> VideoInfo:
        """Give what the index knows about a video; what it does not know yet is read and kept.

        Raises:
            VideoError: When the video cannot be read, with the reason that was found.
            ValueError: When the path is not below the root.
        """
        name = self.name(path)
        state = state_of(self.root / name)
        rows = self._store.read(
            "SELECT name, facts, problem FROM facts "
            "WHERE name = ? AND size = ? AND mtime_ns = ? AND layout = ?",
            (os.fsencode(name), state.size, state.mtime_ns, LAYOUT),
        )
        if rows and state != NOWHERE:
            result = self._result(*rows[0])
        else:
            result = self._probe(name)
            if state not in (NOWHERE, UNKNOWN):  # nothing is worth knowing about what is not there
                self._save([(name, state, result)])
        if isinstance(result, VideoError):
            raise result
        return result

    def known(self) -> dict[str, VideoInfo | VideoError]:
        """Give everything at once, by path below the root, as the last refresh left it."""
        rows = self._store.read(
            "SELECT name, facts, problem FROM facts WHERE layout = ? ORDER BY name", (LAYOUT,)
        )
        return {_name(row[0]): self._result(*row) for row in rows}

    def states(self, names: Iterable[str] | None = None) -> dict[str, FileState]:
        """Give size and time of all known files, or of some, as of the last refresh."""
        query = "SELECT name, size, mtime_ns FROM facts WHERE layout = ?"
        if names is None:
            rows = self._store.read(query, (LAYOUT,))
        else:
            rows = [
                row
                for some in _chunks(list(names), 500)
                for row in self._store.read(
                    f"{query} AND name IN ({', '.join('?' * len(some))})",
                    (LAYOUT, *map(os.fsencode, some)),
                )
            ]
        return {_name(r[0]): FileState(cast(int, r[1]), cast(int, r[2])) for r in rows}

    def quarantine(self, path: str | Path, reason: str, *, source: Source = "training") -> None:
        """Say that a video is not to be used until its file changes or `release` is called.

        Args:
            path: The video.
            reason: The end of a sentence, as `VideoError.problem`.
            source: Who found it.

        Raises:
            ValueError: When the path is not below the root.
        """
        self.remember("quarantine", {self.name(path): {"reason": reason, "source": source}})

    def quarantined(self) -> dict[str, Quarantined]:
        """Give the videos that are not to be used, by path below the root.

        Those that cannot be opened are among them, with the source "index".
        """
        broken = self._store.read("SELECT name, problem FROM facts WHERE problem IS NOT NULL")
        found = {_name(key): Quarantined(str(problem), "index") for key, problem in broken}
        for name, value in self.remembered("quarantine").items():
            match value:
                case {"reason": str(reason), "source": "index" | "doctor" | "training" as source}:
                    found[name] = Quarantined(reason, source)
        return dict(sorted(found.items()))

    def release(self, path: str | Path | None = None) -> None:
        """Lift the quarantine of one video or of all; broken ones are examined again when asked.

        Raises:
            ValueError: When the path is not below the root.
        """
        where = "" if path is None else " AND name = ?"
        values = () if path is None else (os.fsencode(self.name(path)),)
        self._store.write(
            (f"DELETE FROM marks WHERE kind = 'quarantine'{where}", [values]),
            (f"DELETE FROM facts WHERE problem IS NOT NULL{where}", [values]),
        )

    def remember(self, kind: Mark, values: Mapping[str, object]) -> None:
        """Keep something about files as they are now, until they change.

        Args:
            kind: What it is about.
            values: Plain data by path below the root.
        """
        rows: list[tuple[object, ...]] = []
        for name, value in values.items():
            state = state_of(self.root / name)
            if state == UNKNOWN:
                continue  # what was found is not about the file
            rows.append((kind, os.fsencode(name), state.size, state.mtime_ns, json.dumps(value)))
        self._store.write(("INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?)", rows))

    def remembered(self, kind: Mark) -> dict[str, object]:
        """Give what `remember` kept about files that have not changed, as of the last refresh.

        What is damaged is left out.
        """
        rows = self._store.read(
            "SELECT name, value FROM marks LEFT JOIN facts USING (name) WHERE kind = ? AND "
            "(facts.size IS NULL OR (facts.size, facts.mtime_ns) = (marks.size, marks.mtime_ns))",
            (kind,),
        )
        found = {}
        for key, value in rows:
            with suppress(ValueError):
                found[_name(key)] = json.loads(str(value))
        return found

    def name(self, path: str | Path) -> str:
        """Give a path as the index knows it: below the root, with forward slashes.

        A relative path that does not begin as the root does is taken from the root.

        Raises:
            ValueError: When the path is not below the root.
        """
        name = name_below(Path(path), (self.root, self._resolved, self.root.absolute()))
        if name is None:
            raise ValueError(f"{path} is not below {self.root}; expected one of its videos")
        return name

    def close(self) -> None:
        """Close the file of this process; the next use opens it again."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _examine(
        self, files: dict[str, FileState], workers: int | None, progress: Progress | None
    ) -> dict[str, str]:
        """Read files; give those that the system does not give, with the reason."""
        # Threads wait for the disk side by side, and take turns at the packets: each packet gives
        # up Python's lock and asks for it again, so that two threads at it are slower than one
        # (370 files of UCF101 a second, not 490). Processes would import torch.
        turn = threading.Lock()

        def examine(name: str) -> VideoInfo | VideoError:
            fetch_beginning(self.root / name)
            with turn:
                return self._probe(name)

        done = 0
        not_given: dict[str, str] = {}
        chunks = list(_chunks(list(files), CHUNK))
        # No seed: processes that start together are to begin at different places.
        random.SystemRandom().shuffle(chunks)
        with ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1)) as pool:
            for chunk in chunks:
                by_others = self.states(chunk)
                names = [name for name in chunk if by_others.get(name) != files[name]]
                found = list(zip(names, pool.map(examine, names), strict=True))
                self._save([(name, files[name], result) for name, result in found])
                not_given |= {n: r.problem for n, r in found if isinstance(r, AccessError)}
                done += len(chunk)
                if progress is not None:
                    progress(done, len(files))
        return not_given

    def _probe(self, name: str) -> VideoInfo | VideoError:
        try:
            return probe(self.root / name)
        except VideoError as error:
            return error

    def _save(self, results: list[_Row]) -> None:
        rows: list[tuple[object, ...]] = []
        for name, state, result in results:
            if isinstance(result, AccessError):
                continue  # this says nothing about the file, and is tried again
            facts = None if isinstance(result, VideoError) else facts_to_text(result)
            problem = result.problem if isinstance(result, VideoError) else None
            key = os.fsencode(name)
            rows.append((key, state.size, state.mtime_ns, LAYOUT, facts, problem))
        self._store.write(("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?)", rows))

    def _forget(self, names: Iterable[str]) -> None:
        rows: list[tuple[object, ...]] = [(os.fsencode(name),) for name in names]
        if rows:
            self._store.write(
                ("DELETE FROM facts WHERE name = ?", rows),
                ("DELETE FROM marks WHERE name = ?", rows),
            )

    def _result(self, key: object, facts: object, problem: object) -> VideoInfo | VideoError:
        name = _name(key)
        path = self.root / name
        if facts is None:
            return VideoError(path, str(problem))
        try:
            return facts_from_text(path, str(facts))
        except ValueError:  # damage that SQLite did not see
            state, result = state_of(path), self._probe(name)
            self._save([(name, state, result)])
            return result


def _name(key: object) -> str:
    # Names are kept as the file system's bytes: they need not be text in any encoding.
    return os.fsdecode(cast(bytes, key))


def _chunks(names: list[str], size: int) -> Iterator[list[str]]:
    for first in range(0, len(names), size):
        yield names[first : first + size]
