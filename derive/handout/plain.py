"""Formulas as one line of Unicode text for a terminal: ``∂ℓ/∂U = Σ_{t=1}^{T} δᵗ (hᵗ⁻¹)ᵀ``."""

from __future__ import annotations

import re
import unicodedata
from typing import assert_never

from .characters import SUBSCRIPTS, SUPERSCRIPTS, one_line
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
from .spacing import Atom, atom, resolved
from .symbols import ACCENTS, BIG, GREEK, LEFT, OPERATORS, RIGHT, blackboard

SINGLE = (Identifier, Numeral, Function, Fence, Accent, Blackboard, Operator, Prime, Matrix, Words)
SIGNS = {"sum": "Σ", "product": "Π"}
RAISED = {**{c: raised for c, raised in SUPERSCRIPTS.items() if c != "T"}, "−": "⁻", "⊤": "ᵀ", "′": "′"}
"""A raised T is kept for the transpose: the last time step is written h^T."""
LOWERED = {**SUBSCRIPTS, "−": "₋"}


def plain(node: Formula) -> str:
    """The formula in one line of text."""
    return re.sub(r" {2,}", "  ", unicodedata.normalize("NFC", _print(node))).strip()


def _print(node: Formula) -> str:
    match node:
        case Identifier(name):
            return "ℓ" if name == "ell" else GREEK[name][1] if name in GREEK else name
        case Numeral(text):
            return text
        case Operator(name):
            return OPERATORS[name].character
        case Space(name):
            return " " if name in ("thin", "thick") else "  "
        case Function(name):
            return name
        case Words(text):
            return one_line(text)
        case Row():
            return _row(flat(node))
        case Scripts(base, sub, sup):
            return _grouped(base) + _script("_", sub, LOWERED) + _script("^", sup, RAISED)
        case Accent(name, base):
            text = _print(base)
            return text + ACCENTS[name][2] if len(text) == 1 else f"{name}({text})"
        case Fraction(numerator, denominator):
            return f"{_operand(numerator)}/{_operand(denominator)}"
        case Fence(left, body, right):
            return LEFT[left].character + _print(body) + RIGHT[right].character
        case Underbrace(body, note):
            return f"{_print(body)} [{_print(note)}]"
        case Big(name, lower, upper):
            sign = SIGNS.get(name, BIG[name].character + BIG[name].arrow)
            return sign + _bound("_", lower) + _bound("^", upper)
        case Matrix(rows):
            return "[" + "; ".join(", ".join(_print(cell) for cell in cells) for cells in rows) + "]"
        case Cases(rows):
            return "{ " + "; ".join(f"{_print(value)}  {_print(when)}" for value, when in rows) + " }"
        case Aligned(rows):
            return ";  ".join(_print(Row((left, right))) for left, right in rows)
        case Emphasis(body=body) | Boxed(body) | Scaled(body):
            return _print(body)
        case Blackboard(letter):
            return blackboard(letter)
        case Prime(base, count):
            return _grouped(base) + "′" * count
        case _:
            assert_never(node)


def _row(items: tuple[Formula, ...]) -> str:
    """Relations and binary signs stand between spaces; so do factors that would run into one another."""
    atoms: list[Atom] = resolved([atom(item) for item in items])
    written = ""
    for i, item in enumerate(items):
        text = _print(item)
        if atoms[i] in ("rel", "bin"):
            written = f"{written.rstrip()} {text} "
        elif atoms[i] == "punct":
            written = f"{written.rstrip()}{text} "
        else:
            written += (" " if i and _apart(items[i - 1], item) and not written.endswith(" ") else "") + text
    return written.strip() if len(items) > 1 else written


def _apart(left: Formula, right: Formula) -> bool:
    """``Σ_{t} δ``, ``U h`` and ``δᵗ (hᵗ⁻¹)`` need a space; ``f(x)``, ``2x``, ``∂ℓ`` and ``dW`` do not."""
    if isinstance(left, (Space, Words)) or isinstance(right, (Space, Words)):
        return False
    if isinstance(left, (Big, Fraction, Matrix)) or isinstance(right, (Big, Fraction, Matrix)):
        return True
    if isinstance(left, Scripts) and _is_differential_sign(left):
        return False
    if isinstance(left, (Function, Prime)) and isinstance(right, Scripts) and isinstance(right.base, Fence):
        return False
    if isinstance(right, Fence):
        return isinstance(left, Scripts) and not isinstance(left.base, (Function, Prime))
    if isinstance(left, (Operator, Numeral, Prime)) and not isinstance(right, Function):
        return isinstance(left, Prime)
    if isinstance(left, Identifier) and left.name == "d":
        return False
    return not isinstance(right, Operator)


def _script(mark: str, script: Formula | None, letters: dict[str, str]) -> str:
    if script is None:
        return ""
    text = unicodedata.normalize("NFC", _print(script))
    tight = text.replace(" ", "")
    if tight and all(c in letters for c in tight):
        return "".join(letters[c] for c in tight)
    return f"{mark}{text}" if len(text) == 1 else f"{mark}{{{tight if len(tight) < 12 else text}}}"


def _bound(mark: str, bound: Formula | None) -> str:
    if bound is None:
        return ""
    text = _print(bound)
    return f"{mark}{{{text.replace(' ', '') if len(text) < 12 else text}}}"


def _grouped(base: Formula) -> str:
    text = _print(base)
    return text if isinstance(base, SINGLE) or len(text) == 1 else f"({text})"


def _is_differential_sign(item: Formula) -> bool:
    """∂, d, ∇, also ∂²."""
    base = item.base if isinstance(item, Scripts) and item.sub is None else item
    return base in (Operator("partial"), Identifier("d"), Operator("nabla"))


def _operand(node: Formula) -> str:
    items = flat(node)
    bare = (
        [item for item in items if not _is_differential_sign(item)]
        if items and _is_differential_sign(items[0])
        else items
    )
    if len(items) == 2 * len(bare) and all(map(_is_differential_sign, items[::2])):
        return _print(node)
    single = len(bare) == 1 and not isinstance(bare[0], (Fraction, Big, Cases, Aligned, Underbrace))
    return _print(node) if single else f"({_print(node)})"
