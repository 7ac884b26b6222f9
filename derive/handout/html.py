"""Writer of one offline HTML file: MathML with an embedded font, details that unfold, light and dark, screen and paper.

Nothing is loaded from anywhere, and mathematics needs no script; scripts open and close details and move pictures.
"""

from __future__ import annotations

import base64
from importlib import resources
from typing import assert_never, cast

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
from .characters import html_text, legal, one_line
from .drawing import svg_text
from .editions import prepared
from .evidence_table import as_table
from .formula import NODES, Formula
from .furniture import ANSWERS, DETAILS, footer, points_text, subtitle_parts
from .grids import CELL_ROLES
from .html_grids import frames_html, legend_html, panels_html
from .mathml import mathml
from .numbering import Number, Numbers, badge, walk
from .symbols import ROLES

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; font-src data:; img-src data:"


def html(document: Document) -> bytes:
    """The document as one HTML file."""
    ready = prepared(document, paper=False)
    document, writer = ready.document, _Writer(ready.numbers, document.edition == "teacher")
    subtitle = _text(" · ".join(subtitle_parts(document)))
    foot = footer(document)
    page = [
        "<!doctype html>",
        f'<html lang="{html_text(document.language)}">',
        '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        f"<title>{_text(document.title)}</title>",
        f"<style>\n{_style()}</style></head>",
        '<body><a class="skip" href="#main">Skip to the text</a>',
        f"<header><h1>{_text(document.title)}</h1>" + (f"<p>{subtitle}</p>" if subtitle else "") + "</header>",
        writer.contents(document.blocks),
        '<main id="main">',
        writer.blocks(document.blocks),
        "</main>",
        f"<footer>{_text(foot)}</footer>" if foot else "",
        f"<script>\n{_script(document)}</script>",
        "</body></html>",
    ]
    return ("\n".join(part for part in page if part) + "\n").encode()


def _data(name: str) -> bytes:
    return resources.files("derive.handout").joinpath(f"data/{name}").read_bytes()


def _script(document: Document) -> str:
    animated = any(isinstance(block, Frames) for block in walk(document.blocks))
    return _data("handout.js").decode() + (_data("frames.js").decode() if animated else "")


def _style() -> str:
    font = base64.b64encode(_data("unrolled-math.woff2")).decode()
    face = f'@font-face {{ font-family: "Unrolled Math"; src: url(data:font/woff2;base64,{font}) format("woff2"); }}\n'
    light = "".join(f" --{name}: {role.colour};" for name, role in ROLES.items())
    light += "".join(f" --cell-{name}: {role.fill};" for name, role in CELL_ROLES.items())
    dark = "".join(f" --{name}: {role.dark};" for name, role in ROLES.items())
    dark += "".join(f" --cell-{name}: {role.dark};" for name, role in CELL_ROLES.items())
    cues = {
        "underline": "border-bottom: 1.5px solid; padding-bottom: .12em",
        "double": "border-bottom: 3.5px double; padding-bottom: .12em",
        "frame": "border: 1px solid; padding: .12em .2em",
    }
    roles = "".join(
        f".role-{name} {{ background: var(--{name}); }}\n" if role.cue == "fill"
        else f".role-{name} {{ color: var(--{name}); {cues[role.cue]}; }}\n"
        for name, role in ROLES.items()
    )  # fmt: skip
    roles += "".join(f".cell-{name} {{ background: var(--cell-{name}); }}\n" for name in CELL_ROLES)
    variables = f":root {{{light} }}\n@media (prefers-color-scheme: dark) {{ :root {{{dark} }} }}\n"
    return face + variables + _data("handout.css").decode() + roles


def _text(text: str) -> str:
    return html_text(one_line(text))


