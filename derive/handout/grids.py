"""Small tables of numbers as pictures: cells with roles, panels side by side, and frames that change them step by step.

A role is a colour with a second cue, so that a picture can be read in grey and without seeing colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, TypeAlias

from .formula import Formula
from .plain import plain

Label: TypeAlias = tuple[str | Formula, ...]
Place: TypeAlias = tuple[int, int, int]
"""Panel, row and column, each from 0."""
Side = Literal["top", "right", "bottom", "left"]
SIDES: dict[Side, tuple[int, int]] = {"top": (-1, 0), "right": (0, 1), "bottom": (1, 0), "left": (0, -1)}


class GridError(ValueError):
    """A picture of cells that cannot be drawn: rows of different lengths, an unknown role, a place outside."""


@dataclass(frozen=True, slots=True)
class CellRole:
    """What a cell is in a picture: its fill on light and on dark paper, its second cue, and its marks in plain text.

    ``outline`` is a thick line around all neighbouring cells of the role, ``frame`` one around each cell, ``ring`` a
    rounded line inside the cell, ``dotted`` a dotted border with quiet digits, ``struck`` a line through the digits,
    ``faint`` pale digits.
    """

    fill: str
    dark: str
    cue: Literal["outline", "frame", "ring", "dotted", "struck", "faint", "none"]
    text: str
    bold: bool = False


CELL_ROLES: dict[str, CellRole] = {
    "padding": CellRole("#f1f2f4", "#20252c", "dotted", "({})"),
    "window": CellRole("#d3e4fa", "#1d416d", "outline", "[{}]"),
    "winner": CellRole("#ffd66b", "#7d5b06", "ring", "**{}**", True),
    "result": CellRole("#c8ead0", "#1b5431", "frame", "**{}**", True),
    "wrong": CellRole("#f8c9c3", "#742019", "struck", "~~{}~~", True),
    "zero": CellRole("#ffffff", "#15181c", "faint", "{}"),
    "tone1": CellRole("#d3e4fa", "#1d416d", "none", "{}"),
    "tone2": CellRole("#fbdcc4", "#6b3a12", "none", "{}"),
    "tone3": CellRole("#d5efd9", "#1b5431", "none", "{}"),
    "tone4": CellRole("#e6d9f5", "#472a6e", "none", "{}"),
}
"""The tones tell groups of cells apart whose contents differ already, such as the entries of a kernel in a matrix."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One number or formula with the roles it plays; the fill is that of the last role."""

    content: str | Formula = ""
    roles: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for role in self.roles:
            if role not in CELL_ROLES:
                raise GridError(f"no role of a cell is called {role!r}; known: {', '.join(CELL_ROLES)}")

    def has(self, cue: str) -> bool:
        """Whether one of the roles has that second cue."""
        return any(CELL_ROLES[role].cue == cue for role in self.roles)

    @property
    def is_bold(self) -> bool:
        """Whether one of the roles is set in bold."""
        return any(CELL_ROLES[role].bold for role in self.roles)


@dataclass(frozen=True, slots=True)
class Panel:
    """A rectangle of cells under a title; ``lead`` is a sign before it, such as →; ``numbered`` labels its edges."""

    cells: tuple[tuple[Cell, ...], ...]
    title: Label = ()
    lead: str = ""
    numbered: bool = False

    def __post_init__(self) -> None:
        widths = {len(row) for row in self.cells}
        if len(widths) != 1 or 0 in widths:
            raise GridError(f"the rows of a panel have one common, positive length, got {sorted(widths)}")

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.cells), len(self.cells[0])


@dataclass(frozen=True, slots=True)
class Frame:
    """One step of a sequence of pictures: its words, roles for this step only, and contents that stay from it on.

    ``at`` is the cell that stands for the frame: pointing at it shows the frame.
    """

    words: Label
    marks: tuple[tuple[Place, str], ...] = ()
    written: tuple[tuple[Place, str], ...] = ()
    at: Place | None = None


def panel(
    rows: Iterable[Iterable[str | Formula | Cell]], title: Label = (), lead: str = "", numbered: bool = False
) -> Panel:
    """A panel of cells, contents standing for cells without roles."""
    cells = tuple(tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in row) for row in rows)
    return Panel(cells, title, lead, numbered)


def changed(
    panels: Sequence[Panel], contents: Mapping[Place, str] | None = None, marks: Iterable[tuple[Place, str]] = ()
) -> tuple[Panel, ...]:
    """The panels with other contents, and with further roles."""
    cells = [[list(row) for row in one.cells] for one in panels]
    for (which, row, column), content in (contents or {}).items():
        cells[which][row][column] = replace(cells[which][row][column], content=content)
    for (which, row, column), role in marks:
        cell = cells[which][row][column]
        cells[which][row][column] = replace(cell, roles=(*cell.roles, role))
    return tuple(replace(one, cells=tuple(map(tuple, rows))) for one, rows in zip(panels, cells, strict=True))


