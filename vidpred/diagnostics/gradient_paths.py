"""Where the terms of a loss lead: which weights each of them moves, by autograd."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge

from vidpred.diagnostics.probing import trainable
from vidpred.losses import Objective


@dataclass(frozen=True)
class Path:
    """What one term at one scale does to the parts of a network.

    Attributes:
        norms: Norm of the gradient in each part's parameters; None where nothing connects the two.
    """

    norms: tuple[float | None, ...]

    def connects(self, part: int) -> bool:
        """Say whether the term depends on this part."""
        return self.norms[part] is not None

    def moves(self, part: int) -> bool:
        """Say whether the term has a gradient in this part; one that is not finite counts."""
        norm = self.norms[part]
        return norm is not None and norm != 0


def paths(
    objective: Objective, parts: Sequence[Sequence[nn.Parameter]]
) -> dict[tuple[str, int], Path]:
    """Follow each term at each scale back to the weights, before its own weight.

    Args:
        objective: With its graph; the graph is kept.
        parts: Parameters of the parts of a network, each part at least one.

    Returns:
        By name and scale; a scalar term has the one scale 0, and one norm of all parts together.
    """
    flat = [parameter for part in parts for parameter in part]
    found: dict[tuple[str, int], list[Tensor | None]] = {}
    for name, term in objective.terms.items():
        for scale, root in enumerate(_roots(term)):
            found[name, scale] = _norms(root, term, flat, parts if term.ndim else [flat])
    # All at once: on a GPU each number that is read waits for all work before it.
    known = [norm for norms in found.values() for norm in norms if norm is not None]
    numbers = iter(torch.stack(known).tolist() if known else [])
    return {
        key: Path(tuple(None if norm is None else next(numbers) for norm in norms))
        for key, norms in found.items()
    }


def _roots(term: Tensor) -> list[Tensor | GradientEdge | None]:
    """Give where the graph of each scale begins; None for a constant.

    An element of a stacked tensor leads into all that was stacked, with gradients of zero that are
    computed all the same. What went into the stack leads to its own weights alone.
    """
    node = term.grad_fn
    if node is None:
        return [None] * term.numel()
    if not term.ndim:
        return [term]
    edges = node.next_functions
    if node.name() != "StackBackward0" or len(edges) != len(term):
        return list(term)
    return [None if edge is None else GradientEdge(edge, k) for edge, k in edges]


def _norms(
    root: Tensor | GradientEdge | None,
    term: Tensor,
    flat: Sequence[nn.Parameter],
    parts: Sequence[Sequence[nn.Parameter]],
) -> list[Tensor | None]:
    if root is None or not flat:
        return [None] * len(parts)
    one = torch.ones((), dtype=term.dtype, device=term.device)
    gradients = iter(
        torch.autograd.grad(root, flat, grad_outputs=one, retain_graph=True, allow_unused=True)
    )
    norms: list[Tensor | None] = []
    for part in parts:
        present = [gradient for _ in part if (gradient := next(gradients)) is not None]
        norms.append(torch.nn.utils.get_total_norm(present).float() if present else None)
    return norms


def coefficients(objective: Objective) -> dict[str, list[float]]:
    """Differentiate the loss by its terms: the weights that it really gives them, one a scale.

    Terms that are constants are left out.
    """
    terms = {name: term for name, term in objective.terms.items() if term.requires_grad}
    if not terms or not objective.loss.requires_grad:
        return {name: [0.0] * term.numel() for name, term in terms.items()}
    found = torch.autograd.grad(
        objective.loss, list(terms.values()), retain_graph=True, allow_unused=True
    )
    return {
        name: [0.0] * term.numel() if gradient is None else gradient.reshape(-1).tolist()
        for (name, term), gradient in zip(terms.items(), found, strict=True)
    }


def unreached(objective: Objective, named: Mapping[str, nn.Parameter]) -> list[str]:
    """Name the parameters on which the loss does not depend.

    Args:
        objective: With its graph; the graph is kept.
        named: Parameters by name.
    """
    if not objective.loss.requires_grad or not named:
        return list(named)
    found = torch.autograd.grad(
        objective.loss, list(named.values()), retain_graph=True, allow_unused=True
    )
    return [name for name, gradient in zip(named, found, strict=True) if gradient is None]


@contextmanager
def other_weights(*modules: nn.Module) -> Iterator[None]:
    """Lend networks fresh random weights: no layer is dead, and no output is saturated."""
    parameters = [parameter for module in modules for parameter in trainable(module)]
    kept = [parameter.data for parameter in parameters]
    generator = torch.Generator().manual_seed(0)
    try:
        for parameter in parameters:
            if parameter.ndim > 1:
                fan_in = parameter[0].numel()
                fresh = torch.randn(parameter.shape, generator=generator) * math.sqrt(2 / fan_in)
            else:
                fresh = torch.rand(parameter.shape, generator=generator) * 0.1
            parameter.data = fresh.to(parameter)
        yield
    finally:
        for parameter, before in zip(parameters, kept, strict=True):
            parameter.data = before
