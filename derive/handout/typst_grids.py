"""Pictures of cells in the PDF: tagged tables, and sequences of pictures beside their words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from .blocks import Frames, Grid
from .characters import typst_string, typst_text
from .furniture import left_out
from .grids import (
    CELL_ROLES,
    SIDES,
    Cell,
    Label,
    Layout,
    Panel,
    Side,
    drawn,
    fill_of,
    layout,
    outlined,
    panel,
)
from .typst_inlines import mathematics, prose

OPPOSITE: dict[Side, Side] = {"top": "bottom", "right": "left", "bottom": "top", "left": "right"}
SAMPLE = Layout((11.0,), 11.0, 8.0)


def _label(words: Label) -> str:
    parts = (f"#{typst_text(prose(word))}" if isinstance(word, str) else mathematics(word) for word in words)
    return f"[{''.join(parts)}]"


def grid_source(block: Grid, caption: str) -> str:
    """The panels as tables under one caption."""
    size = layout(block.panels)
    panels = ", ".join(_panels(block.panels, size))
    return f"#cells({caption}, {_legend(block.legend)}, {panels})"


def frames_source(block: Frames, caption: str) -> str:
    """Numbered pictures in rows, each with its words; the words say all that a picture shows."""
    size = layout(block.panels, block.frames)
    shown = drawn(block.panels, block.frames)
    parts = [f"({', '.join(_panels(panels, size))}, {_label(frame.words)})" for panels, frame in shown]
    note = typst_text(left_out(block.things, len(block.frames), len(shown)))
    return f"#frames({caption}, {_legend(block.legend)}, {size.beside}, {note}, {', '.join(parts)})"


def _legend(legend: tuple[tuple[str, Label], ...]) -> str:
    entries = (f"({_sample(role)}, {_label(words)}), " for role, words in legend)
    return f"({''.join(entries)})"


def _sample(role: str) -> str:
    cell = Cell("", (role,))
    sides = outlined(panel([[cell]])).get((0, 0), ())
    settings = "columns: (11pt,), rows: 11pt, inset: 0pt, align: center + horizon, stroke: cell-line"
    return f"pdf.artifact(table({settings}, {_cell(cell, sides, SAMPLE)}))"


def _panels(panels: Sequence[Panel], size: Layout) -> list[str]:
    return [_panel(one, replace(size, widths=(width,))) for one, width in zip(panels, size.widths, strict=True)]


def _panel(one: Panel, size: Layout) -> str:
    """A table; its edges carry the numbers of rows and columns as headers."""
    rows, columns = one.size
    edges = outlined(one)
    cells: list[str] = []
    if one.numbered:
        labels = ", ".join(f"cell-edge[{j + 1}]" for j in range(columns))
        cells.append(f"table.header(cell-edge[], {labels})")
    for i, row in enumerate(one.cells):
        cells += [f"cell-edge[{i + 1}]"] if one.numbered else []
        cells += [_cell(cell, edges.get((i, j), ()), size, _beside(edges, i, j)) for j, cell in enumerate(row)]
    edge = "11pt, " if one.numbered else ""
    settings = (
        f"columns: ({edge}{f'{size.widths[0]:.2f}pt, ' * columns}), "
        f"rows: ({edge}{f'{size.height:.2f}pt, ' * rows}), inset: 0pt, align: center + horizon, stroke: cell-line"
    )
    title = _label(one.title) if one.title else "none"
    body = f"table({settings}, {', '.join(cells)})"
    return f"(lead: {typst_string(one.lead)}, title: {title}, size: {size.text:.2f}pt, body: {body})"


def _beside(edges: Mapping[tuple[int, int], Sequence[Side]], i: int, j: int) -> list[Side]:
    """The sides on which a neighbour draws its thick line, which a dotted one must not cover."""
    return [side for side, (down, right) in SIDES.items() if OPPOSITE[side] in edges.get((i + down, j + right), ())]


def _cell(cell: Cell, sides: Iterable[Side], size: Layout, beside: Sequence[Side] = ()) -> str:
    content = _label((cell.content,)) if cell.content else "[]"
    if cell.has("dotted"):
        content = f"text(fill: quiet, emph({content}))"
    if cell.has("faint"):
        content = f"text(fill: luma(60%), {content})"
    if cell.is_bold:
        content = f"strong({content})"
    if cell.has("struck"):
        content = f"strike({content})"
    if cell.has("ring"):
        content = f"cell-ring({min(size.widths[0], size.height) - 4:.2f}pt, {content})"
    thick = list(SIDES) if cell.has("frame") else list(sides)
    strokes = [f"{side}: cell-thick" for side in thick]
    if cell.has("dotted"):
        strokes += [f"{side}: cell-dots" for side in SIDES if side not in (*thick, *beside)]
    settings = [f'fill: rgb("{CELL_ROLES[fill_of(cell)].fill}")'] if cell.roles else []
    settings += [f"stroke: ({', '.join(strokes)})"] if strokes else []
    return f"table.cell({', '.join([*settings, ''])}{content})"
