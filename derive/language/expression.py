"""The expressions of the language: one closed set of frozen nodes in which models, gradients and answers are written.

Indices and sizes inside a node are SymPy integer expressions; all that holds array values is one of the nodes below.
A vector has shape ``(n,)`` and acts as a column; its transpose has shape ``(1, n)``; a scalar has shape ``()``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction

import sympy as sp

Integer = sp.Expr
"""An integer expression in sizes and indices: ``T - 1``, ``s*i + d*a - p``."""


def index(name: str) -> sp.Symbol:
    """The index variable called ``name`` (t, i, k …); equal names give equal symbols."""
    return sp.Symbol(name, integer=True)


def size(name: str, smallest: int = 1) -> sp.Symbol:
    """The size called ``name`` (T, n, d …), an integer from 1 or from 0 on; equal names give equal symbols."""
    return sp.Symbol(name, integer=True, positive=True) if smallest else sp.Symbol(name, integer=True, nonnegative=True)


def is_size(symbol: sp.Basic) -> bool:
    """``symbol`` is a size and no index: it is never negative."""
    return bool(symbol.is_nonnegative)


def smallest(symbol: sp.Symbol) -> int:
    """The smallest value that a size may take."""
    return 1 if symbol.is_positive else 0


@dataclass(frozen=True, slots=True)
class Span:
    """Where a node stands in its source text: line and column from 1, and the column one past its end on that line."""

    line: int
    column: int
    end_column: int


def _span() -> Span | None:
    return field(default=None, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Within:
    """The condition lower ≤ value ≤ upper on integers."""

    value: Integer
    lower: Integer
    upper: Integer


@dataclass(frozen=True, slots=True)
class Divides:
    """The condition that the integer ``divisor`` divides ``value``."""

    divisor: Integer
    value: Integer


Condition = Within | Divides


@dataclass(frozen=True)
class Range:
    """``index = lower … upper``, both ends included."""

    index: sp.Symbol
    lower: Integer
    upper: Integer


@dataclass(frozen=True, slots=True)
class Number:
    """An exact rational number, a scalar."""

    value: Fraction
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class SizeValue:
    """An integer expression in sizes and indices used as a number, as in ``loss / T``."""

    value: Integer
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Access:
    """An array at superscripts (time), whole or at given subscripts: ``h^{t-1}``, ``U``, ``x[c, s*i + a]``.

    With ``subscripts`` empty it is the whole array (shape of the declaration); with all of them given a scalar entry.
    Subscripts count from 0; superscripts run over the range that the declaration gives.
    """

    name: str
    superscripts: tuple[Integer, ...] = ()
    subscripts: tuple[Integer, ...] = ()
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Add:
    """Terms of one shape, added; a number among arrays is added to every entry, as in ``1 - h``."""

    terms: tuple[Expression, ...]
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Negative:
    """The operand with the opposite sign."""

    operand: Expression
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Product:
    """Scalars and matrices multiplied in the order written; scalars scale, the others are matrix products."""

    factors: tuple[Expression, ...]
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Hadamard:
    """The elementwise product of arrays of one shape."""

    factors: tuple[Expression, ...]
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Quotient:
    """Numerator over a scalar, or entry by entry over an array of its shape; 1 over an array is its reciprocals."""

    numerator: Expression
    denominator: Expression
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Power:
    """Base raised to a scalar exponent, entry by entry."""

    base: Expression
    exponent: Expression
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Transpose:
    """Rows and columns exchanged; a vector becomes a row."""

    operand: Expression
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Inner:
    """⟨left, right⟩: the sum of the products of corresponding entries, a scalar."""

    left: Expression
    right: Expression
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Apply:
    """A function (a row of FUNCTIONS or an opaque name), or its ``order``-th derivative, of every entry."""

    function: str
    argument: Expression
    order: int = 0
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Call:
    """A function of whole arrays, a row of ARRAY_FUNCTIONS: softmax(s), trace(A), inv(X), solve(A, b)."""

    function: str
    arguments: tuple[Expression, ...]
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Diagonal:
    """The square matrix with ``vector`` on its diagonal."""

    vector: Expression
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of ``operand``: on each axis one position, or all from a first to a last one, both included.

    An axis with one position is gone from the shape; with one position on each it is an entry, a number.
    """

    operand: Expression
    places: tuple[Integer | tuple[Integer, Integer], ...]
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class LogSumExp:
    """log Σ exp(body) over ``index = lower … upper``, for a scalar body."""

    index: sp.Symbol
    lower: Integer
    upper: Integer
    body: Expression
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Sum:
    """Σ of ``body`` over ``index = lower … upper``; empty when upper < lower."""

    index: sp.Symbol
    lower: Integer
    upper: Integer
    body: Expression
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Maximum:
    """The largest ``body`` over ``ranges``, of positions where all ``conditions`` hold; 0 where there is none.

    A NaN counts as the largest. ``ties`` says which of several largest ones are taken: the first in reading order (the
    last index runs fastest), all of them by equal shares, or each wholly. ``choice`` is for differentiation: the entry
    of the array that holds the share of a position, in which the maximum is Σ choice · body; no value depends on it,
    and it is none of ``children``.
    """

    ranges: tuple[Range, ...]
    body: Expression
    conditions: tuple[Condition, ...] = ()
    ties: str = "first"
    choice: Access | None = None
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Share:
    """How much of ``maximum``, of numbers, is the body at position ``at``: 1, a part of 1 in a tie, or 0."""

    maximum: Maximum
    at: tuple[Integer, ...]
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class OrderedProduct:
    """body(first) · … · body(last), the factor at ``first`` on the left; empty: the identity.

    ``descending`` says which way it counts, so that the empty product has a meaning for symbolic bounds.
    """

    index: sp.Symbol
    first: Integer
    last: Integer
    body: Expression
    descending: bool = True
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Guard:
    """``body`` where all conditions hold, else zero (an Iverson bracket); body is not looked at where they fail."""

    conditions: tuple[Condition, ...]
    body: Expression
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Identity:
    """The square matrix with ones on its diagonal."""

    size: Integer
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Filled:
    """The array of the given shape with one number, 0 or 1, in every entry."""

    value: int
    shape: tuple[Integer, ...]
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Kronecker:
    """left ⊗ right, matrices or vectors."""

    left: Expression
    right: Expression
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Vectorised:
    """vec: the columns of a matrix stacked into one vector."""

    operand: Expression
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Block:
    """A matrix made of blocks, row by row."""

    rows: tuple[tuple[Expression, ...], ...]
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Derivative:
    """∂of/∂wrt, everything in between taken along: a gradient where ``of`` is scalar, else a Jacobian matrix.

    It names a quantity on the left of an equation; evaluating it is a witness's work, not the evaluator's.
    """

    of: Access
    wrt: Access | Vectorised
    span: Span | None = _span()


