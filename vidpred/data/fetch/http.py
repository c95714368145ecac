"""What a site's answer to a request for a file, or for the rest of it, says."""

import re
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

from vidpred.errors import DataError

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")

TRY_LATER = (408, 425, 429, 500, 502, 503, 504)
"""States that pass: too slow, too many, and the site's own trouble."""

CERTIFICATE_TROUBLE = {
    "www.crcv.ucf.edu": "This site's certificate was refused by others before "
    "(github.com/tensorflow/datasets/issues/2800). "
}


class Retry(Exception):  # noqa: N818  it says what to do, and never leaves the download
    """An attempt that failed in a way that passes."""

    def __init__(self, problem: str, wait: float | None = None) -> None:
        """Say what happened.

        Args:
            problem: As a part of a sentence.
            wait: Seconds that the site asks for.
        """
        super().__init__(problem)
        self.wait = wait


class StartOver(Exception):  # noqa: N818  see above
    """The bytes that are there belong to another version of the file."""


@dataclass(frozen=True)
class Version:
    """Which version of a file the bytes that are there belong to.

    Attributes:
        validator: Its strong ETag, or else the date of its last change.
        total: Bytes of the whole file as the site announced them.
    """

    validator: str
    total: int | None


@dataclass
class Answer:
    """An answer that brings bytes.

    Attributes:
        response: With its body to come.
        start: Place of its first byte in the file.
        total: Bytes of the whole file, when the site says so.
        validator: Value of `If-Range` that names this version of the file, or None.
        at_end: There is nothing to come, for all is there already.
    """

    response: requests.Response
    start: int
    total: int | None
    validator: str | None
    at_end: bool = False

    @property
    def may_have_more(self) -> bool:
        """Whether only a further question shows that the announced end is the true one."""
        headers = self.response.headers
        return self.response.status_code == 200 and headers.get("Accept-Ranges") == "bytes"

    def close(self) -> None:
        """Give the connection back."""
        self.response.close()


def read_answer(response: requests.Response, *, there: int, version: Version | None) -> Answer:
    """Judge an answer before its body is read.

    A whole file in answer to a request for the rest is taken: the site knows no ranges, or the
    file has changed.

    Args:
        response: To a request for the file from byte `there` on.
        there: Bytes that are there.
        version: What they are of.

    Raises:
        Retry: When the site has passing trouble.
        StartOver: When the rest cannot be had, but perhaps the whole.
        DataError: When there is nothing to be had.
    """
    status, address = response.status_code, response.url
    asked = response.history[0].url if response.history else address
    if urlsplit(asked).scheme == "https" and urlsplit(address).scheme != "https":
        raise DataError(
            f"{asked}: leads from https to {address}, where anyone on the way could change the "
            "file. Name another copy of the file"
        )
    if status == 200:
        return Answer(response, 0, _length(response), _validator(response))
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    total = int(found[3]) if found and found[3] != "*" else None
    if status == 206:
        if not found or found[1] is None or int(found[1]) != there:
            raise StartOver("the site sent another part of the file than it was asked for")
        _require_same(response, version)
        return Answer(response, there, total, _validator(response))
    if status == 416 and there:
        # Nothing is left behind the last byte; a site need not say how many bytes there are.
        if there == (total if total is not None else version and version.total):
            return Answer(response, there, there, None, at_end=True)
        raise StartOver("the file on the site is not the one that was begun")
    if status in TRY_LATER:
        raise Retry(f"the site answered {status} {response.reason}", wait=_asked_wait(response))
    raise DataError(
        f"{asked}: the site answered {status} {response.reason}. Look in a browser whether the "
        "file has moved, and name its new address or a copy on your disk"
    )


def _require_same(response: requests.Response, version: Version | None) -> None:
    # A site that knows ranges and not `If-Range` would mix two versions into one file.
    names = {response.headers.get(name) for name in ("ETag", "Last-Modified")} - {None}
    if names and version is not None and version.validator not in names:
        raise StartOver("the file has changed on the site")


def refuse_certificate(address: str, error: BaseException) -> None:
    """Refuse a site whose certificate is not accepted; other failures of TLS pass.

    Raises:
        DataError: When it is about the certificate.
    """
    cause = next(
        (link for link in _chain(error) if isinstance(link, ssl.SSLCertVerificationError)), None
    )
    if cause is None:
        return
    host = urlsplit(address).hostname or address
    raise DataError(
        f"{address}: the certificate of {host} was not accepted ({cause.verify_message}), so "
        f"what came could be from anyone. {CERTIFICATE_TROUBLE.get(host, '')}Look at this "
        "computer's date; renew the list of authorities (`pip install --upgrade certifi`), or "
        "name your organisation's in the variable REQUESTS_CA_BUNDLE; or download the file with "
        "a browser, which can fetch certificates that a site forgets to send, and name the file "
        "in place of the address"
    ) from error


def _chain(error: BaseException | None) -> "list[BaseException]":
    links: list[BaseException] = []
    waiting = [error]
    while waiting:
        link = waiting.pop()
        if link is None or link in links:
            continue
        links.append(link)
        # urllib3 keeps the cause in `reason`, requests and urllib3 in `args` or in the chain.
        nested = [
            arg
            for arg in (*link.args, getattr(link, "reason", None))
            if isinstance(arg, BaseException)
        ]
        waiting += [link.__cause__, link.__context__, *nested]
    return links


def _length(response: requests.Response) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None


def _validator(response: requests.Response) -> str | None:
    etag = response.headers.get("ETag")
    # A weak tag says that two versions mean the same, not that their bytes agree.
    if etag and not etag.startswith("W/"):
        return etag
    return response.headers.get("Last-Modified")


def _asked_wait(response: requests.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None
