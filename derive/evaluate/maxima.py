"""The largest number of each row, and how much of it each number is, under each rule for ties.

Which one is the largest is decided by comparing; what comes back is that number itself, so that an automatic derivative
of it is the derivative of the number that was taken. Rows may be padded at their end by ``-inf``; ``inside`` says which
places are no padding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from derive.evaluate.elementwise import Array


class _Compared(NamedTuple):
    """For each row the place of its first largest number; that number as a column; 1 at all largest ones, else 0."""

    first: Array
    best: Array
    equal: Array


def _compared(rows: Array, inside: Any, numbers: Any) -> _Compared:
    """A NaN is larger than any other number; of NaNs, all are largest.

    An array module with a function ``watch`` is told the smallest gap to a next smaller number.
    """
    real = numbers.real(rows)
    first = numbers.argmax(real, 1)  # in every array module the first one, and of NaNs the first
    best = numbers.reshape(real[np.arange(len(inside)), first], (-1, 1))
    watch = getattr(numbers, "watch", None)
    if watch is not None:
        gaps = (best - real)[real < best]
        watch(min(gaps) if len(gaps) else float("inf"))
    equal = (real == best) | ((real != real) & (best != best))  # a NaN differs from itself
    one = numbers.ones(inside.shape)
    return _Compared(first, best, numbers.where(equal, one, 0 * one) * constant(inside, numbers))


def largest(rows: Array, inside: Any, ties: str, numbers: Any) -> Array:
    """The largest number of each row, with the derivative that the rule for ties gives it."""
    first, best, equal = _compared(rows, inside, numbers)
    taken = rows[np.arange(len(inside)), first]
    if ties == "first":
        return taken
    finite = (best < np.inf) & (best > -np.inf)
    tied = numbers.where(finite, equal, 0 * equal)
    others = numbers.where(tied > 0, rows, 0 * equal)
    own = numbers.where(finite, numbers.reshape(taken, (-1, 1)), 0 * numbers.ones(best.shape))
    if ties == "split":  # adds 0 to the value
        return taken + numbers.sum(_parts(tied, numbers) * (others - own), 1)
    again = numbers.sum(tied * (others - held(others, numbers)), 1)
    return taken + again - numbers.sum(own - held(own, numbers), 1)


def held(value: Array, numbers: Any) -> Array:
    """``value`` as a constant: no derivative goes through it."""
    return getattr(numbers, "constant", numbers.real)(value)


def constant(array: Any, numbers: Any) -> Array:
    """A NumPy array among the arrays of a module."""
    return getattr(numbers, "asarray", np.asarray)(array)


def _parts(equal: Array, numbers: Any) -> Array:
    """Each row divided by its sum; zeros where that is 0."""
    count = numbers.reshape(numbers.sum(equal, 1), (-1, 1))
    return equal / numbers.where(count > 0, count, 1 + 0 * count)


def _first_only(compared: _Compared, numbers: Any) -> Array:
    places = constant(np.arange(compared.equal.shape[1]), numbers)
    return numbers.where(numbers.reshape(compared.first, (-1, 1)) == places, compared.equal, 0 * compared.equal)


SHARES: dict[str, Callable[[_Compared, Any], Array]] = {
    "first": _first_only,
    "split": lambda compared, numbers: _parts(compared.equal, numbers),
    "all": lambda compared, numbers: compared.equal,
}
"""The share of every place."""


def share(rows: Array, inside: Any, wanted: Any, ties: str, numbers: Any) -> Array:
    """How much of the largest number of each row the wanted one is; 0 where none is wanted."""
    return numbers.sum(SHARES[ties](_compared(rows, inside, numbers), numbers) * constant(wanted, numbers), 1)
