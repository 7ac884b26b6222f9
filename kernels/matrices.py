"""Functions of whole matrices that emitted source may call; numba compiles them with the caller, LAPACK does the work.

Arguments may be views of larger arrays; LAPACK wants them contiguous. Results go to ``out``, numbers are returned.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import register_jitable

DEGREE = 7
"""Of the diagonal Padé approximant of exp: on ‖x‖ ≤ 1/2 its relative error is below 1e-18."""
MOST_SQUARINGS = 1100
"""Beyond this a double is infinite."""


@register_jitable
def inv(matrix: np.ndarray, out: np.ndarray) -> None:
    """out = matrix⁻¹."""
    out[:] = np.linalg.inv(np.ascontiguousarray(matrix))


@register_jitable
def solve(matrix: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
    """out = matrix⁻¹ right, without the inverse."""
    out[:] = np.linalg.solve(np.ascontiguousarray(matrix), np.ascontiguousarray(right))


@register_jitable
def det(matrix: np.ndarray) -> Any:
    """The determinant."""
    return np.linalg.det(np.ascontiguousarray(matrix))


@register_jitable
def logdet(matrix: np.ndarray) -> Any:
    """log |det matrix|, which cannot overflow."""
    _, value = np.linalg.slogdet(np.ascontiguousarray(matrix))
    return value


@register_jitable
def _exponential(matrix: np.ndarray) -> np.ndarray:
    """The matrix exponential: scaled until ‖x‖₁ ≤ 1/2, a Padé approximant, squared again.

    G. H. Golub, C. F. Van Loan, Matrix Computations, scaling and squaring.
    """
    n = len(matrix)
    size = 0.0
    for j in range(n):
        column = 0.0
        for i in range(n):
            column += abs(matrix[i, j])
        size = max(size, column)
    squarings = 0
    scale = 1.0
    while size * scale > 0.5 and squarings < MOST_SQUARINGS:
        scale *= 0.5
        squarings += 1
    x = np.ascontiguousarray(matrix) * matrix.dtype.type(scale)
    term = np.eye(n, dtype=matrix.dtype)
    above = np.eye(n, dtype=matrix.dtype)
    below = np.eye(n, dtype=matrix.dtype)
    c = 1.0
    for k in range(1, DEGREE + 1):
        c = c * (DEGREE - k + 1) / ((2 * DEGREE - k + 1) * k)
        term = np.dot(x, term)
        above = above + matrix.dtype.type(c) * term
        below = below + matrix.dtype.type(c if k % 2 == 0 else -c) * term
    result = np.ascontiguousarray(np.linalg.solve(below, above))
    for _ in range(squarings):
        result = np.dot(result, result)
    return result


@register_jitable
def expm(matrix: np.ndarray, out: np.ndarray) -> None:
    """out = e^matrix."""
    out[:] = _exponential(matrix)


@register_jitable
def dexpm(matrix: np.ndarray, direction: np.ndarray, out: np.ndarray) -> None:
    """out = the change of e^matrix in a direction: a block of the exponential of [[matrix, direction], [0, matrix]]."""
    n = len(matrix)
    both = np.zeros((2 * n, 2 * n), dtype=matrix.dtype)
    both[:n, :n] = matrix
    both[:n, n:] = direction
    both[n:, n:] = matrix
    out[:] = _exponential(both)[:n, n:]


@register_jitable
def norm(array: np.ndarray) -> Any:
    """The root of the sum of squares, scaled by the largest entry so that no square overflows."""
    largest = array.dtype.type(0)
    for entry in array.flat:
        largest = max(largest, abs(entry))
    if largest == 0:
        return largest
    total = array.dtype.type(0)
    for entry in array.flat:
        total += (entry / largest) * (entry / largest)
    return largest * np.sqrt(total)


@register_jitable
def unit(array: np.ndarray, out: np.ndarray) -> None:
    """out = array / ‖array‖, 0 for 0."""
    length = norm(array)
    if length == 0:
        length = array.dtype.type(1)
    out[:] = array / length


@register_jitable
def permutation(places: np.ndarray, out: np.ndarray) -> None:
    """out[i, k] = 1 where k is places[i], else 0."""
    for i in range(len(places)):
        for k in range(len(places)):
            out[i, k] = abs(places[i] - k) < 0.5