def pictures(panels: Sequence[Panel], frames: Sequence[Frame]) -> Iterable[tuple[Panel, ...]]:
    """What each frame shows: everything written so far, and the marks of its own."""
    contents: dict[Place, str] = {}
    for frame in frames:
        contents |= dict(frame.written)
        yield changed(panels, contents, frame.marks)


def drawn(panels: Sequence[Panel], frames: Sequence[Frame]) -> list[tuple[tuple[Panel, ...], Frame]]:
    """The pictures that a page shows one by one, each with its frame: all of them, or the first of many."""
    cells = sum(one.size[0] * one.size[1] for one in panels)
    count = min(MOST_PICTURES, max(FEWEST_PICTURES, MOST_CELLS // cells))
    return list(islice(zip(pictures(panels, frames), frames, strict=True), count))


def check_places(panels: Sequence[Panel], frames: Sequence[Frame]) -> None:
    """Raise unless every place a frame names is a cell of a panel."""
    sizes = [one.size for one in panels]
    for number, frame in enumerate(frames, 1):
        named = [place for place, _ in (*frame.marks, *frame.written)] + ([frame.at] if frame.at else [])
        for which, row, column in named:
            if not (0 <= which < len(sizes) and 0 <= row < sizes[which][0] and 0 <= column < sizes[which][1]):
                raise GridError(
                    f"frame {number} names panel {which}, row {row}, column {column}: there is no such cell"
                )
        for _, role in frame.marks:
            Cell("", (role,))


def outlined(one: Panel) -> dict[tuple[int, int], tuple[Side, ...]]:
    """The sides of each cell that lie on the line around its group."""
    group = {(i, j) for i, row in enumerate(one.cells) for j, cell in enumerate(row) if cell.has("outline")}
    return {
        (i, j): tuple(side for side, (down, right) in SIDES.items() if (i + down, j + right) not in group)
        for i, j in group
    }


def fill_of(cell: Cell) -> str:
    """The role whose fill the cell has; empty for none."""
    return cell.roles[-1] if cell.roles else ""


def text_of(cell: Cell) -> str:
    """The content as text."""
    return cell.content if isinstance(cell.content, str) else plain(cell.content)


def longest(panels: Iterable[Panel]) -> int:
    """The number of characters of the widest content, a formula counting as its line of text."""
    return max(len(text_of(cell)) for one in panels for row in one.cells for cell in row)


PAPER_WIDTH = 450.0  # points: the text block of a page
PAPER_HEIGHT = 560.0  # points: a page less its margins, a caption and a legend
LETTER = 5.1  # points: about how wide a digit is at the size of a cell's text
GAP = 22.0  # points between panels, and room for the sign in it
EDGE = 11.0  # points for the numbers at the edge of a panel
MOST_PICTURES, FEWEST_PICTURES = 60, 6
"""Frames drawn one by one on paper; of a longer sequence these come first and the others are left out, in words."""
MOST_CELLS = 20_000
"""Cells of all pictures of a sequence together."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How large the cells of each panel are on paper, in points, and how many pictures stand side by side."""

    widths: tuple[float, ...]
    height: float
    text: float
    beside: int = 1


def layout(panels: Sequence[Panel], frames: Sequence[Frame] = ()) -> Layout:
    """Cells that hold their contents, scaled down where the panels together do not fit on the page.

    With frames, which write into the cells, for pictures of which several stand on a page.
    """
    letters = [longest([one]) for one in panels]
    for frame in frames:
        for (which, _, _), content in frame.written:
            letters[which] = max(letters[which], len(content))
    scale = 0.82 if frames else 1.0
    height, text = 17.0 * scale, 9.5 * scale
    widths = [max(height, (LETTER * count + 6.0) * scale) for count in letters]
    tallest = max(one.size[0] for one in panels)
    fixed = picture_width(panels, [0.0] * len(panels))
    total = picture_width(panels, widths)
    across = min(1.0, (PAPER_WIDTH - fixed) / (total - fixed))
    down = min(1.0, PAPER_HEIGHT / (tallest * height))
    shrunk = min(across, down)
    total = fixed + (total - fixed) * shrunk
    beside = max(1, int((PAPER_WIDTH + GAP) // (total + GAP)))
    heights = height * (down if across >= down else max(shrunk, 0.5 * down))
    return Layout(tuple(width * shrunk for width in widths), heights, text * shrunk, beside)


def picture_width(panels: Sequence[Panel], widths: Sequence[float]) -> float:
    """Points from the left edge of the first panel to the right edge of the last, with cells of those widths."""
    edges = sum(EDGE for one in panels if one.numbered)
    cells = sum(one.size[1] * width for one, width in zip(panels, widths, strict=True))
    return cells + GAP * (len(panels) - 1) + edges


def words_of(cell: Cell) -> str:
    """The content with its roles as marks in plain text: ``(0)`` for padding, ``[8]`` in a window."""
    text = text_of(cell)
    for role in cell.roles:
        text = CELL_ROLES[role].text.format(text)
    return text
