"""What the page answers to a request that it refuses."""

from vidpred.errors import VidpredError

BAD_REQUEST = 400
FORBIDDEN = 403
NOT_FOUND = 404
TOO_LARGE = 413
UNREADABLE = 422
TOO_MANY = 429
DISK_FULL = 507


class PageError(VidpredError):
    """A request that the page refuses; its sentence is shown to the user.

    Args:
        sentence: What came, what was expected and what to do.
        status: HTTP status.
    """

    def __init__(self, sentence: str, status: int = BAD_REQUEST) -> None:
        super().__init__(sentence)
        self.status = status


class Gone(Exception):  # noqa: N818  no mistake of anyone's: the user changed their mind
    """The tab was closed, or the user canceled: work for it ends here."""


def in_mebibytes(amount: int) -> str:
    """Write a number of bytes."""
    return f"{amount / 2**20:,.0f} MiB"
