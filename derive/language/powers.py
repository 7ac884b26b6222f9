"""What stands above a name: a step in time, a transpose, a power; which one follows from the name and the shape."""

from __future__ import annotations

import sympy as sp

from derive.language.access import access_parts, read_array, runs_over_time
from derive.language.context import Context, Reader, Reading, Rule, made
from derive.language.errors import BadSyntax, ShapeMismatch, TooLarge
from derive.language.expression import Call, Expression, Integer, Number, Power, Product, Span, Transpose, walk
from derive.language.printer import bracketed, expression_source
from derive.language.products import integer_value
from derive.language.reading import Node, first, subtrees, words_in
from derive.language.shapes import SCALAR, Known, combine, describe
from derive.language.whole import MAX_EXPONENT, bare_name, exponents

MAX_DEGREE = 9
"""The highest power of a matrix: A^3 is written out as A A A."""
ONE = sp.Integer(1)


def _raised(node: Node, context: Context, read: Reader) -> Reading:
    parts = access_parts(node)
    if parts and runs_over_time(parts, context):
        return read_array(parts, node, context)
    tree, exponent = subtrees(node)
    inner = exponents(exponent)
    is_name_t = len(inner) == 1 and bare_name(inner[0]) == "T"
    base, shape = read(tree, context)
    span = context.place(node)
    if len(inner) == 1 and _is_minus_t(inner[0]) and (shape != SCALAR or "T" not in context.integers):
        inverse, shape = _matrix_power(base, shape, -ONE, span, context)
        return _transpose_of(inverse, shape, node, context)
    if is_name_t and (shape != SCALAR or "T" not in context.integers):
        return _transpose_of(base, shape, node, context)
    if len(inner) > 1:
        repair = "Only names that run over time have several superscripts."
        raise BadSyntax("A power has one exponent.", context.place(exponent), repair)
    power, power_shape = read(inner[0], context)
    _limit(power, context, exponent)
    if shape:
        degree = integer_value(power)
        if degree is None:
            repair = (
                f"Powers of a matrix are -1 and whole numbers up to {MAX_DEGREE}; .^ takes the power of each entry."
            )
            text = f"{bracketed(base)} to the power {expression_source(power)}"
            raise BadSyntax(f"{text} is not in the language.", span, repair)
        return _matrix_power(base, shape, degree, span, context)
    return made(Power(base, power, span=span), [shape, power_shape], context)


def _is_minus_t(node: Node) -> bool:
    """The exponent is -T, as in X^{-T}."""
    words = [str(token) for token in words_in(node)]
    return words == ["-", "T"]


def _matrix_power(base: Expression, shape: Known, power: Integer, span: Span, context: Context) -> Reading:
    """A A A, the matrix multiplied by itself, or its inverse."""
    text = bracketed(base)
    if shape is not None and len(shape) != 2:
        repair = f"Write {text} .^ 2 entry by entry, or <{text}, {text}> for the sum of squares."
        raise ShapeMismatch(f"{text} is {describe(shape)} and has no power.", span, repair)
    if not power.is_Integer or power in (0, 1) or abs(int(power)) > MAX_DEGREE:
        repair = f"Powers of a matrix are -1 and whole numbers up to {MAX_DEGREE}; .^ takes the power of each entry."
        raise BadSyntax(f"{text} to the power {power} is not in the language.", span, repair)
    if power < 0:
        base, shape = made(Call("inv", (base,), span=span), [shape], context)
    degree = abs(int(power))
    return (base, shape) if degree == 1 else made(Product((base,) * degree, span=span), [shape] * degree, context)


def _limit(power: Expression, context: Context, node: Node) -> None:
    for part in walk(power):
        if isinstance(part, Number) and abs(part.value) > MAX_EXPONENT:
            repair = "Powers this high are out of range for any number."
            raise TooLarge(f"The exponent is beyond {MAX_EXPONENT}.", context.place(node), repair)


def _raised_each(node: Node, context: Context, read: Reader) -> Reading:
    tree, exponent = subtrees(node)
    base, shape = read(tree, context)
    power, power_shape = read(exponents(exponent)[0], context)
    _limit(power, context, exponent)
    return made(Power(base, power, span=context.place(node)), [shape, power_shape], context)


def _transposed(node: Node, context: Context, read: Reader) -> Reading:
    base, shape = read(first(node), context)
    return _transpose_of(base, shape, node, context)


def _transpose_of(base: Expression, shape: Known, node: Node, context: Context) -> Reading:
    if isinstance(base, Transpose):
        return base.operand, combine(Transpose(base), [shape], context.arrays)
    return made(Transpose(base, span=context.place(node)), [shape], context)


POWERS: dict[str, Rule] = {
    "raised": _raised,
    "raised_each": _raised_each,
    "primed": _transposed,
    "transposed": _transposed,
}
"""What each of these rules of the grammar means."""
