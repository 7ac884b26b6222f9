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
class Choice:
    """What an array holds that holds no numbers but positions: the equation ``number`` says of which window.

    Positions are counted from 0 in reading order, up to ``count``; -1 is none.
    """

    number: int
    count: Integer


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
    choice: Choice | None = None


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
    """A program cut into parts over arrays; ``sizes`` are the ranges of derived sizes."""

    arrays: dict[str, Array]
    parts: tuple[Part, ...]
    sizes: tuple[Range, ...] = ()


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
    """target (=|+=) value, numbers; a target that is no array is a local variable.

    In ``any_order`` the compiler may add what the turns of a loop add, several at a time.
    """

    number: int
    target: Access
    value: Expression
    adding: bool = False
    any_order: bool = False


@dataclass(frozen=True)
class Let:
    """name = value, a whole number that loops further in have as a bound."""

    number: int
    name: sp.Symbol
    value: Integer


@dataclass(frozen=True)
class Put:
    """target = value, an entry of a choice and a whole number."""

    number: int
    target: Access
    value: Integer


@dataclass(frozen=True)
class First:
    """best = ``value``, and where there is a position: place = ``position``."""

    number: int
    value: Expression
    position: Integer | None


@dataclass(frozen=True)
class NothingYet:
    """best = −∞, and where ``with_place``: place = −1."""

    number: int
    with_place: bool


@dataclass(frozen=True)
class Larger:
    """best = the larger of best and ``value``, the first of equal ones; place = ``position`` where best is new.

    Without a position no place is kept. ``certain`` says that there is one before it.
    """

    number: int
    value: Expression
    position: Integer | None
    certain: bool = False


@dataclass(frozen=True)
class Equal:
    """target (=|+=) 1 where ``value`` is ``other``, else 0; over ``count``, if there is one."""

    number: int
    target: Access
    value: Expression
    other: Access
    count: Access | None
    adding: bool


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
    """out = function(argument, second), whole arrays to a whole array, or to a number where ``out`` is an Access."""

    number: int
    function: str
    argument: View
    out: View | Access
    second: View | None = None


@dataclass(frozen=True)
class LayOut:
    """The room of a contraction ← its left or right operand, in the order in which it is read."""

    number: int
    side: str
    array: View
    contraction: str


@dataclass(frozen=True)
class Contract:
    """out (=|+=) a contraction of ``left`` and what was laid out."""

    number: int
    left: View
    contraction: str
    out: View
    adding: bool


LOCAL = "local "
"""How the names of local variables begin among those of arrays."""

Line = (
    Set
    | Let
    | Put
    | First
    | NothingYet
    | Larger
    | Equal
    | Average
    | Pack
    | Multiply
    | Outer
    | Whole
    | LayOut
    | Contract
)
"""A statement without others inside it."""
Statement = For | If | Line


@dataclass(frozen=True)
class AffineAxis:
    """An axis of this length, read at (Σ_n slopes[n] · i_n + start) / divisor."""

    slopes: tuple[Integer, ...]
    start: Integer
    divisor: Integer
    length: Integer


SHARED, ROW, COLUMN, SUMMED = "shared", "row", "column", "summed"
"""Where an index stands: in all three arrays, in out and left, in out and right, or not in out."""


@dataclass(frozen=True)
class Contraction:
    """out[…] = Σ left[…] · right[…], as ``kernels.ways`` has it, in sizes; index n has extents[n] values from 0."""

    extents: tuple[Integer, ...]
    kinds: tuple[str, ...]
    left: tuple[AffineAxis, ...]
    right: tuple[AffineAxis, ...]
    out: tuple[AffineAxis, ...]


@dataclass(frozen=True)
class Plan:
    """A function to be printed: its arrays and what it does.

    ``panels`` gives inner size and columns of each packed matrix; ``shared`` says whose room an array without its
    own has; ``contractions`` are those that its statements name.
    """

    arrays: dict[str, Array]
    panels: dict[str, tuple[Integer, Integer]]
    statements: tuple[Statement, ...]
    shared: dict[str, str] = field(default_factory=dict)
    contractions: dict[str, Contraction] = field(default_factory=dict)
