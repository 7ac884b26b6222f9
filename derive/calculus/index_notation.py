"""Matrix notation written out in indices: an equation becomes ``out[time, i, j] = SymPy expression`` over entries.

Bound indices are fresh dummies, so that SymPy's ``diff`` cannot capture one (sympy issue 21891).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, cast

import sympy as sp

from derive.calculus.choices import as_sum
from derive.calculus.symbols import replaced
from derive.calculus.whole_entries import SoftMaximum, WholeEntry, template
from derive.language import expression as ast
from derive.language.array_functions import ARRAY_FUNCTIONS
from derive.language.errors import BadSyntax
from derive.language.expression import Access, Expression, Integer
from derive.language.functions import symbolic
from derive.language.shapes import shape_of
from derive.language.system import Equation, Scope

within = sp.Function("within")
"""within(value, lower, upper) is 1 where lower ≤ value ≤ upper, else 0."""
divides = sp.Function("divides")
"""divides(divisor, value) is 1 where the integer divisor divides value, else 0."""


@dataclass(frozen=True)
class Bound:
    """An index that is summed or iterated over ``lower … upper``, both included."""

    index: sp.Symbol
    lower: Integer
    upper: Integer


@dataclass(frozen=True)
class Stage:
    """``name[superscripts, subscripts] = body`` for all indices within their bounds; these are fresh dummies."""

    name: str
    superscripts: tuple[Integer, ...]
    subscripts: tuple[Integer, ...]
    bounds: tuple[Bound, ...]
    body: sp.Expr
    reads: tuple[str, ...] = ()
    """The arrays in the body, in the order in which the author wrote them."""


def element(name: str, superscripts: Sequence[Integer], subscripts: Sequence[Integer]) -> sp.Indexed:
    """The entry of an array as SymPy sees it; a scalar without superscripts stands at index 0."""
    return cast(sp.Indexed, sp.Indexed(name, *((*superscripts, *subscripts) or (sp.Integer(0),))))


def partial_derivative(body: sp.Expr, entry: sp.Indexed) -> sp.Expr:
    """∂body/∂entry by SymPy; an entry that the body does not read gives 0 (SymPy leaves sums of zeros)."""
    found = body.diff(entry)
    zeros = {node: sp.Integer(0) for node in found.atoms(sp.Sum) if node.function == 0}
    return cast(sp.Expr, found.xreplace(zeros))


def dummy(name: str) -> sp.Symbol:
    """A fresh integer index printed as ``name``."""
    return sp.Dummy(name, integer=True)


def stage(equation: Equation, scope: Scope) -> Stage:
    """The equation in index notation, every index of its target a fresh dummy."""
    renamed: dict[sp.Symbol, Integer] = {}
    bounds: list[Bound] = []
    for item in equation.ranges:
        fresh = dummy(item.index.name)
        renamed[item.index] = fresh
        bounds.append(Bound(fresh, item.lower, item.upper))
    target, value = equation.target, ast.substitute_indices(equation.value, renamed)
    superscripts = tuple(replaced(position, renamed) for position in target.superscripts)
    if isinstance(value, ast.LogSumExp):
        subscripts = tuple(replaced(position, renamed) for position in target.subscripts)
        body = _soft_maximum(value, element(target.name, superscripts, subscripts), scope)
    elif target.subscripts:
        subscripts = tuple(replaced(position, renamed) for position in target.subscripts)
        body = entry(value, (), scope)
    else:
        shape = scope[target.name].shape
        axes = [Bound(dummy(name), sp.Integer(0), extent - 1) for name, extent in zip("ijklmnop", shape, strict=False)]
        subscripts = tuple(axis.index for axis in axes)
        bounds += axes
        body = entry(value, subscripts if shape_of(value, scope) else (), scope)
    reads = tuple(dict.fromkeys(node.name for node in ast.walk(equation.value) if isinstance(node, Access)))
    return Stage(target.name, superscripts, subscripts, tuple(bounds), body, reads)


def entry(expression: Expression, indices: tuple[Integer, ...], scope: Scope) -> sp.Expr:
    """The entry of ``expression`` at ``indices`` (one for each axis of its shape)."""
    rule = _RULES.get(type(expression))
    if rule is None:
        raise TypeError(f"{type(expression).__name__} has no index notation: it only appears in derived formulas")
    return rule(expression, indices, scope)


def _access(node: Access, indices: tuple[Integer, ...], scope: Scope) -> sp.Expr:
    return element(node.name, node.superscripts, node.subscripts or indices)


def _broadcast(node: Expression, indices: tuple[Integer, ...], scope: Scope) -> sp.Expr:
    """The entry of a term, a number standing for itself in every entry."""
    return entry(node, indices if shape_of(node, scope) else (), scope)


def _add(node: ast.Add, indices: tuple[Integer, ...], scope: Scope) -> sp.Expr:
    return sp.Add(*(_broadcast(term, indices, scope) for term in node.terms))


def _hadamard(node: ast.Hadamard, indices: tuple[Integer, ...], scope: Scope) -> sp.Expr:
    return sp.Mul(*(_broadcast(factor, indices, scope) for factor in node.factors))


def _quotient(node: ast.Quotient, indices: tuple[Integer, ...], scope: Scope) -> sp.Expr:
    return _broadcast(node.numerator, indices, scope) / _broadcast(node.denominator, indices, scope)


def _power(node: ast.Power, indices: tuple[Integer, ...], scope: Scope) -> sp.Expr:
    return _broadcast(node.base, indices, scope) ** entry(node.exponent, (), scope)


EntryOf = Callable[[Integer, Integer], sp.Expr]


def as_matrix(node: Expression, scope: Scope) -> tuple[EntryOf, tuple[Integer, Integer]]:
    """A vector or matrix as a function of (row, column) with its two extents; a vector is one column."""
    shape = shape_of(node, scope)
    if len(shape) == 1:
        return (lambda i, j: entry(node, (i,), scope)), (shape[0], sp.Integer(1))
    return (lambda i, j: entry(node, (i, j), scope)), (shape[0], shape[1])


def _times(
    left: tuple[EntryOf, tuple[Integer, Integer]], right: tuple[EntryOf, tuple[Integer, Integer]]
) -> tuple[EntryOf, tuple[Integer, Integer]]:
    (a, (rows, inner)), (b, (_, columns)) = left, right
    if inner == 1:
        return (lambda i, j: a(i, sp.Integer(0)) * b(sp.Integer(0), j)), (rows, columns)

    def contracted(i: Integer, j: Integer) -> sp.Expr:
        k = dummy("k")
        return summed(a(i, k) * b(k, j), Bound(k, sp.Integer(0), inner - 1))

    return contracted, (rows, columns)


def _product(node: ast.Product, indices: tuple[Integer, ...], scope: Scope) -> sp.Expr:
    scalars = [factor for factor in node.factors if not shape_of(factor, scope)]
    arrays = [factor for factor in node.factors if shape_of(factor, scope)]
    scale = sp.Mul(*(entry(factor, (), scope) for factor in scalars))
    if not arrays:
        return scale
    if len(arrays) == 1:
        return scale * entry(arrays[0], indices, scope)
    # From the right, so that A B x becomes Σ_j A_ij (Σ_k B_jk x_k) and not a product of matrices first.
    function, _ = reduce(lambda right, left: _times(left, right), (as_matrix(a, scope) for a in reversed(arrays)))
    shape = shape_of(node, scope)
    at = {0: (sp.Integer(0), sp.Integer(0)), 1: (*indices, sp.Integer(0)), 2: indices}[len(shape)]
    return scale * function(*at)


def _inner(node: ast.Inner, indices: tuple[Integer, ...], scope: Scope) -> sp.Expr:
    shape = shape_of(node.left, scope)
    bound = tuple(dummy(name) for name, _ in zip("ijkl", shape, strict=False))
    body = entry(node.left, bound, scope) * entry(node.right, bound, scope)
    for variable, extent in zip(reversed(bound), reversed(shape), strict=True):
        body = summed(body, Bound(variable, sp.Integer(0), extent - 1))
    return body


def _call(node: ast.Call, indices: tuple[Integer, ...], scope: Scope) -> sp.Expr:
    row = ARRAY_FUNCTIONS[node.function]
    if row.entry is None:
        return WholeEntry(node.function, [_whole(argument, node, scope) for argument in node.arguments], indices)
    (argument,) = node.arguments
    return row.entry(lambda *at: entry(argument, at, scope), shape_of(argument, scope), indices)


def _whole(argument: Expression, node: ast.Call, scope: Scope) -> sp.Indexed:
    if isinstance(argument, Access) and not argument.subscripts:
        return template(argument, scope)
    message = f"What {node.function} takes here depends on a subscript of the left side."
    raise BadSyntax(message, node.span, "Give it a name of its own, without that subscript.")


def _slice(node: ast.Slice, indices: tuple[Integer, ...], scope: Scope) -> sp.Expr:
    free = iter(indices)
    at = (place[0] + next(free) if isinstance(place, tuple) else place for place in node.places)
    return entry(node.operand, tuple(at), scope)


def _soft_maximum(node: ast.LogSumExp, value: sp.Expr, scope: Scope) -> sp.Expr:
    bound = dummy(node.index.name)
    body = entry(ast.substitute_indices(node.body, {node.index: bound}), (), scope)
    return SoftMaximum(value, body, bound, node.lower, node.upper)


def _log_sum_exp(node: ast.LogSumExp, indices: tuple[Integer, ...], scope: Scope) -> sp.Expr:
    exponentials = ast.Sum(node.index, node.lower, node.upper, ast.Apply("exp", node.body))
    return entry(ast.Apply("log", exponentials), (), scope)


def _matrix_extents(node: Expression, scope: Scope) -> tuple[Integer, Integer]:
    rows, columns = (*shape_of(node, scope), sp.Integer(1), sp.Integer(1))[:2]
    return rows, columns


def _placed(indices: tuple[Integer, ...], at: tuple[Integer, ...], bounds: Sequence[Bound], body: sp.Expr) -> sp.Expr:
    """``body`` where the indices are ``at``, summed over ``bounds``: an entry that is put somewhere."""
    body = body * sp.Mul(*(sp.KroneckerDelta(i, place) for i, place in zip(indices, at, strict=True)))
    for bound in reversed(bounds):
        body = summed(body, bound)
    return body


def _all(extent: Integer, letter: str) -> Bound:
    return Bound(dummy(letter), sp.Integer(0), extent - 1)


def _kronecker(node: ast.Kronecker, indices: tuple[Integer, ...], scope: Scope) -> sp.Expr:
    """(A ⊗ B)[k p + r, l q + s] = A[k, l] B[r, s] for B of p rows and q columns."""
    left, right = shape_of(node.left, scope), shape_of(node.right, scope)
    if not left or not right:
        return _broadcast(node.left, indices, scope) * _broadcast(node.right, indices, scope)
    rank = len(indices)
    extents = [*zip(_matrix_extents(node.left, scope), _matrix_extents(node.right, scope), strict=True)][:rank]
    outer = [_all(a, letter) for (a, _), letter in zip(extents, "kl", strict=False)]
    inner = [_all(b, letter) for (_, b), letter in zip(extents, "rs", strict=False)]
    at = tuple(k.index * b + r.index for k, r, (_, b) in zip(outer, inner, extents, strict=True))
    values = [
        entry(part, tuple(bound.index for bound in bounds)[: len(shape)], scope)
        for part, bounds, shape in ((node.left, outer, left), (node.right, inner, right))
    ]
    return _placed(indices, at, [*outer, *inner], sp.Mul(*values))


def _vectorised(node: ast.Vectorised, indices: tuple[Integer, ...], scope: Scope) -> sp.Expr:
    """vec(A)[k + l m] = A[k, l] for A of m rows."""
    shape = shape_of(node.operand, scope)
    if len(shape) < 2:
        return entry(node.operand, indices[: len(shape)], scope)
    bounds = [_all(extent, letter) for extent, letter in zip(shape, "kl", strict=True)]
    k, l = (bound.index for bound in bounds)  # noqa: E741
    return _placed(indices, (k + l * shape[0],), bounds, entry(node.operand, (k, l), scope))


def _block(node: ast.Block, indices: tuple[Integer, ...], scope: Scope) -> sp.Expr:
    """Each block where it stands: below those above it, beside those before it."""
    found: list[sp.Expr] = []
    above: Integer = sp.Integer(0)
    for row in node.rows:
        before: Integer = sp.Integer(0)
        for part in row:
            shape, extents = shape_of(part, scope), _matrix_extents(part, scope)
            bounds = [_all(extent, letter) for extent, letter in zip(extents, "kl", strict=False)][: len(indices)]
            own = tuple(bound.index for bound in bounds)
            at = tuple(offset + index for offset, index in zip((above, before), own, strict=False))
            found.append(_placed(indices, at, bounds, entry(part, own[: len(shape)], scope)))
            before = before + extents[1]
        above = above + _matrix_extents(row[0], scope)[0]
    return sp.Add(*found)


def _maximum(node: ast.Maximum, indices: tuple[Integer, ...], scope: Scope) -> sp.Expr:
    """Σ choice · body: what the maximum is as long as its choice stays the same."""
    if node.choice is None:
        message = "A maximum is differentiated where it has a name."
        raise BadSyntax(message, node.span, "Give it an equation of its own.")
    return entry(as_sum(node), indices, scope)


def _sum(node: ast.Sum, indices: tuple[Integer, ...], scope: Scope) -> sp.Expr:
    bound = dummy(node.index.name)
    body = ast.substitute_indices(node.body, {node.index: bound})
    return summed(entry(body, indices, scope), Bound(bound, node.lower, node.upper))


def _guard(node: ast.Guard, indices: tuple[Integer, ...], scope: Scope) -> sp.Expr:
    return sp.Mul(*(bracket(condition) for condition in node.conditions)) * entry(node.body, indices, scope)


def summed(body: sp.Expr, bound: Bound) -> sp.Expr:
    """Σ of ``body`` over one index, left as it stands."""
    return cast(sp.Expr, sp.Sum(body, (bound.index, bound.lower, bound.upper)))


def bracket(condition: ast.Condition) -> sp.Expr:
    """The condition as an Iverson bracket that SymPy carries along."""
    match condition:
        case ast.Within(value=value, lower=lower, upper=upper):
            return within(value, lower, upper)
        case ast.Divides(divisor=divisor, value=value):
            return divides(divisor, value)


def _transpose(node: ast.Transpose, indices: tuple[Integer, ...], scope: Scope) -> sp.Expr:
    rank = len(shape_of(node.operand, scope))
    return entry(node.operand, () if rank == 0 else (indices[1],) if rank == 1 else indices[::-1], scope)


_RULES: dict[type, Callable[..., Any]] = {
    ast.Number: lambda node, indices, scope: sp.Rational(node.value.numerator, node.value.denominator),
    ast.SizeValue: lambda node, indices, scope: sp.sympify(node.value),
    Access: _access,
    ast.Add: _add,
    ast.Negative: lambda node, indices, scope: -entry(node.operand, indices, scope),
    ast.Product: _product,
    ast.Hadamard: _hadamard,
    ast.Quotient: _quotient,
    ast.Power: _power,
    ast.Transpose: _transpose,
    ast.Inner: _inner,
    ast.Apply: lambda node, indices, scope: symbolic(node.function, node.order)(entry(node.argument, indices, scope)),
    ast.Call: _call,
    ast.Diagonal: lambda node, indices, scope: sp.KroneckerDelta(*indices) * entry(node.vector, indices[:1], scope),
    ast.Slice: _slice,
    ast.LogSumExp: _log_sum_exp,
    ast.Kronecker: _kronecker,
    ast.Vectorised: _vectorised,
    ast.Block: _block,
    ast.Sum: _sum,
    ast.Maximum: _maximum,
    ast.Guard: _guard,
    ast.Identity: lambda node, indices, scope: sp.KroneckerDelta(*indices),
    ast.Filled: lambda node, indices, scope: sp.Integer(node.value),
}
"""How each node reads in indices; nodes that only appear in derived closed forms have none."""
