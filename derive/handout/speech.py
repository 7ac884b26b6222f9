"""Formulas as words to be read aloud: the alternative text of every formula.

A superscript that is an index (``h^{t-1}``) is read as a superscript, a numeric one as a power, ``⊤`` as "transpose".
Capital letters are announced, because U and u sound alike.
"""

from __future__ import annotations

import re
from typing import assert_never

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
from .symbols import BIG, GREEK, LEFT, OPERATORS, RIGHT

POWERS = {"2": "squared", "3": "cubed"}
PRIMES = {1: "prime", 2: "double prime", 3: "triple prime"}
NOT_WORDS = r"(?<![^\W_])['-]|['-](?![^\W_])|[^\w ,'-]|_"
PAUSES = {",": ",", ";": ",", ".": ","}


def speech(node: Formula) -> str:
    """The formula in words; commas are pauses."""
    text = re.sub(r"\s+", " ", _say(node)).strip()
    text = re.sub(r"( ?, ?)+", ", ", text).strip(" ,")
    text = re.sub(r"( end (superscript|subscript|power|fraction|underbrace))+$", "", text)
    return text or "nothing"


def _say(node: Formula) -> str:
    match node:
        case Identifier(name):
            return _identifier(name)
        case Numeral(text):
            return text.replace(",", "").replace(".", " point ")
        case Operator(name):
            return PAUSES.get(name, OPERATORS[name].spoken)
        case Space():
            return ""
        case Function(name):
            return name
        case Words(text):
            return _words(text)
        case Row():
            return _row(flat(node))
        case Scripts(base, sub, sup):
            return " ".join(part for part in (_say(base), _subscript(sub), _superscript(base, sup)) if part)
        case Accent(name, base):
            return f"{_say(base)} {name}" if _short(base) else f"{name} over {_say(base)} end {name}"
        case Fraction(numerator, denominator):
            if _short(numerator) and _short(denominator):
                return f"{_say(numerator)} over {_say(denominator)}"
            return f"the fraction {_say(numerator)} over {_say(denominator)} end fraction"
        case Fence(left, body, right):
            return _fence(left, body, right)
        case Underbrace(body, note):
            return f"{_say(body)}, underbraced with {_say(note)} end underbrace"
        case Big(name, lower, upper):
            return _big(name, lower, upper)
        case Matrix(rows):
            said = [", ".join(_say(cell) or "blank" for cell in cells) for cells in rows]
            lines = ", ".join(f"row {i + 1}, {line}" for i, line in enumerate(said))
            return f"{len(rows)} by {len(rows[0])} matrix, {lines}, end matrix"
        case Cases(rows):
            return "cases, " + ", ".join(f"{_say(value)}, {_say(when)}" for value, when in rows) + ", end cases"
        case Aligned(rows):
            return ", next line, ".join(f"{_say(left)} {_say(right)}" for left, right in rows)
        case Emphasis(body=body) | Boxed(body) | Scaled(body):
            return _say(body)
        case Blackboard(letter):
            return f"blackboard {letter}"
        case Prime(base, count):
            return f"{_say(base)} {PRIMES[count]}"
        case _:
            assert_never(node)


def _identifier(name: str) -> str:
    if name in GREEK:
        return f"capital {name.lower()}" if name[0].isupper() else name
    return f"capital {name}" if len(name) == 1 and name.isupper() else name


def _words(text: str) -> str:
    """The letters and digits of a text; hyphens and apostrophes only inside words, other marks as pauses."""
    pauses = re.sub(r"[,;:.!?()\[\]]", ",", text)
    return f" {re.sub(NOT_WORDS, ' ', pauses)} "


def _short(node: Formula) -> bool:
    """Read without a pause: one sign, one sign with ∂ before it, or one sign with a simple script."""
    items = flat(node)
    if items and items[0] == Operator("partial"):
        items = items[1:]
    if len(items) != 1:
        return False
    item = items[0]
    if isinstance(item, Scripts):
        return all(part is None or _short(part) for part in (item.base, item.sub, item.sup))
    return isinstance(item, (Identifier, Numeral, Operator, Accent, Prime, Blackboard, Function))


def _row(items: tuple[Formula, ...]) -> str:
    said: list[str] = []
    for i, item in enumerate(items):
        leading = i == 0 or (isinstance(items[i - 1], Operator) and items[i - 1] in LEADS)
        if item == Operator("-") and leading:
            said.append("negative")
        elif isinstance(item, Fence) and item.left == "(" and i and _applies(items[i - 1]) and _short(item.body):
            said.append(f"of {_say(item.body)}")
        else:
            said.append(_say(item))
    return " ".join(said)


LEADS = tuple(Operator(name) for name, sign in OPERATORS.items() if sign.kind in ("relation", "binary", "punctuation"))


def _subscript(sub: Formula | None) -> str:
    if sub is None:
        return ""
    return f"sub {_say(sub)}" if _short(sub) else f"sub {_say(sub)} end subscript"


def _superscript(base: Formula, sup: Formula | None) -> str:
    if sup is None:
        return ""
    if sup == Operator("top"):
        return "transpose"
    if sup == Operator("ast"):
        return "star"
    if isinstance(sup, Numeral):
        return POWERS.get(sup.text, f"to the power {_say(sup)}")
    items = flat(sup)
    if items == (Operator("-"), Numeral("1")):
        return "inverse"
    if items == (Operator("-"), Operator("top")):
        return "inverse transpose"
    if all(isinstance(item, (Numeral, Operator)) for item in items) or isinstance(base, Numeral):
        return f"to the power {_say(sup)}" + ("" if _short(sup) else " end power")
    if isinstance(base, Fence):
        return f"to the power {_say(sup)}" + ("" if _short(sup) else " end power")
    return f"superscript {_say(sup)}" + ("" if _short(sup) else " end superscript")


def _fence(left: str, body: Formula, right: str) -> str:
    return f"{LEFT[left].spoken} {_say(body)} {RIGHT[right].spoken}"


def _applies(node: Formula) -> bool:
    """What stands before a parenthesis is a function: ``f'``, ``tanh``, or one of the letters f and g."""
    if isinstance(node, Scripts):
        return _applies(node.base)
    return isinstance(node, (Function, Prime)) or node in (Identifier("f"), Identifier("g"))


def _big(name: str, lower: Formula | None, upper: Formula | None) -> str:
    words = f"the {BIG[name].spoken}"
    if lower is not None:
        words += f" {'over' if upper is None else 'from'} {_say(lower)}"
    if upper is not None:
        words += f" {'up ' if lower is None else ''}to {_say(upper)}"
    return f"{words} of"
