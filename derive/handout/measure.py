"""The true widths of formulas in New Computer Modern, in points, asked of Typst in one query."""

from __future__ import annotations

import json
from collections.abc import Iterable

from .formula import Formula
from .typst_math import DEFINITIONS, typst_math

TEXT_SIZE = 10.95  # points: that of LaTeX's 11 pt class, whose Computer Modern has the same metrics
TEXT_WIDTH = 453.0  # points: A4 less two margins of 25 mm
NUMBER_WIDTH = 34.0  # points kept free on each side of a numbered display
MATHEMATICS = f"""#set text(font: "New Computer Modern", size: {TEXT_SIZE}pt, lang: "en")
#show math.equation: set text(font: "New Computer Modern Math")
#set math.mat(row-gap: .4em, column-gap: .75em)
#set math.cases(gap: .45em)
{DEFINITIONS}
"""


def widths(formulas: Iterable[Formula]) -> dict[Formula, float]:
    """The width of each formula as a display, in points at the size of the text."""
    import typst

    distinct = list(dict.fromkeys(formulas))
    if not distinct:
        return {}
    asked = ",\n".join(f"measure(math.equation(block: true, $ {typst_math(node)} $)).width.pt()" for node in distinct)
    source = f"{MATHEMATICS}#set page(width: auto, height: auto)\n#context [#metadata(({asked},))<widths>]"
    compiler = typst.Compiler(source.encode(), font_paths=typst.Fonts(include_system_fonts=False))
    values = json.loads(compiler.query("<widths>", field="value", one=True))
    return dict(zip(distinct, values, strict=True))
