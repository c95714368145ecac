"""Which video is drawn at each position of a training stream."""

from collections.abc import Iterator, Sequence

import numpy as np

RANDOM_DRAWS = 100
"""Videos that are drawn at random for one position before every video is tried in turn."""


class VideoDraws:
    """A uniform class and a uniform video of it, no video twice among neighbors.

    Source of the sampling: Mathieu et al. 2016, released code, on UCF101, which draws each position
    for itself. Here `together` positions share their draws out: no class comes back before all
    others came, and no video before all others of its class. Each position alone is drawn as there.

    Args:
        labels: Class of each video.
        together: Neighboring positions that share; 1 draws each for itself.
        seed: Of the whole stream.
    """

    def __init__(self, labels: Sequence[str], *, together: int, seed: int) -> None:
        self.together = together
        self._seed = seed
        self._count = len(labels)
        members: dict[str, list[int]] = {label: [] for label in sorted(set(labels))}
        for index, label in enumerate(labels):
            members[label].append(index)
        self._classes = list(members.values())

    def candidates(self, position: int) -> Iterator[int]:
        """Yield videos for a position, by number: the next is for when one cannot be used.

        They depend on the seed and the position alone; in the end every video has come.
        """
        yield self._first(position)
        rng = np.random.default_rng((self._seed, position))
        for _ in range(RANDOM_DRAWS):
            members = self._classes[rng.integers(len(self._classes))]
            yield members[rng.integers(len(members))]
        yield from range(self._count)

    def _first(self, position: int) -> int:
        group, place = divmod(position, self.together)
        # In every round each class comes once.
        turn, rank = divmod(place, len(self._classes))
        rng = np.random.default_rng((self._seed, group, 3, turn))
        label = int(rng.permutation(len(self._classes))[rank])
        members = self._classes[label]
        rounds = -(-self.together // len(self._classes))
        rng = np.random.default_rng((self._seed, group, 4, label))
        order = rng.choice(len(members), min(rounds, len(members)), replace=False)
        return members[int(order[turn % len(order)])]
