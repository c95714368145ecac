"""Random tensors from a generator on any device."""

import hashlib

import torch
from torch import Tensor


def named_generator(*names: object) -> torch.Generator:
    """Give the generator of something that has a name, whatever was drawn before.

    Args:
        names: Say what is drawn: a seed, a clip, the number of a future.

    Returns:
        A generator on the CPU: predictors on a GPU draw the same numbers from it.

    Example:
        >>> one, same, other = (named_generator("clip", k).initial_seed() for k in (0, 0, 1))
        >>> one == same, one == other
        (True, False)
    """
    digest = hashlib.sha256("\0".join(map(str, names)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def normal_like(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw from the standard normal distribution.

    The numbers depend on the generator and its device alone, so that a generator on the CPU gives
    a network on a GPU the same ones.

    Args:
        like: Gives shape, type and device.
        generator: On any device; None is the global one of `like`'s device.

    Returns:
        Independent values of mean 0 and variance 1.

    Example:
        >>> import torch
        >>> one = normal_like(torch.zeros(2), torch.Generator().manual_seed(0))
        >>> two = normal_like(torch.zeros(2), torch.Generator().manual_seed(0))
        >>> torch.equal(one, two)
        True
    """
    if generator is None:
        return torch.randn_like(like)
    drawn = torch.randn(
        like.shape, generator=generator, device=generator.device, dtype=torch.float32
    )
    return drawn.to(like)


def uniform_like(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw from the uniform distribution on [0, 1); see `normal_like`.

    Example:
        >>> import torch
        >>> drawn = uniform_like(torch.zeros(100), torch.Generator().manual_seed(0))
        >>> bool((drawn >= 0).all() and (drawn < 1).all())
        True
    """
    if generator is None:
        return torch.rand_like(like)
    drawn = torch.rand(
        like.shape, generator=generator, device=generator.device, dtype=torch.float32
    )
    return drawn.to(like)
