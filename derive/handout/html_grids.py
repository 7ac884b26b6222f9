"""Pictures of cells in HTML: tables that read in light and dark and in grey, and the data of their animations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from .blocks import Frames
from .characters import html_text, one_line
from .formula import Formula
from .furniture import left_out
from .grids import (
    CELL_ROLES,
    SIDES,
    Cell,
    Label,
    Panel,
    Place,
    Side,
    drawn,
    outlined,
    panel,
)
from .mathml import mathml

PAUSE = 1100  # milliseconds between the frames of an animation


def label(words: Label) -> str:
    """Text and formulas, one after another."""
    return "".join(_content(word) for word in words)


def _content(content: str | Formula) -> str:
    return html_text(one_line(content)) if isinstance(content, str) else mathml(content)


def panels_html(panels: Sequence[Panel]) -> str:
    """The panels side by side; those that do not fit stand below one another."""
    return f'<div class="panels">{"".join(map(_panel, panels))}</div>'


def _panel(one: Panel) -> str:
    lead = f'<span class="lead">{html_text(one.lead)}</span>' if one.lead else ""
    title = f"<p>{label(one.title)}</p>" if one.title else ""
    shown = f'<div class="panel">{title}{_table(one, "grid main")}</div>'
    return f'<div class="led">{lead}{shown}</div>' if lead else shown


def _table(one: Panel, classes: str) -> str:
    edges = outlined(one)
    head, rows = "", ""
    if one.numbered:
        numbers = "".join(f'<th scope="col">{j + 1}</th>' for j in range(one.size[1]))
        head = f"<thead><tr><th></th>{numbers}</tr></thead>"
    for i, row in enumerate(one.cells):
        edge = f'<th scope="row">{i + 1}</th>' if one.numbered else ""
        rows += f"<tr>{edge}{''.join(_cell(cell, edges.get((i, j), ())) for j, cell in enumerate(row))}</tr>"
    return f'<table class="{classes}">{head}<tbody>{rows}</tbody></table>'


def _cell(cell: Cell, sides: Iterable[Side]) -> str:
    names = [f"cell-{role}" for role in cell.roles]
    names += [cue for cue in ("dotted", "ring", "struck", "faint") if cell.has(cue)]
    names += ["bold"] if cell.is_bold else []
    names += [f"at-{side}" for side in (SIDES if cell.has("frame") else sides)]
    classes = f' class="{" ".join(names)}"' if names else ""
    return f"<td{classes}>{_content(cell.content)}</td>"


def legend_html(legend: tuple[tuple[str, Label], ...]) -> str:
    """Samples of the roles with what they mean."""
    entries = "".join(f"<li>{_sample(role)}<span>{label(words)}</span></li>" for role, words in legend)
    return f'<ul class="legend">{entries}</ul>' if entries else ""


def _sample(role: str) -> str:
    return _table(panel([[Cell("", (role,))]]), "grid").replace("<table", '<table role="presentation"')


def frames_html(block: Frames) -> str:
    """The place of the animation with its data, and the pictures that stand there on paper and without a script."""
    shown = drawn(block.panels, block.frames)
    strip = "".join(
        f'<li>{panels_html(panels)}<p class="words">{label(frame.words)}</p></li>' for panels, frame in shown
    )
    note = left_out(block.things, len(block.frames), len(shown))
    rest = f'<p class="left-out">{note}</p>' if note else ""
    stage = f'<div class="stage" role="group" aria-label="Animation" hidden>{panels_html(block.panels)}</div>'
    legend = legend_html(block.legend)
    return f'{stage}{legend}<ol class="strip">{strip}</ol>{rest}<script type="application/json">{_data(block)}</script>'


def _data(block: Frames) -> str:
    held = [frame.at[0] for frame in block.frames if frame.at]
    title = "".join(word for word in block.panels[held[0]].title if isinstance(word, str)) if held else ""
    used = {role for frame in block.frames for _, role in frame.marks}
    content = {
        "things": block.things,
        "pause": PAUSE,
        "hint": f"Point at a cell of the table “{title}”" if title else "Point at a cell",
        "roles": {
            name: {"cue": CELL_ROLES[name].cue, "bold": CELL_ROLES[name].bold} for name in sorted(used)
        },
        "frames": [
            {
                "words": label(frame.words),
                "marks": [[list(place), role] for place, role in frame.marks],
                "written": [[list(place), _content(content)] for place, content in frame.written],
                "at": _at(frame.at),
            }
            for frame in block.frames
        ],
    }  # fmt: skip
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("&", "\\u0026")


def _at(place: Place | None) -> list[int] | None:
    return list(place) if place else None
