"""How many possible futures are reached, and how much futures of one past differ."""

import torch
from torch import Tensor


def mode_coverage(futures: Tensor, modes: Tensor) -> Tensor:
    """Give the share of possible futures that K drawn ones reach.

    A drawn future reaches the mode that is nearest to it, if it is nearer to it than half the
    smallest distance of two modes: the mean of modes that are equally far apart reaches none.

    Args:
        futures: Drawn futures, shape (K, B, ...).
        modes: All futures that are possible, shape (M, B, ...), M at least 2, in the same range.

    Returns:
        Shape (B,), in [0, 1]; M equally likely modes are all reached by about M * log(M) draws.

    Raises:
        ValueError: For shapes that do not belong together, or modes that are equal.

    Example:
        >>> import torch
        >>> modes = torch.eye(4)[:, None]  # of one past
        >>> mode_coverage(modes[[0, 0, 2]], modes)
        tensor([0.5000])
    """
    futures, modes = _flat(futures, modes)
    apart = _distances(modes, modes)
    apart.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    radius = apart.amin(dim=(1, 2)) / 2
    if not (radius > 0).all():
        raise ValueError("two modes are equal; expected futures that differ")
    distances, nearest = _distances(futures, modes).min(dim=2)
    hits = torch.nn.functional.one_hot(nearest, modes.shape[1]).bool()
    reached = (hits & (distances < radius[:, None])[..., None]).any(dim=1)
    return reached.float().mean(dim=1)


def future_diversity(futures: Tensor, truth: Tensor) -> Tensor:
    """Give how far two drawn futures of a past are apart, as a part of how far two true ones are.

    Both as the mean Euclidean distance: of the drawn ones over all pairs, of the true ones, each of
    which is equally likely, over two independent choices.

    Args:
        futures: Drawn futures, shape (K, B, ...), K at least 2.
        truth: M futures that are equally likely, shape (M, B, ...), M at least 2.

    Returns:
        Shape (B,): 0 when all are alike, about 1 when they are drawn as the truth is.

    Raises:
        ValueError: For shapes that do not belong together, or true futures that are all equal.

    Example:
        >>> import torch
        >>> truth = torch.eye(2)[:, None]
        >>> future_diversity(truth[[0, 0, 0]], truth), future_diversity(truth[[0, 1, 0]], truth)
        (tensor([0.]), tensor([1.3333]))
    """
    if len(futures) < 2:
        raise ValueError(f"{len(futures)} futures; expected at least 2 to compare")
    drawn, true = _flat(futures, truth)
    count = drawn.shape[1]
    of_drawn = _distances(drawn, drawn).sum(dim=(1, 2)) / (count * (count - 1))
    of_true = _distances(true, true).mean(dim=(1, 2))
    if not (of_true > 0).all():
        raise ValueError("all true futures are equal; expected some that differ")
    return of_drawn / of_true


def _flat(futures: Tensor, modes: Tensor) -> tuple[Tensor, Tensor]:
    """Bring (K, B, ...) and (M, B, ...) to (B, K, D) and (B, M, D), float."""
    if futures.ndim < 3 or futures.shape[1:] != modes.shape[1:] or len(modes) < 2:
        raise ValueError(
            f"futures have shape {tuple(futures.shape)} and true ones {tuple(modes.shape)}; "
            "expected (K, B, ...) and (M, B, ...) with M at least 2"
        )
    if not futures.is_floating_point() or not modes.is_floating_point():
        raise ValueError(
            f"futures are {futures.dtype} and true ones {modes.dtype}; expected floating point"
        )
    one, other = (of.flatten(2).transpose(0, 1).float() for of in (futures, modes))
    return one, other


def _distances(one: Tensor, other: Tensor) -> Tensor:
    # By differences: by products, equal futures are not at distance 0.
    return torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist")
