"""From contracted index notation back to matrices, where a matrix form exists.

A term is read as a network of vectors and matrices joined by subscripts; what has no matrix form stays in indices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import cast

import sympy as sp

from derive.calculus.contract import Term
from derive.calculus.elementwise import Axes, Elementwise
from derive.calculus.entries import entries, entry_of, recognised, whole_entries
from derive.calculus.network import Network, NotAMatrix, factors_of, joined
from derive.calculus.symbols import replaced, symbols_in
from derive.calculus.tidy import tidy
from derive.calculus.whole_entries import WholeEntry
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer, index
from derive.language.system import Scope


def lift(term: Term, free: Mapping[sp.Symbol, Integer], scope: Scope) -> Expression:
    """The matrix expression that ``term`` stands for, the ``free`` subscripts its axes; NotAMatrix if there is none.

    ``free`` gives the extent of each. Superscripts stay as they are; a sum over one becomes a Sum around the matrix
    expression.
    """
    if any(scope[item.name].choice for factor in term.factors for item in entries(factor, scope)):
        raise NotAMatrix  # brackets [κ = a] are written entry by entry
    term = recognised(term)
    superscripts = _superscript_indices(term, scope)
    tensor = frozenset(free) | {bound.index for bound in term.bounds if bound.index not in superscripts}
    _require_whole_ranges(term, tensor, scope)
    extents = {**free, **{bound.index: sp.expand(bound.upper + 1) for bound in term.bounds}}
    term, ready = _directions_taken(term, extents, scope)
    body = _product(term, tuple(free), Elementwise((), tensor, extents, scope, lift), ready)
    conditions = term.conditions
    for bound in reversed([bound for bound in term.bounds if bound.index in superscripts]):
        inner = tuple(condition for condition in conditions if _mentions(condition, bound.index))
        conditions = tuple(condition for condition in conditions if condition not in inner)
        body = ast.Sum(bound.index, bound.lower, bound.upper, ast.Guard(inner, body) if inner else body)
    return tidy(ast.Guard(conditions, body) if conditions else body, scope)


Ready = list[tuple[sp.Symbol, sp.Symbol, Expression]]
"""Matrices that have been read already, with their two subscripts."""


def _directions_taken(term: Term, extents: Mapping[sp.Symbol, Integer], scope: Scope) -> tuple[Term, Ready]:
    """Functions of a matrix and a direction, with all that is summed over the direction's place as the direction.

    Where the sum is over the value instead, it is the adjoint: the same function at the transposed matrix.
    """
    ready: Ready = []
    while True:
        found = next((f for f in term.factors if isinstance(f, WholeEntry) and f.is_directional), None)
        if found is None:
            return term, ready
        value, direction = cast("tuple[tuple[sp.Symbol, ...], ...]", (found.indices[:2], found.indices[2:]))
        bound = {b.index for b in term.bounds}
        summed, left = (direction, value) if bound.issuperset(direction) else (value, direction)
        if not bound.issuperset(summed) or not all(isinstance(position, sp.Symbol) for position in left):
            raise NotAMatrix
        inside = _hanging_on(summed, [f for f in term.factors if f is not found], bound - {*left})
        indices = {*summed, *(symbols_in(*inside) & bound)} - {*left}
        inner = Term(tuple(inside), tuple(b for b in term.bounds if b.index in indices and b.index not in summed))
        given = lift(inner, {symbol: extents[symbol] for symbol in summed}, scope)
        if summed[0] == summed[1]:
            given = ast.Diagonal(given)
        matrix: Expression = _argument_of(found, scope)
        matrix = matrix if summed == direction else ast.Transpose(matrix)
        ready.append((*left, ast.Call(found.function, (matrix, given))))  # pyright: ignore[reportArgumentType]
        term = Term(
            tuple(f for f in term.factors if f is not found and f not in inside),
            tuple(b for b in term.bounds if b.index not in indices),
            term.conditions,
        )


def _argument_of(found: WholeEntry, scope: Scope) -> Access:
    item = entry_of(found.given[0], scope)
    return Access(item.name, item.superscripts)


def _hanging_on(nodes: Iterable[sp.Symbol], factors: Sequence[sp.Expr], bound: Iterable[sp.Symbol]) -> list[sp.Expr]:
    """The factors that hang together with these subscripts, by summed subscripts."""
    reached, inner = set(nodes), set(bound)
    while True:
        found = [factor for factor in factors if symbols_in(factor) & reached]
        wider = reached | {symbol for factor in found for symbol in symbols_in(factor) & inner}
        if wider == reached:
            return found
        reached = wider


def _product(term: Term, free: Axes, plain: Elementwise, ready: Ready) -> Expression:
    """The factors of a term, each hung on the subscripts it has, as one expression."""
    scalars: list[sp.Expr] = []
    vectors: dict[sp.Symbol, list[Expression]] = {}
    matrices, traces = [*ready], list[Expression]()
    is_diagonal = False
    for factor in term.factors:
        if isinstance(factor, sp.KroneckerDelta):
            if set(factor.args) != set(free):
                raise NotAMatrix
            is_diagonal = True
            continue
        if (traced := _trace(factor, term, free, plain)) is not None:
            traces.append(traced)
            continue
        axes = _axes(factor, plain)
        reading = Elementwise(axes, plain.tensor, plain.extents, plain.scope, lift)
        match axes:
            case ():
                scalars.append(factor)
            case (only,):
                vectors.setdefault(only, []).append(reading.expression(factor))
            case (row, column):
                matrices.append((row, column, reading.expression(factor)))
            case _:
                raise NotAMatrix
    hung = {node: tuple(parts) for node, parts in vectors.items()}
    parts = [*([plain.product(scalars)] if scalars else []), *traces]
    parts += factors_of(Network(free, hung, joined(matrices), plain.extents, is_diagonal))
    return parts[0] if len(parts) == 1 else ast.Product(tuple(parts)) if parts else ast.ONE


def _trace(factor: sp.Expr, term: Term, free: Axes, plain: Elementwise) -> Expression | None:
    """tr A where the factor is A_jj, summed over j, which stands nowhere else."""
    if not isinstance(factor, sp.Indexed):
        return None
    item = entry_of(factor, plain.scope)
    match item.subscripts:
        case (sp.Symbol() as row, column) if row == column and row in plain.tensor and row not in free:
            beside = [other for other in term.factors if other is not factor and symbols_in(other) & {row}]
            return None if beside else ast.Call("trace", (Access(item.name, item.superscripts),))
        case _:
            return None


def _axes(factor: sp.Expr, plain: Elementwise) -> Axes:
    """The subscripts of a factor in the order of its first array that has them all."""
    inside = symbols_in(factor) & plain.tensor
    for item in whole_entries(factor):
        order = tuple(dict.fromkeys(i for i in item.indices if isinstance(i, sp.Symbol) and i in plain.tensor))
        if set(order) == inside:
            return order
    for indexed in sorted(factor.atoms(sp.Indexed), key=str):
        subscripts = entry_of(indexed, plain.scope).subscripts
        running = [symbol for i in subscripts for symbol in sorted(symbols_in(i) & plain.tensor, key=str)]
        order = tuple(dict.fromkeys(running))
        if set(order) == inside:
            return order
    return tuple(sorted(inside, key=lambda symbol: (symbol.name, getattr(symbol, "dummy_index", 0))))


# Reading a term -------------------------------------------------------------------------------------------------------


def _superscript_indices(term: Term, scope: Scope) -> set[sp.Symbol]:
    """The summed indices that stand in a superscript, or in no array at all: their sums are written out."""
    plain: set[sp.Symbol] = set()
    above: set[sp.Symbol] = set()
    for factor in term.factors:
        for item in entries(factor, scope):
            above |= symbols_in(*item.superscripts)
            plain |= symbols_in(*item.subscripts)
        for item in whole_entries(factor):
            plain |= symbols_in(*item.indices)
        if isinstance(factor, sp.KroneckerDelta):
            plain |= symbols_in(factor)
    return {bound.index for bound in term.bounds if bound.index in above or bound.index not in plain}


def _require_whole_ranges(term: Term, tensor: frozenset[sp.Symbol], scope: Scope) -> None:
    """Every subscript counts from 0, no condition cuts it, and it stands in no superscript."""
    for condition in term.conditions:
        if any(_mentions(condition, symbol) for symbol in tensor):
            raise NotAMatrix
    bounds = {bound.index: bound for bound in term.bounds}
    for factor in term.factors:
        for item in entries(factor, scope):
            if any(position.free_symbols & tensor for position in item.superscripts):
                raise NotAMatrix
            for position in item.subscripts:
                if any(bounds[symbol].lower != 0 for symbol in symbols_in(position) & tensor & set(bounds)):
                    raise NotAMatrix


def _mentions(condition: ast.Condition, symbol: sp.Symbol) -> bool:
    parts = (
        (condition.value, condition.lower, condition.upper)
        if isinstance(condition, ast.Within)
        else (condition.divisor, condition.value)
    )
    return any(sp.sympify(part).has(symbol) for part in parts)


# Names for indices ----------------------------------------------------------------------------------------------------


def named_indices(
    expression: Expression, names: Iterable[tuple[sp.Symbol, str]], reserved: frozenset[str] = frozenset()
) -> Expression:
    """``expression`` with readable names for dummies; sums inside get names that clash with nothing around them.

    ``reserved`` are names that no sum may use either.
    """
    renaming = {symbol: index(name) for symbol, name in names}
    return _named(expression, renaming, reserved)


def _named(expression: Expression, renaming: dict[sp.Symbol, sp.Symbol], reserved: frozenset[str]) -> Expression:
    match expression:
        case (
            ast.Sum(index=bound, lower=lower, upper=upper, body=body)
            | ast.LogSumExp(index=bound, lower=lower, upper=upper, body=body)
        ):
            name = _unused(bound.name, {symbol.name for symbol in renaming.values()} | reserved)
            inner = {**renaming, bound: index(name)}
            return type(expression)(
                index(name), replaced(lower, renaming), replaced(upper, renaming), _named(body, inner, reserved)
            )
        case ast.Maximum() | ast.Share():
            return ast.substitute_indices(expression, {**renaming})
        case ast.Guard(conditions=conditions, body=body):
            renamed = ast.substitute_indices(ast.Guard(conditions, ast.ONE), {**renaming})
            assert isinstance(renamed, ast.Guard)
            return ast.Guard(renamed.conditions, _named(body, renaming, reserved))
        case ast.Slice(operand=operand):
            moved = ast.substitute_indices(replace(expression, operand=ast.ONE), {**renaming})
            assert isinstance(moved, ast.Slice)
            return replace(moved, operand=_named(operand, renaming, reserved))
        case Access() | ast.SizeValue() | ast.Identity() | ast.Filled():
            return ast.substitute_indices(expression, {**renaming})
        case _:
            return ast.map_children(lambda child: _named(child, renaming, reserved), expression)


def _unused(name: str, taken: set[str]) -> str:
    stem, mark, tail = name.partition("_")
    alternatives = {"t": "tsk", "k": "klm", "j": "jlm", "i": "ijl"}.get(stem, [stem])
    others = (f"{stem}{number}{mark}{tail}" for number in range(1, 100))
    for candidate in (*(f"{letter}{mark}{tail}" for letter in alternatives), *others):
        if candidate not in taken:
            return candidate
    raise AssertionError("more than a hundred nested sums")
