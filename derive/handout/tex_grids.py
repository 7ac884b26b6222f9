"""Pictures of cells in LaTeX, with the picture environment alone."""

from __future__ import annotations

from typing import assert_never

from .blocks import Frames, Grid
from .characters import latex_text, one_line
from .furniture import left_out
from .grid_shapes import Fill, Line, Picture, Ring, Shape, Style, Text, picture, sample
from .grids import CELL_ROLES, Label, Layout, drawn, layout
from .latex import latex

STYLES: dict[Style, str] = {
    "plain": "{}", "quiet": r"\textcolor{{quiet}}{{\itshape {}}}", "bold": r"\textbf{{{}}}",
    "struck": r"\struck{{{}}}", "title": r"\footnotesize\textcolor{{quiet}}{{{}}}",
    "edge": r"\fontsize{{6}}{{7}}\selectfont\textcolor{{quiet}}{{{}}}", "lead": r"\large\textcolor{{quiet}}{{{}}}",
}  # fmt: skip
WEIGHTS = {"thin": "0.4pt", "thick": "1.4pt", "dotted": "0.5pt"}


def label(words: Label) -> str:
    """Text and formulas, one after another."""
    return "".join(latex_text(one_line(word)) if isinstance(word, str) else f"${latex(word)}$" for word in words)


def grid_source(block: Grid, caption: str) -> str:
    """The panels as one picture over its legend and caption."""
    size = layout(block.panels)
    parts = [_picture(picture(block.panels, size), size), _legend(block.legend), caption]
    body = "\n\n\\smallskip ".join(part for part in parts if part)
    return f"\\begin{{records}}{{}}\n{body}\n\\end{{records}}"


def frames_source(block: Frames, caption: str) -> str:
    """Pictures in rows, each numbered, over its words."""
    size = layout(block.panels, block.frames)
    width = f"{0.97 / size.beside:.3f}\\linewidth"
    shown = drawn(block.panels, block.frames)
    boxes: list[str] = []
    for number, (panels, frame) in enumerate(shown, 1):
        image = _picture(picture(panels, size, titled=False), size)
        words = rf"\footnotesize\textbf{{{number}.}} {label(frame.words)}"
        boxes.append(f"\\parbox[t]{{{width}}}{{\\centering\\vspace{{0pt}}{image}\n\n\\vspace{{2pt}}{words}}}")
    rows = [boxes[k : k + size.beside] for k in range(0, len(boxes), size.beside)]
    lines = "\n\n\\medskip\n".join("\\hfill\n".join(row) for row in rows)
    note = left_out(block.things, len(block.frames), len(shown))
    legend = _legend(block.legend)
    head = f"\\begin{{center}}\\small {caption}\n\n\\smallskip {legend}\\end{{center}}\\nopagebreak"
    parts = [head, lines]
    parts.append("\n\\medskip")
    return "\n".join([*parts, f"\n{{\\small\\color{{quiet}}{note}}}"] if note else parts)


def colours() -> str:
    """The definitions of the colours of all roles."""
    rows = CELL_ROLES.items()
    return "\n".join(rf"\definecolor{{cell-{name}}}{{HTML}}{{{role.fill[1:].upper()}}}" for name, role in rows)


def _legend(legend: tuple[tuple[str, Label], ...]) -> str:
    side = Layout((9.0,), 9.0, 7.0)
    entries = (
        rf"{_picture(sample(role, side.height), side, inline=True)}~\textcolor{{quiet}}{{{label(words)}}}"
        for role, words in legend
    )
    joined = r"\quad ".join(entries)
    return rf"{{\footnotesize {joined}}}" if joined else ""


def _picture(whole: Picture, size: Layout, inline: bool = False) -> str:
    empty = [shape for shape in whole.shapes if isinstance(shape, Text) and not any(shape.content)]
    lines = [_shape(shape, whole.height) for shape in whole.shapes if shape not in empty]
    begin = rf"\begin{{picture}}({_number(whole.width)},{_number(whole.height)})"
    opening = rf"{{\setlength{{\unitlength}}{{1pt}}\fontsize{{{size.text:.1f}}}{{{size.text * 1.2:.1f}}}\selectfont"
    joint = "" if inline else "%\n"
    return joint.join([opening, begin, *lines, r"\end{picture}}"])


def _shape(shape: Shape, height: float) -> str:
    """One command; LaTeX counts upwards."""
    match shape:
        case Fill(x, y, width, tall, role):
            rule = rf"\textcolor{{cell-{role}}}{{\rule{{{_number(width)}pt}}{{{_number(tall)}pt}}}}"
            return rf"\put({_number(x)},{_number(height - y - tall)}){{{rule}}}"
        case Line(x, y, length, upright, "dotted"):
            step = r"(0,-2)" if upright else r"(2,0)"
            place = f"({_number(x)},{_number(height - y)})"
            return (
                rf"\multiput{place}{step}{{{int(length // 2) + 1}}}{{\textcolor{{quiet}}{{\rule{{0.6pt}}{{0.6pt}}}}}}"
            )
        case Line(x, y, length, upright, kind):
            direction = "0,-1" if upright else "1,0"
            colour = r"\color{hair}" if kind == "thin" else ""
            line = rf"{{{colour}\line({direction}){{{_number(length)}}}}}"
            return rf"\linethickness{{{WEIGHTS[kind]}}}\put({_number(x)},{_number(height - y)}){{{line}}}"
        case Ring(x, y, width, tall):
            oval = rf"\oval({_number(width)},{_number(tall)})"
            return rf"\linethickness{{0.7pt}}\put({_number(x)},{_number(height - y)}){{{oval}}}"
        case Text(x, y, content, style):
            return (
                rf"\put({_number(x)},{_number(height - y)}){{\makebox(0,0){{{STYLES[style].format(label(content))}}}}}"
            )
        case _:
            assert_never(shape)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
