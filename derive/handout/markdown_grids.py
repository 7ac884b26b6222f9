"""Pictures of cells in Markdown: tables whose marks are explained below them, and a list of what the frames say."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence

from .blocks import Frames, Grid
from .furniture import left_out
from .grid_svg import grid_svg
from .grids import CELL_ROLES, Cell, Label, Panel, changed, drawn, text_of

Write = Callable[[Label], str]
"""Text and formulas as Markdown."""


def grid_tables(block: Grid, write: Write) -> str:
    """Each panel as a table under its title."""
    parts = [_panel(one, write) for one in block.panels]
    return "\n\n".join([*parts, *_legend(block.legend, block.panels, write)])


def frames_list(block: Frames, write: Write) -> str:
    """What stands after the last frame, and the words of every frame."""
    written = {place: content for frame in block.frames for place, content in frame.written}
    final = changed(block.panels, written)
    parts = [_panel(one, write) for one in final]
    shown = drawn(block.panels, block.frames)
    lines = "\n".join(f"{number}. {write(frame.words)}" for number, (_, frame) in enumerate(shown, 1))
    note = left_out(block.things, len(block.frames), len(shown))
    return "\n\n".join([*parts, *_legend(block.legend, final, write), lines, *([note] if note else [])])


def grid_image(block: Grid, write: Write) -> str:
    """The panels as one image."""
    return "\n\n".join([_image(grid_svg(block.panels), _spoken(block.panels)), *_meanings(block.legend, write)])


def frames_images(block: Frames, write: Write) -> str:
    """An image for each frame under its words."""
    parts = list(_meanings(block.legend, write))
    shown = drawn(block.panels, block.frames)
    for number, (panels, frame) in enumerate(shown, 1):
        parts.append(
            f"{number}. {write(frame.words)}\n\n    {_image(grid_svg(panels, block.frames), f'frame {number}')}"
        )
    note = left_out(block.things, len(block.frames), len(shown))
    return "\n\n".join([*parts, *([note] if note else [])])


def _panel(one: Panel, write: Write) -> str:
    head = [""] + [str(j + 1) for j in range(one.size[1])] if one.numbered else [""] * one.size[1]
    lines = [_line(head), _line([":-:"] * len(head))]
    for i, row in enumerate(one.cells):
        edge = [f"**{i + 1}**"] if one.numbered else []
        lines.append(_line([*edge, *(_cell(cell, write) for cell in row)]))
    return "\n\n".join([*([f"*{write(one.title)}*"] if one.title else []), "\n".join(lines)])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell, write: Write) -> str:
    text = write((cell.content,)).replace("|", "\\|") if cell.content != "" else ""
    for role in cell.roles:
        text = CELL_ROLES[role].text.format(text) if text else text
    return text


def _legend(legend: tuple[tuple[str, Label], ...], panels: Sequence[Panel], write: Write) -> list[str]:
    """What the marks of the roles that occur stand for."""
    used = {role for one in panels for row in one.cells for cell in row for role in cell.roles}
    marked = [(CELL_ROLES[role].text, words) for role, words in legend if role in used]
    entries = [f"{mark.format('x')}: {write(words)}" for mark, words in marked if mark != "{}"]
    return [f"({'; '.join(entries)})"] if entries else []


def _meanings(legend: tuple[tuple[str, Label], ...], write: Write) -> list[str]:
    entries = [f"{COLOURS[CELL_ROLES[role].cue]}: {write(words)}" for role, words in legend]
    return [f"({'; '.join(entries)})"] if entries else []


COLOURS = {
    "outline": "thick line around a group", "frame": "thick frame", "ring": "ring", "dotted": "dotted",
    "struck": "struck out", "faint": "pale", "none": "coloured",
}  # fmt: skip


def _image(svg: str, alt: str) -> str:
    return f"![{alt}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def _spoken(panels: Sequence[Panel]) -> str:
    """The panels row by row."""
    return ". ".join("; ".join(" ".join(map(text_of, row)) for row in one.cells) for one in panels)
