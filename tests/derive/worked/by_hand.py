"""Windows by plain loops over a padded list of lists: the witness of what the engine computes, in exact numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product
from typing import Any

from derive.worked.settings import Setting

Rows = Sequence[Sequence[Any]]
Values = list[list[Any]]
Measure = Callable[[list[Any]], Any]


def windows(grid: Rows, setting: Setting) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """For each entry of the table the cells of the grid under it, in reading order; some lie outside."""
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    rows, columns = len(grid), len(grid[0])
    down, right = rows + setting.before[0] + setting.after[0], columns + setting.before[1] + setting.after[1]
    for i, j in product(range(down), range(right)):
        top, left = i * setting.stride[0] - setting.before[0], j * setting.stride[1] - setting.before[1]
        places = [
            (top + a * setting.dilation[0], left + b * setting.dilation[1])
            for a in range(setting.window[0])
            for b in range(setting.window[1])
        ]
        if places[-1][0] < rows + setting.after[0] and places[-1][1] < columns + setting.after[1]:
            found[i, j] = places
    return found


def table(grid: Rows, setting: Setting, measure: Measure, skip: bool = False) -> Values:
    """The measure of the numbers of every window; padding is zero or, with ``skip``, not there."""
    worth: dict[tuple[int, int], Any] = {}
    for at, places in windows(grid, setting).items():
        inside = [(0 <= r < len(grid) and 0 <= c < len(grid[0])) for r, c in places]
        numbers = [grid[r][c] if there else Fraction(0) for (r, c), there in zip(places, inside, strict=True)]
        kept = [number for number, there in zip(numbers, inside, strict=True) if there or not skip]
        worth[at] = measure(kept)
    rows, columns = max(worth)
    return [[worth[i, j] for j in range(columns + 1)] for i in range(rows + 1)]


def gradient(
    grid: Rows, setting: Setting, measure: Measure, incoming: Rows, step: Fraction = Fraction(1, 10**9)
) -> Values:
    """What the table, weighted by ``incoming``, changes by when one number of the grid does, over that change."""

    def weighted(rows: Rows) -> Any:
        found = table(rows, setting, measure)
        return sum(
            (g * y for gs, ys in zip(incoming, found, strict=True) for g, y in zip(gs, ys, strict=True)), Fraction()
        )

    at_rest = weighted(grid)
    changes: Values = []
    for i, row in enumerate(grid):
        changes.append([])
        for j, number in enumerate(row):
            moved = [list(one) for one in grid]
            moved[i][j] = number + step
            changes[-1].append((weighted(moved) - at_rest) / step)
    return changes


def dotted(kernel: Rows, flip: bool = False) -> Measure:
    """The sum of products with the entries of a kernel."""
    weights = [number for row in kernel for number in row]
    weights = weights[::-1] if flip else weights
    return lambda numbers: sum((w * x for w, x in zip(weights, numbers, strict=True)), Fraction(0))


def average(numbers: list[Any]) -> Fraction:
    """The mean; of no numbers 0."""
    return sum(numbers, Fraction(0)) / max(len(numbers), 1)


def length(numbers: list[Any]) -> float:
    """The root of the sum of squares."""
    return math.sqrt(sum(number**2 for number in numbers))


def largest(numbers: list[Any]) -> Fraction:
    """The maximum; of no numbers 0."""
    return max(numbers, default=Fraction(0))