Expression = (
    Number
    | SizeValue
    | Access
    | Add
    | Negative
    | Product
    | Hadamard
    | Quotient
    | Power
    | Transpose
    | Inner
    | Apply
    | Call
    | Diagonal
    | Slice
    | LogSumExp
    | Sum
    | Maximum
    | Share
    | OrderedProduct
    | Guard
    | Identity
    | Filled
    | Kronecker
    | Vectorised
    | Block
    | Derivative
)

ZERO = Number(Fraction(0))
ONE = Number(Fraction(1))


def children(expression: Expression) -> Iterator[Expression]:
    """The expressions directly inside ``expression``, left to right."""
    match expression:
        case Block(rows=rows):
            for row in rows:
                yield from row
        case Maximum(body=body):
            yield body
        case _:
            for item in fields(expression):
                value = getattr(expression, item.name)
                if isinstance(value, Expression):
                    yield value
                elif isinstance(value, tuple):
                    yield from (entry for entry in value if isinstance(entry, Expression))


def walk(expression: Expression) -> Iterator[Expression]:
    """``expression`` and everything inside it, outermost first."""
    yield expression
    for child in children(expression):
        yield from walk(child)


def map_children(function: Callable[[Expression], Expression], expression: Expression) -> Expression:
    """``expression`` with ``function`` applied to each expression directly inside it."""
    if isinstance(expression, Block):
        return replace(expression, rows=tuple(tuple(function(entry) for entry in row) for row in expression.rows))
    if isinstance(expression, Maximum):
        body = function(expression.body)
        return expression if body == expression.body else replace(expression, body=body)
    changes: dict[str, object] = {}
    for item in fields(expression):
        value = getattr(expression, item.name)
        if isinstance(value, Expression):
            changes[item.name] = function(value)
        elif isinstance(value, tuple) and value and isinstance(value[0], Expression):
            changes[item.name] = tuple(function(entry) for entry in value)
    changes = {name: value for name, value in changes.items() if value != getattr(expression, name)}
    return replace(expression, **changes) if changes else expression


