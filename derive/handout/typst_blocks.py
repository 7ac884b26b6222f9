"""A document as Typst source. All text travels in string literals, so nothing in it can be read as markup."""

from __future__ import annotations

import re
from importlib import resources
from typing import assert_never

from .blocks import (
    AnswerKey,
    Block,
    Chain,
    Display,
    EvidenceTable,
    Exercises,
    Figure,
    Frames,
    Grid,
    Heading,
    Inlines,
    Items,
    Listing,
    Note,
    Paragraph,
    Proof,
    Step,
    Table,
    Teacher,
    chain_line,
)
from .characters import one_line, typst_string, typst_text
from .editions import Prepared
from .evidence_table import as_table
from .formula import Formula
from .furniture import ANSWERS, EDITIONS, footer, heading_text, points_text, running_title
from .measure import MATHEMATICS
from .numbering import Number, Numbers, badge
from .typst_grids import frames_source, grid_source
from .typst_inlines import anchor, caption_source, content, displayed, mathematics, optional, prose

LONG_LISTING = 40  # lines: a longer one may be split between pages


def typst_source(ready: Prepared) -> str:
    """The whole document, with its preamble, as Typst source."""
    document, numbers = ready.document, ready.numbers
    preamble = resources.files("derive.handout").joinpath("data/handout.typ").read_text(encoding="utf-8")
    fields = {
        "title": document.title, "subtitle": document.subtitle, "course": document.course,
        "running": running_title(document), "source": footer(document),
        "edition": EDITIONS[document.edition], "language": document.language,
    }  # fmt: skip
    arguments = ", ".join(f"{name}: {typst_text(prose(text))}" for name, text in fields.items())
    return f"{MATHEMATICS}\n{preamble}\n#show: handout.with({arguments})\n\n{_blocks(document.blocks, numbers)}\n"


def _blocks(blocks: tuple[Block, ...], numbers: Numbers) -> str:
    return "\n\n".join(_block(block, numbers) for block in blocks)


def _nested(blocks: tuple[Block, ...], numbers: Numbers) -> str:
    return f"[\n{_blocks(blocks, numbers)}\n]"


def _block(block: Block, numbers: Numbers) -> str:
    match block:
        case Heading():
            number = numbers.of(block)[0]
            words = typst_text(prose(heading_text(number, block)))
            return f"#heading(level: {block.level}, {words})<{number.anchor}>"
        case Paragraph(inlines):
            return _paragraph(inlines, numbers)
        case Display(node):
            return "#" + displayed(node, next(iter(numbers.of(block)), None))
        case Step():
            return _step(block, numbers)
        case Chain():
            return _chain(block, numbers)
        case Table():
            return _table(block, numbers.of(block)[0], numbers)
        case EvidenceTable():
            return _table(as_table(block), numbers.of(block)[0], numbers)
        case Listing(source, language, caption):
            number = next(iter(numbers.of(block)), None)
            words = caption_source(number, caption, numbers) if number else "none"
            code = f"raw(block: true, lang: {typst_string(language)}, {typst_string(source.rstrip())})"
            breakable = str(source.count("\n") > LONG_LISTING).lower()
            return f"#listing({words}, {breakable}, {code})"
        case Figure(svg, caption, alt):
            words = caption_source(numbers.of(block)[0], caption, numbers)
            drawing = f'image(bytes({_bytes(svg)}), format: "svg", alt: {typst_string(one_line(alt))}, width: auto)'
            return f"#drawing({words}, {drawing})"
        case Grid():
            return grid_source(block, caption_source(numbers.of(block)[0], block.caption, numbers))
        case Frames():
            return frames_source(block, caption_source(numbers.of(block)[0], block.caption, numbers))
        case Note(kind, body):
            return f"#note({typst_text(prose(kind))}, {content(body, numbers)})"
        case Items(items, ordered):
            kind = "enum" if ordered else "list"
            return f"#{kind}(tight: false, " + ", ".join(content(item, numbers) for item in items) + ")"
        case Proof(inside):
            return _proof(inside, numbers)
        case Exercises(exercises):
            shown: list[str] = []
            for one in exercises:
                number = numbers.of(one)[0]
                points = typst_string(points_text(one.points)) if one.points else "none"
                words = f"[{anchor(number)}#{typst_string(number.text)}]"
                shown.append(f"#exercise({words}, {points}, {_after_opening(one.question, numbers)})")
            return "\n\n".join(shown)
        case AnswerKey(answers):
            shown = [
                f'#exercise("Exercise {number}", none, {_after_opening(inside, numbers)})' for number, inside in answers
            ]
            return f"#pagebreak(weak: true)\n#heading(level: 1, {typst_string(ANSWERS)})\n\n" + "\n\n".join(shown)
        case Teacher(inside):
            return f"#teacher({_nested(inside, numbers)})"
        case _:
            assert_never(block)


