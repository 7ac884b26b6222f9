"""The recurrences of a system, each with the names that its formulas use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import sympy as sp

from derive.calculus.chain import Chain, free_letter, product_of_steps, transpose_product
from derive.calculus.closed_form import Recurrence
from derive.calculus.order import recurrent
from derive.calculus.recurrence import Linearised, differential_name, linearised, one_step, state_parts
from derive.calculus.stages import matched
from derive.calculus.step_names import is_long
from derive.calculus.walk import Walk
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer
from derive.language.system import Declaration, Equation, Scope, Shape


@dataclass(frozen=True)
class Flow:
    """One recurrence of a system with everything its formulas name."""

    model: Linearised
    factor: Expression
    """A^t as written in products: ``J^t U``, or the name of a block matrix."""
    state: Access
    source: Expression
    definitions: tuple[Equation, ...]
    scope: Scope

    @property
    def time(self) -> sp.Symbol:
        """The time index of the recurrence."""
        return self.model.range.index

    @property
    def earlier(self) -> sp.Symbol:
        """The letter of an earlier time, k where it is free."""
        return free_letter("kslq", self.scope, {self.time})

    @property
    def recurrence(self) -> Recurrence:
        """The linear recurrence of small changes."""
        change = Access(differential_name(self.state.name), self.state.superscripts)
        return Recurrence(
            self.time, self.model.range.lower, self.model.range.upper, change, self.factor, self.source, self.scope
        )

    def parts_at(self, position: Integer) -> tuple[Access, ...]:
        """The arrays that make up the state at one time: (h^t,) or (h^t, h^{t-1})."""
        return tuple(Access(name, (sp.expand(sp.sympify(position) - back),)) for name, back in state_parts(self.model))

    def chain(self, last: Integer, first: Integer) -> Chain:
        """∂state^last/∂state^first as an ordered product, and its transpose."""
        product = product_of_steps(self.factor, self.time, last, first, self.scope)
        of, wrt = (Access(self.state.name, (sp.sympify(p),)) for p in (last, first))
        return Chain(of, wrt, product, transpose_product(product, self.scope))


def flows(walk: Walk) -> tuple[Flow, ...]:
    """The recurrences whose states are numbers or vectors, each with its one-step Jacobian."""
    found = []
    taken: dict[str, Declaration] = dict(walk.scope)
    for group in recurrent(walk.forward):
        model = linearised(walk.forward, group, taken)
        if model is None or not dict(model.jacobians):
            continue
        taken |= {declaration.name: declaration for declaration in model.declarations}
        scope = {**taken, **{differential_name(n): replace(d, name=differential_name(n)) for n, d in taken.items()}}
        flow = _flow(model, scope)
        taken |= {name: flow.scope[name] for name in flow.scope if name not in taken}
        found.append(flow)
    return tuple(found)


def _flow(model: Linearised, scope: Mapping[str, Declaration]) -> Flow:
    time = model.range.index
    step = one_step(model, scope)
    if model.is_single:
        return _single(model, step, scope)
    names = {key: next(n for n in wishes if n not in scope) for key, wishes in _STACKED.items()}
    sources = dict(model.sources)
    extents = [scope[name].shape[0] if scope[name].shape else sp.Integer(1) for name, _ in state_parts(model)]
    extent = sp.Add(*extents)
    ranges = (model.range,)
    blocks = []
    for (name, back), rows in zip(state_parts(model), extents, strict=True):
        source = sources.get(name) if back == 0 else None
        blocks.append((source if source is not None else ast.Filled(0, (rows,)),))
    here = {key: Access(name, (time,)) for key, name in names.items()}
    stack = ast.Block(tuple((Access(name, (sp.expand(time - back),)),) for name, back in state_parts(model)))
    definitions = (
        *model.definitions,
        *(part.equation for part in model.parts),
        Equation(here["state"], stack, ranges),
        Equation(here["matrix"], step, ranges),
        Equation(here["source"], ast.Block(tuple(blocks)), ranges),
    )
    declared = {
        names["state"]: Declaration(names["state"], "defined", (extent,), ranges),
        names["matrix"]: Declaration(names["matrix"], "defined", (extent, extent), ranges),
        names["source"]: Declaration(names["source"], "defined", (extent,), ranges),
    }
    changes = {differential_name(n): replace(d, name=differential_name(n)) for n, d in declared.items()}
    return Flow(model, here["matrix"], here["state"], here["source"], definitions, {**scope, **declared, **changes})


def _single(model: Linearised, step: Expression, scope: Mapping[str, Declaration]) -> Flow:
    """One state, one step back; a long factor has a name in products, and so has the source beside it."""
    ((name, _),) = model.states
    shape = scope[name].shape
    source: Expression = dict(model.sources).get(name, ast.Filled(0, shape) if shape else ast.ZERO)
    definitions = [*model.definitions, *(part.equation for part in model.parts)]
    declared: dict[str, Declaration] = {}

    def named(value: Expression, key: str, extent: Shape) -> Expression:
        letter = next(n for n in (*_SINGLE[key], *(f"{_SINGLE[key][0]}_{k}" for k in range(99))) if n not in scope)
        declared[letter] = Declaration(letter, "defined", extent, (model.range,))
        definitions.append(Equation(Access(letter, (model.range.index,)), value, (model.range,)))
        return definitions[-1].target

    if is_long(step, scope):
        step = named(step, "matrix", (*shape, *shape))
        source = named(source, "source", shape) if is_long(source, scope) else source
    changes = {differential_name(n): replace(d, name=differential_name(n)) for n, d in declared.items()}
    state = Access(name, (model.range.index,))
    return Flow(model, step, state, source, tuple(definitions), {**scope, **declared, **changes})


_SINGLE = {"matrix": ("A", "M", "A_"), "source": ("b", "r", "b_")}
"""Names for a long one-step matrix and its source, in order of preference."""
_STACKED = {"state": ("s", "state", "s_"), "matrix": ("M", "A", "M_"), "source": ("b", "r", "b_")}
"""Names for a stacked state, its one-step matrix and its source, in order of preference."""


def flow_expanded(flow: Flow, expression: Expression) -> Expression:
    """``expression`` with the matrices that the formulas name (J, M) replaced by what they are."""
    table = {e.target.name: e for e in flow.definitions}

    def visit(node: Expression) -> Expression:
        if isinstance(node, Access) and node.name in table:
            equation = table[node.name]
            return visit(ast.substitute_indices(equation.value, matched(equation.target, node)))
        return ast.map_children(visit, node)

    return visit(expression)


def changes_of_parts(flow: Flow, expression: Expression) -> Expression:
    """The change of a stacked state written out in the changes of its parts."""
    if flow.model.is_single:
        return expression
    stack = differential_name(flow.state.name)

    def visit(node: Expression) -> Expression:
        if isinstance(node, Access) and node.name == stack:
            parts = flow.parts_at(node.superscripts[0])
            return ast.Block(tuple((Access(differential_name(part.name), part.superscripts),) for part in parts))
        return ast.map_children(visit, node)

    return visit(expression)