def substitute_indices(expression: Expression, values: dict[sp.Symbol, Integer]) -> Expression:
    """``expression`` with index variables and sizes replaced; an index bound inside is left alone."""
    if not values:
        return expression

    def integer(value: Integer) -> Integer:
        replaced = sp.sympify(value).xreplace(values)
        assert isinstance(replaced, sp.Expr)
        return replaced

    def condition(item: Condition) -> Condition:
        return type(item)(*(integer(getattr(item, f.name)) for f in fields(item)))

    match expression:
        case (
            Sum(index=bound, lower=lower, upper=upper, body=body)
            | LogSumExp(index=bound, lower=lower, upper=upper, body=body)
        ):
            inner = {key: value for key, value in values.items() if key != bound}
            bound, body = _fresh_where_captured(bound, body, inner)
            return replace(
                expression,
                index=bound,
                lower=integer(lower),
                upper=integer(upper),
                body=substitute_indices(body, inner),
            )
        case Maximum():
            return _substituted_maximum(expression, values)
        case Share(maximum=maximum, at=at):
            return replace(
                expression, maximum=_substituted_maximum(maximum, values), at=tuple(integer(place) for place in at)
            )
        case OrderedProduct(index=bound, first=first, last=last, body=body):
            inner = {key: value for key, value in values.items() if key != bound}
            bound, body = _fresh_where_captured(bound, body, inner)
            return replace(
                expression, index=bound, first=integer(first), last=integer(last), body=substitute_indices(body, inner)
            )
        case Access(superscripts=superscripts, subscripts=subscripts):
            return replace(
                expression,
                superscripts=tuple(integer(entry) for entry in superscripts),
                subscripts=tuple(integer(entry) for entry in subscripts),
            )
        case Slice(operand=operand, places=places):
            moved = (tuple(map(integer, p)) if isinstance(p, tuple) else integer(p) for p in places)
            return replace(expression, operand=substitute_indices(operand, values), places=tuple(moved))
        case SizeValue(value=value):
            return replace(expression, value=integer(value))
        case Identity(size=extent):
            return replace(expression, size=integer(extent))
        case Filled(shape=shape):
            return replace(expression, shape=tuple(integer(extent) for extent in shape))
        case Guard(conditions=conditions, body=body):
            return replace(
                expression,
                conditions=tuple(condition(item) for item in conditions),
                body=substitute_indices(body, values),
            )
        case _:
            return map_children(lambda child: substitute_indices(child, values), expression)


def _fresh_where_captured(
    bound: sp.Symbol, body: Expression, values: dict[sp.Symbol, Integer]
) -> tuple[sp.Symbol, Expression]:
    """Rename the bound index where a value put into its body mentions that name."""
    taken = {symbol for value in values.values() for symbol in sp.sympify(value).free_symbols}
    if bound not in taken:
        return bound, body
    used = {str(symbol) for symbol in taken} | {str(symbol) for symbol in symbols_of(body)}
    name = next(candidate for candidate in _candidates(bound.name) if candidate not in used)
    return index(name), substitute_indices(body, {bound: index(name)})


def _substituted_maximum(maximum: Maximum, values: dict[sp.Symbol, Integer]) -> Maximum:
    """Range by range: an end may mention the indices of ranges before it, and sees them as they are renamed."""
    used = {str(symbol) for symbol in symbols_of(maximum)}
    ranges: list[Range] = []
    for item in maximum.ranges:
        ends = substitute_indices(Filled(0, (item.lower, item.upper)), values)
        assert isinstance(ends, Filled)
        lower, upper = ends.shape
        values = {key: value for key, value in values.items() if key != item.index}
        bound, taken = item.index, {symbol for value in values.values() for symbol in sp.sympify(value).free_symbols}
        if bound in taken:
            used |= {str(symbol) for symbol in taken}
            bound = index(next(candidate for candidate in _candidates(bound.name) if candidate not in used))
            values = {**values, item.index: bound}
        ranges.append(Range(bound, lower, upper))
    guard = substitute_indices(Guard(maximum.conditions, maximum.body), values)
    choice = None if maximum.choice is None else substitute_indices(maximum.choice, values)
    assert isinstance(guard, Guard)
    assert choice is None or isinstance(choice, Access)
    return replace(maximum, ranges=tuple(ranges), body=guard.body, conditions=guard.conditions, choice=choice)


def symbols_of(expression: Expression) -> set[sp.Basic]:
    """Every size and index that ``expression`` mentions, bound ones too."""
    found: set[sp.Basic] = set()
    for node in walk(expression):
        parts = [value for item in fields(node) for value in _flat(getattr(node, item.name))]
        found |= {symbol for part in parts if isinstance(part, sp.Basic) for symbol in part.free_symbols}
    return found


def _flat(value: object) -> Iterator[object]:
    match value:
        case tuple():
            for entry in value:
                yield from _flat(entry)
        case Within() | Divides() | Range():
            yield from (getattr(value, item.name) for item in fields(value))
        case _:
            yield value


def _candidates(name: str) -> Iterator[str]:
    for letter in "kjsriqmlp":
        if letter != name:
            yield letter
    for number in range(1, 1000):
        yield f"{name}{number}"
