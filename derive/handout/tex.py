r"""Writer of one LaTeX file that pdflatex compiles with packages of any full distribution.

Numbers are written as ``\tag`` and as text, so that they agree with the other formats whatever is edited.
"""

from __future__ import annotations

import re
import unicodedata
from importlib import resources
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
from .characters import code_point, latex_character, latex_text, one_line
from .editions import prepared
from .evidence_table import as_table
from .formula import Formula
from .furniture import ANSWERS, EDITIONS, footer, points_text, running_title, subtitle_parts
from .latex import latex
from .numbering import Number, Numbers, badge, walk
from .plain import plain
from .tex_grids import colours, frames_source, grid_source

LANGUAGES = {"python": "Python", "c": "C", "c++": "C++", "bash": "bash", "sh": "bash", "java": "Java", "r": "R"}
LINE_LENGTH = 84  # characters of a table's line that fit the text block


def tex(document: Document) -> bytes:
    """The document as LaTeX source."""
    ready = prepared(document, paper=True)
    document, numbers = ready.document, ready.numbers
    title, edition = _text(document.title), EDITIONS[document.edition]
    dot = r" \textperiodcentered{} "
    subtitle = dot.join(_text(part) for part in subtitle_parts(document))
    head = dot.join(_text(part) for part in (edition, document.course) if part)
    lines = [
        resources.files("derive.handout").joinpath("data/handout.tex").read_text(encoding="utf-8").rstrip(),
        _literate(document.blocks),
        colours() if any(isinstance(block, Grid | Frames) for block in walk(document.blocks)) else "",
        rf"\hypersetup{{pdftitle={{{_bookmark(document.title)}}}}}",
        rf"\fancyhead[L]{{\running{{{_text(running_title(document))}}}}}",
        rf"\fancyhead[R]{{\small\color{{quiet}}\parbox[b]{{0.36\textwidth}}{{\raggedleft {head}}}}}",
        rf"\fancyfoot[L]{{\small\color{{quiet}}{_text(footer(document))}}}",
        r"\fancyfoot[R]{\small\color{quiet}\thepage}",
        r"\begin{document}",
        r"\thispagestyle{plain}",
        rf"\begin{{center}}{{\LARGE\bfseries {title}\par}}",
        rf"\medskip{{\color{{quiet}}{subtitle}\par}}" if subtitle else "",
        r"\smallskip{\color{hair}\hrule}\end{center}",
        "",
        _blocks(document.blocks, numbers),
        r"\end{document}",
    ]
    return ("\n".join(lines) + "\n").encode()


def _text(text: str) -> str:
    return latex_text(one_line(text))


def _bookmark(text: str) -> str:
    """ASCII alone, for the title of the PDF."""
    return _text("".join(c if c.isascii() else code_point(c) for c in one_line(text)))


def _literate(blocks: tuple[Block, ...]) -> str:
    """How listings set the characters outside ASCII that occur in this document."""
    sources = "".join(
        unicodedata.normalize("NFC", block.source) for block in walk(blocks) if isinstance(block, Listing)
    )
    found = sorted({c for c in sources if not c.isascii()})
    rows = "".join(f"{{{c}}}{{{{{latex_character(c)}}}}}1 " for c in found)
    return rf"\lstset{{literate={rows}}}" if rows else ""


def _label(number: Number) -> str:
    return rf"\phantomsection\label{{{number.anchor}}}"


def _inlines(inlines: Inlines, numbers: Numbers) -> str:
    return "".join(_inline(inline, numbers) for inline in inlines)


def _inline(inline: Inline, numbers: Numbers) -> str:
    if isinstance(inline, str):
        return _text(inline)
    if isinstance(inline, Reference):
        number = numbers.reference(inline.id)
        return rf"\hyperref[{number.anchor}]{{\textcolor{{link}}{{{number.text.replace(' ', '~')}}}}}"
    if isinstance(inline, CodeText):
        return rf"\texttt{{{_text(inline.text)}}}"
    if isinstance(inline, Emphasised):
        return rf"\emph{{{_text(inline.text)}}}"
    return f"${latex(inline) or '{}'}$"


