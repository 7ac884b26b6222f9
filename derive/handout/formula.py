"""The closed tree for mathematical layout: what a formula looks like, in no notation in particular.

Every name is looked up in a table of ``symbols`` when a node is made, so a formula that exists can be printed by every
printer. ``row``, ``sup``, ``sub``, ``frac`` and ``paren`` accept strings and numbers in place of nodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, get_args

from .symbols import ACCENTS, BIG, CLOSING, GREEK, LEFT, OPERATORS, RIGHT, ROLES, SPACES


class FormulaError(ValueError):
    """A node was asked for a sign, a name or a shape that does not exist."""


def _known(kind: str, name: str, table: Mapping[str, object]) -> None:
    if name not in table:
        raise FormulaError(f"no {kind} is called {name!r}; known: {' '.join(repr(known) for known in table)}")


@dataclass(frozen=True, slots=True)
class Identifier:
    """A letter, a Greek letter by its ASCII name, ``ell``, or an upright word such as ``loss``."""

    name: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", self.name):
            raise FormulaError(f"an identifier is a letter followed by letters and digits, got {self.name!r}")


@dataclass(frozen=True, slots=True)
class Numeral:
    """An unsigned decimal number, as written; commas may group its digits."""

    text: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?|[0-9]+(\.[0-9]+)?", self.text):
            raise FormulaError(f"a numeral is an unsigned decimal number, got {self.text!r}")


@dataclass(frozen=True, slots=True)
class Operator:
    """A relation, binary sign, mark of punctuation or constant of the table ``OPERATORS``."""

    name: str

    def __post_init__(self) -> None:
        _known("operator", self.name, OPERATORS)


@dataclass(frozen=True, slots=True)
class Space:
    """A horizontal space: ``thin``, ``thick``, ``quad`` or ``qquad``."""

    name: str

    def __post_init__(self) -> None:
        _known("space", self.name, SPACES)


@dataclass(frozen=True, slots=True)
class Function:
    """An upright operator name; with ``limits`` a subscript is set below it in a display."""

    name: str
    limits: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*( [A-Za-z0-9]+)*", self.name):
            raise FormulaError(f"a function's name is one or more plain words, got {self.name!r}")


@dataclass(frozen=True, slots=True)
class Words:
    """Running text inside mathematics; its spaces are kept."""

    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """Formulas one after another."""

    items: tuple[Formula, ...] = ()


@dataclass(frozen=True, slots=True)
class Scripts:
    """A base with a subscript, a superscript or both."""

    base: Formula
    sub: Formula | None = None
    sup: Formula | None = None

    def __post_init__(self) -> None:
        if self.sub is None and self.sup is None:
            raise FormulaError("Scripts needs a subscript or a superscript")


@dataclass(frozen=True, slots=True)
class Accent:
    """A ``hat``, ``tilde``, ``bar`` or ``dot`` over a formula."""

    name: str
    base: Formula

    def __post_init__(self) -> None:
        _known("accent", self.name, ACCENTS)


@dataclass(frozen=True, slots=True)
class Fraction:
    """Numerator over denominator."""

    numerator: Formula
    denominator: Formula


@dataclass(frozen=True, slots=True)
class Fence:
    """A formula between delimiters, which grow with it if ``grow``; an empty delimiter is not drawn."""

    left: str
    body: Formula
    right: str
    grow: bool = False

    def __post_init__(self) -> None:
        _known("left delimiter", self.left, LEFT)
        _known("right delimiter", self.right, RIGHT)


@dataclass(frozen=True, slots=True)
class Underbrace:
    """A formula over a brace over a note."""

    body: Formula
    note: Formula


@dataclass(frozen=True, slots=True)
class Big:
    """A large operator with bounds; ``product_left`` says that later factors stand on the left."""

    name: str
    lower: Formula | None = None
    upper: Formula | None = None

    def __post_init__(self) -> None:
        _known("large operator", self.name, BIG)


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix; ``highlighted`` holds cells ``(row, column)``, the rules are drawn after those rows and columns."""

    rows: tuple[tuple[Formula, ...], ...]
    delimiter: str = "("
    highlighted: frozenset[tuple[int, int]] = frozenset()
    rules_after_rows: frozenset[int] = frozenset()
    rules_after_columns: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        _known("matrix delimiter", self.delimiter, CLOSING)
        widths = {len(cells) for cells in self.rows}
        if len(widths) != 1 or 0 in widths:
            raise FormulaError(f"the rows of a matrix have one common, positive length, got {sorted(widths)}")
        height, width = len(self.rows), widths.pop()
        outside = [cell for cell in sorted(self.highlighted) if not (0 <= cell[0] < height and 0 <= cell[1] < width)]
        outside += [(i, 0) for i in sorted(self.rules_after_rows) if not 0 <= i < height - 1]
        outside += [(0, j) for j in sorted(self.rules_after_columns) if not 0 <= j < width - 1]
        if outside:
            raise FormulaError(f"a {height} by {width} matrix has nothing to mark at {outside[0]}")


