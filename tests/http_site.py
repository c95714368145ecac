"""A real HTTP server on this computer, with the faults of real sites."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Reply:
    """How one request is answered.

    Attributes:
        status: Other than 200 and 206: an empty answer with that status.
        break_after: Bytes after which the connection is closed without a word.
        announce: Content-Length instead of the true one.
        ranges: Whether the site knows `Range`.
        if_range: Whether it heeds `If-Range`.
        shift: Bytes by which it begins later than was asked for.
        silent_end: A 416 does not tell how long the file is.
        pause: Seconds before the first byte.
        pace: Seconds after every 64 KiB.
        headers: Further ones.
    """

    status: int | None = None
    break_after: int | None = None
    announce: int | None = None
    ranges: bool = True
    if_range: bool = True
    shift: int = 0
    silent_end: bool = False
    pause: float = 0
    pace: float = 0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Site:
    """Files, and what goes wrong.

    Attributes:
        address: Of the site, without a slash at its end.
        files: By path.
        etags: By path; files without one have no validator.
        replies: For the next requests, in order; later ones are answered well.
        otherwise: For the requests after those.
        ranges: The header `Range` of each request so far.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    replies: list[Reply] = field(default_factory=list)
    otherwise: Reply = field(default_factory=Reply)
    ranges: list[str | None] = field(default_factory=list)

    def put(self, path: str, content: bytes, etag: str | None = '"1"') -> str:
        """Put a file on the site and give its address."""
        self.files[path] = content
        self.etags.pop(path, None)
        if etag is not None:
            self.etags[path] = etag
        return self.address + path


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[Site]:
    """Serve until the block ends, over TLS with a certificate and key in one file."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self, site)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that went away in the middle, which tests do

    server = Server(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    site.address = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answer(handler: BaseHTTPRequestHandler, site: Site) -> None:
    reply = site.replies.pop(0) if site.replies else site.otherwise
    asked = handler.headers.get("Range")
    site.ranges.append(asked)
    time.sleep(reply.pause)
    content = site.files.get(handler.path)
    if reply.status is not None or content is None:
        _empty(handler, reply.status or 404, reply.headers)
        return
    etag = site.etags.get(handler.path)
    start = 0
    same = not reply.if_range or handler.headers.get("If-Range") in (None, etag)
    if asked and reply.ranges and same:
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            end = {} if reply.silent_end else {"Content-Range": f"bytes */{len(content)}"}
            _empty(handler, 416, end)
            return
        handler.send_response(206)
        start += reply.shift
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    else:
        handler.send_response(200)
    body = content[start:]
    if reply.announce != -1:
        handler.send_header("Content-Length", str(reply.announce or len(body)))
    if etag:
        handler.send_header("ETag", etag)
    if reply.ranges:
        handler.send_header("Accept-Ranges", "bytes")
    for name, value in reply.headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    body = body[: reply.break_after]
    for offset in range(0, len(body), 1 << 16):
        handler.wfile.write(body[offset : offset + (1 << 16)])
        time.sleep(reply.pace)


def _empty(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": "0", **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
