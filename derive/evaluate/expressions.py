"""What every node of the language is worth, on the arrays of any module with NumPy's names.

Nothing is written in place, so that reverse-mode autodiff, complex numbers and other array libraries can run the same
equations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np
import sympy as sp

from derive.evaluate.elementwise import Array, function_value
from derive.evaluate.integers import EvaluationError, holds, integer, rational
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
    Negative,
    Number,
    OrderedProduct,
    Power,
    Product,
    Quotient,
    SizeValue,
    Sum,
    Transpose,
    Vectorised,
    children,
)  # fmt: skip
from derive.language.functions import ARRAY_FUNCTIONS
from derive.language.shapes import Arrays, combine, multiplied
from derive.language.system import Shape

Position = tuple[int, ...]


@dataclass(frozen=True)
class Scope:
    """What an expression is evaluated in.

    ``read(name, superscripts, subscripts)`` gives an array, or one entry where subscripts are given. ``shape`` gives
    the shape of an expression in sizes: only it tells a row from a matrix whose size happens to be 1. ``integers`` are
    sizes and index values by name; ``functions`` gives opaque functions a row of FUNCTIONS.
    """

    read: Callable[[str, Position, Position], Array]
    shape: Callable[[Expression], Shape]
    integers: Mapping[str, int]
    functions: Mapping[str, str] = field(default_factory=dict)
    numbers: Any = np


def shapes_in(declared: Mapping[str, Shape]) -> Callable[[Expression], Shape]:
    """The function from expressions over the declared arrays to their shapes; it works each one out once."""
    arrays = Arrays(declared)
    known: dict[int, tuple[Expression, Shape]] = {}

    def shape(expression: Expression) -> Shape:
        if isinstance(expression, Access) and expression.name not in declared:
            raise EvaluationError(f"{expression.name} is not declared")
        if id(expression) not in known:
            found = combine(expression, [shape(child) for child in children(expression)], arrays)
            if found is None:
                raise EvaluationError(f"the shape of {expression} is not determined")
            known[id(expression)] = expression, found
        return known[id(expression)][1]

    return shape


def scope_of(
    arrays: Mapping[tuple[str, Position], Array],
    shapes: Mapping[str, Shape],
    integers: Mapping[str, int],
    functions: Mapping[str, str] | None = None,
    numbers: Any = np,
) -> Scope:
    """The scope in which ``h^2`` is ``arrays["h", (2,)]``."""

    def read(name: str, superscripts: Position, subscripts: Position) -> Array:
        if (name, superscripts) not in arrays:
            raise EvaluationError(f"{written(name, superscripts)} has no value")
        return entry(arrays[name, superscripts], subscripts, name)

    return Scope(read, shapes_in(shapes), integers, functions or {}, numbers)


def written(name: str, superscripts: Position, subscripts: Position = ()) -> str:
    """``h^3``, ``a^(1, 2)``, ``y[0, 4]`` for messages.

    >>> written("h", (3,), (0, 1))
    'h^3[0, 1]'
    """
    time = "" if not superscripts else f"^{superscripts[0] if len(superscripts) == 1 else superscripts}"
    return f"{name}{time}{list(subscripts) if subscripts else ''}"


def entry(array: Array, subscripts: Position, name: str) -> Array:
    """``array[subscripts]``, where a subscript outside the array is an error and never counts from the end."""
    if not subscripts:
        return array
    shape = array.shape
    if len(shape) != len(subscripts) or not all(0 <= i < n for i, n in zip(subscripts, shape, strict=True)):
        raise EvaluationError(f"{name}{list(subscripts)}: no such entry, its shape is {tuple(shape)}")
    return array[subscripts]


def value(expression: Expression, scope: Scope) -> Array:
    """What ``expression`` is worth in ``scope``: a number for shape (), else an array of its shape."""
    numbers = scope.numbers
    match expression:
        case Derivative(of=of):
            raise EvaluationError(f"the derivative of {of.name} is a name, not something to evaluate")
        case Number(value=number):
            return float(number)
        case SizeValue(value=number):
            return float(rational(number, scope.integers))
        case Access(name=name, superscripts=superscripts, subscripts=subscripts):
            return scope.read(name, _integers(superscripts, scope), _integers(subscripts, scope))
        case Add(terms=terms):
            return reduce(lambda a, b: a + b, (value(term, scope) for term in terms))
        case Negative(operand=operand):
            return -value(operand, scope)
        case Product(factors=factors):
            return _product(factors, scope)
        case Hadamard(factors=factors):
            return reduce(lambda a, b: a * b, (value(factor, scope) for factor in factors))
        case Quotient(numerator=numerator, denominator=denominator):
            return value(numerator, scope) / value(denominator, scope)
        case Power(base=base, exponent=exponent):
            return value(base, scope) ** _exponent(exponent, scope)
        case Transpose(operand=operand):
            shape, array = numeric_shape(expression, scope), value(operand, scope)
            if not shape:
                return array
            return numbers.transpose(array) if len(shape) == 2 and 1 not in shape else numbers.reshape(array, shape)
        case Inner(left=left, right=right):
            return numbers.sum(value(left, scope) * value(right, scope))
        case Apply(function=function, argument=argument, order=order):
            row = scope.functions.get(function, function)
            return function_value(row, value(argument, scope), order, numbers)
        case Call(function=function, arguments=arguments):
            return ARRAY_FUNCTIONS[function].evaluate(numbers, *(value(argument, scope) for argument in arguments))
        case Diagonal(vector=vector):
            entries = value(vector, scope)
            return numbers.reshape(entries, (-1, 1)) * numbers.eye(entries.shape[0])
        case Sum(index=bound, lower=lower, upper=upper, body=body):
            steps = range(integer(lower, scope.integers), integer(upper, scope.integers) + 1)
            terms = [value(body, inside(scope, bound, step)) for step in steps]
            return reduce(lambda a, b: a + b, terms) if terms else _filled(0, body, scope)
        case OrderedProduct():
            return _ordered_product(expression, scope)
        case Guard(conditions=conditions, body=body):
            admitted = all(holds(condition, scope.integers) for condition in conditions)
            return value(body, scope) if admitted else _filled(0, body, scope)
        case Identity(size=extent):
            return numbers.eye(integer(extent, scope.integers))
        case Filled(value=number):
            return _filled(number, expression, scope)
        case Kronecker(left=left, right=right):
            return _kronecker(expression, value(left, scope), value(right, scope), scope)
        case Vectorised(operand=operand):
            return numbers.reshape(numbers.transpose(value(operand, scope)), (-1,))
        case Block(rows=rows):
            parts = [[(value(part, scope), numeric_shape(part, scope)) for part in row] for row in rows]
            strips = [_joined(numbers, [_matrix(numbers, *part) for part in row], axis=1) for row in parts]
            return numbers.reshape(_joined(numbers, strips, axis=0), numeric_shape(expression, scope))


def inside(scope: Scope, index: sp.Symbol, position: int) -> Scope:
    """``scope`` where ``index`` has the value ``position``."""
    return replace(scope, integers={**scope.integers, index.name: position})


def numeric_shape(expression: Expression, scope: Scope) -> Position:
    """The shape of ``expression`` at the sizes of ``scope``."""
    return _integers(scope.shape(expression), scope)


def _integers(expressions: Sequence[Integer], scope: Scope) -> Position:
    return tuple(integer(expression, scope.integers) for expression in expressions)


def _filled(number: int, like: Expression, scope: Scope) -> Array:
    shape = numeric_shape(like, scope)
    return (scope.numbers.ones(shape) if number else scope.numbers.zeros(shape)) if shape else float(number)


def _exponent(exponent: Expression, scope: Scope) -> Array:
    """The exponent, as a Python integer where it is one: (-2) ** 2 has a slope everywhere only then."""
    exact = value(exponent, scope)
    return int(exact) if isinstance(exact, float) and exact.is_integer() else exact


def _product(factors: Sequence[Expression], scope: Scope) -> Array:
    result, shape = value(factors[0], scope), scope.shape(factors[0])
    for factor in factors[1:]:
        following = scope.shape(factor)
        result = _multiplied(scope.numbers, result, shape, value(factor, scope), following)
        shape = multiplied(shape, following) or ()
    return result


def _multiplied(numbers: Any, left: Array, left_shape: Shape, right: Array, right_shape: Shape) -> Array:
    """left · right by the declared shapes: a matrix whose size happens to be 1 is still a matrix."""
    if not left_shape or not right_shape:
        return left * right
    if len(left_shape) == 1:
        return numbers.reshape(left, (-1, 1)) * right
    result = numbers.matmul(left, right)
    return numbers.reshape(result, ()) if multiplied(left_shape, right_shape) == () else result


def _ordered_product(node: OrderedProduct, scope: Scope) -> Array:
    first, last = integer(node.first, scope.integers), integer(node.last, scope.integers)
    positions = range(first, last - 1, -1) if node.descending else range(first, last + 1)
    shape = numeric_shape(node, scope)
    result = scope.numbers.eye(shape[0]) if shape else 1.0
    for position in positions:
        factor = value(node.body, inside(scope, node.index, position))
        result = scope.numbers.matmul(result, factor) if shape else result * factor
    return result


def _kronecker(node: Kronecker, left: Array, right: Array, scope: Scope) -> Array:
    numbers, left_shape, right_shape = scope.numbers, numeric_shape(node.left, scope), numeric_shape(node.right, scope)
    if not left_shape or not right_shape:
        return left * right
    a, b = _matrix(numbers, left, left_shape), _matrix(numbers, right, right_shape)
    grid = numbers.reshape(a, (a.shape[0], 1, a.shape[1], 1)) * numbers.reshape(b, (1, b.shape[0], 1, b.shape[1]))
    return numbers.reshape(grid, numeric_shape(node, scope))


def _matrix(numbers: Any, array: Array, shape: Position) -> Array:
    return numbers.reshape(array, shape + (1,) * (2 - len(shape))) if shape else array * numbers.ones((1, 1))


def _joined(numbers: Any, arrays: list[Array], axis: int) -> Array:
    return arrays[0] if len(arrays) == 1 else numbers.concatenate(arrays, axis)
