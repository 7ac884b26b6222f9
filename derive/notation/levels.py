"""How firmly formulas hold together, and the parentheses that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from derive.handout.formula import (
    Aligned,
    Big,
    Cases,
    Fence,
    Formula,
    Fraction,
    Matrix,
    Prime,
    Row,
    Scripts,
    Underbrace,
    row,
    sup,
)  # fmt: skip


class Level(IntEnum):
    """How firmly a formula holds together: what it may be part of without parentheses."""

    SUM = 0  # a + b, -a
    CHAIN = 1  # a ⊙ b, a ⊗ b
    PRODUCT = 2  # a b
    FACTOR = 3  # a^t, a/b: a factor, but no base for another superscript
    ATOM = 4  # a, f(a), (a + b)


@dataclass(frozen=True)
class Written:
    """A formula, how firmly it holds together, and whether it ends in a Σ or Π that would take in whatever follows."""

    formula: Formula
    level: Level = Level.ATOM
    is_open: bool = False


def parenthesised(inside: Formula) -> Formula:
    """``inside`` in parentheses that grow where it is taller than a line."""
    return Fence("(", inside, ")", is_tall(inside))


def is_tall(node: Formula) -> bool:
    """Whether the formula is taller than a line of letters with scripts."""
    if isinstance(node, (Fraction, Big, Matrix, Cases, Aligned, Underbrace)):
        return True
    if isinstance(node, Fence):
        return node.grow
    return (
        any(is_tall(item) for item in node.items)
        if isinstance(node, Row)
        else (isinstance(node, (Scripts, Prime)) and is_tall(node.base))
    )


def raised(base: Formula, exponent: Formula) -> Formula:
    """A letter keeps its subscript below the superscript, and f(x) carries it on its parenthesis."""
    if isinstance(base, Scripts) and base.sup is None:
        return Scripts(base.base, base.sub, exponent)
    if isinstance(base, Row) and isinstance(base.items[-1], Fence):
        return Row((*base.items[:-1], sup(base.items[-1], exponent)))
    return sup(base, exponent)


def inline(node: Formula) -> Formula:
    """A fraction with a stroke, for scripts."""
    return row(node.numerator, "/", node.denominator) if isinstance(node, Fraction) else node
