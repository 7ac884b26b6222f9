"""Sentences about a worked grid, the same on a page and in a terminal."""

from __future__ import annotations

from collections.abc import Container

from derive.worked.comparison import whereabouts
from derive.worked.computation import Share, Window, Worked
from derive.worked.numerals import is_rounded, written
from derive.worked.settings import Pair

TIE_WORDS = {
    "first": "of several equal ones the first in reading order",
    "split": "several equal ones share it equally",
    "all": "each of several equal ones receives all of it",
}
SIDES = ("top", "left", "bottom", "right")


def heading(worked: Worked) -> str:
    """``Max pooling of a 5 × 5 grid``."""
    rows, columns = len(worked.question.grid), len(worked.question.grid[0])
    article = "an" if str(rows).startswith(("8", "11", "18")) and rows != 110 else "a"
    return f"{worked.kind.title} of {article} {rows} × {columns} grid"


def rule_words(worked: Worked) -> list[str]:
    """Window, stride, dilation, padding and choices, in a few words each."""
    setting = worked.question.setting
    name = "kernel" if worked.kind.has_kernel else "window"
    lines = [f"{_by(setting.window)} {name}, stride {_down_right(setting.stride)}"]
    if setting.dilation != (1, 1):
        lines[0] += f", dilation {_down_right(setting.dilation)}"
    sides = [
        f"{size} at the {side}" for side, size in zip(SIDES, (*setting.before, *setting.after), strict=True) if size
    ]
    choices = dict(worked.question.choices)
    if sides:
        skipped = ", which does not take part" if choices.get("padding") == "skipped" else ""
        lines.append(f"padding: {', '.join(sides)}{skipped}")
    if worked.question.kind == "convolution":
        lines.append("the kernel turned round")
    if choices.get("round") == "up":
        lines.append("rounded up: a last window that is not full is kept")
    return lines


def incoming_words(worked: Worked) -> str:
    """Where the gradient comes from, and who receives it where a maximum is attained twice."""
    ones = all(number == 1 for row in worked.incoming for number in row)
    words = "for a gradient of 1 at every entry of the table" if ones else "for the gradient given at the table"
    ties = dict(worked.question.choices).get("ties", "")
    return f"{words}; {TIE_WORDS[ties]}" if worked.kind.picks else words


def window_words(window: Window) -> str:
    """``Rows 1–2, columns 5–6: max(5, 0, 0, 0) = 5.``"""
    where = whereabouts(window)
    sign = "≈" if is_rounded(window.value) else "="
    shown = written(window.value)
    equals = "" if window.arithmetic == shown else f"\u00a0{sign}\u00a0{shown}"
    return f"{where[0].upper()}{where[1:]}: {window.arithmetic}{equals}."


def share_words(worked: Worked, output: Pair, shares: list[Share], before: Container[Pair]) -> str:
    """What the entry of the table at ``output`` sends to which cells; places are (row, column)."""
    arriving = written(worked.incoming[output[0]][output[1]])
    opening = f"Entry {_place(output)} has {arriving}"
    if not shares:
        return f"{opening} and sends nothing{'' if arriving == '0' else ' to the grid'}."
    sent = ", ".join(
        f"{written(share.amount)} to {_place(share.cell)}{' (added)' if share.cell in before else ''}"
        for share in shares
    )
    return f"{opening} and sends {sent}."


def _place(at: Pair) -> str:
    return f"({at[0] + 1},\u00a0{at[1] + 1})"


def _by(pair: Pair) -> str:
    return f"{pair[0]} × {pair[1]}"


def _down_right(pair: Pair) -> str:
    return f"{pair[0]} down and {pair[1]} right"
