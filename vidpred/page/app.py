"""The page's addresses: what a browser asks for, and what it is given."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from vidpred.page.guards import LocalRequestsOnly
from vidpred.page.jobs import KINDS, Question
from vidpred.page.refusals import NOT_FOUND, Gone, PageError
from vidpred.page.tabs import Tab, Tabs
from vidpred.page.uploads import VIDEO_FILE, Upload

REDUCTIONS = (1, 2, 4, 8)
"""Factors by which frames may be reduced."""

_PACKAGED = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_PING_S = 5.0
_LOOK_S = 0.5
_WAIT_S = 0.1
_LARGEST_QUESTION = 4096  # bytes of JSON
_KEPT = {"cache-control": "private, max-age=3600, immutable"}

Examples = Mapping[str, Path]
"""Bundled clips, by name."""

Handler = Callable[[Request], Awaitable[Response]]


class Page:
    """Answers requests.

    Args:
        tabs: What the tabs hold.
        examples: Clips for who has none at hand.
        version: Of vidpred.
        stopping: Whether the server is about to end, so that no connection may keep it.
    """

    def __init__(
        self, tabs: Tabs, examples: Examples, version: str, stopping: Callable[[], bool]
    ) -> None:
        self._tabs = tabs
        self._examples = examples
        self._version = version
        self._stopping = stopping
        self._packaged = _packaged_files()

    def app(self) -> Starlette:
        """Give the application that a server runs."""
        tab, clip, prediction = "/api/tabs/{tab}", "/clips/{clip}", "/predictions/{prediction}"
        return Starlette(
            routes=[
                Route("/", self.index),
                Route("/static/{name}", self.static),
                Route("/api/about", self.about),
                Route("/api/tabs", self.open_tab, methods=["POST"]),
                Route(f"{tab}/events", self.events),
                Route(f"{tab}/clips", self.upload, methods=["POST"]),
                Route(f"{tab}/examples/{{name}}", self.example, methods=["POST"]),
                Route(f"{tab}{clip}", self.remove_clip, methods=["DELETE"]),
                Route(f"{tab}{clip}/frames/{{index}}.jpg", self.preview),
                Route(f"{tab}/predictions", self.predict, methods=["POST"]),
                Route(f"{tab}{prediction}", self.remove_prediction, methods=["DELETE"]),
                Route(f"{tab}{prediction}/{{kind}}/{{future}}/{{step}}.png", self.picture),
            ],
            middleware=[Middleware(LocalRequestsOnly)],
            exception_handlers={PageError: _refused, Gone: _gone, 404: _unknown, 405: _unknown},
            lifespan=self._lifespan,
        )

    async def index(self, request: Request) -> Response:
        """Give the page."""
        content, kind = self._packaged["index.html"]
        return Response(content, media_type=kind)

    async def static(self, request: Request) -> Response:
        """Give one of the packaged files; no other file has an address."""
        found = self._packaged.get(request.path_params["name"])
        if found is None:
            return await _unknown(request, None)
        return Response(found[0], media_type=found[1])

    async def about(self, request: Request) -> Response:
        """Give what the page needs before anything is dropped."""
        limits = self._tabs.limits
        return JSONResponse(
            {
                "version": self._version,
                "models": [choice.to_plain() for choice in self._tabs.choices.values()],
                "examples": list(self._examples),
                "reductions": REDUCTIONS,
                "limits": {
                    "upload_bytes": limits.upload_bytes,
                    "frames": limits.frames,
                    "horizon": limits.horizon,
                    "samples": limits.samples,
                },
            }
        )

    async def open_tab(self, request: Request) -> Response:
        """Begin a tab, which holds nothing."""
        return JSONResponse({"tab": self._tabs.open().key}, 201)

    async def events(self, request: Request) -> Response:
        """Send a tab what it holds, again with every change, for as long as it is open."""
        tab = self._tab(request)
        return StreamingResponse(self._changes(tab), media_type="text/event-stream")

    async def upload(self, request: Request) -> Response:
        """Take a clip: the body is the file, the query names it."""
        tab = self._tab(request)
        name = request.query_params.get("name", "clip")
        length = request.headers.get("content-length", "")
        announced = int(length) if re.fullmatch(r"\d{1,15}", length) else None
        while self._tabs.may_get_room(tab) and not self._stopping():
            await asyncio.sleep(_WAIT_S)
        upload = self._tabs.begin_upload(tab, name, announced)
        try:
            size = 0
            async for chunk in request.stream():
                size += len(chunk)
                self._tabs.require_size(upload.name, size)
                upload.folder.write(VIDEO_FILE, chunk)
            if size == 0:
                raise PageError(f"{upload.name}: the file is empty; expected a video")
            self._tabs.end_upload(tab, upload)
        except BaseException as error:  # a connection that ends is canceled
            self._discard(tab, upload)
            if isinstance(error, ClientDisconnect):
                return Response(status_code=400)
            raise
        return JSONResponse({"clip": upload.key}, 201)

    async def example(self, request: Request) -> Response:
        """Take a bundled clip."""
        source = self._examples.get(request.path_params["name"])
        if source is None:
            return await _unknown(request, None)
        tab = self._tab(request)
        upload = self._tabs.add_example(tab, request.path_params["name"], source)
        return JSONResponse({"clip": upload.key}, 201)

    async def remove_clip(self, request: Request) -> Response:
        """Remove a clip and what was predicted from it."""
        self._tabs.remove_upload(self._tab(request), request.path_params["clip"])
        return Response(status_code=204)

    async def preview(self, request: Request) -> Response:
        """Give a small picture of one frame of a clip."""
        upload = self._tab(request).upload(request.path_params["clip"])
        return _picture(upload.preview(_number(request.path_params["index"])), "image/jpeg")

    async def predict(self, request: Request) -> Response:
        """Begin a prediction; what comes of it is sent by `events`."""
        tab = self._tab(request)
        job = self._tabs.ask(tab, self._question(tab, await _json_body(request)))
        return JSONResponse({"prediction": job.key}, 201)

    async def remove_prediction(self, request: Request) -> Response:
        """Cancel a prediction, or forget it."""
        self._tabs.remove_job(self._tab(request), request.path_params["prediction"])
        return Response(status_code=204)

    async def picture(self, request: Request) -> Response:
        """Give one frame of a prediction, without loss."""
        wanted = request.path_params
        job = self._tab(request).job(wanted["prediction"])
        if wanted["kind"] not in KINDS:
            return await _unknown(request, None)
        path = job.picture(wanted["kind"], _number(wanted["future"]), _number(wanted["step"]))
        return _picture(path, "image/png")

    def _tab(self, request: Request) -> Tab:
        return self._tabs.get(request.path_params["tab"])

    def _question(self, tab: Tab, body: Mapping[str, Any]) -> Question:
        limits = self._tabs.limits
        upload = tab.upload(str(body.get("clip")))
        model = self._tabs.choices.get(str(body.get("model")))
        if model is None:
            known = ", ".join(self._tabs.choices)
            raise PageError(f"the model is {body.get('model')!r}; expected one of {known}")
        reduce = _whole(body, "reduce", REDUCTIONS[0], REDUCTIONS[-1])
        if reduce not in REDUCTIONS:
            raise PageError(f"reduce is {reduce}; expected one of {REDUCTIONS}")
        return Question(
            upload=upload,
            model=model,
            last=_whole(body, "last", 0, limits.frames),
            horizon=_whole(body, "horizon", 1, limits.horizon),
            reduce=reduce,
            samples=_whole(body, "samples", 1, limits.samples),
            seed=_whole(body, "seed", 0, 2**31 - 1),
        )

    def _discard(self, tab: Tab, upload: Upload) -> None:
        tab.uploads.pop(upload.key, None)
        upload.folder.remove()
        tab.changed()

    async def _changes(self, tab: Tab) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        change = asyncio.Event()

        def notify() -> None:
            loop.call_soon_threadsafe(change.set)

        tab.watchers.add(notify)
        try:
            change.set()
            quiet = 0.0
            while not (tab.closed or self._stopping()):
                if change.is_set():
                    change.clear()
                    yield f"data: {json.dumps(tab.to_plain(), allow_nan=False)}\n\n"
                    quiet = 0.0
                elif quiet >= _PING_S:
                    yield ": still here\n\n"  # a connection that has gone is noticed by writing
                    quiet = 0.0
                try:
                    await asyncio.wait_for(change.wait(), _LOOK_S)
                except TimeoutError:
                    quiet += _LOOK_S
        finally:
            tab.watchers.discard(notify)
            tab.left = time.monotonic()

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(self._close_abandoned_tabs())
        try:
            yield
        finally:
            task.cancel()
            self._tabs.stop()

    async def _close_abandoned_tabs(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            self._tabs.close_abandoned()


def _packaged_files() -> dict[str, tuple[bytes, str]]:
    """Read the page's own files once, by name."""
    folder = files("vidpred.page") / "static"
    found = {}
    for file in folder.iterdir():
        kind = _PACKAGED.get(Path(file.name).suffix)
        if kind is not None:
            found[file.name] = (file.read_bytes(), kind)
    return found


