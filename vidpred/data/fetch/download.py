"""Large files over HTTP: resumed where they broke off, whole or not there under their name."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import requests
import urllib3

from vidpred.data.fetch.http import (
    Answer,
    Retry,
    StartOver,
    Version,
    read_answer,
    refuse_certificate,
)
from vidpred.data.fetch.remote import Remote, check_file
from vidpred.errors import DataError
from vidpred.files import write_json

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and, when it is known, the number of all."""

CHUNK = 1 << 20
CONNECT_TIMEOUT = 20.0
"""Connection timeout, in seconds."""

LONGEST_PAUSE = 120.0
"""Seconds between two attempts, whatever the site asks for."""


def download(
    remote: Remote,
    path: Path,
    *,
    retries: int = 8,
    timeout: float = 60.0,
    backoff: float = 2.0,
    room: float = 1.0,
    progress: Progress | None = None,
    notice: Callable[[str], None] | None = None,
) -> Path:
    """Fetch a file, resuming where an earlier attempt broke off.

    What has arrived is in `<name>.part` next to `path`, and what the site said about that version
    of the file (ETag or date) in `<name>.part.json`: only the same version is resumed, any other
    starts over. Proxies and certificates follow the usual variables of the environment
    (`HTTPS_PROXY`, `REQUESTS_CA_BUNDLE`). Certificates are always checked.

    Args:
        remote: The file.
        path: Where it goes, in a folder that exists. A file that is there is checked, not fetched.
        retries: Attempts in a row that bring nothing new before it gives up.
        timeout: Seconds of silence after which a connection counts as broken.
        backoff: Seconds before the second attempt; doubles with each one that brings nothing.
        room: Free disk space that must be there before anything is written, as a multiple of what
            is still to come of the file plus, above 1, of the whole file.
        progress: Called as bytes arrive.
        notice: Called with a sentence for the user when an attempt failed and another follows.

    Returns:
        `path`.

    Raises:
        ValueError: For an argument out of range.
        DataError: When the file cannot be had, is not what it should be, or cannot be written.
    """
    if retries < 0 or timeout <= 0 or backoff < 0 or room < 1:
        raise ValueError(
            f"retries is {retries}, timeout {timeout}, backoff {backoff}, room {room}; expected at "
            "least 0, more than 0, at least 0 and at least 1"
        )
    if urlsplit(remote.address).scheme not in ("http", "https"):
        raise DataError(f"{remote.address}: expected an address of https:// or http://")
    transfer = _Transfer(remote, path, timeout=timeout, room=room, progress=progress)
    try:
        if not path.exists():
            transfer.fetch(retries, backoff, notice or _no_notice)
            transfer.finish()
        else:
            advice = f"Delete {path} and run the command again, or name another copy of the file"
            check_file(remote, path, advice=advice)
    except OSError as error:
        # requests' own errors are OSErrors too, and never come this far.
        raise DataError(
            f"{error.filename or path}: cannot be written ({error.strerror or error}); what has "
            "arrived is kept. Make room or mend the permissions and run the same command again"
        ) from error
    return path