def _bytes(text: str) -> str:
    """The SVG as a string literal, unchanged: its characters are checked by the reader of the image."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _paragraph(inlines: Inlines, numbers: Numbers, end: str = "") -> str:
    """A paragraph; one that leads to what follows stays on its page."""
    body = content(inlines, numbers)[1:-1] + end
    leads = bool(inlines) and isinstance(inlines[-1], str) and inlines[-1].rstrip().endswith((":", ",", " is", " are"))
    return f"#block(sticky: true)[{body}]" if leads else f"#par[{body}]"


def _step(block: Step, numbers: Numbers) -> str:
    step, equation = numbers.of(block)
    parts = [
        f"[{anchor(step)}#{typst_string(step.text)}]",
        content(block.title, numbers),
        displayed(block.formula, equation),
        optional(block.reason, numbers),
    ]
    if block.evidence:
        parts.append(f"badge: {typst_string(badge(block.evidence))}")
    if block.details:
        parts.append(f"details: details({_nested(block.details, numbers)})")
    return f"#step({', '.join(parts)})"


def _chain(block: Chain, numbers: Numbers) -> str:
    lines: list[str] = []
    for i, ((relation, node, reason), number) in enumerate(zip(block.rows, numbers.of(block), strict=True)):
        first = f"[{_line(block.left)}]" if i == 0 else "[]"
        line = f"[{_line(chain_line(relation, node))}]"
        words = f"[{anchor(number)}#{typst_string(number.text)}]"
        lines.append(f"({first}, {line}, {optional(reason, numbers)}, {words})")
    return f"#chain({str(block.stacked).lower()}, {', '.join(lines)})"


def _line(node: Formula) -> str:
    return mathematics(node, "block: true, numbering: none")


def _table(block: Table, number: Number, numbers: Numbers) -> str:
    names = {"l": "left", "c": "center", "r": "right"}
    alignment = ", ".join(f"{names[letter]} + horizon" for letter in block.align or "l" * len(block.header))
    header = ", ".join(f"strong({content(cell, numbers)})" for cell in block.header)
    cells = ", ".join(content(cell, numbers) for cells in block.rows for cell in cells)
    caption = caption_source(number, block.caption, numbers)
    return f"#records({caption}, {len(block.header)}, ({alignment},), ({header},), {cells})"


def _after_opening(inside: tuple[Block, ...], numbers: Numbers, end: str = "") -> str:
    """A function of some opening words to the blocks with those words run into the first paragraph."""
    shown = [_block(block, numbers) for block in inside]
    if end and inside and isinstance(inside[-1], Paragraph):
        shown[-1] = _paragraph(inside[-1].inlines, numbers, end)
    elif end:
        shown.append(f"#block(above: 0.4em, width: 100%)[{end}]")
    if inside and isinstance(inside[0], Paragraph):
        shown[0] = re.sub(r"^(#par|#block\(sticky: true\))\[", r"\1[#opening", shown[0])
    else:
        shown.insert(0, "#block(sticky: true)[#opening]")
    return "opening => [\n" + "\n\n".join(shown) + "\n]"


def _proof(inside: tuple[Block, ...], numbers: Numbers) -> str:
    """The blocks after the word "Proof"; the closing square ends the last paragraph or stands on a line of its own."""
    return f"#proof({_after_opening(inside, numbers, '#proof-end')})"