def _number(text: str) -> int:
    """Take the number of a picture from its address."""
    if re.fullmatch("[0-9]{1,9}", text) is None:
        raise PageError("this picture is not there", NOT_FOUND)
    return int(text)


def _picture(path: Path, kind: str) -> Response:
    try:
        content = (
            path.read_bytes()
        )  # at once: a prediction that is canceled takes its files with it
    except FileNotFoundError as error:
        raise PageError("this picture is not there", NOT_FOUND) from error
    return Response(content, media_type=kind, headers=_KEPT)


async def _json_body(request: Request) -> Mapping[str, Any]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_QUESTION:
            raise PageError(f"the request is larger than {_LARGEST_QUESTION} bytes")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PageError("the request is no JSON") from error
    if not isinstance(found, dict):
        raise PageError("the request is no JSON object")
    return found


def _whole(body: Mapping[str, Any], name: str, low: int, high: int) -> int:
    """Take a whole number from a request; `low` when it is not given."""
    value = body.get(name, low)
    if type(value) is not int or not low <= value <= high:
        raise PageError(f"{name} is {value!r}; expected a whole number from {low} to {high}")
    return value


async def _refused(request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, PageError) else 400
    # What is left of an upload is not read: the connection ends with the answer.
    return JSONResponse({"problem": str(error)}, status, headers={"connection": "close"})


async def _gone(request: Request, error: Exception) -> Response:
    return JSONResponse({"problem": "this tab was closed"}, NOT_FOUND)


async def _unknown(request: Request, error: Exception | None) -> Response:
    return JSONResponse({"problem": f"there is nothing at {request.url.path}"}, NOT_FOUND)
