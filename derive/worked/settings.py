"""What is asked of a grid: window, stride, dilation and padding, each down × right, and how much it would take."""

from __future__ import annotations

import re
from dataclasses import dataclass

from derive.worked.errors import WorkedError

Pair = tuple[int, int]
"""Down and right."""

MOST_CELLS = 40_000
"""Cells of the padded grid or of the table that are worked through; each is an exact number."""
LARGEST_STEP = 10_000
MOST_TERMS = 100_000
"""Terms of all windows together: they are put in one after another, by the reference evaluator."""


class SettingError(WorkedError):
    """A window, a stride, a dilation or a padding that cannot be."""


@dataclass(frozen=True)
class Setting:
    """A window that moves over a padded grid; ``before`` is the padding at the top and left, ``after`` the other."""

    window: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    before: Pair = (0, 0)
    after: Pair = (0, 0)

    def padded(self, grid: Pair) -> Pair:
        """Rows and columns with the padding."""
        rows, columns = (grid[k] + self.before[k] + self.after[k] for k in (0, 1))
        return rows, columns

    @property
    def reach(self) -> Pair:
        """How many rows and columns a window covers, from its first position to its last."""
        rows, columns = (self.dilation[k] * (self.window[k] - 1) + 1 for k in (0, 1))
        return rows, columns

    def windows(self, grid: Pair) -> Pair:
        """How many windows fit below one another and side by side."""
        rows, columns = ((self.padded(grid)[k] - self.reach[k]) // self.stride[k] + 1 for k in (0, 1))
        return rows, columns


def pair(text: str, name: str, smallest: int = 1) -> Pair:
    """``2x3`` as (2, 3), down × right; ``2`` as (2, 2).

    >>> pair("2x3", "stride")
    (2, 3)
    """
    match = re.fullmatch(r"\s*(-?\d{1,18})\s*(?:[x×X*,]\s*(-?\d{1,18})\s*)?", text)
    if match is None:
        raise SettingError(f"The {name} is written down × right, such as 2x1, or as one number; got {text[:60]!r}.")
    found = int(match[1]), int(match[2] or match[1])
    for value, direction in zip(found, ("down", "right"), strict=True):
        if value < smallest:
            raise SettingError(f"The {name} {direction} is {value}; the smallest is {smallest}.")
    return found


def padding(text: str) -> tuple[Pair, Pair]:
    """``top,bottom,left,right`` as padding before (top, left) and after (bottom, right).

    Two numbers are for top and bottom, left and right; one is for all sides.

    >>> padding("0,1,0,2")
    ((0, 0), (1, 2))
    """
    parts = [part.strip() for part in re.split(r"[,\s]+", text.strip())]
    if not all(re.fullmatch(r"-?\d{1,18}", part) for part in parts) or len(parts) not in (1, 2, 4):
        raise SettingError(
            f"The padding is written top,bottom,left,right, such as 0,1,0,1, or as one number for all sides, or as two "
            f"for top and bottom, left and right; got {text[:60]!r}."
        )
    numbers = [int(part) for part in parts]
    top, bottom, left, right = {1: numbers * 4, 2: [numbers[0], numbers[0], numbers[-1], numbers[-1]]}.get(
        len(numbers), numbers
    )
    for value, side in zip((top, bottom, left, right), ("top", "bottom", "left", "right"), strict=True):
        if value < 0:
            raise SettingError(f"The padding at the {side} is {value}; it cannot be negative.")
    return (top, left), (bottom, right)


def check(setting: Setting, grid: Pair) -> None:
    """Raise unless the window fits into the padded grid and all of it is small enough to be worked through."""
    for what, steps in (("stride", setting.stride), ("dilation", setting.dilation)):
        if max(steps) > LARGEST_STEP:
            raise SettingError(f"The {what} is {max(steps):,}; the largest is {LARGEST_STEP:,}.")
    padded = setting.padded(grid)
    for name, covered, there, spacing in zip(("rows", "columns"), setting.reach, padded, setting.dilation, strict=True):
        if covered > there:
            dilated = f" with dilation {spacing}" if spacing > 1 else ""
            raise SettingError(
                f"The window covers {covered:,} {name}{dilated}, but the padded grid has only {there:,}. "
                "Take a smaller window or more padding."
            )
    _check_size("padded grid", padded, MOST_CELLS, "Pad less or take a part of the grid.")
    moves = setting.windows(grid)
    _check_size("table", moves, MOST_CELLS, "Take a larger stride or a part of the grid.")
    terms = moves[0] * moves[1] * setting.window[0] * setting.window[1]
    if terms > MOST_TERMS:
        raise SettingError(
            f"{moves[0]:,} × {moves[1]:,} windows of {setting.window[0]:,} × {setting.window[1]:,} cells are {terms:,} "
            f"terms; at most {MOST_TERMS:,} are worked through one by one. Take a part of the grid."
        )


def _check_size(what: str, size: Pair, most: int, repair: str) -> None:
    cells = size[0] * size[1]
    if cells > most:
        raise SettingError(
            f"The {what} would have {size[0]:,} × {size[1]:,} cells, {memory(8 * cells)} as 64-bit numbers; "
            f"at most {most:,} cells are worked through. {repair}"
        )


def memory(count: int) -> str:
    """A number of bytes in the largest unit of which there is one.

    >>> memory(8 * 100_000**2)
    '80 GB'
    """
    for power, unit in ((12, "TB"), (9, "GB"), (6, "MB"), (3, "kB")):
        if count >= 10**power:
            return f"{round(count / 10**power):,} {unit}"
    return f"{count} bytes"
