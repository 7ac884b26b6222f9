"""A table worked out by hand beside the right one: which cells are wrong, and which window each comes from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from derive.worked.computation import Entry, Window, Worked
from derive.worked.errors import WorkedError
from derive.worked.numerals import Number, decimals, is_rounded, written
from derive.worked.settings import Pair
from derive.worked.tables import Table

FULLY = 12
"""Wrong cells that are explained one by one; of more, the others are only named."""
CLOSE = 1e-9


@dataclass(frozen=True)
class WrongCell:
    """A cell of the table that is not the value of its window."""

    at: Pair
    given: Fraction
    window: Window


def wrong_cells(worked: Worked, table: Table) -> tuple[WrongCell, ...]:
    """Every cell in which ``table`` differs from the right one; WorkedError where the sizes differ."""
    rows, columns = len(worked.table), len(worked.table[0])
    if table.size != (rows, columns):
        turned = (
            " The rows and columns are exchanged; is the stride down × right?" if table.size == (columns, rows) else ""
        )
        raise WorkedError(
            f"{table.name} has {table.size[0]} × {table.size[1]} cells, the table has {rows} × {columns}.{turned}"
        )
    return tuple(
        WrongCell(window.at, table.rows[window.at[0]][window.at[1]], window)
        for window in worked.windows
        if not agrees(
            table.rows[window.at[0]][window.at[1]], table.texts[window.at[0]][window.at[1]], window.value
        )
    )  # fmt: skip


def agrees(given: Fraction, text: str, right: Number) -> bool:
    """Whether ``given``, written as ``text``, is the right number, or is it rounded to the decimals that were written.

    >>> agrees(Fraction("2.33"), "2.33", Fraction(7, 3)), agrees(Fraction(2), "2", Fraction(7, 3))
    (True, False)
    """
    if given == right:
        return True
    places = decimals(text)
    if places is not None:
        return abs(given - Fraction(right)) <= Fraction(1, 2 * 10**places)
    return isinstance(right, float) and abs(float(given) - right) <= CLOSE * max(1.0, abs(right))


def findings(worked: Worked, wrong: Sequence[WrongCell]) -> list[str]:
    """One line for each wrong cell; of many, the first in full and the others by their places."""
    lines = [finding(worked, cell) for cell in wrong[:FULLY]]
    if len(wrong) > FULLY:
        lines.append(f"and {len(wrong) - FULLY} more wrong cells:")
        rows: dict[int, list[int]] = {}
        for cell in wrong[FULLY:]:
            rows.setdefault(cell.at[0], []).append(cell.at[1])
        lines += [f"  row {row + 1}: {places('column', columns)}" for row, columns in rows.items()]
    return lines


def finding(worked: Worked, cell: WrongCell) -> str:
    """``row 5, column 3: 1 is wrong, it is 0: the window is rows 5–6, columns 5–6 of the padded grid (…), …``."""
    window, kind = cell.window, worked.kind
    row, column = cell.at
    right = f"{'about ' if is_rounded(window.value) else ''}{written(window.value)}"
    reason = f"its {kind.value} is {right}" if kind.picks else f"its {kind.value} is {window.arithmetic} = {right}"
    return (
        f"row {row + 1}, column {column + 1}: {written(cell.given)} is wrong, it is {right}: "
        f"the window is {whereabouts(window)} of the padded grid ({contents(window.entries)}), {reason}"
    )


def whereabouts(window: Window) -> str:
    """``rows 5–6, columns 5–6``; ``rows 1, 3, columns 2, 4`` where the window is dilated."""
    rows = sorted({entry.at[0] for entry in window.entries})
    columns = sorted({entry.at[1] for entry in window.entries})
    return f"{places('row', rows)}, {places('column', columns)}"


def places(word: str, numbers: Iterable[int]) -> str:
    """``columns 2–4, 6`` for positions from 0, runs of three and more as one."""
    listed = sorted(numbers)
    runs: list[list[int]] = []
    for number in listed:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    shown = ", ".join(str(run[0] + 1) if len(run) == 1 else f"{run[0] + 1}–{run[-1] + 1}" for run in runs)
    return f"{word}{'s' * (len(listed) != 1)} {shown}"


def contents(entries: Sequence[Entry]) -> str:
    """The numbers of a window row by row, ``0 0 / 0 0``; ``·`` for a position that does not take part."""
    rows: dict[int, list[str]] = {}
    for entry in sorted(entries, key=lambda entry: entry.at):
        rows.setdefault(entry.at[0], []).append(written(entry.number) if entry.takes_part else "·")
    return " / ".join(" ".join(row) for row in rows.values())
