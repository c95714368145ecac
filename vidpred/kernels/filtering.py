"""The matrices of minimal filtering F(4 x 4, n x n)."""

from fractions import Fraction
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

TILE = 4
"""Rows and columns of outputs that are computed together."""

TAPS = {3: 3, 5: 5, 7: 4}
"""Rows and columns n that are filtered together, by kernel size.

All 7 rows would need points at which float32 loses a digit more; they are cut into 4 and 3, which
takes 12.25 products an output where 49 were.
"""


def first_taps(kernel: int) -> range:
    """Give the first row, or column, of each part that a kernel is cut into."""
    return range(0, kernel, TAPS[kernel])


_POINTS = (0, 1, -1, 2, -2, Fraction(1, 2), Fraction(-1, 2))


class Filtering(NamedTuple):
    """The matrices of the three transforms, in the notation of Lavin and Gray 2016.

    Along one axis Y = A^T ((G g) * (B^T d)) for a filter g and inputs d. With t = 4 + n - 1 points;
    rows of G and B^T and columns of A^T belong to 0, then to points and their negatives in turn,
    then, where t is even, to infinity.

    Attributes:
        output: A^T, shape (4, t).
        filter: G, shape (t, n).
        input: B^T, shape (t, t).
    """

    output: Tensor
    filter: Tensor
    input: Tensor


@cache
def filtering(taps: int, dtype: torch.dtype) -> Filtering:
    """Evaluate polynomials at t points (Toom and Cook).

    Args:
        taps: n, one of the values of `TAPS`.
        dtype: Of the matrices.
    """
    side = TILE + taps - 1
    infinity = side % 2 == 0
    points = [Fraction(point) for point in _POINTS[: side - infinity]]
    outputs = [[p**k for p in points] for k in range(TILE)]
    kernels, inputs = [], []
    for p in points:
        others = [q for q in points if q != p]
        scale = Fraction(1)
        for q in others:
            scale *= p - q
        kernels.append([p**k / scale for k in range(taps)])
        inputs.append(_with_roots(others))
    if infinity:
        for k, row in enumerate(outputs):
            row.append(Fraction(k == TILE - 1))
        for row in inputs:
            row.append(Fraction(0))
        kernels.append([Fraction(k == taps - 1) for k in range(taps)])
        inputs.append(_with_roots(points))
    outputs_t, kernels_t, inputs_t = (
        torch.tensor([[float(value) for value in row] for row in matrix], dtype=torch.float64)
        for matrix in (outputs, kernels, inputs)
    )
    # What one side of a product loses in size the other gains: both stay near 1, for precision.
    balance = (kernels_t.abs().amax(1) / inputs_t.abs().amax(1)).sqrt().unsqueeze(1)
    return Filtering(
        outputs_t.to(dtype), (kernels_t / balance).to(dtype), (inputs_t * balance).to(dtype)
    )


def on_both_axes(matrix: Tensor, values: Tensor) -> Tensor:
    """Multiply rows and columns of (n, n, M) from the left: (m, m, M) for a matrix (m, n).

    A quarter of the work of one product with both axes in one.
    """
    by_rows = torch.bmm(matrix.expand(len(values), -1, -1), values.transpose(0, 1))
    return torch.bmm(matrix.expand(len(matrix), -1, -1), by_rows.transpose(0, 1))


def _with_roots(roots: list[Fraction]) -> list[Fraction]:
    """Multiply out the polynomial with these roots; coefficients from the constant on."""
    polynomial = [Fraction(1)]
    for root in roots:
        raised = [Fraction(0), *polynomial]
        polynomial = [a - root * b for a, b in zip(raised, [*polynomial, Fraction(0)], strict=True)]
    return polynomial
