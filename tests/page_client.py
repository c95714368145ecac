"""What a browser's tab does, without a browser."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import requests
from PIL import Image

PATIENCE_S = 300.0


class Client:
    """One tab, which hears what it holds for as long as it is open."""

    def __init__(self, address: str) -> None:
        answer = requests.post(f"{address}/api/tabs", timeout=PATIENCE_S)
        answer.raise_for_status()
        self.path = f"{address}/api/tabs/{answer.json()['tab']}"
        self.held: dict[str, Any] = {"clips": [], "predictions": []}
        self._changed = threading.Condition()
        self._events = requests.get(f"{self.path}/events", stream=True, timeout=PATIENCE_S)
        assert self._events.headers["content-type"].startswith("text/event-stream")
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            for line in self._events.iter_lines():
                if line.startswith(b"data: "):
                    with self._changed:
                        self.held = json.loads(line.removeprefix(b"data: "))
                        self._changed.notify_all()
        except (requests.RequestException, AttributeError, ValueError):
            return  # the tab was closed while it listened

    def close(self) -> None:
        """Close the tab as a browser does: the connection ends, and nothing is said."""
        connection = self._events.raw.connection or self._events.raw._connection
        if connection is not None and connection.sock is not None:
            connection.sock.shutdown(2)
        self._events.close()

    def wait(self, wanted: Callable[[dict[str, Any]], Any]) -> Any:
        """Wait until what is held gives something that is true."""
        deadline = time.monotonic() + PATIENCE_S
        with self._changed:
            while not (found := wanted(self.held)):
                left = deadline - time.monotonic()
                assert left > 0, self.held
                self._changed.wait(left)
        return found

    def wait_for(self, prediction: str, wanted: Callable[[dict[str, Any]], Any]) -> None:
        """Wait until something is true of a prediction."""

        def there(held: dict[str, Any]) -> bool:
            return any(p["key"] == prediction and wanted(p) for p in held["predictions"])

        self.wait(there)

    @property
    def forgotten(self) -> bool:
        """Whether the server knows this tab no longer."""
        answer = requests.delete(f"{self.path}/clips/none", timeout=PATIENCE_S)
        return "this tab" in answer.json()["problem"]

    def upload(self, content: bytes | Path, name: str = "clip.avi") -> requests.Response:
        """Send a clip."""
        body = content.read_bytes() if isinstance(content, Path) else content
        return requests.post(
            f"{self.path}/clips", params={"name": name}, data=body, timeout=PATIENCE_S
        )

    def ready(self, content: bytes | Path, name: str = "clip.avi") -> dict[str, Any]:
        """Send a clip, and give what is known of it when it has been read or refused."""
        answer = self.upload(content, name)
        assert answer.status_code == 201, answer.text
        key = answer.json()["clip"]
        return self.wait(lambda held: _ended(held["clips"], key, ("ready", "failed")))

    def ask(self, clip: str, model: str = "copy_last", **wanted: Any) -> requests.Response:
        """Ask for a prediction."""
        question = {"clip": clip, "model": model, "last": 8, "horizon": 3, **wanted}
        return requests.post(
            f"{self.path}/predictions", data=json.dumps(question), timeout=PATIENCE_S
        )

    def predicted(self, clip: str, model: str = "copy_last", **wanted: Any) -> dict[str, Any]:
        """Ask for a prediction, and give it when it is done or has failed."""
        answer = self.ask(clip, model, **wanted)
        assert answer.status_code == 201, answer.text
        key = answer.json()["prediction"]
        return self.wait(lambda held: _ended(held["predictions"], key, ("done", "failed")))

    def picture(self, prediction: str, kind: str, future: int, step: int) -> npt.NDArray[np.uint8]:
        """Give the pixels of a picture."""
        path = f"{self.path}/predictions/{prediction}/{kind}/{future}/{step}.png"
        answer = requests.get(path, stream=True, timeout=PATIENCE_S)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "image/png"
        return np.array(Image.open(answer.raw))


def _ended(items: list[dict[str, Any]], key: str, states: tuple[str, ...]) -> Any:
    return next((item for item in items if item["key"] == key and item["state"] in states), None)
