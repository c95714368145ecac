"""The SQLite file of an index: opened once in each process, and replaced when it cannot be used.

It keeps a rollback journal and not a write-ahead log (SQLite's other way): such a log needs memory
that all its users share, so it "does not work over a network filesystem" (sqlite.org/wal.html), and
the home folder of a cluster, where caches are, is one. Readers share their lock, so loader workers
do not wait for each other; they wait some milliseconds while a batch is written. A process that is
killed in the middle of a batch leaves a journal from which the next one restores the file.
"""

import os
import sqlite3
import threading
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

STORE_VERSION = 1
"""Of the tables below; part of the file's name, so that no program opens another's tables."""

MEMORY = Path(":memory:")
"""What is named where there is no file."""

BUSY_SECONDS = 30.0
"""How long to wait for another process that writes; a batch takes it milliseconds."""

# A row of `facts` is true of a file as long as size and mtime_ns fit; one of `marks` likewise.
_TABLES = """
CREATE TABLE facts (
    name BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    layout TEXT NOT NULL, facts TEXT, problem TEXT
) WITHOUT ROWID;
CREATE TABLE marks (
    kind TEXT NOT NULL, name BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    value TEXT NOT NULL, PRIMARY KEY (kind, name)
) WITHOUT ROWID;
"""
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
"""The last one is about a statement; ours fit the tables, unless these are damaged."""

_inherited: list[sqlite3.Connection] = []
"""Connections of a parent process: closing one in a child could touch the parent's file."""


class IndexStore:
    """Tables of an index, for any thread and for any process that forks or unpickles it.

    A damaged file is left where it is, next to an empty one whose name ends in `.damaged`, and the
    next number is used: nothing is renamed or removed under a process that has it open. When no
    file can be used at all, the tables live in memory. Each of both is said in one warning.

    Args:
        path: The file's name without number and ending; its folder is made when it does not exist.
            None keeps the tables in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.in_memory = path is None
        self._connection: sqlite3.Connection | None = None
        self._file = path or MEMORY  # that the connection has open
        self._pid = os.getpid()
        self._lock = threading.RLock()

    def read(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """Give the rows of a SELECT."""
        return self._run(lambda connection: connection.execute(query, values).fetchall())

    def write(self, *statements: tuple[str, list[tuple[object, ...]]]) -> None:
        """Execute each statement for each of its rows, all of it or nothing.

        The statements may be repeated when a file turns out to be unusable.
        """

        def transaction(connection: sqlite3.Connection) -> None:
            # At once the right to write: two readers that both want to write would wait forever.
            connection.execute("BEGIN IMMEDIATE")
            try:
                for statement, rows in statements:
                    connection.executemany(statement, rows)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

        self._run(transaction)

    def check(self) -> None:
        """Read the whole file once and replace it when something in it is damaged."""

        def quick_check(connection: sqlite3.Connection) -> None:
            [(found,), *_] = connection.execute("PRAGMA quick_check(1)").fetchall()
            if found != "ok":
                raise _DamagedError(found)

        self._run(quick_check)

    def close(self) -> None:
        """Close the file; the next use opens it again, but what was in memory is gone."""
        if self._pid == os.getpid() and self._connection is not None:
            with self._lock:
                self._connection.close()
                self._connection, self.in_memory = None, self.path is None

    def __del__(self) -> None:
        if hasattr(self, "_connection"):
            self.close()

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Path | None]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]  # a new process opens it again

    @property
    def file(self) -> Path:
        """The SQLite file that is in use, or would be."""
        if self.path is None:
            return MEMORY
        number = 1
        while _damage_note(_numbered(self.path, number)).exists():
            number += 1
        return _numbered(self.path, number)

    def _run(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        if self._pid != os.getpid():
            self._after_fork()
        with self._lock:
            for _ in range(3):  # file, next file after damage, memory
                try:
                    return operation(self._open())
                except (_DamagedError, UnicodeDecodeError) as error:  # in a message of SQLite's
                    self._set_aside(error)
                except (sqlite3.DatabaseError, OSError) as error:
                    if self.in_memory:
                        raise
                    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE:
                        self._set_aside(error)
                    else:
                        self._fall_back(error)
            self._fall_back(sqlite3.DatabaseError("two files in turn were damaged"))
            return operation(self._open())

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        self._file = self.file
        if self.path is None:
            self._connection = _connect(":memory:")
            _require_tables(self._connection)
            return self._connection
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._connection = _connect(str(self._file))
        _require_tables(self._connection)
        return self._connection

    def _set_aside(self, error: Exception) -> None:
        self.close()
        reason = " ".join(str(error).split())  # SQLite takes several lines
        try:
            _damage_note(self._file).touch()
        except OSError as failure:
            self._fall_back(failure)
            return
        warnings.warn(
            f"{self._file}: the index is damaged ({reason}); it is set aside and built again, "
            "a quarantine in it is lost (`vidpred data doctor` finds broken videos again)",
            stacklevel=4,
        )

    def _fall_back(self, error: Exception) -> None:
        memory = _connect(":memory:")
        if self._connection is not None:
            try:  # what can be read and not be written is worth keeping
                self._connection.backup(memory)
            except sqlite3.Error:
                memory.close()
                memory = _connect(":memory:")
            self._connection.close()
        _require_tables(memory)
        self._connection, self.in_memory = memory, True
        warnings.warn(
            f"{self._file.parent}: the index cannot be kept there ({error}); this run keeps it in "
            "memory, the next one reads all videos again. Set VIDPRED_CACHE to a folder that can "
            "be written",
            stacklevel=4,
        )

    def _after_fork(self) -> None:
        self._pid, self._lock = os.getpid(), threading.RLock()
        # Tables in memory were copied by the fork and are this process's own.
        if self._connection is not None and not self.in_memory:
            _inherited.append(self._connection)
            self._connection = None


class _DamagedError(Exception):
    """What SQLite reports as a finding, or tables that are not ours."""


def _connect(name: str) -> sqlite3.Connection:
    # Transactions are begun and ended by hand; threads take turns by our own lock.
    connection = sqlite3.connect(
        name, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    # Damaged text is refused by who reads it.
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    return connection


def _require_tables(connection: sqlite3.Connection) -> None:
    def version() -> int:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])

    if version() == 0:
        connection.execute("BEGIN IMMEDIATE")
        if version() == 0:  # no other process made them in the meantime
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {STORE_VERSION}")
        connection.execute("COMMIT")
    if version() != STORE_VERSION:
        raise _DamagedError(f"its tables have version {version()}, not {STORE_VERSION}")


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.v{STORE_VERSION}.{number}.sqlite")


def _damage_note(file: Path) -> Path:
    return file.with_name(f"{file.name}.damaged")
