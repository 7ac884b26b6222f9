"""Many choices of index values at once, and how numbers go from one set of such points to another.

Each index has an array with its value at every point. A sum has inner points, each of which belongs to an outer one;
they stand in the order of the outer points. Numbers are only gathered, so that any array module can take part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from derive.evaluate.elementwise import Array
from derive.evaluate.integers import EvaluationError, integer, is_polynomial, rational
from derive.language.expression import Condition, Divides, Integer, Within
from derive.language.system import Range

Whole = Any
"""A whole number, or a NumPy array of them, one for each point."""
Rows = np.ndarray[Any, np.dtype[np.intp]]
"""Positions among points."""
MOST = 1_000_000
"""The most inner points that are looked at together."""


@dataclass(frozen=True)
class Points:
    """``count`` choices of index values: by name a number, the same at all of them, or an array."""

    integers: Mapping[str, Whole]
    count: int

    def part(self, rows: Rows) -> Points:
        """The points at these positions, in their order."""
        moved = {name: held[rows] if isinstance(held, np.ndarray) else held for name, held in self.integers.items()}
        return Points(moved, len(rows))

    def at(self, row: int) -> dict[str, int]:
        """The index values at one point."""
        return {name: int(held[row]) if isinstance(held, np.ndarray) else held for name, held in self.integers.items()}

    def over(self, ranges: Sequence[Range]) -> tuple[Points, Rows]:
        """The inner points, ``ranges`` one inside another, and for each the outer point that it belongs to."""
        points, owners = self, np.arange(self.count)
        for item in ranges:
            lower, upper = (np.broadcast_to(integer_at(end, points), points.count) for end in (item.lower, item.upper))
            lengths = np.maximum(upper - lower + 1, 0)
            inner = np.repeat(np.arange(points.count), lengths)
            steps = np.arange(len(inner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            moved = points.part(inner)
            points = Points({**moved.integers, item.index.name: lower[inner] + steps}, len(inner))
            owners = owners[inner]
        return points, owners

    def where(self, conditions: Sequence[Condition]) -> Rows:
        """The positions of the points at which all conditions hold."""
        rows, points = np.arange(self.count), self
        for condition in conditions:  # a later one is looked at only where those before it hold
            kept = np.flatnonzero(np.broadcast_to(_holds(condition, points), points.count))
            rows, points = rows[kept], points.part(kept)
        return rows


def integer_at(expression: Integer, points: Points) -> Whole:
    """The value of an integer expression at every point: an array where it depends on the point."""
    varying = [name for name in map(str, expression.free_symbols) if _varies(name, points)]
    if not varying or is_polynomial(expression):
        return integer(expression, points.integers)
    first, inverse = distinct([points.integers[name] for name in varying])
    found = [integer(expression, points.at(int(row))) for row in first]
    return np.array(found, dtype=np.int64)[inverse]


def rational_at(expression: Integer, points: Points) -> Fraction | list[Fraction]:
    """The exact value of a formula in sizes and indices at every point, a list where it depends on the point."""
    varying = [name for name in map(str, expression.free_symbols) if _varies(name, points)]
    if not varying:
        return rational(expression, points.integers)
    first, inverse = distinct([points.integers[name] for name in varying])
    found = [rational(expression, points.at(int(row))) for row in first]
    return [found[place] for place in inverse]


def _varies(name: str, points: Points) -> bool:
    return isinstance(points.integers.get(name), np.ndarray)


def _holds(condition: Condition, points: Points) -> Any:
    match condition:
        case Within(value, lower, upper):
            inner = integer_at(value, points)
            return (integer_at(lower, points) <= inner) & (inner <= integer_at(upper, points))
        case Divides(divisor, value):
            by = integer_at(divisor, points)
            if np.any(by == 0):
                raise EvaluationError(f"{divisor} is 0, and nothing can be divided by it")
            return integer_at(value, points) % by == 0


def distinct(columns: Sequence[Any]) -> tuple[Rows, Rows]:
    """Where each different row of these columns of integers first stands, and which of them every row is."""
    key = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        values, places = np.unique(column, return_inverse=True)
        key = key * len(values) + places
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return first, inverse


def pieces(columns: Sequence[Any], make: Callable[[Rows], Array], numbers: Any) -> Array:
    """The numbers that ``make`` gives for the rows of each different entry of ``columns``, back in order."""
    first, inverse = distinct(columns)
    if len(first) == 1:
        return make(np.arange(len(inverse)))
    parts = [np.flatnonzero(inverse == place) for place in range(len(first))]
    made = numbers.concatenate([everywhere(make(rows), len(rows), numbers) for rows in parts], 0)
    return made[np.argsort(np.concatenate(parts))]


def everywhere(value: Array, count: int, numbers: Any) -> Array:
    """One number for each point, where ``value`` may be the same one for all."""
    return value if len(getattr(value, "shape", ())) == 1 else value * numbers.ones((count,))


def put(values: Array, rows: Rows, count: int, numbers: Any) -> Array:
    """``values`` at these positions of ``count``, and zeros elsewhere."""
    if len(rows) == count:
        return values
    places = np.full(count, len(rows))
    places[rows] = np.arange(len(rows))
    return numbers.concatenate([values, numbers.zeros((1,))], 0)[places]


def grouped(values: Array, owners: Rows, count: int, numbers: Any, padding: float = 0.0) -> tuple[Array, Any]:
    """One row of inner values for each outer point, padded at the end to one length; and which of them are values."""
    lengths = np.bincount(owners, minlength=count)
    longest = int(lengths.max())
    inside = np.arange(longest) < lengths[:, None]
    if inside.all():
        return numbers.reshape(values, (count, longest)), inside
    places = np.full(inside.shape, len(owners))
    places[inside] = np.arange(len(owners))
    return numbers.concatenate([values, numbers.zeros((1,)) + padding], 0)[places], inside


def portions(points: Points, owners: Rows) -> list[Rows]:
    """The outer points in portions that have at most MOST inner points together, or one outer point each."""
    if len(owners) <= MOST or points.count <= 1:
        return [np.arange(points.count)]
    ends = np.cumsum(np.bincount(owners, minlength=points.count))
    return np.split(np.arange(points.count), np.flatnonzero(np.diff(ends // MOST)) + 1)