class _Writer:
    """Blocks to HTML, with the numbers of one document."""

    def __init__(self, numbers: Numbers, teacher: bool) -> None:
        self.numbers = numbers
        self.teacher = teacher

    def blocks(self, blocks: tuple[Block, ...]) -> str:
        return "\n".join(self.block(block) for block in blocks)

    def contents(self, blocks: tuple[Block, ...]) -> str:
        """Links to the sections, if there are at least three."""
        sections = [block for block in blocks if isinstance(block, Heading) and block.level == 1]
        if len(sections) < 3:
            return ""
        links = ""
        for block in sections:
            number = self.numbers.of(block)[0]
            links += f'<li><a href="#{number.anchor}">{number.value}&#8194;{_text(block.text)}</a></li>'
        return f'<nav aria-label="Contents"><ol>{links}</ol></nav>'

    def inlines(self, inlines: Inlines) -> str:
        """The inlines; a mark of punctuation stays on the line of the formula before it."""
        written = ""
        for i, inline in enumerate(inlines):
            text = self.inline(inline)
            if i and isinstance(inline, str) and text[:1] in tuple(",.;:)") and isinstance(inlines[i - 1], NODES):
                formula = mathml(cast(Formula, inlines[i - 1]))
                written = f'{written.removesuffix(formula)}<span class="kept">{formula}{text[0]}</span>'
                text = text[1:]
            written += text
        return written

    def inline(self, inline: Inline) -> str:
        if isinstance(inline, str):
            return _text(inline)
        if isinstance(inline, Reference):
            number = self.numbers.reference(inline.id)
            return f'<a href="#{number.anchor}">{_text(number.text).replace(" ", "&#160;")}</a>'
        if isinstance(inline, CodeText):
            return f"<code>{_text(inline.text)}</code>"
        if isinstance(inline, Emphasised):
            return f"<em>{_text(inline.text)}</em>"
        return mathml(inline)

    def equation(self, node: Formula, number: Number | None) -> str:
        place = f' id="{number.anchor}"' if number else ""
        words = f'<span class="number">{number.text}</span>' if number else ""
        return f'<div class="equation"{place}><div class="formula">{mathml(node, "block")}</div>{words}</div>'

    def caption(self, number: Number, caption: Inlines) -> str:
        return f"<figcaption><strong>{number.text}.</strong> {self.inlines(caption)}</figcaption>"

    def block(self, block: Block) -> str:
        match block:
            case Heading(text, level):
                number = self.numbers.of(block)[0]
                tag = f"h{level + 1}"
                return f'<{tag} id="{number.anchor}"><span class="ordinal">{number.value}</span>{_text(text)}</{tag}>'
            case Paragraph(inlines):
                return f"<p>{self.inlines(inlines)}</p>"
            case Display(node):
                return self.equation(node, next(iter(self.numbers.of(block)), None))
            case Step():
                return self.step(block)
            case Chain():
                return self.chain(block)
            case Table():
                return self.table(block, self.numbers.of(block)[0])
            case EvidenceTable():
                return self.table(as_table(block), self.numbers.of(block)[0])
            case Listing(source, language, caption):
                number = next(iter(self.numbers.of(block)), None)
                place = f' id="{number.anchor}"' if number else ""
                words = self.caption(number, caption) if number else ""
                code = _highlighted(source, language)
                return f'<figure class="listing"{place}>{words}<pre tabindex="0"><code>{code}</code></pre></figure>'
            case Figure(svg, caption, alt):
                number = self.numbers.of(block)[0]
                drawing = svg_text(svg).replace("<svg", f'<svg role="img" aria-label="{_text(alt)}"', 1)
                return f'<figure class="drawing" id="{number.anchor}">{drawing}{self.caption(number, caption)}</figure>'
            case Grid(panels, caption, legend):
                number = self.numbers.of(block)[0]
                picture = panels_html(panels) + legend_html(legend)
                return f'<figure class="cells" id="{number.anchor}">{picture}{self.caption(number, caption)}</figure>'
            case Frames(caption=caption):
                number = self.numbers.of(block)[0]
                words = self.caption(number, caption)
                return f'<figure class="frames" id="{number.anchor}">{words}{frames_html(block)}</figure>'
            case Note(kind, body):
                return f'<aside class="note"><strong>{_text(kind)}.</strong> {self.inlines(body)}</aside>'
            case Items(items, ordered):
                tag = "ol" if ordered else "ul"
                return f"<{tag}>" + "".join(f"<li>{self.inlines(item)}</li>" for item in items) + f"</{tag}>"
            case Proof(inside):
                end = '<span class="end" aria-label="end of proof">□</span>'
                return f'<div class="proof">{self.opened("<em>Proof.</em> ", inside, end)}</div>'
            case Exercises(exercises):
                return "\n".join(self.exercise(one.question, one.points, self.numbers.of(one)[0]) for one in exercises)
            case AnswerKey(answers):
                shown = "\n".join(self.answer(number, inside) for number, inside in answers)
                return f'<h2 id="_answers">{ANSWERS}</h2>\n{shown}'
            case Teacher(inside):
                return f'<div class="teacher"><p class="label">For the teacher</p>{self.blocks(inside)}</div>'
            case _:
                assert_never(block)

    def step(self, block: Step) -> str:
        step, equation = self.numbers.of(block)
        words = badge(block.evidence)
        checked = f'<span class="badge">✓<span class="aside"> checked:</span> {_text(words)}</span>' if words else ""
        title = f'<span class="what"><strong>{step.text}.</strong> <em>{self.inlines(block.title)}</em></span>'
        parts = [f'<p class="title">{title}{checked}</p>', self.equation(block.formula, equation)]
        if block.reason:
            parts.append(f'<p class="reason">{self.inlines(block.reason)}</p>')
        if block.details:
            opened = " open" if self.teacher else ""
            inside = f'<div class="inside">{self.blocks(block.details)}</div>'
            parts.append(f"<details{opened}><summary>{DETAILS}</summary>{inside}</details>")
        return f'<section class="step" id="{step.anchor}" aria-label="{step.text}">{"".join(parts)}</section>'

    def chain(self, block: Chain) -> str:
        cells = [f'<div class="left">{mathml(block.left, "line")}</div>']
        for (relation, node, reason), number in zip(block.rows, self.numbers.of(block), strict=True):
            cells.append(f'<div class="line">{mathml(chain_line(relation, node), "line")}</div>')
            cells.append(f'<div class="number" id="{number.anchor}">{number.text}</div>')
            if reason:
                cells.append(f'<div class="reason">{self.inlines(reason)}</div>')
        return f'<div class="chain{" stacked" if block.stacked else ""}">{"".join(cells)}</div>'

    def table(self, block: Table, number: Number) -> str:
        align = block.align or "l" * len(block.header)
        head = "".join(
            f'<th scope="col" class="{a}">{self.inlines(c)}</th>' for a, c in zip(align, block.header, strict=True)
        )
        body = ""
        for cells in block.rows:
            shown = (f'<td class="{a}">{self.inlines(c)}</td>' for a, c in zip(align, cells, strict=True))
            body += f"<tr>{''.join(shown)}</tr>"
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        words = self.caption(number, block.caption)
        return f'<figure class="records" id="{number.anchor}">{words}<div class="scroll">{table}</div></figure>'

    def exercise(self, question: tuple[Block, ...], points: int, number: Number) -> str:
        worth = f' <span class="points">({points_text(points)})</span>' if points else ""
        body = self.opened(f"<strong>{number.text}</strong>{worth}&#8194;", question)
        return f'<section class="exercise" id="{number.anchor}" aria-label="{number.text}">{body}</section>'

    def answer(self, number: int, inside: tuple[Block, ...]) -> str:
        opening = f"<strong>Exercise {number}</strong>&#8194;"
        return f'<section class="exercise">{self.opened(opening, inside)}</section>'

    def opened(self, opening: str, inside: tuple[Block, ...], end: str = "") -> str:
        """The blocks with some words run into the first paragraph and some at the end of the last."""
        shown = [self.block(block) for block in inside]
        if end and inside and isinstance(inside[-1], Paragraph):
            shown[-1] = shown[-1].removesuffix("</p>") + end + "</p>"
        elif end:
            shown.append(f"<p>{end}</p>")
        if inside and isinstance(inside[0], Paragraph):
            shown[0] = shown[0].replace("<p>", f"<p>{opening}", 1)
        else:
            shown.insert(0, f"<p>{opening}</p>")
        return "\n".join(shown)


def _highlighted(source: str, language: str) -> str:
    """The code with its kinds of words marked; text in a language we do not know stays plain."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import TextLexer, get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        lexer = TextLexer(stripnl=False)
    return highlight(legal(source.rstrip()), lexer, HtmlFormatter(nowrap=True)).rstrip("\n")
