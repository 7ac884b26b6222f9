"""Panels of cells as shapes with coordinates, for the formats that draw: fills, lines, rings and texts, in points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from .formula import Formula
from .grids import EDGE, GAP, SIDES, Cell, Label, Layout, Panel, Side, fill_of, outlined, picture_width

TITLE = 13.0  # points above a panel for its title
KINDS = ("thin", "dotted", "thick")
Style = Literal["plain", "quiet", "bold", "struck", "title", "edge", "lead"]


@dataclass(frozen=True, slots=True)
class Fill:
    """A cell's rectangle in the colour of its role; x to the right and y down, from the upper left corner."""

    x: float
    y: float
    width: float
    height: float
    role: str


@dataclass(frozen=True, slots=True)
class Line:
    """A horizontal or vertical line."""

    x: float
    y: float
    length: float
    upright: bool
    kind: Literal["thin", "dotted", "thick"]


@dataclass(frozen=True, slots=True)
class Ring:
    """A line with round corners inside a cell, around its middle."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Text:
    """Words or a formula around their middle."""

    x: float
    y: float
    content: Label
    style: Style


Shape: TypeAlias = Fill | Line | Ring | Text


@dataclass(frozen=True, slots=True)
class Picture:
    """Shapes in the order in which they are drawn, and the size of the whole."""

    width: float
    height: float
    shapes: tuple[Shape, ...]


def picture(panels: Sequence[Panel], size: Layout, titled: bool = True) -> Picture:
    """The panels side by side, each in the middle of the height."""
    heights = [_height(one, size, titled) for one in panels]
    tallest = max(heights)
    shapes: list[Shape] = []
    x = 0.0
    for number, (one, height, width) in enumerate(zip(panels, heights, size.widths, strict=True)):
        if number:
            shapes.append(Text(x + GAP / 2, tallest / 2, (one.lead,), "lead"))
            x += GAP
        shapes += _panel(one, replace(size, widths=(width,)), x, (tallest - height) / 2, titled)
        x += one.size[1] * width + (EDGE if one.numbered else 0.0)
    order = {Fill: 0, Line: 1, Ring: 2, Text: 3}
    lines = _joined([shape for shape in shapes if isinstance(shape, Line)])
    drawn = [*(shape for shape in shapes if not isinstance(shape, Line)), *lines]
    drawn.sort(key=lambda shape: (order[type(shape)], isinstance(shape, Line) and KINDS.index(shape.kind)))
    return Picture(picture_width(panels, size.widths), tallest, tuple(drawn))


def _joined(lines: list[Line]) -> list[Line]:
    """The lines without doubles, the strongest of them kept, and those that continue one another as one."""
    strongest: dict[tuple[bool, float, float], Line] = {}
    for line in lines:
        key = line.upright, round(line.x, 2), round(line.y, 2)
        if key not in strongest or KINDS.index(line.kind) > KINDS.index(strongest[key].kind):
            strongest[key] = line
    joined: list[Line] = []
    for line in sorted(strongest.values(), key=_along):
        before = joined[-1] if joined else None
        if before and _along(before)[:3] == _along(line)[:3] and abs(_end(before) - _along(line)[3]) < 0.01:
            joined[-1] = replace(before, length=before.length + line.length)
        else:
            joined.append(line)
    return joined


def _along(line: Line) -> tuple[bool, str, float, float]:
    """Direction, kind, where it stands across its direction, and where it begins."""
    across, start = (line.x, line.y) if line.upright else (line.y, line.x)
    return line.upright, line.kind, round(across, 2), start


def _end(line: Line) -> float:
    return _along(line)[3] + line.length


def sample(role: str, side: float) -> Picture:
    """One small cell of a role, for a legend."""
    return picture([Panel(((Cell("", (role,)),),))], Layout((side,), side, 7.0))


def _height(one: Panel, size: Layout, titled: bool) -> float:
    return one.size[0] * size.height + (EDGE if one.numbered else 0.0) + (TITLE if titled and one.title else 0.0)


def _panel(one: Panel, size: Layout, left: float, top: float, titled: bool) -> Iterator[Shape]:
    rows, columns = one.size
    x, y = left + (EDGE if one.numbered else 0.0), top
    if titled and one.title:
        yield Text(x + columns * size.widths[0] / 2, y + TITLE / 2 - 1, one.title, "title")
        y += TITLE
    if one.numbered:
        for j in range(columns):
            yield Text(x + (j + 0.5) * size.widths[0], y + EDGE / 2, (str(j + 1),), "edge")
        y += EDGE
        for i in range(rows):
            yield Text(x - EDGE / 2, y + (i + 0.5) * size.height, (str(i + 1),), "edge")
    edges = outlined(one)
    for i, row in enumerate(one.cells):
        for j, cell in enumerate(row):
            yield from _cell(cell, x + j * size.widths[0], y + i * size.height, size, edges.get((i, j), ()))


def _cell(cell: Cell, x: float, y: float, size: Layout, sides: Sequence[Side]) -> Iterator[Shape]:
    if fill_of(cell):
        yield Fill(x, y, size.widths[0], size.height, fill_of(cell))
    thick = tuple(SIDES) if cell.has("frame") else sides
    for side in SIDES:
        kind = "thick" if side in thick else "dotted" if cell.has("dotted") else "thin"
        upright = side in ("left", "right")
        length = size.height if upright else size.widths[0]
        yield Line(
            x + size.widths[0] * (side == "right"), y + size.height * (side == "bottom"), length, upright, kind
        )  # fmt: skip
    if cell.has("ring"):
        inner = min(size.widths[0], size.height) - 4
        yield Ring(x + size.widths[0] / 2, y + size.height / 2, inner, inner)
    if cell.content != "":
        style: Style = (
            "struck"
            if cell.has("struck")
            else "bold"
            if cell.is_bold
            else "quiet"
            if cell.has("dotted") or cell.has("faint")
            else "plain"
        )
        content: tuple[str | Formula, ...] = (cell.content,)
        yield Text(x + size.widths[0] / 2, y + size.height / 2, content, style)
