"""Text, formulas, references and captions as Typst source: what every block is made of."""

from __future__ import annotations

import re

from .blocks import CodeText, Emphasised, Inline, Inlines, Reference
from .characters import one_line, typst_string, typst_text
from .formula import Formula
from .numbering import Number, Numbers
from .speech import speech
from .typst_math import typst_math


def prose(text: str) -> str:
    """The text on one line with typographic quotation marks and apostrophes."""
    text = re.sub(r"(?<=\w)'(?=\w)", "’", one_line(text))
    return re.sub(r'"', "”", re.sub(r'(^|(?<=[\s(\[—–]))"(?=\S)', "“", text))


def mathematics(node: Formula, settings: str = "block: false") -> str:
    """A formula with the words for those who hear it."""
    return f"#math.equation({settings}, alt: {typst_string(speech(node))}, ${typst_math(node)}$)"


def displayed(node: Formula, number: Number | None = None) -> str:
    """A display; its number is the text that the model resolved."""
    numbering = f"(..) => {typst_string(number.text)}" if number else "none"
    label = f"<{number.anchor}>" if number else ""
    return f"[{mathematics(node, f'block: true, numbering: {numbering}')}{label}]"


def anchor(number: Number) -> str:
    """A place to link to."""
    return f"#metadata(none)<{number.anchor}>"


def content(inlines: Inlines, numbers: Numbers) -> str:
    """The inlines as Typst content in brackets."""
    return "[" + "".join(inline_source(inline, numbers) for inline in inlines) + "]"


def inline_source(inline: Inline, numbers: Numbers) -> str:
    """One inline as markup."""
    if isinstance(inline, str):
        return f"#{typst_text(prose(inline))}"
    if isinstance(inline, Reference):
        number = numbers.reference(inline.id)
        return f"#link(<{number.anchor}>, {typst_string(number.text.replace(' ', chr(0xA0)))})"
    if isinstance(inline, CodeText):
        return f"#raw({typst_string(one_line(inline.text))})"
    if isinstance(inline, Emphasised):
        return f"#emph({typst_text(prose(inline.text))})"
    return mathematics(inline)


def optional(inlines: Inlines, numbers: Numbers) -> str:
    """The inlines, or ``none`` for none."""
    return content(inlines, numbers) if inlines else "none"


def caption_source(number: Number, caption: Inlines, numbers: Numbers) -> str:
    """``Figure 2.`` in bold, then the caption, with a place to link to."""
    return f"[{anchor(number)}#caption-text({typst_string(number.text)}, {content(caption, numbers)})]"
