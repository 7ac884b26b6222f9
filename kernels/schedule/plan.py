"""The records of a plan: parts of equations, and the tree of loops and statements they are scheduled into."""

from __future__ import annotations

from dataclasses import dataclass, field

import sympy as sp

from derive.language.expression import Access, Condition, Expression, Integer
from derive.language.system import Range, Shape

BATCH = sp.Symbol("batch index", integer=True)
"""The index of a sequence in the batch, an axis that no equation mentions."""
BATCH_SIZE = sp.Symbol("batch", integer=True, positive=True)


Ranges = tuple[Range, ...]
Conditions = tuple[Condition, ...]


@dataclass(frozen=True)
class Array:
    """An array of the program: superscripts over ``slots``, the batch where ``batched``, then the axes of one value.

    ``mean`` says that it is the mean over the batch of what its equations say: the adjoint of an array without one.
    """

    name: str
    slots: tuple[Range, ...]
    shape: Shape
    batched: bool = False
    mean: bool = False


@dataclass(frozen=True)
class Part:
    """target (=|+=) Σ over ``sums`` of [conditions] body, for all ``times`` and ``entries``; nothing unless ``when``.

    The target's superscripts are the indices of ``times``, its subscripts those of ``entries``, or in odd equations any
    integers in them. ``body`` is scalar, or a Call of a whole array, which makes all entries at once. ``number`` is the
    equation's, from 1. ``unless`` is the key of the start which, where the caller gives it, stands instead of body.
    After a part that says ``average`` the target is divided by the number of sequences in the batch.
    """

    number: int
    target: Access
    times: tuple[Range, ...]
    entries: tuple[Range, ...]
    sums: tuple[Range, ...]
    conditions: tuple[Condition, ...]
    body: Expression
    adding: bool = False
    unless: str = ""
    average: bool = False
    when: Conditions = ()

    @property
    def loops(self) -> tuple[Range, ...]:
        return self.times + self.entries


@dataclass(frozen=True)
class Stages:
    """A program cut into parts over arrays; ``texts`` holds the equations by number, for comments."""

    arrays: dict[str, Array]
    parts: tuple[Part, ...]
    texts: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TimeLoop:
    """The steps of a recurrence, one after the other: ``body`` for index = lower … upper, or from upper down."""

    index: sp.Symbol
    lower: Integer
    upper: Integer
    descending: bool
    body: tuple[Node, ...]


Node = Part | TimeLoop


# Statements: what a plan is lowered to and emission prints ------------------------------------------------------------


Place = Integer | tuple[Integer, Integer] | None
"""Where on an axis: one position, a first and a last one, or all of it."""


@dataclass(frozen=True)
class View:
    """A part of an array as a matrix or vector.

    ``places`` has an entry for each axis of the storage. Of the axes that are left, the first ``rows`` number the rows.
    """

    name: str
    places: tuple[Place, ...]
    rows: int = 1
    transposed: bool = False


@dataclass(frozen=True)
class For:
    """``body`` for index = lower … upper, or from upper down."""

    index: sp.Symbol
    lower: Integer
    upper: Integer
    body: tuple[Statement, ...]
    descending: bool = False


@dataclass(frozen=True)
class Given:
    """The condition that the caller gave the start ``key``."""

    key: str


@dataclass(frozen=True)
class If:
    """``body`` where all conditions hold, else ``otherwise``."""

    conditions: tuple[Condition | Given, ...]
    body: tuple[Statement, ...]
    otherwise: tuple[Statement, ...] = ()


@dataclass(frozen=True)
class Set:
    """target (=|+=) value, numbers; a target that is no array is a local variable."""

    number: int
    target: Access
    value: Expression
    adding: bool = False


@dataclass(frozen=True)
class Average:
    """out divided by the number of sequences in the batch."""

    number: int
    out: View


@dataclass(frozen=True)
class Pack:
    """panels ← matrix, in the order in which a product reads it."""

    number: int
    matrix: View
    panels: str


@dataclass(frozen=True)
class Multiply:
    """out (=|+=) left · matrix, where pack(matrix, panels)."""

    number: int
    left: View
    panels: str
    out: View
    adding: bool


@dataclass(frozen=True)
class Outer:
    """out (=|+=) leftᵀ right."""

    number: int
    left: View
    right: View
    out: View
    adding: bool


@dataclass(frozen=True)
class Whole:
    """out = function(argument), one row of numbers to one row, or to a number where ``out`` is an Access."""

    number: int
    function: str
    argument: View
    out: View | Access


Statement = For | If | Set | Average | Pack | Multiply | Outer | Whole


@dataclass(frozen=True)
class Plan:
    """A function to be printed: its arrays and what it does.

    ``panels`` gives inner size and columns of each packed matrix; ``shared`` says whose room an array without its
    own has.
    """

    arrays: dict[str, Array]
    panels: dict[str, tuple[Integer, Integer]]
    statements: tuple[Statement, ...]
    shared: dict[str, str] = field(default_factory=dict)