def _equation(node: Formula, number: Number | None) -> str:
    body = latex(node) or "{}"  # an empty line would end the display
    if number is None:
        return f"\\begin{{equation*}}\n  {body}\n\\end{{equation*}}"
    return f"\\begin{{equation}}\\tag{{{number.value}}}\\label{{{number.anchor}}}\n  {body}\n\\end{{equation}}"


def _caption(number: Number, caption: Inlines, numbers: Numbers) -> str:
    return rf"{_label(number)}\textbf{{{number.text}.}} {_inlines(caption, numbers)}"


def _blocks(blocks: tuple[Block, ...], numbers: Numbers) -> str:
    """Blocks apart by empty lines, except that a display follows its paragraph at once."""
    written = ""
    for i, block in enumerate(blocks):
        joined = isinstance(block, Display) and i and isinstance(blocks[i - 1], Paragraph)
        written += ("\n" if joined else "\n\n" if i else "") + _block(block, numbers)
    return written


def _block(block: Block, numbers: Numbers) -> str:
    match block:
        case Heading(text, level):
            number = numbers.of(block)[0]
            kind = "section" if level == 1 else "subsection"
            return rf"\heading{{{kind}}}{{{number.value}}}{{{_text(text)}}}\label{{{number.anchor}}}"
        case Paragraph(inlines):
            return _inlines(inlines, numbers)
        case Display(node):
            return _equation(node, next(iter(numbers.of(block)), None))
        case Step():
            return _step(block, numbers)
        case Chain():
            return _chain(block, numbers)
        case Table():
            return _table(block, numbers.of(block)[0], numbers)
        case EvidenceTable():
            return _table(as_table(block), numbers.of(block)[0], numbers)
        case Listing():
            return _listing(block, numbers)
        case Figure(_, caption, alt):
            described = rf"\fbox{{\parbox{{0.8\linewidth}}{{\small\color{{quiet}}[Drawing] {_text(alt)}}}}}"
            words = _caption(numbers.of(block)[0], caption, numbers)
            return f"\\begin{{records}}{{}}\n{described}\n\n\\smallskip {words}\n\\end{{records}}"
        case Grid(caption=caption):
            return grid_source(block, _caption(numbers.of(block)[0], caption, numbers))
        case Frames(caption=caption):
            return frames_source(block, _caption(numbers.of(block)[0], caption, numbers))
        case Note(kind, body):
            return f"\\begin{{withrule}}\n\\textbf{{{_text(kind)}.}} {_inlines(body, numbers)}\n\\end{{withrule}}"
        case Items(items, ordered):
            kind = "enumerate" if ordered else "itemize"
            lines = "\n".join(rf"\item {{}}{_inlines(item, numbers)}" for item in items)
            return f"\\begin{{{kind}}}\n{lines}\n\\end{{{kind}}}"
        case Proof(inside):
            return f"\\begin{{proof}}\n{_blocks(inside, numbers)}\n\\end{{proof}}"
        case Exercises(exercises):
            return "\n\n".join(
                _exercise(numbers.of(one)[0].text, points_text(one.points) if one.points else "", one.question,
                          numbers, _label(numbers.of(one)[0])) for one in exercises
            )  # fmt: skip
        case AnswerKey(answers):
            shown = "\n\n".join(_exercise(f"Exercise {number}", "", inside, numbers, "") for number, inside in answers)
            return f"\\clearpage\n\\section*{{{ANSWERS}}}\n\n{shown}"
        case Teacher(inside):
            label = r"{\footnotesize\bfseries For the teacher}\par"
            return f"\\begin{{withrule}}\n{label}\n{_blocks(inside, numbers)}\n\\end{{withrule}}"
        case _:
            assert_never(block)


def _step(block: Step, numbers: Numbers) -> str:
    step, equation = numbers.of(block)
    words = badge(block.evidence)
    title = rf"{_label(step)}\textbf{{{step.text}.}} \emph{{{_inlines(block.title, numbers)}}}"
    if words:
        shown = rf"\passed{{{_text(words)}}}"
        title += rf"\totheright{{{shown}}}" if len(words) < 60 else rf"\par{{\raggedleft {shown}\par}}"
    parts = [r"\begin{step}", title, _equation(block.formula, equation)]
    if block.reason:
        parts.append(rf"\reason{{{_inlines(block.reason, numbers)}}}")
    parts.append(r"\end{step}")
    if block.details:
        inside = f"\\small\n{_blocks(block.details, numbers)}\n"
        parts.append(f"\\begin{{list}}{{}}{{\\leftmargin=24pt\\rightmargin=0pt}}\n{ITEM}\n{inside}\\end{{list}}")
    return "\n".join(parts)


