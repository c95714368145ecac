"""Work ahead of who consumes it: in a background thread, in a pool of threads, on a device."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
S = TypeVar("S")

BACKGROUND = "vidpred-background"
"""Name of the threads that run stages ahead."""

_PATIENCE_S = 0.1
"""How long a stage that is ahead sleeps before it looks whether it is still wanted."""


def in_background(items: Iterator[T], *, depth: int) -> Iterator[T]:
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
    thread = threading.Thread(target=work, name=BACKGROUND, daemon=True)
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


def mapped_ahead(function: Callable[[S], T], items: Iterable[S], *, workers: int) -> Iterator[T]:
    """Map in threads while earlier values are consumed; a few of them are held at a time.

    Args:
        function: Its work should leave Python's lock, as decoding does.
        items: Taken as they are needed.
        workers: Threads; 0 maps in this one.

    Yields:
        The values, in the order of the items; what the function raised is raised in its place.
    """
    if workers < 1:
        yield from map(function, items)
        return
    remaining = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[T]] = deque()
        try:
            waiting.extend(pool.submit(function, item) for item in islice(remaining, 2 * workers))
            while waiting:
                value = waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in islice(remaining, 1))
                yield value
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def one_ahead(items: Iterable[T], begin: Callable[[T], S], finish: Callable[[S], T]) -> Iterator[T]:
    """Begin the work on each item before the one ahead of it is handed over, in order.

    Args:
        items: Any number.
        begin: Starts what `finish` ends, and does not wait for it.
        finish: Gives the item that is handed over.
    """
    begun: list[S] = []
    for item in items:
        begun.append(begin(item))
        if len(begun) > 1:
            yield finish(begun.pop(0))
    yield from map(finish, begun)
