"""A stage at small sizes as a matrix: what each output takes from each entry of an array that it is affine in.

The matrix of a convolution is a sparse Toeplitz matrix, block Toeplitz in several dimensions; the transpose is the
matrix of the way back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import sympy as sp

from derive.calculus.contract import Term
from derive.calculus.elementwise import in_indices
from derive.calculus.index_notation import stage
from derive.calculus.letters import reserved
from derive.calculus.lift import named_indices
from derive.calculus.tidy import tidy
from derive.evaluate.integers import holds, integer
from derive.evaluate.positions import choices
from derive.evaluate.sizes import completed
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer
from derive.language.system import Equation, Program, Range, Scope

MOST_ENTRIES = 250_000

Integers = Mapping[str, int]
Coefficients = dict[Access, Expression]
"""The factor of each entry of the array."""


class NotLinear(ValueError):
    """The stage is not affine in the array, or the matrix would be too large to look at."""


@dataclass(frozen=True)
class LinearMap:
    """out = matrix · in + what does not depend on in: a row for each output, a column for each entry of the array.

    Indices run in row-major order, superscripts first.
    """

    rows: tuple[Access, ...]
    columns: tuple[Access, ...]
    entries: tuple[tuple[Expression, ...], ...]

    @property
    def matrix(self) -> ast.Block:
        """The entries as one expression."""
        return ast.Block(self.entries)

    @property
    def transposed(self) -> LinearMap:
        """The map from what is a row to what is a column."""
        return LinearMap(self.columns, self.rows, tuple(zip(*self.entries, strict=True)))


def linear_map(program: Program, scope: Scope, array: str, wrt: str, sizes: Integers) -> LinearMap:
    """The matrix that takes the entries of ``wrt`` to those of ``array`` in its equation, at these sizes.

    NotLinear where the equation is not affine in ``wrt``.
    """
    integers = completed(program, sizes)
    columns = tuple(_entries(wrt, scope, scope[wrt].superscripts, integers))
    found: dict[Access, Coefficients] = {}
    for equation in program.equations:
        if equation.target.name == array:
            found |= _rows(equation, program, scope, wrt, integers, len(columns))
    rows = tuple(_entries(array, scope, scope[array].superscripts, integers))
    if not any(found.values()):
        raise NotLinear(f"no equation of {array} reads {wrt}.")
    return LinearMap(
        rows, columns, tuple(tuple(found.get(row, {}).get(column, ast.ZERO) for column in columns) for row in rows)
    )


def _entries(name: str, scope: Scope, ranges: tuple[Range, ...], integers: Integers) -> Iterator[Access]:
    """Every entry of an array, the last subscript running fastest."""
    extents = [range(integer(extent, integers)) for extent in scope[name].shape]
    for place in choices(list(ranges), integers):
        above = tuple(sp.Integer(place[item.index.name]) for item in ranges)
        for at in product(*extents):
            yield Access(name, above, tuple(sp.Integer(step) for step in at))


def _rows(
    equation: Equation, program: Program, scope: Scope, wrt: str, integers: Integers, width: int
) -> Iterator[tuple[Access, Coefficients]]:
    item = stage(equation, scope)
    taken = reserved(scope, program.sizes)
    names = {b.index: f"{b.index.name}{number}" for number, b in enumerate(item.bounds, start=1)}
    body = named_indices(in_indices(Term((item.body,)), scope, item.reads), list(names.items()), taken)
    ranges = [Range(ast.index(names[b.index]), _renamed(b.lower, names), _renamed(b.upper, names)) for b in item.bounds]
    reading = _Reading(wrt, scope)
    places = list(choices(ranges, integers))
    if len(places) * width > MOST_ENTRIES:
        raise NotLinear(
            f"The matrix from {wrt} to {item.name} would have {len(places)} rows and {width} columns: "
            f"more than {MOST_ENTRIES} entries. Choose smaller sizes."
        )
    for place in places:
        above, below = (
            tuple(sp.Integer(integer(_renamed(position, names), place)) for position in positions)
            for positions in (item.superscripts, item.subscripts)
        )
        terms = reading.coefficients(body, place)
        yield Access(item.name, above, below), {entry: tidy(factor, scope) for entry, factor in terms.items()}


def _renamed(value: Integer, names: Mapping[sp.Symbol, str]) -> Integer:
    found = value.xreplace({symbol: ast.index(name) for symbol, name in names.items()})
    assert isinstance(found, sp.Expr)
    return found


@dataclass(frozen=True)
class _Reading:
    """How an expression over entries depends on those of the array ``name``."""

    name: str
    scope: Scope

    def coefficients(self, value: Expression, place: Integers) -> Coefficients:
        """The factor of every entry that the expression reads at these index values."""
        match value:
            case Access(name=name) if name == self.name:
                return {self.placed(value, place): ast.ONE} if self.is_inside(value, place) else {}
            case _ if not any(isinstance(node, Access) and node.name == self.name for node in ast.walk(value)):
                return {}
            case ast.Add(terms=terms):
                return _added(self.coefficients(term, place) for term in terms)
            case ast.Negative(operand=operand):
                return {entry: ast.Negative(c) for entry, c in self.coefficients(operand, place).items()}
            case ast.Sum(index=bound, lower=lower, upper=upper, body=body):
                steps = range(integer(lower, place), integer(upper, place) + 1)
                return _added(self.coefficients(body, {**place, bound.name: step}) for step in steps)
            case ast.Guard(conditions=conditions, body=body):
                return self.coefficients(body, place) if all(holds(c, place) for c in conditions) else {}
            case ast.Quotient(numerator=numerator, denominator=denominator):
                self.require_constant(denominator)
                below = self.constant(denominator, place)
                return {entry: ast.Quotient(c, below) for entry, c in self.coefficients(numerator, place).items()}
            case ast.Product(factors=factors):
                (read,) = self.only(factors)
                others = tuple(self.constant(factor, place) for factor in factors if factor is not read)
                return {entry: ast.Product((*others, c)) for entry, c in self.coefficients(read, place).items()}
            case _:
                raise NotLinear(f"{type(value).__name__} of {self.name} is not linear in it.")

    def only(self, factors: tuple[Expression, ...]) -> list[Expression]:
        """The one factor that reads the array."""
        found = [f for f in factors if any(isinstance(n, Access) and n.name == self.name for n in ast.walk(f))]
        if len(found) != 1:
            raise NotLinear(f"A product of {len(found)} factors with {self.name} is not linear in it.")
        return found

    def require_constant(self, value: Expression) -> None:
        if any(isinstance(node, Access) and node.name == self.name for node in ast.walk(value)):
            raise NotLinear(f"A quotient by {self.name} is not linear in it.")

    def placed(self, access: Access, place: Integers) -> Access:
        above, below = (
            tuple(sp.Integer(integer(position, place)) for position in positions)
            for positions in (access.superscripts, access.subscripts)
        )
        return Access(access.name, above, below)

    def is_inside(self, access: Access, place: Integers) -> bool:
        """The entry exists; beyond the ends of an array that is zero there it does not."""
        extents = (integer(extent, place) for extent in self.scope[access.name].shape)
        below = (integer(position, place) for position in access.subscripts)
        is_entry = all(0 <= at < extent for at, extent in zip(below, extents, strict=True))
        if not is_entry and not self.scope[access.name].zero_outside:
            raise NotLinear(f"{access.name} is read outside its range.")
        return is_entry

    def constant(self, value: Expression, place: Integers) -> Expression:
        """A factor with its indices as numbers and its sums written out."""
        match value:
            case Access():
                return self.placed(value, place) if self.is_inside(value, place) else ast.ZERO
            case ast.SizeValue(value=number):
                return ast.SizeValue(sp.sympify(integer(number, place)))
            case ast.Sum(index=bound, lower=lower, upper=upper, body=body):
                steps = range(integer(lower, place), integer(upper, place) + 1)
                terms = tuple(self.constant(body, {**place, bound.name: step}) for step in steps)
                return ast.Add(terms) if len(terms) > 1 else terms[0] if terms else ast.ZERO
            case ast.Guard(conditions=conditions, body=body):
                return self.constant(body, place) if all(holds(c, place) for c in conditions) else ast.ZERO
            case _:
                return ast.map_children(lambda child: self.constant(child, place), value)


def _added(parts: Iterator[Coefficients]) -> Coefficients:
    total: Coefficients = {}
    for part in parts:
        for entry, factor in part.items():
            total[entry] = ast.Add((total[entry], factor)) if entry in total else factor
    return total
