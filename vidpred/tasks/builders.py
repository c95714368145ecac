"""How a task keeps what builds its optimisers and schedulers."""

from typing import Any, Self


class Builders(tuple[Any, ...]):
    """Functions that the copies of a task share.

    Those of the command line lead to its parser, which cannot always be copied; and Lightning's
    weight average copies the task.
    """

    __slots__ = ()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Give the functions themselves."""
        return self
