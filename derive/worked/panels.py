"""The tables of a worked grid as panels of cells: the padded grid, the kernel, the table and the gradient."""

from __future__ import annotations

from derive.handout.grids import Cell, Label, Panel, panel
from derive.worked.computation import Numbers, Worked
from derive.worked.numerals import Number, written

Legend = tuple[tuple[str, Label], ...]
MOST_FRAMES = 400
"""Windows that are shown one by one."""


def grid_and_kernel(worked: Worked) -> tuple[Panel, ...]:
    """The padded grid, and the kernel where there is one."""
    grid = panel(
        ((padded_cell(worked, number) for number in line) for line in worked.padded),
        ("padded grid" if worked.has_padding else "grid",),
        numbered=True,
    )
    return (
        (grid, number_panel(worked.question.kernel, "kernel", "∗")) if worked.question.kernel is not None else (grid,)
    )


def padded_cell(worked: Worked, number: Number | None) -> Cell:
    """A number of the padded grid, or what stands in the padding."""
    return Cell(worked.filler, ("padding",)) if number is None else Cell(written(number))


def number_panel(numbers: Numbers, title: str, lead: str = "") -> Panel:
    """Numbers with their rows and columns at the edges."""
    return panel(((written(number) for number in line) for line in numbers), (title,), lead, numbered=True)


def gradient_panel(worked: Worked, numbers: Numbers | None) -> Panel:
    """The gradient where the numbers of the grid stand; nothing in the padding."""
    top, left = worked.question.setting.before
    cells = [
        [Cell("", ("padding",)) if number is None else
         Cell("0" if numbers is None else written(numbers[i - top][j - left])) for j, number in enumerate(line)]
        for i, line in enumerate(worked.padded)
    ]  # fmt: skip
    return panel(cells, ("gradient in the grid",), "→", numbered=True)


def padding_legend(worked: Worked) -> Legend:
    """What a cell of padding is, where there is one."""
    skipped = " (does not take part)" if worked.filler != "0" else ""
    return (("padding", (f"padding{skipped}",)),) if worked.has_padding else ()
