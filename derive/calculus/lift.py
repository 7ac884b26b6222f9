"""From contracted index notation back to matrices, where a matrix form exists.

A term is read as a network of vectors and matrices joined by subscripts; what has no matrix form stays in indices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sympy as sp

from derive.calculus.contract import Term
from derive.calculus.elementwise import Axes, Elementwise
from derive.calculus.entries import entries, entry_of, recognised
from derive.calculus.network import Network, NotAMatrix, factors_of, joined
from derive.calculus.symbols import replaced, symbols_in
from derive.calculus.tidy import tidy
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer, index
from derive.language.system import Scope


def lift(term: Term, free: Mapping[sp.Symbol, Integer], scope: Scope) -> Expression:
    """The matrix expression that ``term`` stands for, the ``free`` subscripts its axes; NotAMatrix if there is none.

    ``free`` gives the extent of each. Superscripts stay as they are; a sum over one becomes a Sum around the matrix
    expression.
    """
    term = recognised(term)
    superscripts = _superscript_indices(term, scope)
    tensor = frozenset(free) | {bound.index for bound in term.bounds if bound.index not in superscripts}
    _require_whole_ranges(term, tensor, scope)
    extents = {**free, **{bound.index: sp.expand(bound.upper + 1) for bound in term.bounds}}
    body = _product(term, tuple(free), Elementwise((), tensor, extents, scope, lift))
    conditions = term.conditions
    for bound in reversed([bound for bound in term.bounds if bound.index in superscripts]):
        inner = tuple(condition for condition in conditions if _mentions(condition, bound.index))
        conditions = tuple(condition for condition in conditions if condition not in inner)
        body = ast.Sum(bound.index, bound.lower, bound.upper, ast.Guard(inner, body) if inner else body)
    return tidy(ast.Guard(conditions, body) if conditions else body, scope)


def _product(term: Term, free: Axes, plain: Elementwise) -> Expression:
    """The factors of a term, each hung on the subscripts it has, as one expression."""
    scalars: list[sp.Expr] = []
    vectors: dict[sp.Symbol, list[Expression]] = {}
    matrices: list[tuple[sp.Symbol, sp.Symbol, Expression]] = []
    is_diagonal = False
    for factor in term.factors:
        if isinstance(factor, sp.KroneckerDelta):
            if set(factor.args) != set(free):
                raise NotAMatrix
            is_diagonal = True
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
    parts = [plain.product(scalars)] if scalars else []
    parts += factors_of(Network(free, hung, joined(matrices), plain.extents, is_diagonal))
    return parts[0] if len(parts) == 1 else ast.Product(tuple(parts)) if parts else ast.ONE


def _axes(factor: sp.Expr, plain: Elementwise) -> Axes:
    """The subscripts of a factor in the order of its first array that has them all."""
    inside = symbols_in(factor) & plain.tensor
    for indexed in sorted(factor.atoms(sp.Indexed), key=str):
        subscripts = entry_of(indexed, plain.scope).subscripts
        order = tuple(dict.fromkeys(i for i in subscripts if isinstance(i, sp.Symbol) and i in plain.tensor))
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
            plain |= {position for position in item.subscripts if isinstance(position, sp.Symbol)}
        if isinstance(factor, sp.KroneckerDelta):
            plain |= symbols_in(factor)
    return {bound.index for bound in term.bounds if bound.index in above or bound.index not in plain}


def _require_whole_ranges(term: Term, tensor: frozenset[sp.Symbol], scope: Scope) -> None:
    """Every subscript runs over the whole axis it indexes, no condition cuts it, and it stands in no superscript."""
    for condition in term.conditions:
        if any(_mentions(condition, symbol) for symbol in tensor):
            raise NotAMatrix
    bounds = {bound.index: bound for bound in term.bounds}
    for factor in term.factors:
        for item in entries(factor, scope):
            if any(position.free_symbols & tensor for position in item.superscripts):
                raise NotAMatrix
            for position, extent in zip(item.subscripts, scope[item.name].shape, strict=True):
                if isinstance(position, sp.Symbol) and position in bounds and position in tensor:
                    bound = bounds[position]
                    if bound.lower != 0 or sp.expand(bound.upper - extent + 1) != 0:
                        raise NotAMatrix
                elif position not in tensor and position.free_symbols & tensor:
                    raise NotAMatrix


def _mentions(condition: ast.Condition, symbol: sp.Symbol) -> bool:
    parts = (
        (condition.value, condition.lower, condition.upper)
        if isinstance(condition, ast.Within)
        else (condition.divisor, condition.value)
    )
    return any(sp.sympify(part).has(symbol) for part in parts)


# Names for indices ----------------------------------------------------------------------------------------------------


def named_indices(expression: Expression, names: Iterable[tuple[sp.Symbol, str]]) -> Expression:
    """``expression`` with readable names for dummies; sums inside get names that clash with nothing around them."""
    renaming = {symbol: index(name) for symbol, name in names}
    return _named(expression, renaming)


def _named(expression: Expression, renaming: dict[sp.Symbol, sp.Symbol]) -> Expression:
    match expression:
        case ast.Sum(index=bound, lower=lower, upper=upper, body=body):
            name = _unused(bound.name, {symbol.name for symbol in renaming.values()})
            inner = {**renaming, bound: index(name)}
            return ast.Sum(index(name), replaced(lower, renaming), replaced(upper, renaming), _named(body, inner))
        case ast.Guard(conditions=conditions, body=body):
            renamed = ast.substitute_indices(ast.Guard(conditions, ast.ONE), {**renaming})
            assert isinstance(renamed, ast.Guard)
            return ast.Guard(renamed.conditions, _named(body, renaming))
        case Access() | ast.SizeValue() | ast.Identity() | ast.Filled():
            return ast.substitute_indices(expression, {**renaming})
        case _:
            return ast.map_children(lambda child: _named(child, renaming), expression)


def _unused(name: str, taken: set[str]) -> str:
    alternatives = {"t": "tsk", "k": "klm", "j": "jlm", "i": "ijl"}.get(name, name)
    for candidate in (*alternatives, *(f"{name}{number}" for number in range(1, 100))):
        if candidate not in taken:
            return candidate
    raise AssertionError("more than a hundred nested sums")
