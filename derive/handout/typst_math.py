"""Formulas as Typst mathematics, in Unicode characters rather than Typst's symbol names, which change between versions.

The functions ``boxed``, ``highlighted``, ``scaled`` and ``role…`` are defined by ``DEFINITIONS``, which a document
puts before its first formula. Functions are called without ``#``, whose expression swallows a following ``;``.
"""

from __future__ import annotations

import re
from typing import assert_never

from .characters import typst_string, typst_text
from .formula import (
    Accent,
    Aligned,
    Big,
    Blackboard,
    Boxed,
    Cases,
    Emphasis,
    Fence,
    Formula,
    Fraction,
    Function,
    Identifier,
    Matrix,
    Numeral,
    Operator,
    Prime,
    Row,
    Scaled,
    Scripts,
    Space,
    Underbrace,
    Words,
    flat,
)
from .symbols import (
    ACCENTS,
    BIG,
    CLOSING,
    GREEK,
    HIGHLIGHT,
    LEFT,
    OPERATORS,
    RIGHT,
    ROLES,
    SPACES,
    blackboard,
)

GLUE = "\ue000"  # Typst keeps a space next to words, so words are written without one
ESCAPED = frozenset(",;.:/()[]{}|‖⟨⟩⌊⌋⌈⌉")
NARROW = {"hat": "hat", "tilde": "tilde", "bar": "macron", "dot": "dot"}


def _role(name: str) -> str:
    role = ROLES[name]
    drawn = {
        "underline": "math.underline(x)",
        "double": "math.underline(math.underline(x))",
        "frame": f'rect(stroke: .5pt + rgb("{role.colour}"), inset: 2.5pt, math.equation(x))',
        "fill": "highlighted(x)",
    }[role.cue]
    text_colour = "" if role.cue == "fill" else f'fill: rgb("{role.colour}"), '
    return f"#let role{name}(x) = text({text_colour}{drawn})"


DEFINITIONS = "\n".join([
    "#let boxed(x) = rect(stroke: .6pt, inset: (x: 5pt, y: 5pt), math.equation(block: true, numbering: none, x))",
    f'#let highlighted(x) = rect(fill: rgb("{HIGHLIGHT}"), outset: (x: 1.5pt, y: 2.2pt), inset: 0pt, math.equation(x))',
    "#let alignedlines(..lines) = math.mat(delim: none, row-gap: .65em, ..lines)",
    "#let scaled(factor, x) = text(size: factor * 1em, x)",
    *(_role(name) for name in ROLES),
])  # fmt: skip


def typst_math(node: Formula) -> str:
    """The formula as the text between two ``$`` of Typst; a top-level ``Aligned`` becomes lines of the equation."""
    if isinstance(node, Aligned):
        text = " \\\n".join(f"{_print(left)} &{_print(right)}" for left, right in node.rows)
    else:
        text = _print(node)
    return re.sub(f" *{GLUE} *", "", text).strip()


