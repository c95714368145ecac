"""Work of one stage while the next one is busy."""

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")

_PATIENCE_S = 0.1
"""How long a stage that is ahead sleeps before it looks whether it is still wanted."""


def ahead(items: Iterator[T], *, depth: int) -> Iterator[T]:
    """Run an iterator in a thread of its own, a few items ahead of who consumes them.

    Decoding, networks and encoding leave Python's lock, so stages run side by side.

    Args:
        items: Used in that thread alone; closed at the end when it is a generator.
        depth: Items that may wait.

    Yields:
        The same items; then what the iterator raised is raised.
    """
    waiting: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(depth)
    unwanted = threading.Event()

    def put(item: tuple[T] | BaseException | None) -> bool:
        while not unwanted.is_set():
            try:
                waiting.put(item, timeout=_PATIENCE_S)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put((item,)):
                    break
            else:
                put(None)
        except BaseException as error:
            put(error)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    # A daemon: a stage that waits for a silent pipe must not keep the program from ending.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item = waiting.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item[0]
    finally:
        unwanted.set()
        thread.join(timeout=10 * _PATIENCE_S)
