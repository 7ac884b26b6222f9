"""What every node of the language is worth, on the arrays of any module with NumPy's names.

An expression has a value in one place, where every index is a number, or at many points at once: then each index has an
array with its value at every point, and so has the expression, if it is a number. Nothing is written in place, so that
reverse-mode autodiff, complex numbers and other array libraries can run the same equations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np
import sympy as sp

from derive.evaluate.elementwise import Array, function_value, scalar
from derive.evaluate.integers import EvaluationError, holds, integer
from derive.evaluate.maxima import constant, largest, share
from derive.evaluate.points import (
    Points,
    Rows,
    Whole,
    distinct,
    everywhere,
    grouped,
    integer_at,
    pieces,
    portions,
    put,
    rational_at,
)
from derive.language.array_functions import ARRAY_FUNCTIONS
from derive.language.expression import (
    Access,
    Add,
    Apply,
    Block,
    Call,
    Condition,
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
    Range,
    Share,
    SizeValue,
    Slice,
    Sum,
    Transpose,
    Vectorised,
    children,
    symbols_of,
)  # fmt: skip
from derive.language.shapes import Arrays, combine, multiplied
from derive.language.system import Shape

Position = tuple[int, ...]


@dataclass(frozen=True)
class Scope:
    """What an expression is evaluated in.

    ``read(name, superscripts, subscripts)`` gives an array, or one entry where subscripts are given, or many where they
    are arrays of integers. ``shape`` gives the shape of an expression in sizes: only it tells a row from a matrix whose
    size happens to be 1. ``integers`` are sizes and index values by name, of one place or of ``count`` points;
    ``functions`` gives opaque functions a row of FUNCTIONS.
    """

    read: Callable[[str, Position, tuple[Whole, ...]], Array]
    shape: Callable[[Expression], Shape]
    integers: Mapping[str, Whole]
    functions: Mapping[str, str] = field(default_factory=dict)
    numbers: Any = np
    count: int | None = None

    @property
    def points(self) -> Points:
        """The points; one place is one point."""
        return Points(self.integers, 1 if self.count is None else self.count)

    def among(self, points: Points) -> Scope:
        """The scope at these points."""
        return replace(self, integers=points.integers, count=points.count)

    def at(self, row: int) -> Scope:
        """The scope in the place of one point."""
        return replace(self, integers=self.points.at(row), count=None)


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

    def read(name: str, superscripts: Position, subscripts: tuple[Whole, ...]) -> Array:
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


def _places(places: Sequence[Any], scope: Scope) -> tuple[int | slice, ...]:
    """Positions and slices; the last position of a part is included."""
    found: list[int | slice] = []
    for place in places:
        if isinstance(place, tuple):
            first, last = (integer(end, scope.integers) for end in place)
            found.append(slice(first, last + 1))
        else:
            found.append(integer(place, scope.integers))
    return tuple(found)


def _is_inside(place: Any, extent: int) -> Any:
    if isinstance(place, slice):
        return 0 <= place.start <= place.stop <= extent
    return (place >= 0) & (place < extent)


def entry(array: Array, subscripts: tuple[Any, ...], name: str) -> Array:
    """``array[subscripts]``, where a subscript outside the array is an error and never counts from the end."""
    if not subscripts:
        return array
    shape = tuple(array.shape)
    if len(shape) != len(subscripts):
        raise EvaluationError(f"{name}{list(subscripts)}: no such entry, its shape is {shape}")
    inside = [_is_inside(place, extent) for place, extent in zip(subscripts, shape, strict=True)]
    if not all(map(np.all, inside)):
        where = np.flatnonzero(~reduce(np.logical_and, inside))[0]
        first = [int(place[where]) if isinstance(place, np.ndarray) else place for place in subscripts]
        raise EvaluationError(f"{name}{first}: no such entry, its shape is {shape}")
    return array[subscripts]


def value(expression: Expression, scope: Scope) -> Array:
    """What ``expression`` is worth in ``scope``: a number for shape (), else an array of its shape.

    At many points, where only numbers have values, it is an array with one for each, or one number where all are equal.
    """
    numbers = scope.numbers
    if scope.count == 0:
        return numbers.zeros((0,))
    if scope.count is not None and not _is_pointwise(expression, scope):
        return _point_by_point(expression, scope)
    match expression:
        case Derivative(of=of):
            raise EvaluationError(f"the derivative of {of.name} is a name, not something to evaluate")
        case Number(value=number):
            return scalar(number, numbers)
        case SizeValue(value=number):
            return _size_value(number, scope)
        case Access():
            return _read(expression, scope)
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
            return _power(base, exponent, scope)
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
        case Slice(operand=operand, places=places):
            return entry(value(operand, scope), _places(places, scope), "a part")
        case LogSumExp(index=bound, lower=lower, upper=upper, body=body):
            inner = scope.among(scope.points.over([Range(bound, lower, upper)])[0])
            terms = everywhere(value(body, inner), inner.points.count, numbers)
            return ARRAY_FUNCTIONS["logsumexp"].evaluate(numbers, terms) if inner.count else -np.inf
        case Sum():
            return _sum(expression, scope)
        case Maximum() | Share():
            return _compared(expression, scope)
        case OrderedProduct():
            return _ordered_product(expression, scope)
        case Guard(conditions=conditions, body=body):
            if scope.count is not None:
                return _where(conditions, body, scope)
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
    if not shape:
        return scalar(Fraction(number), scope.numbers)
    return scope.numbers.ones(shape) if number else scope.numbers.zeros(shape)


def _power(base: Expression, exponent: Expression, scope: Scope) -> Array:
    """The exponent is a Python integer where it is one: (-2) ** 2 has a slope everywhere only then."""
    if isinstance(exponent, SizeValue) and scope.count is not None:
        exact = rational_at(exponent.value, scope.points)
        if isinstance(exact, list):

            def raised(rows: Rows) -> Array:
                return _power(base, Number(exact[rows[0]]), scope.among(scope.points.part(rows)))

            numbering = {number: place for place, number in enumerate(dict.fromkeys(exact))}
            return pieces([np.array([numbering[number] for number in exact])], raised, scope.numbers)
    power = value(exponent, scope)
    return value(base, scope) ** (int(power) if isinstance(power, float | Fraction) and power % 1 == 0 else power)


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


# Many points at once --------------------------------------------------------------------------------------------------


def _is_pointwise(expression: Expression, scope: Scope) -> bool:
    """Its value at a point follows from the numbers that its parts are there."""
    if isinstance(expression, LogSumExp | OrderedProduct):
        return False
    return all(not scope.shape(child) for child in children(expression))


def _point_by_point(expression: Expression, scope: Scope) -> Array:
    """The values where the indices in ``expression`` differ, one after another."""
    names = [str(symbol) for symbol in symbols_of(expression)]
    columns = [held for name in names if isinstance(held := scope.integers.get(name), np.ndarray)]
    if not columns:
        return value(expression, scope.at(0))
    first, inverse = distinct(columns)
    found = [value(expression, scope.at(int(row))) for row in first]
    return scope.numbers.stack(found)[inverse]


def _size_value(number: Integer, scope: Scope) -> Array:
    numbers, exact = scope.numbers, rational_at(number, scope.points)
    if isinstance(exact, Fraction):
        return scalar(exact, numbers)
    return constant(np.array([scalar(one, numbers) for one in exact]), numbers)


def _read(access: Access, scope: Scope) -> Array:
    name, points = access.name, scope.points
    above = [integer_at(superscript, points) for superscript in access.superscripts]
    below = [integer_at(subscript, points) for subscript in access.subscripts]
    times = [at for at in above if isinstance(at, np.ndarray)]
    if any(isinstance(at, np.ndarray) for at in below):
        below = [at if isinstance(at, np.ndarray) else np.full(points.count, at) for at in below]

    def read(rows: Rows) -> Array:
        time = (int(at[rows[0]]) if isinstance(at, np.ndarray) else at for at in above)
        here = (at[rows] if isinstance(at, np.ndarray) else at for at in below)
        return scope.read(name, tuple(time), tuple(here))

    return pieces(times, read, scope.numbers) if times else scope.read(name, tuple(above), tuple(below))


def _where(conditions: Sequence[Condition], body: Expression, scope: Scope) -> Array:
    points, numbers = scope.points, scope.numbers
    rows = points.where(conditions)
    if not len(rows):
        return scalar(Fraction(0), numbers)
    found = value(body, scope.among(points.part(rows)))
    return put(everywhere(found, len(rows), numbers), rows, points.count, numbers)


def _inner(
    node: Sum | Maximum | Share, scope: Scope, ranges: Sequence[Range], found: Callable[[Points, Rows, int], Array]
) -> Array:
    """``found`` at the inner points of all outer points, a portion of them after another."""
    points, numbers = scope.points, scope.numbers
    inner, owners = points.over(ranges)
    rows = portions(points, owners)
    if len(rows) > 1:
        parts = [value(node, scope.among(points.part(part))) for part in rows]
        return numbers.concatenate([everywhere(p, len(r), numbers) for p, r in zip(parts, rows, strict=True)], 0)
    if not inner.count:
        return scalar(Fraction(0), numbers)
    result = found(inner, owners, points.count)
    return numbers.reshape(result, ()) if scope.count is None else result


def _sum(node: Sum, scope: Scope) -> Array:
    over, body, numbers = Range(node.index, node.lower, node.upper), node.body, scope.numbers
    if scope.shape(body):
        steps = range(integer(over.lower, scope.integers), integer(over.upper, scope.integers) + 1)
        terms = [value(body, inside(scope, over.index, step)) for step in steps]
        return reduce(lambda a, b: a + b, terms) if terms else _filled(0, body, scope)

    def found(inner: Points, owners: Rows, count: int) -> Array:
        terms = everywhere(value(body, scope.among(inner)), inner.count, numbers)
        return numbers.sum(grouped(terms, owners, count, numbers)[0], 1)

    return _inner(node, scope, [over], found)


def _compared(node: Maximum | Share, scope: Scope) -> Array:
    """A maximum, or the share of one position in it, among the positions at which its conditions hold."""
    maximum, numbers = node if isinstance(node, Maximum) else node.maximum, scope.numbers
    if scope.shape(maximum.body):
        return _largest_arrays(maximum, scope)

    def found(inner: Points, owners: Rows, count: int) -> Array:
        kept = inner.where(maximum.conditions)
        if not len(kept):
            return numbers.zeros((count,))
        inner, owners = inner.part(kept), owners[kept]
        taking, places = np.unique(owners, return_inverse=True)  # the outer points with any position that takes part
        bodies = everywhere(value(maximum.body, scope.among(inner)), inner.count, numbers)
        table, present = grouped(bodies, places, len(taking), numbers, -np.inf)
        if isinstance(node, Maximum):
            return put(largest(table, present, maximum.ties, numbers), taking, count, numbers)
        at = [np.broadcast_to(integer_at(place, scope.points), count)[owners] for place in node.at]
        here = [inner.integers[item.index.name] == place for item, place in zip(maximum.ranges, at, strict=True)]
        wanted = np.zeros(present.shape, dtype=bool)
        wanted[present] = reduce(np.logical_and, here)
        return put(share(table, present, wanted, maximum.ties, numbers), taking, count, numbers)

    return _inner(node, scope, maximum.ranges, found)


def _largest_arrays(maximum: Maximum, scope: Scope) -> Array:
    """Entry by entry the largest of the arrays at all positions."""
    numbers, shape = scope.numbers, numeric_shape(maximum, scope)
    inner = scope.points.over(maximum.ranges)[0]
    places = inner.where(maximum.conditions)
    arrays = [value(maximum.body, scope.among(inner).at(int(place))) for place in places]
    if not arrays:
        return numbers.zeros(shape)
    table = numbers.transpose(numbers.reshape(numbers.stack(arrays), (len(arrays), -1)))
    present = np.ones((int(np.prod(shape)), len(arrays)), dtype=bool)
    return numbers.reshape(largest(table, present, maximum.ties, numbers), shape)


# Whole arrays ---------------------------------------------------------------------------------------------------------


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
