"""What each open browser tab gave and asked for, until it is closed."""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch

from vidpred.page.choices import ModelChoice
from vidpred.page.disk import DiskBudget, Folder
from vidpred.page.jobs import Job, Question
from vidpred.page.limits import Limits
from vidpred.page.refusals import NOT_FOUND, TOO_LARGE, TOO_MANY, Gone, PageError, in_mebibytes
from vidpred.page.uploads import VIDEO_FILE, Upload
from vidpred.page.worker import Worker

T = TypeVar("T")

_READERS = 2
_FIRST_WATCH_S = 60.0
"""How long a new tab may take to begin to listen: a busy machine loads a page slowly."""

_PATIENCE_S = 2.0


@dataclass
class Tab:
    """One open tab.

    Attributes:
        key: Names it in addresses; it cannot be guessed, so no one else sees its clips.
        uploads: Its clips by key.
        jobs: Its predictions by key, oldest first.
        watchers: Connections that hear of changes.
        left: When the last of these ended, on the monotonic clock; until the first, when it has to
            have come.
        version: Grows with every change.
    """

    key: str
    uploads: dict[str, Upload] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    watchers: set[Callable[[], None]] = field(default_factory=set)
    left: float = field(default_factory=lambda: time.monotonic() + _FIRST_WATCH_S)
    closed: bool = False

    def changed(self) -> None:
        """Let all who watch know; may be called from any thread."""
        for notify in tuple(self.watchers):
            notify()

    def upload(self, key: str) -> Upload:
        """Give a clip.

        Raises:
            PageError: When there is none of that key.
        """
        return _found(self.uploads, key, "clip")

    def job(self, key: str) -> Job:
        """Give a prediction.

        Raises:
            PageError: When there is none of that key.
        """
        return _found(self.jobs, key, "prediction")

    def to_plain(self) -> dict[str, Any]:
        """Give what the page shows of it."""
        return {
            "clips": [upload.to_plain() for upload in self.uploads.values()],
            "predictions": [job.to_plain() for job in self.jobs.values()],
        }


