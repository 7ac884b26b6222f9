"""The shape of every expression, in sizes, and what is wrong where shapes disagree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from derive.language.array_functions import ARRAY_FUNCTIONS, KINDS, VALUES
from derive.language.errors import ShapeMismatch, join_names
from derive.language.expression import (
    Access,
    Add,
    Apply,
    Block,
    Call,
    Derivative,
    Diagonal,
    Expression,
    Filled,
    Guard,
    Hadamard,
    Identity,
    Inner,
    Integer,
    Kronecker,
    LogSumExp,
    Maximum,
    Negative,
    Number,
    OrderedProduct,
    Power,
    Product,
    Quotient,
    Share,
    SizeValue,
    Slice,
    Span,
    Sum,
    Transpose,
    Vectorised,
    children,
)  # fmt: skip
from derive.language.printer import bracketed, expression_source, integer_source
from derive.language.system import Declaration, Program, Shape

Known = Shape | None
"""A shape, or None while it is not known yet."""

SCALAR: Shape = ()


@dataclass(frozen=True)
class Arrays:
    """The shapes of the arrays in scope, None where not known yet.

    ``guess`` says how boldly an unknown is taken for what is usual: 1, a matrix multiplies a vector; 2, the rest are
    numbers.
    """

    shapes: Mapping[str, Known]
    guess: int = 0
    over_time: frozenset[str] = frozenset()
    """The arrays that carry a superscript."""


def shape_of(expression: Expression, scope: Mapping[str, Declaration] | Program) -> Shape:
    """The shape of ``expression``; ShapeMismatch where its parts do not fit, KeyError for a name not in ``scope``."""
    declarations = {entry.name: entry for entry in scope.declarations} if isinstance(scope, Program) else scope
    shapes = {name: entry.shape for name, entry in declarations.items()}
    arrays = Arrays(shapes, 0, frozenset(name for name, entry in declarations.items() if entry.superscripts))

    def shape(node: Expression) -> Known:
        return combine(node, [shape(child) for child in children(node)], arrays)

    found = shape(expression)
    if found is None:
        raise ShapeMismatch(f"The shape of {expression_source(expression)} is not determined.")
    return found


def combine(node: Expression, shapes: list[Known], arrays: Arrays) -> Known:
    """The shape of ``node`` from those of its children, left to right."""
    return _RULES[type(node)](node, shapes, arrays)


def same(left: Known, right: Known) -> bool:
    """Two shapes agree, or one is not known."""
    if left is None or right is None:
        return True
    return len(left) == len(right) and all(a == b or sp.expand(a - b) == 0 for a, b in zip(left, right, strict=True))


def describe(shape: Known) -> str:
    """'a number', 'a vector of n rows', 'n×d'."""
    if shape is None:
        return "not known"
    extents = [integer_source(extent) for extent in shape]
    if not extents:
        return "a number"
    return f"a vector of {extents[0]} rows" if len(extents) == 1 else "×".join(_apart(extent) for extent in extents)


def _apart(extent: str) -> str:
    return f"({extent})" if " " in extent else extent


def transposed(shape: Shape) -> Shape:
    """The shape of the transpose: a column (n,) becomes a row (1, n), and a row a column."""
    if len(shape) == 1:
        return (sp.Integer(1), *shape)
    return shape[1:] if len(shape) == 2 and shape[0] == 1 else tuple(reversed(shape))


def multiplied(left: Known, right: Known, guess: int = 0) -> Known:
    """The shape of left · right where they fit: scalars scale, a row times a column is a number."""
    if left is None or right is None:
        if left is not None and len(left) == 2 and guess >= 1:
            return SCALAR if left[0] == 1 else left[:1]
        return None
    if not left or not right:
        return left or right
    rows = left[:1]
    if len(right) == 1:
        return SCALAR if len(left) == 2 and rows == (sp.Integer(1),) else rows
    return rows + right[1:]


def fits(left: Known, right: Known) -> bool:
    """The matrix product left · right exists."""
    if not left or not right:
        return True
    columns = left[1:] or (sp.Integer(1),)
    return len(left) <= 2 and len(right) <= 2 and same(columns, right[:1])


def covering(first: Span | None, last: Span | None) -> Span | None:
    """The place from ``first`` to ``last`` where they are on one line."""
    if first and last and first.line == last.line:
        return Span(first.line, first.column, last.end_column)
    return last


def _words(node: Expression, shape: Known) -> str:
    text = expression_source(node)
    text = f"({text})" if isinstance(node, Add | Negative) else text
    if shape and len(shape) == 1:
        return f"{text} has {integer_source(shape[0])} rows"
    return f"{text} is {describe(shape)}"


def _swap(node: Expression, wanted: Callable[[Shape], bool], arrays: Arrays) -> str:
    """'Did you mean W?', searching the declared arrays for one whose shape is wanted in place of ``node``."""
    if not isinstance(node, Access) or node.subscripts:
        return ""
    own = arrays.shapes.get(node.name)
    found = [f"{node.name}'"] if own is not None and len(own) == 2 and wanted(transposed(own)) else []
    for name, shape in arrays.shapes.items():
        is_alike = name != node.name and (name in arrays.over_time) == bool(node.superscripts)
        if is_alike and shape and len(shape) == len(own or ()) and wanted(shape):
            found.append(expression_source(replace(node, name=name)))
    return f"Did you mean {join_names(found[:3], 'or')}?" if found else ""


def _product(node: Product, shapes: list[Known], arrays: Arrays) -> Known:
    total = shapes[0]
    last = 0
    for position, shape in enumerate(shapes[1:], start=1):
        if not fits(total, shape):
            raise _product_mismatch(node, shapes, last, position, total, arrays)
        total = multiplied(total, shape, arrays.guess)
        if total is None and position < len(shapes) - 1:
            return None
        last = position if shape else last
    return total


def _product_mismatch(
    node: Product, shapes: list[Known], last: int, position: int, total: Known, arrays: Arrays
) -> ShapeMismatch:
    left, right, shape = node.factors[last], node.factors[position], shapes[position] or ()
    total = total or ()
    span = covering(left.span, right.span)
    message = f"{_words(left, shapes[last])}, {_words(right, shape)}: these do not multiply."
    first, second = bracketed(left), bracketed(right)
    if len(total) == 1 and len(shape) == 1:
        others = f"{first} .* {second} entry by entry, or {first} {second}' for the matrix."
        return ShapeMismatch(message, span, f"Write <{first}, {second}> for the inner product, {others}")
    repair = _swap(left, lambda other: len(other) == 2 and fits(other, shape) and other[:1] == total[:1], arrays)
    repair = repair or _swap(left, lambda other: len(other) == 2 and fits(other, shape), arrays)
    repair = repair or _swap(right, lambda other: fits(total, other), arrays)
    columns = integer_source(total[1]) if len(total) == 2 else "1"
    return ShapeMismatch(message, span, repair or f"What follows {first} must have {columns} rows.")


def _together(parts: tuple[Expression, ...], shapes: list[Known], arrays: Arrays, verb: str) -> Known:
    """Parts of one shape, numbers aside."""
    known = [(part, shape) for part, shape in zip(parts, shapes, strict=True) if shape]
    if not known:
        return None if None in shapes and arrays.guess < 2 else SCALAR
    first, wanted = known[0]
    for part, shape in known[1:]:
        if not same(wanted, shape):
            repair = _swap(part, lambda other: same(other, wanted), arrays)
            if len(shape) == 2 and same(transposed(shape), wanted):
                repair = f"Did you mean {bracketed(part)}'?"
            message = f"{_words(first, wanted)}, {_words(part, shape)}: these cannot be {verb}."
            raise ShapeMismatch(message, part.span, repair or "Both must have the same shape.")
    return wanted


def _quotient(node: Quotient, shapes: list[Known], arrays: Arrays) -> Known:
    numerator, denominator = shapes
    if denominator == SCALAR:
        return numerator
    return _together((node.numerator, node.denominator), shapes, arrays, "divided entry by entry")


def _power(node: Power, shapes: list[Known], arrays: Arrays) -> Known:
    if shapes[1]:
        raise ShapeMismatch(
            f"The exponent {_words(node.exponent, shapes[1])}.", node.exponent.span, "An exponent is a number."
        )
    return shapes[0]


def _transpose(node: Transpose, shapes: list[Known], arrays: Arrays) -> Known:
    if shapes[0] is not None and len(shapes[0]) > 2:
        raise ShapeMismatch(f"{_words(node.operand, shapes[0])}: only a vector or a matrix has a transpose.", node.span)
    return shapes[0] if shapes[0] is None else transposed(shapes[0])


def _inner(node: Inner, shapes: list[Known], arrays: Arrays) -> Known:
    left, right = shapes
    if not same(left, right):
        repair = _swap(node.left, lambda other: same(other, right), arrays) or _swap(
            node.right, lambda other: same(other, left), arrays
        )
        raise ShapeMismatch(
            f"{_words(node.left, left)}, {_words(node.right, right)}: they have no inner product.",
            node.span,
            repair or "An inner product is taken of two arrays of one shape.",
        )
    return SCALAR


def _call(node: Call, shapes: list[Known], arrays: Arrays) -> Known:
    row = ARRAY_FUNCTIONS[node.function]
    for kind, argument, shape in zip(row.takes, node.arguments, shapes, strict=True):
        if shape is not None and not KINDS[kind].admits(shape, shapes[0]):
            message = f"{_words(argument, shape)}, and {node.function} takes {KINDS[kind].words}."
            raise ShapeMismatch(message, node.span)
    if row.scalar:
        return SCALAR
    known = [shape for shape in shapes if shape is not None]
    return VALUES[row.gives](known) if len(known) == len(shapes) else None


def _slice(node: Slice, shapes: list[Known], arrays: Arrays) -> Known:
    shape = shapes[0]
    if shape is not None and len(shape) != len(node.places):
        repair = f"Give {len(shape)}." if shape else "A number has none."
        count = f"{len(node.places)} subscript{'s' * (len(node.places) > 1)}"
        raise ShapeMismatch(f"{_words(node.operand, shape)}, here stand {count}.", node.span, repair)
    return tuple(sp.expand(place[1] - place[0] + 1) for place in node.places if isinstance(place, tuple))


def _diagonal(node: Diagonal, shapes: list[Known], arrays: Arrays) -> Known:
    if shapes[0] is not None and len(shapes[0]) != 1:
        raise ShapeMismatch(f"{_words(node.vector, shapes[0])}, and diag takes a vector.", node.span)
    return shapes[0] and shapes[0] * 2


def _ordered(node: OrderedProduct, shapes: list[Known], arrays: Arrays) -> Known:
    shape = shapes[0]
    if shape and (len(shape) != 2 or not same(shape[:1], shape[1:])):
        raise ShapeMismatch(f"{_words(node.body, shape)}, and a product over an index needs square factors.", node.span)
    return shape


def matrix(shape: Shape) -> tuple[Integer, Integer]:
    """Rows and columns; a vector is one column, a number 1×1."""
    rows, columns = (*shape, sp.Integer(1), sp.Integer(1))[:2]
    return rows, columns


def _kronecker(node: Kronecker, shapes: list[Known], arrays: Arrays) -> Known:
    left, right = shapes
    if left is None or right is None:
        return None
    if not left or not right:
        return left or right
    if len(left) == len(right) == 1:
        return (left[0] * right[0],)
    (a, b), (c, d) = matrix(left), matrix(right)
    return a * c, b * d


def _block(node: Block, shapes: list[Known], arrays: Arrays) -> Known:
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes):
        return None
    parts = iter(known)
    rows = [[matrix(next(parts)) for _ in row] for row in node.rows]
    widths = [sp.Add(*(columns for _, columns in row)) for row in rows]
    if any(height != row[0][0] for row in rows for height, _ in row) or any(width != widths[0] for width in widths):
        raise ShapeMismatch(
            "The blocks do not make up a matrix: heights agree along a row, widths from row to row.", node.span
        )
    height = sp.Add(*(row[0][0] for row in rows))
    is_vector = all(len(row) == 1 for row in rows) and all(len(shape) < 2 for shape in known)
    return (height,) if is_vector else (height, widths[0])


def _derivative(node: Derivative, shapes: list[Known], arrays: Arrays) -> Known:
    of, wrt = shapes
    if of is None or wrt is None:
        return None
    return wrt if not of else (sp.Mul(*of), sp.Mul(*wrt))


def _first(node: Expression, shapes: list[Known], arrays: Arrays) -> Known:
    return shapes[0]


def _scalar(node: Expression, shapes: list[Known], arrays: Arrays) -> Known:
    return SCALAR


_RULES: dict[type, Callable[[Any, list[Known], Arrays], Known]] = {
    Number: _scalar,
    SizeValue: _scalar,
    Access: lambda node, shapes, arrays: SCALAR if node.subscripts else arrays.shapes[node.name],
    Add: lambda node, shapes, arrays: _together(node.terms, shapes, arrays, "added"),
    Negative: _first,
    Product: _product,
    Hadamard: lambda node, shapes, arrays: _together(node.factors, shapes, arrays, "multiplied entry by entry"),
    Quotient: _quotient,
    Power: _power,
    Transpose: _transpose,
    Inner: _inner,
    Apply: _first,
    Call: _call,
    Diagonal: _diagonal,
    Slice: _slice,
    LogSumExp: _scalar,
    Sum: _first,
    Maximum: _first,
    Share: _scalar,
    OrderedProduct: _ordered,
    Guard: _first,
    Identity: lambda node, shapes, arrays: None if node.size.is_Dummy else (node.size, node.size),
    Filled: lambda node, shapes, arrays: tuple(node.shape),
    Kronecker: _kronecker,
    Vectorised: lambda node, shapes, arrays: shapes[0] and (sp.Mul(*shapes[0]),),
    Block: _block,
    Derivative: _derivative,
}
