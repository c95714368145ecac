"""Who may talk to the page: this machine's browser, from the page itself.

A page that listens on the loopback address is open to every web site that the browser visits: a
site can send requests there, and one whose name is made to point to 127.0.0.1 (DNS rebinding) can
read the answers. So requests under a foreign name and requests from foreign pages are refused.
"""

from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vidpred.page.refusals import FORBIDDEN

OUR_NAMES = ("127.0.0.1", "localhost", "[::1]")

SECURITY_HEADERS = {
    # Nothing from elsewhere, nothing inline, and no other page may show this one in a frame.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class LocalRequestsOnly:
    """Refuses requests of other sites, and adds headers that keep the page to itself.

    Args:
        app: The application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        problem = foreign(Headers(scope=scope), scope["method"], scope["path"])
        if problem is None:
            await self._app(scope, receive, send_with_headers)
        else:
            answer = JSONResponse({"problem": problem}, FORBIDDEN)
            await answer(scope, receive, send_with_headers)


def foreign(headers: Headers, method: str, path: str) -> str | None:
    """Say why a request is not one of the page's own; None when it is.

    Args:
        headers: Of the request.
        method: Its HTTP method.
        path: Of its address.
    """
    host = headers.get("host", "")
    if len(headers.getlist("host")) != 1 or _name_of(host) not in OUR_NAMES:
        return f"the address names the host {host!r}; expected one of {_listed(OUR_NAMES)}"
    origin = headers.get("origin")
    if origin is not None and origin.lower() != f"http://{host.lower()}":
        return f"the request comes from a page of {origin!r}; expected this page itself"
    site = headers.get("sec-fetch-site", "none")
    if site not in ("same-origin", "none") and not _follows_a_link(headers, method, path):
        return f"the request comes from another page ({site}); expected this page itself"
    return None


def _follows_a_link(headers: Headers, method: str, path: str) -> bool:
    """Whether somebody came here by a link elsewhere, such as one in a notebook."""
    return (
        (method, path) == ("GET", "/")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _name_of(host: str) -> str:
    """Cut the port off: behind an SSH tunnel it is another one than ours."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