def _print(node: Formula) -> str:
    match node:
        case Identifier(name):
            return _identifier(name)
        case Numeral(text):
            return f'{GLUE}"{text}"{GLUE}' if "," in text else text
        case Operator(name):
            return _sign(OPERATORS[name].character)
        case Space(name):
            return SPACES[name].typst
        case Function(name, limits):
            return f"op({typst_string(name)}, limits: #{str(limits).lower()})"
        case Words(text):
            return f"{GLUE}{typst_text(text)}{GLUE}"
        case Row():
            return " ".join(_print(item) for item in flat(node)) or '""'
        case Scripts(base, sub, sup):
            return _scripts(base, sub, sup)
        case Accent(name, base):
            if isinstance(base, Identifier):
                return f"{NARROW[name]}({_print(base)})"
            return f"overline({_print(base)})" if name == "bar" else f"accent({_print(base)}, {ACCENTS[name][2]})"
        case Fraction(numerator, denominator):
            return f"frac({_print(numerator)}, {_print(denominator)})"
        case Fence(left, body, right, grow):
            return _fence(left, body, right, grow, "", "")
        case Underbrace(body, note):
            return f"underbrace({_print(body)}, {_print(note)})"
        case Big(name, lower, upper):
            return _big(name, lower, upper)
        case Matrix():
            return _matrix(node)
        case Cases(rows):
            return "cases(" + ", ".join(f"{_print(value)} & quad {_print(when)}" for value, when in rows) + ")"
        case Aligned(rows):
            lines = "; ".join(f"{_print(left)} &{_print(right)}" for left, right in rows)
            return f"display(alignedlines({lines}))"
        case Emphasis(role, body):
            return f"role{role}({_print(body)})"
        case Blackboard(letter):
            return blackboard(letter)
        case Prime(base, count):
            text = _print(base)
            return (text if isinstance(base, (Identifier, Fence)) and len(text) > 0 else f"lr({text})") + "'" * count
        case Boxed(body):
            return f"boxed({_print(body)})"
        case Scaled(body, factor):
            return f"scaled(#{factor:.3f}, {_print(body)})"
        case _:
            assert_never(node)


def _identifier(name: str) -> str:
    if name == "ell":
        return "ℓ"
    if name in GREEK:
        return GREEK[name][1]
    return name if len(name) == 1 else f'{GLUE}"{name}"{GLUE}'


def _sign(character: str) -> str:
    if character in ("⋯", "…"):
        return f"thin {character} thin"
    return "\\" + character if character in ESCAPED else character


def _scripts(base: Formula, sub: Formula | None, sup: Formula | None) -> str:
    places = (f", b: {_print(sub)}" if sub is not None else "") + (f", t: {_print(sup)}" if sup is not None else "")
    if isinstance(base, Fence) and not base.grow and base.right:
        return _fence(base.left, base.body, base.right, False, "attach(", places + ")")
    return f"attach({_print(base)}{places})"


def _fence(left: str, body: Formula, right: str, grow: bool, before: str, after: str) -> str:
    """``before`` and ``after`` wrap the right delimiter: scripts of an unstretched fence belong to it alone."""
    opening, closing = LEFT[left].character, RIGHT[right].character
    first = f'class("opening", {_sign(opening)})' if opening else ""
    last = f'class("closing", {_sign(closing)})' if closing else ""
    inside = " ".join(part for part in (first, _print(body), f"{before}{last}{after}" if last else "") if part)
    return f"lr({inside})" if grow else inside


def _big(name: str, lower: Formula | None, upper: Formula | None) -> str:
    large = BIG[name]
    sign = large.character
    if large.arrow:
        sign = f"op(attach(limits({sign}), t: #text(size: 1.5em, [${large.arrow}$])), limits: #true)"
    places = f", b: {_print(lower)}" if lower is not None else ""
    places += f", t: {_print(upper)}" if upper is not None else ""
    return f"attach({sign}{places})" if places else sign


def _matrix(node: Matrix) -> str:
    lines: list[str] = []
    for i, cells in enumerate(node.rows):
        written = [_print(cell) for cell in cells]
        lines.append(", ".join(f"highlighted({c})" if (i, j) in node.highlighted else c for j, c in enumerate(written)))
    delimiter = {"": "#none", "||": '"‖"'}.get(node.delimiter, f'"{node.delimiter}"')
    if node.delimiter and CLOSING[node.delimiter] == node.delimiter:
        delimiter = f'"{LEFT[node.delimiter].character}"'
    rules = ""
    if node.rules_after_rows or node.rules_after_columns:
        across = "".join(f"{i + 1}, " for i in sorted(node.rules_after_rows))
        down = "".join(f"{j + 1}, " for j in sorted(node.rules_after_columns))
        rules = f" augment: #(hline: ({across}), vline: ({down}), stroke: .5pt),"
    return f"display(mat(delim: {delimiter},{rules} {'; '.join(lines)}))"
