"""Pictures of cells as SVG text, for formats that show an image: colours for white paper, fonts of the reader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from .characters import html_text, one_line
from .grid_shapes import Fill, Line, Picture, Ring, Shape, Style, Text, picture
from .grids import CELL_ROLES, Frame, Label, Panel, layout
from .plain import plain

SCALE = 1.5  # pixels to a point: the size of the text beside it on a screen
INK, QUIET, THIN = "#1d2126", "#5b636d", "#9aa3ae"
FONT = "Georgia, 'DejaVu Serif', serif"
STYLES: dict[Style, str] = {
    "plain": f'fill="{INK}"', "quiet": f'fill="{QUIET}" font-style="italic"',
    "bold": f'fill="{INK}" font-weight="bold"',
    "struck": f'fill="{INK}" font-weight="bold" text-decoration="line-through"',
    "title": f'fill="{QUIET}" font-size="8.5"', "edge": f'fill="{QUIET}" font-size="6"',
    "lead": f'fill="{QUIET}" font-size="13"',
}  # fmt: skip
STROKES = {
    "thin": f'stroke="{THIN}" stroke-width="0.5"',
    "thick": f'stroke="{INK}" stroke-width="1.6" stroke-linecap="square"',
    "dotted": f'stroke="{QUIET}" stroke-width="0.6" stroke-dasharray="1 1.4"',
}  # fmt: skip


def grid_svg(panels: Sequence[Panel], frames: Sequence[Frame] = ()) -> str:
    """The panels as one drawing; one of a sequence is smaller and has no titles."""
    size = layout(panels, frames)
    return _svg(picture(panels, size, titled=not frames), size.text)


def _svg(drawn: Picture, text: float) -> str:
    margin = 2.0
    width, height = drawn.width + 2 * margin, drawn.height + 2 * margin
    inside = "".join(_shape(shape) for shape in drawn.shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width * SCALE:.0f}" height="{height * SCALE:.0f}" '
        f'viewBox="{-margin:g} {-margin:g} {width:.1f} {height:.1f}" font-family="{FONT}" font-size="{text:.1f}" '
        f'text-anchor="middle"><rect x="{-margin:g}" y="{-margin:g}" width="{width:.1f}" height="{height:.1f}" '
        f'fill="#ffffff"/>{inside}</svg>'
    )


def _shape(shape: Shape) -> str:
    match shape:
        case Fill(x, y, width, height, role):
            colour = CELL_ROLES[role].fill
            return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'
        case Line(x, y, length, upright, kind):
            x2, y2 = (x, y + length) if upright else (x + length, y)
            return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {STROKES[kind]}/>'
        case Ring(x, y, width, height):
            corner = f'x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" rx="{width * 0.35:.1f}"'
            return f'<rect {corner} width="{width:.1f}" height="{height:.1f}" fill="none" stroke="{INK}"/>'
        case Text(x, y, content, style):
            return f'<text x="{x:.1f}" y="{y:.1f}" dy="0.35em" {STYLES[style]}>{_words(content)}</text>'
        case _:
            assert_never(shape)


def _words(content: Label) -> str:
    return html_text(one_line("".join(word if isinstance(word, str) else plain(word) for word in content)))