ITEM = r"\item[]\leavevmode\vspace*{-\baselineskip}"
"""Something to hang the list on: a frame cannot be what an item begins with."""


def _chain(block: Chain, numbers: Numbers) -> str:
    columns = "r@{}X@{\\hspace{0.8em}}r" if block.stacked else "r@{}l@{\\hspace{2em}}X@{\\hspace{0.8em}}r"
    lines: list[str] = []
    for i, ((relation, node, reason), number) in enumerate(zip(block.rows, numbers.of(block), strict=True)):
        left = rf"\shown{{{latex(block.left)}}}" if i == 0 else ""
        line = rf"\shown{{{{}}{latex(chain_line(relation, node))}}}"
        why = rf"\small\color{{quiet}}{_inlines(reason, numbers)}" if reason else ""
        tag = rf"{_label(number)}{number.text}"
        if block.stacked:
            lines.append(f"{left} & {line} & {tag}" + (f" \\\\[3pt]\n & \\quad {why} & " if reason else ""))
        else:
            lines.append(f"{left} & {line} & {why} & {tag}")
    body = " \\\\[9pt]\n".join(lines)
    table = f"\\begin{{tabularx}}{{\\dimexpr\\linewidth-18pt}}{{{columns}}}\n{body}\n\\end{{tabularx}}"
    return f"\\par\\medskip\\hspace*{{18pt}}{table}\\par\\medskip"


def _table(block: Table, number: Number, numbers: Numbers) -> str:
    lengths = [max(_length(cells[j]) for cells in (block.header, *block.rows)) for j in range(len(block.header))]
    align = list(block.align or "l" * len(block.header))
    opening, closing = "tabular}", "tabular}"
    if sum(lengths) + 3 * len(lengths) > LINE_LENGTH:
        align = [r">{\raggedright\arraybackslash}X" if length > 14 and letter != "r" else letter
                 for length, letter in zip(lengths, align, strict=True)]  # fmt: skip
        if any("X" in column for column in align):
            opening, closing = r"tabularx}{\linewidth}", "tabularx}"
    head = " & ".join(rf"\textbf{{{_inlines(cell, numbers)}}}" for cell in block.header)
    body = " \\\\\n".join("{}" + " & ".join(_inlines(cell, numbers) for cell in cells) for cells in block.rows)
    lines = [rf"\begin{{records}}{{{_caption(number, block.caption, numbers)}}}",
             rf"\begin{{{opening}{{{''.join(align)}}}",
             rf"\toprule {head} \\ \midrule", body + (r" \\" if body else ""), r"\bottomrule", rf"\end{{{closing}",
             r"\end{records}"]  # fmt: skip
    return "\n".join(lines)


def _length(inlines: Inlines) -> int:
    """About how many characters wide the text is."""
    return sum(len(i) if isinstance(i, str) else 9 if isinstance(i, Reference) else len(i.text) + 1
               if isinstance(i, (CodeText, Emphasised)) else len(plain(i)) for i in inlines)  # fmt: skip


def _listing(block: Listing, numbers: Numbers) -> str:
    number = next(iter(numbers.of(block)), None)
    caption = _caption(number, block.caption, numbers) + r"\nopagebreak" + "\n" if number else ""
    source = unicodedata.normalize("NFC", block.source.rstrip()).replace(r"\end{source}", r"\end {source}")
    source = re.sub(r"[^\n\t -~\u0080-\U0010ffff]", lambda found: code_point(found[0]), source)
    language = LANGUAGES.get(block.language.lower(), "")
    return f"{caption}\\begin{{source}}[language={{{language}}}]\n{source}\n\\end{{source}}"


def _exercise(words: str, points: str, inside: tuple[Block, ...], numbers: Numbers, label: str) -> str:
    worth = rf" {{\small\color{{quiet}}({points})}}" if points else ""
    opening = f"\\medskip\\Needspace*{{3\\baselineskip}}{label}\\textbf{{{words}}}{worth}\\quad"
    return f"{opening}\n{_blocks(inside, numbers)}"
