"""The address at which the page listens: on this machine alone."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from vidpred.errors import VidpredError

LOOPBACK = "127.0.0.1"


@contextmanager
def listening(port: int) -> Iterator[socket.socket]:
    """Take a port of the loopback address; nothing is answered yet.

    Args:
        port: 0 takes one that is free.

    Raises:
        VidpredError: When it is taken or not allowed.
    """
    try:
        found = socket.create_server((LOOPBACK, port))
    except OSError as error:
        raise VidpredError(
            f"--port {port}: cannot be listened on ({error.strerror}); choose another one, or 0 "
            "for any that is free"
        ) from error
    with found:
        yield found
