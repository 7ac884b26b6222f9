"""A recurrence linearised: what one step does to a small change of the state, and of every array that feeds it.

For each stage, the Jacobian with respect to each vector it reads is SymPy's derivative, lifted to a matrix. Going
through the stages of one step gives ``ds^t = A^t ds^{t-1} + b^t``: A is the one-step Jacobian, b what the parameters
and inputs add. A state read from several steps back, or several states, become the blocks of one larger state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import sympy as sp

from derive.calculus.contract import contracted
from derive.calculus.index_notation import Bound, Stage, dummy, element, partial_derivative, stage
from derive.calculus.lift import lift, named_indices
from derive.calculus.network import NotAMatrix
from derive.calculus.order import forward_order, states
from derive.calculus.shared_parts import gathered_matrices
from derive.calculus.step_names import (
    NamedPart,
    Naming,
    named_diagonals,
    named_differential,
    uses,
)
from derive.calculus.tidy import tidy
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer
from derive.language.system import Declaration, Equation, Program, Range, Scope

Part = tuple[str, int]
"""A state and how many steps back: ("h", 1) is h^{t-1}."""


@dataclass(frozen=True)
class Linearised:
    """One step of a recurrence, inputs held: ``d state = Σ jacobians[state, part] d part + sources[state]``.

    ``definitions`` are the diagonal matrices that the formulas name, ``J^t``.
    """

    range: Range
    states: tuple[tuple[str, int], ...]
    jacobians: tuple[tuple[tuple[str, Part], Expression], ...]
    sources: tuple[tuple[str, Expression], ...]
    stage_differentials: tuple[tuple[str, Expression], ...]
    definitions: tuple[Equation, ...]
    declarations: tuple[Declaration, ...]
    parts: tuple[NamedPart, ...] = ()
    """What several formulas of the step need, under a name of its own."""

    def jacobian(self, state: str, part: Part) -> Expression | None:
        """∂state^t/∂part, None where there is none."""
        return dict(self.jacobians).get((state, part))

    @property
    def is_single(self) -> bool:
        """One state, read one step back: the chain is a product of one kind of factor."""
        return len(self.states) == 1 and self.states[0][1] == 1


def linearised(program: Program, group: Sequence[str], scope: Scope) -> Linearised | None:
    """The recurrence of the arrays in ``group``; None where a state is a matrix or has several superscripts."""
    program = replace(program, equations=tuple(_without_lag_sums(e, group) for e in program.equations))
    lags = states(program, group)
    if not lags or any(len(scope[name].shape) > 1 or len(scope[name].superscripts) != 1 for name in group):
        return None
    equations = {e.target.name: e for e in program.equations if e.target.name in group}
    span = scope[next(iter(lags))].superscripts[0]
    time = span.index
    scope = {**scope, **_differentials(scope)}
    total: dict[str, dict[Part, Expression]] = {}
    sources: dict[str, Expression] = {}
    definitions: dict[Expression, Equation] = {}
    declarations: dict[str, Declaration] = {}
    differentials: list[tuple[str, Expression]] = []
    named: list[NamedPart] = []
    for name in (n for n in forward_order(program) if n in group):
        try:
            local, source, whole = _stage(equations[name], group, lags, scope)
        except NotAMatrix:
            return None
        local = {
            part: named_diagonals(matrix, time, definitions, declarations, scope, group)
            for part, matrix in local.items()
        }
        scope = {**scope, **declarations}
        rows: dict[Part, list[Expression]] = {}
        added = [source] if source is not None else []
        for (inner, lag), matrix in local.items():
            if lag:
                rows.setdefault((inner, lag), []).append(matrix)
                continue
            for part, further in total[inner].items():
                rows.setdefault(part, []).append(_times(matrix, further, scope))
            if inner in sources:
                added.append(_times(matrix, sources[inner], scope))
        total[name] = {part: _plus(parts, scope) for part, parts in rows.items()}
        if added:
            sources[name] = _plus(added, scope)
        if uses(name, equations.values(), time) + (name in lags) > 1:
            naming = Naming(Access(name, (time,)), span, scope, declarations, named)
            for (other, lag), matrix in total[name].items():
                before = Access(other, (sp.expand(time - lag),))
                wishes = (f"K_{name}{other}", f"K_{name}_{other}", f"K_{name}_{other}_{lag}")
                total[name][other, lag] = naming(matrix, wishes, before)
            if name in sources:
                sources[name] = naming(sources[name], (f"b_{name}", f"r_{name}", f"b_{name}_"), None)
            scope = {**scope, **declarations}
        differentials.append((name, named_differential(whole, definitions, scope)))
    return Linearised(
        span,
        tuple(lags.items()),
        tuple(((state, part), matrix) for state in lags for part, matrix in total[state].items()),
        tuple((state, sources[state]) for state in lags if state in sources),
        tuple(differentials),
        tuple(definitions.values()),
        tuple(declarations.values()),
        tuple(named),
    )


MOST_LAGS = 16
"""A sum over so many lags, given by numbers, is written out, so that each lag has its block."""


def _without_lag_sums(equation: Equation, group: Sequence[str]) -> Equation:
    """``equation`` with Σ_{i=1}^{2} a_{i-1} y^{t-i} as a_0 y^{t-1} + a_1 y^{t-2}."""

    def visit(node: Expression) -> Expression:
        inner = ast.map_children(visit, node)
        if not isinstance(inner, ast.Sum) or not (inner.lower.is_Integer and inner.upper.is_Integer):
            return inner
        over_lags = any(
            isinstance(part, Access) and part.name in group and any(p.has(inner.index) for p in part.superscripts)
            for part in ast.walk(inner.body)
        )
        if not over_lags or inner.upper - inner.lower >= MOST_LAGS:
            return inner
        steps = range(int(inner.lower), int(inner.upper) + 1)
        terms = tuple(ast.substitute_indices(inner.body, {inner.index: sp.Integer(step)}) for step in steps)
        return terms[0] if len(terms) == 1 else ast.Add(terms)

    return replace(equation, value=visit(equation.value)) if equation.target.name in group else equation


def differential_name(name: str) -> str:
    """The name of the small change of an array."""
    return f"d_{name}"


def _differentials(scope: Scope) -> dict[str, Declaration]:
    return {
        differential_name(name): replace(declaration, name=differential_name(name), role="defined")
        for name, declaration in scope.items()
    }


def _stage(
    equation: Equation, group: Sequence[str], lags: Mapping[str, int], scope: Scope
) -> tuple[dict[Part, Expression], Expression | None, Expression]:
    """The Jacobians of one stage by (array, steps back), what other arrays add to its differential, and all of that."""
    item = stage(equation, scope)
    time = equation.ranges[0].index
    own = item.bounds[0].index
    shape = scope[equation.target.name].shape
    rows = {axis.index: extent for axis, extent in zip(item.bounds[len(equation.ranges) :], shape, strict=False)}
    free = {bound.index: bound for bound in item.bounds}
    readable = [(own, time.name)]
    local: dict[Part, Expression] = {}
    parts: list[Expression] = []
    sources: list[Expression] = []
    read = (node.name for node in ast.walk(equation.value) if isinstance(node, Access))
    for name in dict.fromkeys(name for name in read if scope[name].role != "given"):
        change = _differential_of(item, name, free, rows, readable, scope)
        if change is None:
            continue
        parts.append(change)
        if name not in group:
            sources.append(change)
            continue
        for lag in range(lags.get(name, 0) + 1):
            matrix = _jacobian(item, name, own - lag, free, rows, readable, scope)
            if matrix is not None:
                local[name, lag] = matrix
    return local, _plus(sources, scope) if sources else None, _plus(parts, scope)


def _jacobian(
    item: Stage,
    name: str,
    position: Integer,
    free: Mapping[sp.Symbol, Bound],
    rows: Mapping[sp.Symbol, Integer],
    readable: Sequence[tuple[sp.Symbol, str]],
    scope: Scope,
) -> Expression | None:
    """∂stage/∂name^{position} as a matrix (a column or row where one of them is a scalar); None where it is zero."""
    shape = scope[name].shape
    columns = {dummy(letter): extent for letter, extent in zip("qr", shape, strict=False)}
    limits = {**free, **{d: Bound(d, sp.Integer(0), extent - 1) for d, extent in columns.items()}}
    terms = contracted(partial_derivative(item.body, element(name, (position,), tuple(columns))), (), limits)
    if not terms:
        return None
    lifted = [named_indices(lift(term, {**rows, **columns}, scope), readable) for term in terms]
    value = _plus(lifted, scope)
    return tidy(ast.Transpose(value), scope) if columns and not rows else value


def _differential_of(
    item: Stage,
    name: str,
    free: Mapping[sp.Symbol, Bound],
    rows: Mapping[sp.Symbol, Integer],
    readable: Sequence[tuple[sp.Symbol, str]],
    scope: Scope,
) -> Expression | None:
    """Σ ∂stage/∂name[…] · d name[…]: what a small change of one array adds to the stage."""
    declaration = scope[name]
    above = [dummy(r.index.name) for r in declaration.superscripts]
    below = [dummy(letter) for letter, _ in zip("jklm", declaration.shape, strict=False)]
    partial = partial_derivative(item.body, element(name, above, below))
    change = element(differential_name(name), above, below)
    bounds = [
        *(Bound(d, -sp.oo, sp.oo) for d in above),
        *(Bound(d, sp.Integer(0), extent - 1) for d, extent in zip(below, declaration.shape, strict=False)),
    ]
    terms = contracted(partial * change, bounds, free)
    if not terms:
        return None
    return _plus([named_indices(lift(term, rows, scope), readable) for term in terms], scope)


def _plus(parts: Sequence[Expression], scope: Scope) -> Expression:
    return parts[0] if len(parts) == 1 else gathered_matrices(tidy(ast.Add(tuple(parts)), scope), scope)


def _times(left: Expression, right: Expression, scope: Scope) -> Expression:
    """left · right, a sum on the right taken apart only by the reader."""
    return tidy(ast.Product((left, right)), scope)


def one_step(model: Linearised, scope: Scope) -> Expression:
    """A^t: the Jacobian of the state at t by the state at t - 1, a block matrix where it has several parts."""
    parts = state_parts(model)
    if model.is_single:
        matrix = model.jacobian(model.states[0][0], (model.states[0][0], 1))
        assert matrix is not None
        return matrix
    rows = []
    for name, lag in parts:
        row = []
        for other, back in parts:
            if lag == 0:
                block = model.jacobian(name, (other, back + 1))
            else:
                block = _unit(scope, name) if (other, back) == (name, lag - 1) else None
            row.append(block if block is not None else _nothing(scope, name, other))
        rows.append(tuple(row))
    return ast.Block(tuple(rows))


def state_parts(model: Linearised) -> tuple[Part, ...]:
    """The blocks of the stacked state at t: (h, 0) is h^t, (h, 1) is h^{t-1}."""
    return tuple((name, back) for name, lag in model.states for back in range(lag))


def _unit(scope: Scope, name: str) -> Expression:
    shape = scope[name].shape
    return ast.Identity(shape[0]) if shape else ast.ONE


def _nothing(scope: Scope, row: str, column: str) -> Expression:
    above, beside = scope[row].shape, scope[column].shape
    if not above and not beside:
        return ast.ZERO
    return ast.Filled(0, (above[0] if above else sp.Integer(1), beside[0] if beside else sp.Integer(1)))
