"""Writer of Markdown with LaTeX mathematics between dollars, as GitHub, Jupyter, Pandoc and KaTeX read it."""

from __future__ import annotations

import base64
import re
from typing import assert_never

from .blocks import (
    AnswerKey,
    Block,
    Chain,
    CodeText,
    Display,
    Document,
    Emphasised,
    EvidenceTable,
    Exercises,
    Figure,
    Frames,
    Grid,
    Heading,
    Inline,
    Inlines,
    Items,
    Listing,
    Note,
    Paragraph,
    Proof,
    Reference,
    Step,
    Table,
    Teacher,
    chain_line,
)
from .characters import legal, one_line
from .drawing import svg_text
from .editions import Prepared, prepared
from .evidence_table import as_table
from .formula import Formula, Row, row
from .furniture import ANSWERS, footer, points_text, subtitle_parts
from .latex import latex
from .markdown_grids import frames_images, frames_list, grid_image, grid_tables
from .numbering import Number, Numbers, badge


def markdown(document: Document) -> bytes:
    """The document as one Markdown file."""
    return ("\n\n".join(text for _, text in pieces(prepared(document, paper=True))) + "\n").encode()


def pieces(ready: Prepared, images: bool = False) -> list[tuple[Block | None, str]]:
    """The Markdown of the title, of each block and of the foot, with the block it came from; with ``images``, pictures
    of cells are drawn where they would be tables.
    """
    document, numbers = ready.document, ready.numbers
    subtitle = _text(" · ".join(subtitle_parts(document)))
    shown: list[tuple[Block | None, str]] = [(None, f"# {_text(document.title)}")]
    if subtitle:
        shown.append((None, f"*{subtitle}*"))
    shown.extend((block, _drawn(block, numbers) if images else _block(block, numbers)) for block in document.blocks)
    foot = footer(document)
    return [*shown, (None, f"---\n\n{_text(foot)}")] if foot else shown


def _text(text: str) -> str:
    """The text with every character that Markdown or HTML could read as a mark escaped."""
    escaped = re.sub(r"([\\`*_{}\[\]#|~$^])", r"\\\1", legal(one_line(text)))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _paragraph(text: str) -> str:
    """A paragraph that does not start like a list, a rule or a heading."""
    text = text.strip()
    return re.sub(r"^([0-9]+)([.)])", r"\1\\\2", re.sub(r"^([-+=:])", r"\\\1", text))


def _inlines(inlines: Inlines, numbers: Numbers) -> str:
    return "".join(_inline(inline, numbers) for inline in inlines)


def _inline(inline: Inline, numbers: Numbers) -> str:
    if isinstance(inline, str):
        return _text(inline)
    if isinstance(inline, Reference):
        number = numbers.reference(inline.id)
        return f"[{number.text}](#{number.anchor})"
    if isinstance(inline, CodeText):
        return _code(one_line(inline.text))
    if isinstance(inline, Emphasised):
        return f"*{_text(inline.text)}*"
    return f"${latex(inline, 'web') or '{}'}$"


def _code(text: str) -> str:
    runs = [len(run) for run in re.findall("`+", text)]
    ticks = "`" * (max(runs, default=0) + 1)
    pad = " " if text[:1] == "`" or text[-1:] == "`" else ""
    return f"{ticks}{pad}{legal(text)}{pad}{ticks}"


def _anchor(number: Number, numbers: Numbers) -> str:
    """A place to link to, where a link exists."""
    return f'<a id="{number.anchor}"></a>' if number.anchor in numbers.referenced else ""


def _equation(node: Formula, number: Number | None, numbers: Numbers) -> str:
    tag = f" \\tag{{{number.value}}}" if number else ""
    anchor = f"{_anchor(number, numbers)}\n\n" if number and number.anchor in numbers.referenced else ""
    return f"{anchor}$$\n{latex(node, 'web')}{tag}\n$$"


def _caption(number: Number, caption: Inlines, numbers: Numbers) -> str:
    return f"{_anchor(number, numbers)}**{number.text}.** {_inlines(caption, numbers)}"


def _blocks(blocks: tuple[Block, ...], numbers: Numbers) -> str:
    return "\n\n".join(_block(block, numbers) for block in blocks)


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def _drawn(block: Block, numbers: Numbers) -> str:
    """The block with pictures of cells as images."""

    def write(words: Inlines) -> str:
        return _inlines(words, numbers)

    match block:
        case Grid(caption=caption):
            return f"{_caption(numbers.of(block)[0], caption, numbers)}\n\n{grid_image(block, write)}"
        case Frames(caption=caption):
            return f"{_caption(numbers.of(block)[0], caption, numbers)}\n\n{frames_images(block, write)}"
        case _:
            return _block(block, numbers)