@dataclass
class _Transfer:
    """One file on its way: the bytes so far, and which version of the file they are of."""

    remote: Remote
    path: Path
    timeout: float
    room: float
    progress: Progress | None
    part: Path = field(init=False)
    state: Path = field(init=False)

    def __post_init__(self) -> None:
        self.part = self.path.with_name(f"{self.path.name}.part")
        self.state = self.path.with_name(f"{self.path.name}.part.json")

    def fetch(self, retries: int, backoff: float, notice: Callable[[str], None]) -> None:
        """Attempt until the file is there; an attempt that brings more than any before is free."""
        best, fruitless = self._bytes_there(), 0
        with requests.Session() as session:
            while True:
                try:
                    return self._attempt(session)
                except Retry as broken:
                    there = self._bytes_there()
                    fruitless = 0 if there > best else fruitless + 1
                    best = max(best, there)
                    if fruitless > retries:
                        raise DataError(
                            f"{self.remote.address}: {broken}, {fruitless} times in a row; "
                            f"{there:,} bytes are kept in {self.part}. Run the same command again "
                            "to resume from there, or name another copy of the file"
                        ) from broken
                    pause = broken.wait or backoff * 2 ** max(fruitless - 1, 0)
                    pause = min(pause, LONGEST_PAUSE)
                    notice(f"{broken}; {there:,} bytes are there, resuming in {pause:.0f} s")
                    time.sleep(pause)

    def finish(self) -> None:
        """Give the file its name, or delete it when it is not what it should be."""
        advice = "It was deleted; run the command again, or name another copy of the file"
        try:
            check_file(self.remote, self.part, advice=advice)
        except DataError:
            self._forget()
            raise
        os.replace(self.part, self.path)
        self._forget()

    def _attempt(self, session: requests.Session) -> None:
        """Fetch what is missing.

        Raises:
            Retry: When less than all came.
            DataError: When trying again is of no use.
        """
        try:
            answer = self._ask(session)
            with closing(answer):
                if not answer.at_end:
                    self._receive(answer)
            if answer.may_have_more:
                self._ask_for_more(session)
        except StartOver as changed:
            self._forget()
            raise Retry(str(changed)) from changed
        except urllib3.exceptions.HTTPError as error:
            raise Retry(f"the connection broke ({type(error).__name__})") from error

    def _ask(self, session: requests.Session) -> Answer:
        version = self._version()
        there = self._bytes_there() if version else 0
        # Bytes are counted as they lie on the site, so they must not be compressed for the way.
        headers = {"Accept-Encoding": "identity"}
        if version and there:
            headers |= {"Range": f"bytes={there}-", "If-Range": version.validator}
        try:
            response = session.get(
                self.remote.address,
                headers=headers,
                stream=True,
                timeout=(min(CONNECT_TIMEOUT, self.timeout), self.timeout),
            )
        except requests.exceptions.SSLError as error:
            refuse_certificate(self.remote.address, error)
            raise Retry("no secure connection came about") from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise Retry("the site cannot be reached") from error
        except requests.RequestException as error:
            raise DataError(f"{self.remote.address}: {error}") from error
        try:
            return read_answer(response, there=there, version=version)
        except BaseException:
            response.close()
            raise

    def _receive(self, answer: Answer) -> None:
        chunks = _chunks(answer.response)
        first = next(chunks, b"")
        # Before anything that is there is given up for this: a page of a captive portal, say.
        self._require_magic(first, answer)
        total = answer.total
        self._require_room(answer.start, total)
        if answer.start == 0:
            self._forget()
            if answer.validator:
                note = {"address": self.remote.address, "validator": answer.validator}
                write_json(self.state, note | {"total": total})
        there = answer.start
        with self.part.open("ab") as file:
            there += self._write(file, first, there, total)
            for chunk in chunks:
                there += self._write(file, chunk, there, total)
        if total is not None and there < total:
            raise Retry(f"the site announced {total:,} bytes and sent {there:,}")
        if total is not None and there > total:
            raise StartOver(f"the site announced {total:,} bytes and sent {there:,}")

    def _write(self, file: BinaryIO, chunk: bytes, there: int, total: int | None) -> int:
        file.write(chunk)
        if self.progress is not None:
            self.progress(there + len(chunk), total)
        return len(chunk)

    def _ask_for_more(self, session: requests.Session) -> None:
        """Continue behind the announced end: some sites announce less than they have."""
        if self._version() is None:
            return
        answer = self._ask(session)
        with closing(answer):
            if answer.start and not answer.at_end:
                self._receive(answer)

    def _require_magic(self, first: bytes, answer: Answer) -> None:
        if answer.start or not self.remote.magics or first.startswith(self.remote.magics):
            return
        if not first:
            raise Retry("the site sent nothing")
        kind = answer.response.headers.get("Content-Type", "unknown")
        raise DataError(
            f"{self.remote.address}: sent something else than an archive (content type {kind}, "
            f"beginning {first[:40]!r}). Open the address in a browser to see what it is: a page "
            "to log in to the network, or a note that the file has moved"
        )

    def _require_room(self, there: int, total: int | None) -> None:
        total = total or self.remote.size
        if total is None:
            return
        needed = total - there + int((self.room - 1) * total)
        free = shutil.disk_usage(self.path.parent).free
        if free < needed:
            raise DataError(
                f"{self.path.parent}: {needed:,} bytes are needed and {free:,} are free. Make "
                "room, or choose a folder on another disk"
            )

    def _version(self) -> Version | None:
        """Give what the bytes that are there belong to; None when they are not to be trusted."""
        try:
            note = json.loads(self.state.read_text(encoding="utf-8"))
            if note["address"] != self.remote.address:
                return None
            return Version(str(note["validator"]), note["total"])
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None

    def _bytes_there(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _forget(self) -> None:
        # The bytes before the note: a kill in between must not leave old bytes with a new note.
        self.part.unlink(missing_ok=True)
        self.state.unlink(missing_ok=True)


def _chunks(response: requests.Response) -> Iterator[bytes]:
    yield from response.raw.stream(CHUNK, decode_content=False)


def _no_notice(sentence: str) -> None:
    """Say nothing."""