@dataclass(frozen=True, slots=True)
class Cases:
    """Rows of a value and its condition, behind a brace."""

    rows: tuple[tuple[Formula, Formula], ...]

    def __post_init__(self) -> None:
        if not self.rows:
            raise FormulaError("Cases needs a row")


@dataclass(frozen=True, slots=True)
class Aligned:
    """Lines that meet between their left and right parts."""

    rows: tuple[tuple[Formula, Formula], ...]

    def __post_init__(self) -> None:
        if not self.rows:
            raise FormulaError("Aligned needs a row")


@dataclass(frozen=True, slots=True)
class Emphasis:
    """A formula in the colour and with the second cue of a role."""

    role: str
    body: Formula

    def __post_init__(self) -> None:
        _known("role", self.role, ROLES)


@dataclass(frozen=True, slots=True)
class Blackboard:
    """A capital letter in blackboard bold."""

    letter: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Z]", self.letter):
            raise FormulaError(f"blackboard bold is for one capital letter, got {self.letter!r}")


@dataclass(frozen=True, slots=True)
class Prime:
    """A formula with one to three primes."""

    base: Formula
    count: int = 1

    def __post_init__(self) -> None:
        if self.count not in (1, 2, 3):
            raise FormulaError(f"one to three primes can be set, got {self.count}")


@dataclass(frozen=True, slots=True)
class Boxed:
    """A formula in a frame."""

    body: Formula


@dataclass(frozen=True, slots=True)
class Scaled:
    """A formula at a fraction of its size; made only for displays that cannot be broken to fit."""

    body: Formula
    factor: float


Formula: TypeAlias = (
    Identifier | Numeral | Operator | Space | Function | Words | Row | Scripts | Accent | Fraction | Fence | Underbrace
    | Big | Matrix | Cases | Aligned | Emphasis | Blackboard | Prime | Boxed | Scaled
)  # fmt: skip
NODES: tuple[type, ...] = get_args(Formula)
Shorthand: TypeAlias = "Formula | str | int | float | tuple[Shorthand, ...]"


def formula(thing: Shorthand) -> Formula:
    """The node a shorthand stands for: ``"h"``, ``"delta"``, ``"+"``, ``"quad"``, ``"0.5"``, ``-1``, or a tuple."""
    if isinstance(thing, NODES):
        return thing  # type: ignore[return-value]
    if isinstance(thing, tuple):
        return row(*thing)
    if isinstance(thing, bool):
        raise FormulaError(f"a formula is made of nodes, strings and numbers, got {thing!r}")
    if isinstance(thing, (int, float)):
        digits = f"{abs(thing):.12g}"
        return row("-", Numeral(digits)) if thing < 0 else Numeral(digits)
    if isinstance(thing, str):
        if thing == "ell" or thing in GREEK:
            return Identifier(thing)
        if thing in OPERATORS:
            return Operator(thing)
        if thing in SPACES:
            return Space(thing)
        return Numeral(thing) if thing[:1].isdigit() else Identifier(thing)
    raise FormulaError(f"a formula is made of nodes, strings and numbers, got {thing!r}")


def row(*things: Shorthand) -> Row:
    """The things one after another."""
    return Row(tuple(formula(thing) for thing in things))


def sup(base: Shorthand, exponent: Shorthand) -> Scripts:
    """The base with a superscript."""
    return Scripts(formula(base), None, formula(exponent))


def sub(base: Shorthand, index: Shorthand) -> Scripts:
    """The base with a subscript."""
    return Scripts(formula(base), formula(index), None)


def frac(numerator: Shorthand, denominator: Shorthand) -> Fraction:
    """A fraction."""
    return Fraction(formula(numerator), formula(denominator))


def paren(*body: Shorthand, grow: bool = False) -> Fence:
    """The things in round parentheses."""
    return Fence("(", row(*body), ")", grow)


def matrix(rows: Iterable[Iterable[Shorthand]], delimiter: str = "(") -> Matrix:
    """A matrix of shorthands."""
    return Matrix(tuple(tuple(formula(cell) for cell in cells) for cells in rows), delimiter)


def flat(node: Formula) -> tuple[Formula, ...]:
    """The formula as a sequence without rows inside rows."""
    if isinstance(node, Row):
        return tuple(piece for item in node.items for piece in flat(item))
    return (node,)
