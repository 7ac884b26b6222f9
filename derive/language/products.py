"""Sums of terms, products in the order written, quotients; which product is meant follows from shapes."""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from derive.language.access import HOLE
from derive.language.calls import applied, as_call, function_head, takes_what_follows
from derive.language.context import Context, Reader, Reading, Rule, made
from derive.language.errors import BadSyntax, ShapeMismatch
from derive.language.expression import (
    Add,
    Expression,
    Hadamard,
    Identity,
    Inner,
    Integer,
    Kronecker,
    Negative,
    Number,
    Product,
    Quotient,
    SizeValue,
    Span,
    substitute_indices,
    walk,
)  # fmt: skip
from derive.language.printer import bracketed, expression_source
from derive.language.reading import Node, first, subtrees, word
from derive.language.shapes import SCALAR, Known, combine, covering, describe, fits, multiplied
from derive.language.whole import product_parts, signed_terms, size_value


def integer_value(expression: Expression) -> Integer | None:
    """The integer expression that ``expression`` is; None where it is something else."""
    match expression:
        case SizeValue(value=value):
            return value
        case Number(value=value) if value.denominator == 1:
            return sp.Integer(value.numerator)
        case Negative(operand=operand) if (value := integer_value(operand)) is not None:
            return -value
        case _:
            return None


def folded(parts: list[Expression], build: Callable[..., Integer], node: Node, context: Context) -> Reading | None:
    """Sizes, indices and whole numbers only: one integer expression."""
    if not any(isinstance(part, SizeValue) for part in parts):
        return None
    values = [value for value in map(integer_value, parts) if value is not None]
    return (size_value(build(*values), context.place(node)), SCALAR) if len(values) == len(parts) else None


def _expression(node: Node, context: Context, read: Reader) -> Reading:
    terms: list[Expression] = []
    shapes: list[Known] = []
    for minuses, tree in signed_terms(node):
        term, shape = read(tree, context)
        for _ in range(minuses):
            negative = folded([term], lambda value: -value, tree, context)
            term = negative[0] if negative else Negative(term, span=context.place(tree))
        terms.append(term)
        shapes.append(shape)
    if len(terms) == 1:
        return terms[0], shapes[0]
    if whole := folded(terms, sp.Add, node, context):
        return whole
    square = next((shape for shape in shapes if shape and len(shape) == 2), None)
    if square:
        terms = [_told(term, square[0]) for term in terms]
        shapes = [
            shape if shape is not None or not _has_hole(term) else square
            for term, shape in zip(terms, shapes, strict=True)
        ]
    return made(Add(tuple(terms), span=context.place(node)), shapes, context)


def _told(term: Expression, extent: Integer) -> Expression:
    return substitute_indices(term, {HOLE: extent}) if _has_hole(term) else term


def _has_hole(term: Expression) -> bool:
    return any(isinstance(part, Identity) and part.size == HOLE for part in walk(term))


def _term(node: Node, context: Context, read: Reader) -> Reading:
    readings = [read(child, context) for child in subtrees(node)]
    factors, shapes = tuple(factor for factor, _ in readings), [shape for _, shape in readings]
    span = context.place(node)
    return made(Product(factors, span=span) if SCALAR in shapes else Hadamard(factors, span=span), shapes, context)


def _product(node: Node, context: Context, read: Reader) -> Reading:
    span = context.place(node)
    (_, start), *rest = _with_calls(product_parts(node), context)
    factor, shape = read(start, context)
    factors, shapes = [factor], [shape]
    divided: Expression | None = None
    for operator, tree in rest:
        factor, factor_shape = read(tree, context)
        if divided is not None and operator in ("", "@") and not isinstance(divided, Number):
            raise _unclear(divided, factor, context.place(tree))
        divided = factor if operator in ("/", "./") else None
        if operator in ("/", "./", "⊗"):
            total = _joined(factors, span)
            joined = Kronecker(total, factor, span=span) if operator == "⊗" else Quotient(total, factor, span=span)
            total, shape = made(joined, [shape, factor_shape], context)
            factors, shapes = [total], [shape]
            continue
        if operator == "*" and shape and factor_shape:
            raise _no_scaling(_joined(factors, span), shape, factor, factor_shape)
        factors.append(factor)
        shapes.append(factor_shape)
        if shape is not None and not fits(shape, factor_shape):
            combine(_joined(factors, span), shapes, context.arrays)
        shape = multiplied(shape, factor_shape, context.arrays.guess)
    if len(factors) == 1:
        return factors[0], shape
    if whole := folded(factors, sp.Mul, node, context):
        return whole
    return made(_joined(factors, span), shapes, context)


def _joined(factors: list[Expression], span: Span) -> Expression:
    return factors[0] if len(factors) == 1 else Product(tuple(factors), span=span)


def _unclear(divided: Expression, factor: Expression, span: Span) -> BadSyntax:
    bottom, after = expression_source(divided), expression_source(factor)
    repair = f"Write … / ({bottom} {after}) or (… / {bottom}) {after}."
    return BadSyntax(f"Is {after} above or below the line of the fraction?", span, repair)


def _no_scaling(left: Expression, shape: Known, right: Expression, other: Known) -> ShapeMismatch:
    first, second = bracketed(left), bracketed(right)
    return ShapeMismatch(
        f"{first} is {describe(shape)} and {second} is {describe(other)}; * multiplies by a number.",
        covering(left.span, right.span),
        f"Write {first} {second} for the matrix product or {first} .* {second} entry by entry.",
    )


def _with_calls(parts: list[tuple[str, Node]], context: Context) -> list[tuple[str, Node]]:
    """A function's name and the bracket after it made into one factor; so with what follows det and tr."""
    found: list[tuple[str, Node]] = []
    for operator, tree in parts:
        head = function_head(found[-1][1], context) if found and not operator else None
        if head and (call := as_call(head, tree)):
            found[-1] = (found[-1][0], call)
        else:
            found.append((operator, tree))
    for place in reversed(range(len(found) - 1)):
        head = function_head(found[place][1], context)
        last = next((n for n in range(place + 1, len(found)) if found[n][0]), len(found))
        if head and last > place + 1 and takes_what_follows(head, found[place + 1][1]):
            call = applied(head, [tree for _, tree in found[place + 1 : last]])
            found[place:last] = [(found[place][0], call)]
    return found


def _inner(node: Node, context: Context, read: Reader) -> Reading:
    (left, first), (right, second) = (read(child, context) for child in subtrees(node))
    return made(Inner(left, right, span=context.place(node)), [first, second], context)


def _fraction(node: Node, context: Context, read: Reader) -> Reading:
    (left, first), (right, second) = (read(child, context) for child in subtrees(node))
    return made(Quotient(left, right, span=context.place(node)), [first, second], context)


def _signed(node: Node, context: Context, read: Reader) -> Reading:
    value, shape = read(first(node), context)
    return (Negative(value, span=context.place(node)), shape) if word(node) == "-" else (value, shape)


PRODUCTS: dict[str, Rule] = {
    "expression": _expression,
    "term": _term,
    "product": _product,
    "open_product": _product,
    "inner": _inner,
    "fraction": _fraction,
    "signed": _signed,
}
"""What each of these rules of the grammar means."""
