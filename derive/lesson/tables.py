"""Arrays of numbers as panels of cells: axes of length 1 are left out, leading axes give a panel for each position."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from derive.handout.blocks import Block, Grid, Inlines
from derive.handout.formula import Formula, Fraction, Numeral, Operator, Row, frac, row, sup
from derive.handout.grids import PAPER_WIDTH, Cell, Label, Panel, Place, layout, panel, picture_width
from derive.language.expression import Access
from derive.lesson.example import Example
from derive.notation import formula
from derive.worked.numerals import Number, written

MOST_PANELS = 6
"""Panels of one array; of more the first are shown."""


@dataclass(frozen=True)
class Shown:
    """How an array is laid out: the axes that are shown, and where each entry stands."""

    name: str
    shape: tuple[int, ...]
    superscripts: tuple[int, ...] = ()

    @property
    def long(self) -> tuple[int, ...]:
        """The axes with more than one position."""
        return tuple(place for place, extent in enumerate(self.shape) if extent > 1)

    def place(self, entry: Sequence[int]) -> Place:
        """Panel, row and column of an entry."""
        kept = [entry[axis] for axis in self.long]
        lengths = [self.shape[axis] for axis in self.long]
        column = kept.pop() if kept else 0
        row = kept.pop() if kept else 0
        which = int(np.ravel_multi_index(kept, lengths[: len(kept)])) if kept else 0
        return which, row, column

    def entry(self, at: Sequence[int]) -> Access:
        """An entry as it is written, without the axes of length 1."""
        kept = tuple(sp.Integer(at[axis]) for axis in self.long)
        return Access(self.name, tuple(sp.Integer(t) for t in self.superscripts), kept)

    def entries(self) -> Iterator[tuple[int, ...]]:
        """Every entry in reading order."""
        yield from np.ndindex(*self.shape)

    @property
    def leading(self) -> list[tuple[int, ...]]:
        """The positions on the axes before the last two that are shown, a panel each."""
        return list(np.ndindex(*(self.shape[axis] for axis in self.long[:-2])))


def shown(name: str, value: Any, superscripts: Sequence[int] = ()) -> Shown:
    """The layout of an array of that shape."""
    return Shown(name, np.shape(value), tuple(superscripts))


def panels_of(array: Shown, value: Any, example: Example, lead: str = "", blank: bool = False) -> list[Panel]:
    """The array as panels under its name; ``blank`` ones have no numbers."""
    lengths = [array.shape[axis] for axis in array.long]
    grids = np.reshape(np.asarray(value, dtype=object), (-1, *([1] * (2 - len(lengths)) + lengths)[-2:]))
    found: list[Panel] = []
    for at, grid in zip(array.leading, grids, strict=True):
        title = Access(array.name, tuple(sp.Integer(t) for t in array.superscripts), tuple(map(sp.Integer, at)))
        rows = [[Cell("" if blank else cell_text(number)) for number in line] for line in grid]
        found.append(panel(rows, (_in_line(formula(title, example.derivation.names)),), lead if not found else ""))
    return found[:MOST_PANELS]


def _in_line(title: Formula) -> Formula:
    """A derivative on one line, ∂ℓ/∂x."""
    return Row((title.numerator, Operator("/"), title.denominator)) if isinstance(title, Fraction) else title


def number_formula(number: Number) -> Formula:
    """A number in a formula, as ``written`` writes it."""
    text = written(number)
    above, _, below = text.removeprefix("−").partition("/")
    digits, _, power = above.partition("e")
    size: Formula = frac(Numeral(above), Numeral(below)) if below else Numeral(digits)
    if power:
        size = row(size, "times", sup(10, int(power.replace("−", "-"))))
    return Row((Operator("-"), size)) if text.startswith("−") else size


def cell_text(number: Number) -> str:
    """A number as it stands in a cell."""
    return written(number)


def grids(
    panels: Sequence[Panel], caption: Inlines, legend: Sequence[tuple[str, Label]] = (), id: str = ""
) -> list[Block]:
    """Panels as figures, as many side by side as are readable; the last of them has the caption."""
    rows: list[list[Panel]] = [[]]
    for one in panels:
        if rows[-1] and not _fits([*rows[-1], one]):
            rows.append([])
        rows[-1].append(one)
    return [
        Grid(
            tuple(row), caption if not number else (*caption, " (Continued.)"), tuple(legend), id if not number else ""
        )
        for number, row in enumerate(rows)
    ]


def _fits(panels: Sequence[Panel]) -> bool:
    return layout(panels).text > SMALLEST and picture_width(panels, layout(panels).widths) <= PAPER_WIDTH + 1


SMALLEST = 8.0
"""Points: how small the numbers in a row of panels may become."""