def _block(block: Block, numbers: Numbers) -> str:
    match block:
        case Heading(text, level):
            number = numbers.of(block)[0]
            return f"{'#' * (level + 1)} {_anchor(number, numbers)}{number.value} {_text(text)}"
        case Paragraph(inlines):
            return _paragraph(_inlines(inlines, numbers))
        case Display(node):
            return _equation(node, next(iter(numbers.of(block)), None), numbers)
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
            words = _caption(number, caption, numbers) + "\n\n" if number else ""
            return words + fenced(source, language)
        case Figure(svg, caption, alt):
            image = base64.b64encode(svg_text(svg).encode()).decode()
            picture = f"![{_text(alt)}](data:image/svg+xml;base64,{image})"
            return f"{picture}\n\n{_caption(numbers.of(block)[0], caption, numbers)}"
        case Grid(caption=caption):
            tables = grid_tables(block, lambda words: _inlines(words, numbers))
            return f"{_caption(numbers.of(block)[0], caption, numbers)}\n\n{tables}"
        case Frames(caption=caption):
            listed = frames_list(block, lambda words: _inlines(words, numbers))
            return f"{_caption(numbers.of(block)[0], caption, numbers)}\n\n{listed}"
        case Note(kind, body):
            return _quoted(f"**{_text(kind)}.** {_inlines(body, numbers)}")
        case Items(items, ordered):
            return "\n".join(f"{f'{i + 1}.' if ordered else '-'} {_paragraph(_inlines(item, numbers))}"
                             for i, item in enumerate(items))  # fmt: skip
        case Proof(inside):
            return _opened("*Proof.*", inside, numbers) + " □"
        case Exercises(exercises):
            shown: list[str] = []
            for one in exercises:
                number = numbers.of(one)[0]
                worth = f" ({points_text(one.points)})" if one.points else ""
                shown.append(_opened(f"{_anchor(number, numbers)}**{number.text}**{worth}.", one.question, numbers))
            return "\n\n".join(shown)
        case AnswerKey(answers):
            shown = [_opened(f"**Exercise {number}.**", inside, numbers) for number, inside in answers]
            return f"## {ANSWERS}\n\n" + "\n\n".join(shown)
        case Teacher(inside):
            return _quoted("**For the teacher.**\n\n" + _blocks(inside, numbers))
        case _:
            assert_never(block)


def _opened(opening: str, inside: tuple[Block, ...], numbers: Numbers) -> str:
    joint = " " if inside and isinstance(inside[0], Paragraph) else "\n\n"
    return opening + joint + _blocks(inside, numbers)


def fenced(source: str, language: str) -> str:
    """The code between fences longer than any run of backticks in it."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", source)), default=0))
    return f"{fence}{re.sub('[^A-Za-z0-9+#-]', '', language)}\n{legal(source.rstrip())}\n{fence}"


def _step(block: Step, numbers: Numbers) -> str:
    step, equation = numbers.of(block)
    words = badge(block.evidence)
    title = f"{_anchor(step, numbers)}**{step.text}.** *{_inlines(block.title, numbers).strip()}*"
    parts = [title + (f"   ✓ {_text(words)}" if words else ""), _equation(block.formula, equation, numbers)]
    if block.reason:
        parts.append(_paragraph(_inlines(block.reason, numbers)))
    if block.details:
        parts.append(_quoted(_blocks(block.details, numbers)))
    return "\n\n".join(parts)


def _chain(block: Chain, numbers: Numbers) -> str:
    """One display a line, each followed by its reason: no renderer numbers and explains the lines of one display."""
    parts: list[str] = []
    for i, ((relation, node, reason), number) in enumerate(zip(block.rows, numbers.of(block), strict=True)):
        parts.append(_equation(row(block.left if i == 0 else Row(()), chain_line(relation, node)), number, numbers))
        if reason:
            parts.append(f"({_inlines(reason, numbers)})")
    return "\n\n".join(parts)


def _table(block: Table, number: Number, numbers: Numbers) -> str:
    def line(cells: tuple[Inlines, ...]) -> str:
        shown = (re.sub(r"(?<!\\)\|", r"\\|", _inlines(cell, numbers)) for cell in cells)
        return "| " + " | ".join(shown) + " |"

    marks = {"l": ":--", "c": ":-:", "r": "--:"}
    rule = "| " + " | ".join(marks[letter] for letter in block.align or "l" * len(block.header)) + " |"
    lines = [line(block.header), rule, *(line(cells) for cells in block.rows)]
    return f"{_caption(number, block.caption, numbers)}\n\n" + "\n".join(lines)