class Tabs:
    """All open tabs, and the threads that work for them.

    Args:
        root: Folder for temporary files.
        limits: Of what they may take.
        choices: Models by name.
        device: Where they run.
        max_memory: Bytes that predicting may take.
    """

    def __init__(
        self,
        root: Path,
        limits: Limits,
        choices: Mapping[str, ModelChoice],
        *,
        device: torch.device,
        max_memory: int,
    ) -> None:
        self.limits = limits
        self.choices = choices
        self.budget = DiskBudget(limits.disk_bytes)
        self._root = root
        self._device = device
        self._max_memory = max_memory
        self._tabs: dict[str, Tab] = {}
        self._readers = Worker(_READERS)
        self._predictor = Worker()  # one at a time: each takes all cores, or the device

    def __len__(self) -> int:
        return len(self._tabs)

    def open(self) -> Tab:
        """Open a tab.

        Raises:
            PageError: When as many are open as may be.
        """
        if len(self._tabs) >= self.limits.tabs:
            raise PageError(
                f"{self.limits.tabs} tabs of this page are open, which is the most; close one and "
                "load this one again",
                TOO_MANY,
            )
        tab = Tab(_key())
        self._tabs[tab.key] = tab
        return tab

    def get(self, key: str) -> Tab:
        """Give an open tab.

        Raises:
            PageError: When there is none of that key.
        """
        return _found(self._tabs, key, "tab")

    def close(self, tab: Tab) -> None:
        """Cancel all work for a tab and remove its files."""
        self._tabs.pop(tab.key, None)
        tab.closed = True
        for job in tab.jobs.values():
            job.cancel()
        for upload in tab.uploads.values():
            upload.folder.remove()
        tab.changed()

    def close_abandoned(self) -> None:
        """Close the tabs that have gone and did not come back in time."""
        now = time.monotonic()
        for tab in list(self._tabs.values()):
            if not tab.watchers and now - tab.left > self.limits.grace_seconds:
                self.close(tab)

    def stop(self) -> None:
        """Close all tabs, and wait a moment for the threads."""
        for tab in list(self._tabs.values()):
            self.close(tab)
        self._readers.stop(_PATIENCE_S)
        self._predictor.stop(_PATIENCE_S)

    def may_get_room(self, tab: Tab) -> bool:
        """Whether a tab is full, of clips that are still read and may turn out to be of no use."""
        held = _usable(tab)
        full = len(held) >= self.limits.clips and not tab.closed
        return full and any(upload.state == "reading" for upload in held)

    def begin_upload(self, tab: Tab, name: str, announced: int | None) -> Upload:
        """Make room for a clip, whose bytes go into the file `VIDEO_FILE` of its folder.

        Args:
            tab: Whose it is.
            name: As the user calls it.
            announced: Bytes that will come; None when unknown.

        Raises:
            PageError: When it is too large, or there are too many.
        """
        if announced is not None:
            self.require_size(name, announced)
        usable = _usable(tab)
        if len(usable) >= self.limits.clips:
            raise PageError(
                f"{name}: this tab holds {self.limits.clips} clips, which is the most; remove one "
                "first",
                TOO_MANY,
            )
        # Clips that could not be read have been shown with their problem, and take no room.
        tab.uploads = {upload.key: upload for upload in usable}
        key = _key()
        folder = Folder(self._root / f"clip-{key}", self.budget)
        upload = Upload(key, name, folder, self.limits, tab.changed)
        tab.uploads[key] = upload
        return upload

    def require_size(self, name: str, size: int) -> None:
        """Refuse a file that is too large.

        Raises:
            PageError: Saying so.
        """
        if size > self.limits.upload_bytes:
            raise PageError(
                f"{name}: it is larger than {in_mebibytes(self.limits.upload_bytes)}, the most "
                "that this page takes; cut out the part to predict, or start `vidpred serve` with "
                "a larger --max-upload",
                TOO_LARGE,
            )

    def end_upload(self, tab: Tab, upload: Upload) -> None:
        """Read a clip that has come whole."""
        if tab.closed:
            raise Gone
        upload.state = "reading"
        tab.changed()
        self._readers.submit(upload.read)

    def add_example(self, tab: Tab, name: str, source: Path) -> Upload:
        """Take a clip of this machine as if it were uploaded."""
        upload = self.begin_upload(tab, name, source.stat().st_size)
        upload.folder.write(VIDEO_FILE, source.read_bytes())
        self.end_upload(tab, upload)
        return upload

    def remove_upload(self, tab: Tab, key: str) -> None:
        """Remove a clip and everything that was predicted from it."""
        upload = tab.upload(key)
        for job in [job for job in tab.jobs.values() if job.question.upload is upload]:
            self.remove_job(tab, job.key)
        del tab.uploads[key]
        upload.folder.remove()
        tab.changed()

    def ask(self, tab: Tab, question: Question) -> Job:
        """Predict when the predictions that were asked for earlier are done."""
        while len(tab.jobs) >= self.limits.predictions:
            self.remove_job(tab, next(iter(tab.jobs)))
        key = _key()
        folder = Folder(self._root / f"prediction-{key}", self.budget)
        job = Job(key, question, folder, self._device, self._max_memory, tab.changed)
        tab.jobs[key] = job
        self._predictor.submit(job.run)
        tab.changed()
        return job

    def remove_job(self, tab: Tab, key: str) -> None:
        """Cancel a prediction, or forget it."""
        tab.job(key).cancel()
        del tab.jobs[key]
        tab.changed()


def _key() -> str:
    return secrets.token_urlsafe(16)


def _usable(tab: Tab) -> list[Upload]:
    return [upload for upload in tab.uploads.values() if upload.state != "failed"]


def _found(items: Mapping[str, T], key: str, what: str) -> T:
    if key not in items:
        raise PageError(f"this {what} is no longer there; load the page again", NOT_FOUND)
    return items[key]
