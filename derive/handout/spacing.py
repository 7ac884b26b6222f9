"""TeX's spacing between atoms, for the notations in which we must set the spaces ourselves.

The table is the one of The TeXbook, chapter 18: entry (left, right) is 0 none, 1 thin, 2 medium, 3 thick.
"""

from __future__ import annotations

from typing import Literal, assert_never

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
)
from .symbols import OPERATORS, Kind

Atom = Literal["ord", "op", "bin", "rel", "open", "close", "punct", "inner", "none"]
ATOMS: tuple[Atom, ...] = ("ord", "op", "bin", "rel", "open", "close", "punct", "inner")
TABLE = {
    "ord": "01230001", "op": "11030001", "bin": "22002002", "rel": "33003003",
    "open": "00000000", "close": "01230001", "punct": "11011111", "inner": "11231011",
}  # fmt: skip
EM = ("0", "0.1667em", "0.2222em", "0.2778em")
NO_LEFT_OPERAND = ("bin", "op", "rel", "open", "punct", "none")
NO_RIGHT_OPERAND = ("rel", "close", "punct")
KINDS: dict[Kind, Atom] = {
    "relation": "rel", "binary": "bin", "punctuation": "punct", "ordinary": "ord", "inner": "inner",
}  # fmt: skip


def atom(node: Formula) -> Atom:
    """The class of the atom that a formula forms in a row."""
    match node:
        case Operator(name):
            return KINDS[OPERATORS[name].kind]
        case Function() | Big():
            return "op"
        case Scripts(base) | Accent(_, base) | Prime(base):
            return atom(base) if isinstance(base, (Function, Big, Operator)) else "ord"
        case Fraction():
            return "inner"
        case Fence(grow=grow):
            return "inner" if grow else "ord"
        case Space():
            return "none"
        case Underbrace():
            return "op"
        case (
            Identifier() | Numeral() | Words() | Row() | Matrix() | Cases() | Aligned() | Emphasis() | Blackboard()
            | Boxed() | Scaled()
        ):  # fmt: skip
            return "ord"
        case _:
            assert_never(node)


def resolved(atoms: list[Atom], ends: list[Atom] | None = None) -> list[Atom]:
    """Binary signs without two operands become ordinary ones: the minus of ``-x`` and of ``= -x``.

    ``ends`` are the classes seen from the right where they differ: an unstretched fence opens, then closes.
    """
    result = list(atoms)
    rights = list(ends if ends is not None else atoms)
    for i, kind in enumerate(atoms):
        left = rights[i - 1] if i else "open"
        right = atoms[i + 1] if i + 1 < len(atoms) else "close"
        if kind == "bin" and (left in NO_LEFT_OPERAND or right in NO_RIGHT_OPERAND):
            result[i] = rights[i] = "ord"
    return result


def space(left: Atom, right: Atom, in_script: bool) -> int:
    """Index into ``EM`` of the space between two neighbours; scripts keep only the space next to an operator name."""
    if "none" in (left, right):
        return 0
    width = int(TABLE[left][ATOMS.index(right)])
    return 0 if in_script and "op" not in (left, right) else width
