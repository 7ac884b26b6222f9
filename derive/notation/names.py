"""How names are written: ``yhat`` as ŷ, ``delta_h`` as δ_h, ``grad_U`` as ∂ℓ/∂U, ``d_W`` as dW."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from derive.handout.formula import (
    Accent,
    Formula,
    Fraction,
    Function,
    Identifier,
    Numeral,
    Operator,
    Row,
    Scripts,
    Words,
    paren,
)  # fmt: skip
from derive.handout.symbols import ACCENTS, GREEK
from derive.language.expression import Integer

FUNCTION_NAMES: dict[str, Formula] = {
    "sigmoid": Identifier("sigma"),
    "relu": Function("ReLU"),
    "identity": Function("id"),
    "trace": Function("tr"),
}
"""Functions of the language that are usually written under another name than their own."""


@dataclass(frozen=True)
class ChoiceNotation:
    """How the choice array of a maximum is written: the least position in its window, and whether one is taken.

    It is a bracket [κ = a] where one position is taken, else a weight κ_a for each.
    """

    lower: tuple[Integer, ...]
    is_place: bool


@dataclass(frozen=True)
class Names:
    """How an author writes names.

    ``written`` gives a name its own form; ``loss`` is the name that is written as the letter ``loss_letter``; ``time``
    says where the time index stands; ``choices`` are the arrays that say which position a maximum takes.
    """

    written: Mapping[str, Formula] = field(default_factory=dict)
    choices: Mapping[str, ChoiceNotation] = field(default_factory=dict)
    loss: str = "loss"
    loss_letter: Formula = field(default_factory=lambda: Identifier("ell"))
    time: Literal["superscript", "subscript"] = "superscript"


@dataclass(frozen=True)
class Symbol:
    """A letter and what the name itself hangs on it: ``W`` and ``hh``."""

    base: Formula
    sub: Formula | None = None


def letter_or_word(name: str) -> bool:
    """Whether a name is written as one letter: n, T, delta."""
    return len(name) == 1 or name in GREEK or name == "ell"


def plain_name(name: str) -> Formula:
    """The name of a size or index, or of an array without indices: ``d_k`` is d with subscript k."""
    symbol = split(name)
    return symbol.base if symbol.sub is None else Scripts(symbol.base, symbol.sub, None)


def split(name: str) -> Symbol:
    """The letter and the subscript in a name.

    >>> split("z1")
    Symbol(base=Identifier(name='z'), sub=Numeral(text='1'))
    """
    first, *rest = name.split("_")
    match = re.fullmatch(r"([A-Za-z]+)([0-9]+)", first)
    if match:
        first, rest = match[1], [match[2], *rest]
    subs = [_subscript(part) for part in rest if part]
    return Symbol(_letter(first), _listed(subs))


def _letter(word: str) -> Formula:
    for accent in ACCENTS:
        stem = word.removesuffix(accent)
        if stem != word and letter_or_word(stem):
            return Accent(accent, Identifier(stem))
    return Identifier(word)


def _subscript(word: str) -> Formula:
    """Two letters are two letters, ``W_{hh}``; a longer word is upright; digits after a letter are lowered again."""
    if word[0].isdigit():
        return Numeral(word) if word.isdigit() else Words(word)
    match = re.fullmatch(r"([A-Za-z]+)([0-9]+)", word)
    if match:
        return Scripts(_letter(match[1]), Numeral(match[2]), None)
    letters = len(word) == 2 and word not in GREEK
    return Row(tuple(Identifier(letter) for letter in word)) if letters else _letter(word)


def _listed(formulas: list[Formula]) -> Formula | None:
    pieces = [piece for formula in formulas for piece in (Operator(","), formula)][1:]
    return None if not pieces else pieces[0] if len(pieces) == 1 else Row(tuple(pieces))


def scripted(symbol: Symbol, sup: Formula | None, sub: Formula | None, fence: bool = True) -> Formula:
    """``symbol`` with further scripts; entries of ``W_{hh}`` are ``(W_{hh})_{ij}``."""
    if sub is not None and symbol.sub is not None:
        if fence:
            return Scripts(paren(scripted(symbol, sup, None)), sub, None)
        sub = _listed([symbol.sub, sub])
    lower = sub if sub is not None else symbol.sub
    return symbol.base if lower is None and sup is None else Scripts(symbol.base, lower, sup)


def access_formula(name: str, time: Formula | None, entry: Formula | None, names: Names) -> Formula:
    """The array ``name`` at a time, or one entry of it."""
    if name in names.written:
        return _placed(_as_symbol(names.written[name]), time, entry, names)
    if name == names.loss:
        return _placed(Symbol(names.loss_letter), time, entry, names)
    kind, _, rest = name.partition("_")
    if rest and kind == "grad":
        below = Row((Operator("partial"), access_formula(rest, time, entry, names)))
        return Fraction(Row((Operator("partial"), names.loss_letter)), below)
    if rest and kind == "d":
        return Row((Identifier("d"), access_formula(rest, time, entry, names)))
    if rest and kind == names.loss:
        return _placed(Symbol(names.loss_letter, _subscript(rest)), time, entry, names)
    if rest and kind == "delta":
        return _placed(Symbol(Identifier("delta"), access_formula(rest, None, None, names)), time, entry, names)
    return _placed(split(name), time, entry, names)


def is_differential(name: str, names: Names) -> bool:
    """Whether ``name`` is written with a d in front."""
    return name not in names.written and name.startswith("d_")


def _as_symbol(formula: Formula) -> Symbol:
    if isinstance(formula, Scripts) and formula.sup is None:
        return Symbol(formula.base, formula.sub)
    return Symbol(formula)


def _placed(symbol: Symbol, time: Formula | None, entry: Formula | None, names: Names) -> Formula:
    if names.time == "superscript":
        return scripted(symbol, time, entry)
    if time is None:
        return scripted(symbol, None, entry)
    return scripted(symbol, None, time if entry is None else _listed([time, entry]), fence=False)


def function_formula(name: str, names: Names) -> Formula:
    """The name of a function before its argument: f, σ, tanh."""
    if name in names.written:
        return names.written[name]
    if name in FUNCTION_NAMES:
        return FUNCTION_NAMES[name]
    stem = name.rstrip("0123456789")
    return plain_name(name) if letter_or_word(stem) or "_" in name else Function(name)
